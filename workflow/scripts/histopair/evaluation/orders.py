"""Whether methods come out in the order that a study claims, step by step."""

from itertools import pairwise

from histopair.errors import InputError
from histopair.evaluation import metrics, two_way

COLUMNS = [
    "metric",
    "lower",
    "upper",
    "difference",
    "low",
    "high",
    "p",
    "seed_share",
    "unit",
    "seeds_agreeing",
    "n_seeds",
    "not_converged",
    "verdict",
]
UNDECIDED = "not decided"


def verdict(low: float | None, high: float | None) -> str:
    """What a step from lower to upper comes to, with more oriented to be better.

    "supported" (or "contradicted") where the interval lies above (below) 0; otherwise
    "not resolved".
    """
    above, below = apart(low, high)
    return "supported" if above else "contradicted" if below else "not resolved"


def apart(low: float | None, high: float | None, limit: float = 0.0) -> tuple[bool, bool]:
    """Whether a 95% interval lies above 0, and whether it lies below `limit`.

    It is of other test groups and other trainings at once (`two_way`). That all seeds agree is not
    asked beside it: this would ask more of ten seeds than of three, where ten know more.
    """
    if low is None or high is None:
        return False, False
    return low > 0, high < limit


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


def difference(cell: dict, base: str, method: str, metric: str) -> dict:
    """Mean of `method` minus mean of `base`, and how sure it is (`two_way.of_difference`)."""
    ours, theirs = (cell["methods"][name][metric] for name in (method, base))
    found = two_way.of_difference(ours, theirs, cell["n_groups"])
    return {"difference": ours[0].mean() - theirs[0].mean()} | found


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

    Returns gain, low, high, p, p_better, seed_share, and `seeds`: the gain of each seed, empty
    where the methods' seeds cannot be matched. One run alone is matched with every seed of the
    other.
    """
    better, worse = (method, base) if metrics.sign(metric) > 0 else (base, method)
    found = difference(cell, worse, better, metric)
    seeds = two_way.paired(*(cell["methods"][name][metric][0] for name in (better, worse)))
    return {"gain": found.pop("difference"), "seeds": [] if seeds is None else list(seeds)} | found


def _step(cell: dict, lower: str, upper: str, metric: str) -> dict:
    found = difference(cell, lower, upper, metric)
    better = gain(cell, lower, upper, metric)
    unfinished = unconverged(cell["not_converged"], lower, upper)
    came_to = verdict(better["low"], better["high"])
    return {
        "metric": metric,
        "lower": lower,
        "upper": upper,
        **{name: found[name] for name in ("difference", "low", "high", "p", "seed_share")},
        "seeds_agreeing": int(sum(value > 0 for value in better["seeds"])),
        "n_seeds": len(better["seeds"]),
        "not_converged": unfinished,
        "verdict": UNDECIDED if unfinished else came_to,
    }
