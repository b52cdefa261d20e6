"""What a paper claims of its methods, held against the study's own paired differences."""

from histopair.evaluation import orders, probes

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
    "p",
    "seed_share",
    "unit",
    "seeds_agreeing",
    "n_seeds",
    "not_converged",
    "below_probe",
    "verdict",
]


def verdict(expect: str, low: float | None, high: float | None, margin: float = MARGIN) -> str:
    """What a gain comes to by its 95% interval, of other test groups and other trainings at once.

    A claimed "gain" holds (is contradicted) where it lies `orders.apart` above (below) 0. A claim
    of "no gain" holds where it lies below `margin`, the least gain that would matter, and is
    contradicted where it lies above 0 and reaches the margin. All else is "not resolved".
    """
    above, below = orders.apart(low, high, 0.0 if expect == "gain" else margin)
    holds, contradicted = (above, below) if expect == "gain" else (below, above)
    return "holds" if holds else "contradicted" if contradicted else "not resolved"


def rows(cell: dict, study: dict) -> list[dict]:
    """One row in COLUMNS for each of the study's claims whose methods the cell has.

    study: `claims`, dicts of claim, paper, better, worse, expect, and maybe metric (by default the
    study's) and margin. `gain` is turned so that more is better; `seeds_agreeing` counts the seeds
    with a gain above 0. A claim with a run that has not converged is not decided; one with a method
    below a probe of its inputs says so. Raises InputError for a metric of another task.
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
    unfinished = orders.unconverged(cell["not_converged"], claim["better"], claim["worse"])
    came_to = verdict(claim["expect"], found["low"], found["high"], margin)
    named = {name: claim[name] for name in ("claim", "paper", "better", "worse", "expect")}
    return (
        named
        | {name: found[name] for name in ("gain", "low", "high", "p", "seed_share")}
        | {
            "metric": metric,
            "margin": margin if claim["expect"] == "no gain" else None,
            "seeds_agreeing": sum(gain > 0 for gain in found["seeds"]),
            "n_seeds": len(found["seeds"]),
            "not_converged": unfinished,
            "below_probe": probes.named(cell["below_probe"], claim["better"], claim["worse"]),
            "verdict": orders.UNDECIDED if unfinished else came_to,
        }
    )
