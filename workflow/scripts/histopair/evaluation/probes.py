"""Which methods do worse than a probe of their own inputs, frozen.

A loss that no longer falls may still be far from its optimum; `convergence` cannot see that. A
probe reaches its optimum. A method that reads at least as much and does worse has not learnt what
frozen features hold, because of its training or its form. Verdicts on it hold for that head alone.
"""

import numpy as np

WORSE = 0.1  # of the probe's validation loss


def val_loss(judged: list[dict]) -> float | None:
    """The mean over a method's seeds of the loss per validation sample, nats, at its temperature.

    judged: the metrics.json of each seed. None without validation samples or probabilities, and for
    a method that trains nothing.
    """
    if not all(seed["calibration"] and seed["convergence"]["stages"] for seed in judged):
        return None
    return float(np.mean([seed["calibration"]["splits"]["val"]["after"]["nll"] for seed in judged]))


def below(losses: dict[str, float | None], probes: dict[str, list[str]]) -> dict[str, str]:
    """By method, its probes whose loss it exceeds by more than WORSE of that loss, or "".

    losses: `val_loss` of each method. probes: for each method, those that read no more than it.
    """
    return {
        method: ", ".join(p for p in probes.get(method, ()) if _worse(loss, losses.get(p)))
        for method, loss in losses.items()
    }


def named(below_of: dict[str, str], *methods: str) -> str:
    """The methods that are below a probe, each with its probe: "final (linear-probe)"."""
    return ", ".join(f"{method} ({below_of[method]})" for method in methods if below_of[method])


def _worse(loss: float | None, probe: float | None) -> bool:
    return loss is not None and probe is not None and loss > (1 + WORSE) * probe
