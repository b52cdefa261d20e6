"""A paper's claims about its methods, checked against the study's own paired differences."""

from histopair.evaluation import orders, probes

MARGIN = 0.01
COLUMNS = ["claim", "paper", "better", "worse", "metric", "expect", "margin"]
COLUMNS += ["gain", "low", "high", "p", "seed_share", "unit", "seeds_agreeing"]
COLUMNS += ["n_seeds", "not_converged", "gate_failed", "below_probe", "verdict"]


def verdict(expect: str, low: float | None, high: float | None, margin: float = MARGIN) -> str:
    """The verdict on a claim by the gain's 95% interval over other test groups and trainings.

    A claimed "gain" holds if the interval lies above 0, and is contradicted if it lies below. A
    claim of "no gain" holds if the interval lies below `margin`, the least gain that would matter,
    and is contradicted if it lies above 0 and reaches the margin. All else is "not resolved".
    """
    above, below = orders.apart(low, high, 0.0 if expect == "gain" else margin)
    holds, contradicted = (above, below) if expect == "gain" else (below, above)
    return "holds" if holds else "contradicted" if contradicted else "not resolved"


def rows(cell: dict, study: dict) -> list[dict]:
    """One row in COLUMNS for each of the study's claims whose methods the cell has.

    study: `claims`, dicts of claim, paper, better, worse, expect, and maybe metric (by default the
    study's) and margin. `gain` has the sign that makes more better; `seeds_agreeing` counts the
    seeds with a gain above 0. A claim with a run that has not converged, or of a world that fails
    its gate, is not decided; one with a method below a probe of its inputs names it. Raises
    InputError for a metric of another task.
    """
    return [
        _row(cell, claim, claim.get("metric") or study["metric"])
        for claim in study.get("claims", ())
        if {claim["better"], claim["worse"]} <= cell["methods"].keys()
    ]


def _row(cell: dict, claim: dict, metric: str) -> dict:
    orders.check(metric, cell["task"])
    margin = claim.get("margin", MARGIN)
    gain = orders.gain(cell, claim["worse"], claim["better"], metric)
    against = orders.doubts(cell, claim["better"], claim["worse"])
    by_interval = verdict(claim["expect"], gain["low"], gain["high"], margin)
    return {
        **{name: claim[name] for name in ("claim", "paper", "better", "worse", "expect")},
        **{name: gain[name] for name in ("gain", "low", "high", "p", "seed_share")},
        "metric": metric,
        "margin": margin if claim["expect"] == "no gain" else None,
        "seeds_agreeing": sum(seed > 0 for seed in gain["seeds"]),
        "n_seeds": len(gain["seeds"]),
        **against,
        "below_probe": probes.named(cell["below_probe"], claim["better"], claim["worse"]),
        "verdict": orders.UNDECIDED if any(against.values()) else by_interval,
    }
