"""Which methods do worse than a probe of their own inputs, frozen.

A loss that no longer falls is not a loss near its optimum (`convergence` cannot tell them apart).
A probe has an optimum and reaches it: what reads as much and does worse has not learnt what frozen
features tell, by its training or by its form. What is said of it holds for that head alone.
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
    """By method, those of its probes whose loss it exceeds by more than WORSE of it, or "".

    losses: `val_loss` of each method. probes: for a method those that read no more than it does.
    """
    return {
        method: ", ".join(p for p in probes.get(method, ()) if _worse(loss, losses.get(p)))
        for method, loss in losses.items()
    }


def named(below_of: dict[str, str], *methods: str) -> str:
    """Those of the methods that are below a probe, each with it: "final (linear-probe)"."""
    return ", ".join(f"{method} ({below_of[method]})" for method in methods if below_of[method])


def _worse(loss: float | None, probe: float | None) -> bool:
    return loss is not None and probe is not None and loss > (1 + WORSE) * probe
