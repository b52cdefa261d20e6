"""What a paper claims of its methods, held against the study's own paired differences."""

from histopair.evaluation import orders

MARGIN = 0.01
COLUMNS = [
    "claim",
    "paper",
    "better",
    "worse",
    "metric",
    "expect",
    "margin",
    "gain",
    "low",
    "high",
    "seeds_agreeing",
    "n_seeds",
    "verdict",
]


def verdict(expect: str, low: float | None, high: float | None, margin: float = MARGIN) -> str:
    """What the 95% interval of the gain says of a claim: holds, contradicted or not resolved.

    A claimed "gain" holds where the interval lies above 0, and is contradicted where it lies below.
    A claim of "no gain" holds where the interval ends below `margin`, the least gain that would
    matter, and is contradicted where the interval lies above 0 and reaches the margin.
    """
    if low is None or high is None:
        return "not resolved"
    if expect == "gain":
        return "holds" if low > 0 else "contradicted" if high < 0 else "not resolved"
    return "holds" if high < margin else "contradicted" if low > 0 else "not resolved"


def rows(cell: dict, study: dict) -> list[dict]:
    """One row in COLUMNS for each of the study's claims whose methods the cell has.

    study: `claims`, dicts of claim, paper, better, worse, expect, and maybe metric (by default the
    study's) and margin. `gain` is turned so that more is better; `seeds_agreeing` counts the seeds
    with a gain above 0. Raises InputError for a metric of another task.
    """
    known = [
        claim
        for claim in study.get("claims", ())
        if {claim["better"], claim["worse"]} <= cell["methods"].keys()
    ]
    return [_row(cell, claim, claim.get("metric") or study["metric"]) for claim in known]


def _row(cell: dict, claim: dict, metric: str) -> dict:
    orders.check(metric, cell["task"])
    margin = claim.get("margin", MARGIN)
    found = orders.gain(cell, claim["worse"], claim["better"], metric)
    seeds = found.pop("seeds")
    named = {name: claim[name] for name in ("claim", "paper", "better", "worse", "expect")}
    return (
        named
        | found
        | {
            "metric": metric,
            "margin": margin if claim["expect"] == "no gain" else None,
            "seeds_agreeing": sum(gain > 0 for gain in seeds),
            "n_seeds": len(seeds),
            "verdict": verdict(claim["expect"], found["low"], found["high"], margin),
        }
    )
