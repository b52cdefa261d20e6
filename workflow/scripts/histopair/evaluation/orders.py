"""Whether methods come out in the order that a study claims, step by step."""

from itertools import pairwise

from histopair.errors import InputError
from histopair.evaluation import metrics, two_way

COLUMNS = ["metric", "lower", "upper", "difference", "low", "high", "p", "seed_share"]
COLUMNS += ["unit", "seeds_agreeing", "n_seeds", "not_converged", "gate_failed", "verdict"]
UNDECIDED = "not decided"


def verdict(low: float | None, high: float | None) -> str:
    """The verdict on a step from lower to upper, by the interval of its gain.

    "supported" (or "contradicted") if the interval lies above (below) 0; else "not resolved".
    """
    above, below = apart(low, high)
    return "supported" if above else "contradicted" if below else "not resolved"


def apart(low: float | None, high: float | None, limit: float = 0.0) -> tuple[bool, bool]:
    """Whether a 95% interval lies above 0, and whether it lies below `limit`.

    The interval covers other test groups and other trainings at once (`two_way`). Agreement of all
    seeds is not required too: that would ask more of ten seeds than of three.
    """
    if low is None or high is None:
        return False, False
    return low > 0, high < limit


def doubts(cell: dict, *methods: str) -> dict[str, str]:
    """Why a comparison of methods is UNDECIDED, by column; "" where nothing is against it.

    not_converged: methods with such runs, whose results hold for their number of epochs alone.
    gate_failed: methods whose text comes from a retriever that fails the gate of this world, each
    with the retriever. There no text could help, so that none does says nothing about methods.
    """
    failed = cell["gate_failed"]
    return {
        "not_converged": ", ".join(name for name in methods if cell["not_converged"][name]),
        "gate_failed": ", ".join(f"{name} ({failed[name]})" for name in methods if failed[name]),
    }


def overall(verdicts: list[str]) -> str:
    """The verdict on a whole order: its weakest step."""
    for answer in (UNDECIDED, "contradicted", "not resolved"):
        if answer in verdicts:
            return answer
    return "supported"


def difference(cell: dict, base: str, method: str, metric: str) -> dict:
    """Mean of `method` minus mean of `base`, and how sure it is (`two_way.of_difference`)."""
    ours, theirs = (cell["methods"][name][metric] for name in (method, base))
    interval = two_way.of_difference(ours, theirs, cell["n_groups"])
    return {"difference": ours[0].mean() - theirs[0].mean()} | interval


def steps(cell: dict, study: dict) -> list[dict]:
    """One row for each step of the claimed order, in the columns COLUMNS.

    cell: as `cells.evaluate` returns it. Methods that it lacks are left out. Raises InputError for
    a metric of another task.
    """
    metric = study["metric"]
    check(metric, cell["task"])
    present = [method for method in study.get("order", ()) if method in cell["methods"]]
    return [_step(cell, lower, upper, metric) for lower, upper in pairwise(present)]


def check(metric: str, task: str) -> None:
    """Raise InputError for a metric that the task does not have."""
    if metric not in metrics.names(task):
        choices = ", ".join(metrics.names(task))
        problem = f"no metric {metric} for datasets of task {task}"
        raise InputError("study", problem, f"Choose one of {choices}")


def gain(cell: dict, base: str, method: str, metric: str) -> dict:
    """What `method` gains over `base`: `difference` with the sign that makes more better.

    Returns gain, low, high, p, p_better, seed_share, and `seeds`: the gain of each seed, empty if
    the methods' seeds cannot be matched. One run alone is matched with every seed of the other.
    """
    better, worse = (method, base) if metrics.sign(metric) > 0 else (base, method)
    sure = difference(cell, worse, better, metric)
    seeds = two_way.paired(*(cell["methods"][name][metric][0] for name in (better, worse)))
    return {"gain": sure.pop("difference"), "seeds": [] if seeds is None else list(seeds)} | sure


def _step(cell: dict, lower: str, upper: str, metric: str) -> dict:
    plain = difference(cell, lower, upper, metric)
    better = gain(cell, lower, upper, metric)
    against = doubts(cell, lower, upper)
    by_interval = verdict(better["low"], better["high"])
    return {
        "metric": metric,
        "lower": lower,
        "upper": upper,
        **{name: plain[name] for name in ("difference", "low", "high", "p", "seed_share")},
        "seeds_agreeing": int(sum(value > 0 for value in better["seeds"])),
        "n_seeds": len(better["seeds"]),
        **against,
        "verdict": UNDECIDED if any(against.values()) else by_interval,
    }
