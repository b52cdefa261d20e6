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
    "not_converged",
    "verdict",
]


def verdict(
    expect: str, low: float | None, high: float | None, gains: list[float], margin: float = MARGIN
) -> str:
    """What a gain comes to: its 95% interval, and those of the seeds, `gains`, where known.

    A claimed "gain" holds (is contradicted) where they lie `orders.apart` above (below) 0. A claim
    of "no gain" holds where they lie below `margin`, the least gain that would matter, and is
    contradicted where they lie above 0 and the interval reaches the margin. All else is "not
    resolved".
    """
    above, below = orders.apart(low, high, gains, 0.0 if expect == "gain" else margin)
    holds, contradicted = (above, below) if expect == "gain" else (below, above)
    return "holds" if holds else "contradicted" if contradicted else "not resolved"


def rows(cell: dict, study: dict) -> list[dict]:
    """One row in COLUMNS for each of the study's claims whose methods the cell has.

    study: `claims`, dicts of claim, paper, better, worse, expect, and maybe metric (by default the
    study's) and margin. `gain` is turned so that more is better; `seeds_agreeing` counts the seeds
    with a gain above 0. A claim with a run that has not converged is not decided. Raises InputError
    for a metric of another task.
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
    unfinished = orders.unconverged(cell["not_converged"], claim["better"], claim["worse"])
    came_to = verdict(claim["expect"], found["low"], found["high"], seeds, margin)
    named = {name: claim[name] for name in ("claim", "paper", "better", "worse", "expect")}
    return (
        named
        | found
        | {
            "metric": metric,
            "margin": margin if claim["expect"] == "no gain" else None,
            "seeds_agreeing": sum(gain > 0 for gain in seeds),
            "n_seeds": len(seeds),
            "not_converged": unfinished,
            "verdict": orders.UNDECIDED if unfinished else came_to,
        }
    )
