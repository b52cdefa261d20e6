"""Whether methods come out in the order that a study claims, step by step."""

from itertools import pairwise

from histopair.errors import InputError
from histopair.evaluation import bootstrap, metrics

COLUMNS = [
    "metric",
    "lower",
    "upper",
    "difference",
    "low",
    "high",
    "seeds_agreeing",
    "n_seeds",
    "not_converged",
    "verdict",
]
UNDECIDED = "not decided"


def verdict(low: float | None, high: float | None, gains: list[float]) -> str:
    """What a step from lower to upper comes to, with more oriented to be better.

    "supported" (or "contradicted") where interval and seeds lie `apart` above (below) 0; otherwise
    "not resolved".
    """
    above, below = apart(low, high, gains)
    return "supported" if above else "contradicted" if below else "not resolved"


def apart(
    low: float | None, high: float | None, gains: list[float], limit: float = 0.0
) -> tuple[bool, bool]:
    """Whether a 95% interval and every seed's gain lie above 0, and whether they lie below `limit`.

    The interval knows of other test groups and the seeds of other trainings, so both must agree.
    """
    if low is None or high is None:
        return False, False
    above = low > 0 and all(gain > 0 for gain in gains)
    return above, high < limit and all(gain < limit for gain in gains)


def unconverged(counts: dict[str, int], *methods: str) -> str:
    """Those of the methods that have runs which did not converge; "" if all converged.

    counts: how many there are of each method.

    What is said of such a run holds for its number of epochs alone: the comparison is UNDECIDED.
    """
    return ", ".join(method for method in methods if counts[method])


def overall(verdicts: list[str]) -> str:
    """The verdict on a whole order: its weakest step."""
    for answer in (UNDECIDED, "contradicted", "not resolved"):
        if answer in verdicts:
            return answer
    return "supported"


def difference(cell: dict, base: str, method: str, metric: str) -> tuple:
    """Mean of `method` minus mean of `base`, with its paired 95% interval."""
    values, replicates = cell["methods"][method][metric]
    base_values, base_replicates = cell["methods"][base][metric]
    paired = bootstrap.interval(replicates - base_replicates, cell["n_groups"])
    return values.mean() - base_values.mean(), *paired


def steps(cell: dict, study: dict) -> list[dict]:
    """One row for each step of the claimed order, in the columns COLUMNS.

    cell: methods {method: {metric: (values, replicates)}}, task and n_groups, as `cells` makes
    it. Methods that the cell lacks are left out. Raises InputError for a metric of another task.
    """
    metric = study["metric"]
    check(metric, cell["task"])
    present = [method for method in study.get("order", ()) if method in cell["methods"]]
    return [_step(cell, lower, upper, metric) for lower, upper in pairwise(present)]


def check(metric: str, task: str) -> None:
    """Raise InputError for a metric that the task does not have."""
    if metric not in metrics.names(task):
        known = ", ".join(metrics.names(task))
        problem = f"no metric {metric} for {task}-label datasets"
        raise InputError("study", problem, f"Choose one of {known}")


def gain(cell: dict, base: str, method: str, metric: str) -> dict:
    """What `method` gains over `base`: `difference` turned so that more is better.

    Returns gain, low, high, and `seeds`: the gain of each seed, empty where the methods' seeds
    cannot be matched. One run alone is matched with every seed of the other.
    """
    gained, low, high = difference(cell, base, method, metric)
    sign = -1 if metric in metrics.LOWER_IS_BETTER else 1
    a, b = (cell["methods"][name][metric][0] for name in (base, method))
    matched = len(a) == len(b) or 1 in (len(a), len(b))
    low, high = (low, high) if sign > 0 or low is None else (-high, -low)
    seeds = list(sign * (b - a)) if matched else []
    return {"gain": sign * gained, "low": low, "high": high, "seeds": seeds}


def _step(cell: dict, lower: str, upper: str, metric: str) -> dict:
    gained, low, high = difference(cell, lower, upper, metric)
    better = gain(cell, lower, upper, metric)
    unfinished = unconverged(cell["not_converged"], lower, upper)
    found = verdict(better["low"], better["high"], better["seeds"])
    return {
        "metric": metric,
        "lower": lower,
        "upper": upper,
        "difference": gained,
        "low": low,
        "high": high,
        "seeds_agreeing": int(sum(value > 0 for value in better["seeds"])),
        "n_seeds": len(better["seeds"]),
        "not_converged": unfinished,
        "verdict": UNDECIDED if unfinished else found,
    }
