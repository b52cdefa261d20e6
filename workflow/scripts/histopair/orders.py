"""Whether methods come out in the order that a study claims, step by step."""

from itertools import pairwise

from histopair import bootstrap, metrics
from histopair.errors import InputError

COLUMNS = [
    "study",
    "dataset",
    "encoder",
    "metric",
    "lower",
    "upper",
    "difference",
    "low",
    "high",
    "seeds_agreeing",
    "n_seeds",
    "verdict",
    "synthetic",
]


def verdict(low: float | None, high: float | None, gains: list[float]) -> str:
    """What a step from lower to upper comes to, with more oriented to be better.

    "supported" (or "contradicted") where the 95% interval of the difference lies above (below) 0
    and every seed's gain has that sign: the interval knows of other test groups, the seeds of
    other trainings. Otherwise "not resolved".
    """
    if low is not None and low > 0 and all(gain > 0 for gain in gains):
        return "supported"
    if high is not None and high < 0 and all(gain < 0 for gain in gains):
        return "contradicted"
    return "not resolved"


def overall(verdicts: list[str]) -> str:
    """The verdict on a whole order: its weakest step."""
    for answer in ("contradicted", "not resolved"):
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
    """One row for each step of the claimed order, in the columns COLUMNS but the study's own.

    cell: methods {method: {metric: (values, replicates)}}, task and n_groups, as `studies` makes
    it. Methods that the cell lacks are left out. Raises InputError for a metric of another task.
    """
    metric = study["metric"]
    if metric not in metrics.names(cell["task"]):
        known = ", ".join(metrics.names(cell["task"]))
        problem = f"no metric {metric} for {cell['task']}-label datasets"
        raise InputError("study", problem, f"Choose one of {known}")
    present = [method for method in study.get("order", ()) if method in cell["methods"]]
    return [_step(cell, lower, upper, metric) for lower, upper in pairwise(present)]


def _step(cell: dict, lower: str, upper: str, metric: str) -> dict:
    gained, low, high = difference(cell, lower, upper, metric)
    a, b = (cell["methods"][method][metric][0] for method in (lower, upper))
    sign = -1 if metric in metrics.LOWER_IS_BETTER else 1
    gains = list(sign * (b - a)) if len(a) == len(b) or 1 in (len(a), len(b)) else []
    better = (low, high) if sign > 0 or low is None else (-high, -low)
    return {
        "metric": metric,
        "lower": lower,
        "upper": upper,
        "difference": gained,
        "low": low,
        "high": high,
        "seeds_agreeing": int(sum(gain > 0 for gain in gains)),
        "n_seeds": len(gains),
        "verdict": verdict(*better, gains),
    }
