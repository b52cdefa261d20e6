"""Tests of each method against the study's reference, alone and over all cells together.

The primary test is two-way: would this gain appear again with other trainings, on other patients?
Beside it are its two halves. Over groups alone: would these same models differ on other patients?
That counts for a model that is used as it is. Over seeds alone (Welch): would other trainings
differ on these patients? At three seeds this test has hardly any power.
"""

import math

import numpy as np

from histopair.evaluation import leak, metrics, orders, p_values, power, two_way

POINT = 0.01  # seeds are counted for this gain too, beside the observed one
ROUNDING = 1e-12  # draws within this of the observed difference are as extreme
EVERYTHING = "*"  # dataset and encoder of rows that combine all cells; no name can be this
COMBINED = "harmonic mean, Fisher"  # how such rows are tested: within families, between them
COLUMNS = ["method", "reference", "metric", "cells", "gain", "low", "high"]
COLUMNS += ["p", "p_holm", "p_better", "seed_share", "p_groups", "test_groups"]
COLUMNS += ["p_seeds", "p_seeds_better", "effect_groups", "effect_seeds"]
COLUMNS += ["seeds_for_gain", "seeds_for_point", "n_seeds", "n_groups", "unit"]


def rows(cells: dict[tuple[str, str], dict], study: dict) -> list[dict]:
    """One row in COLUMNS per cell and method, then one per method of several cells together.

    p: two-sided and two-way (`two_way`), as low and high; p_better: one-sided, that the method is
    better; seed_share: the seeds' share of that variance; p_groups: two-sided, the trained models
    fixed; p_seeds and p_seeds_better: Welch over seeds; p_holm: p corrected for the comparisons on
    its dataset, all methods and encoders of the study in its one metric. Each dataset is a separate
    question: adding one must not change the answer for another. Rows of several cells (EVERYTHING)
    combine the one-sided p, uncorrected, without random splits of datasets that are also split by
    group and without cells that have no p: those of one of `families` by their harmonic mean, which
    holds for tests that depend on each other, and the families by Fisher's method.
    """
    reference, metric = study.get("reference"), study["metric"]
    comparisons = [
        {"dataset": dataset, "encoder": column, "method": method, "reference": reference}
        | {"metric": metric, "cells": 1}
        | compare(cell, reference, method, metric)
        for (dataset, column), cell in cells.items()
        for method in cell["methods"]
        if reference in cell["methods"] and method != reference
    ]
    for dataset in dict.fromkeys(row["dataset"] for row in comparisons):
        family = [row for row in comparisons if row["dataset"] == dataset]
        for row, corrected in zip(family, p_values.holm([r["p"] for r in family]), strict=True):
            row["p_holm"] = corrected
    leaky = {by_row for by_row, _ in leak.pairs(study)}
    sound = [row for row in comparisons if row["dataset"] not in leaky]
    methods = dict.fromkeys(row["method"] for row in sound)
    together = [[row for row in sound if row["method"] == method] for method in methods]
    of = families(cells, study)
    return comparisons + [_together(of_one, of) for of_one in together if len(of_one) > 1]


def families(cells: dict[tuple[str, str], dict], study: dict) -> dict[str, str]:
    """The family of each dataset, by the name of its first: those with the same test samples.

    They are cut from one dataset, as with fewer labels, or their test splits share a sample's id.
    """
    marks: dict[str, set] = {}
    for (dataset, _), cell in cells.items():
        base = study.get("splits", {}).get(dataset, {}).get("of", dataset)
        marks.setdefault(dataset, {("base", base)}).update(cell["ids"])
    found: dict[str, str] = {}
    for dataset, own in marks.items():
        alike = {found[other] for other in found if marks[other] & own}
        found = {other: dataset if of in alike else of for other, of in found.items()}
        found[dataset] = dataset
    first: dict[str, str] = {}
    return {dataset: first.setdefault(of, dataset) for dataset, of in found.items()}


def compare(cell: dict, reference: str, method: str, metric: str) -> dict:
    """One method against the reference in one cell; None for a value that does not exist there."""
    base, other = (cell["methods"][name][metric] for name in (reference, method))
    sign = metrics.sign(metric)
    test, p_groups = _over_groups(cell, reference, method, metric)
    p_seeds, p_seeds_better = p_values.welch(sign * other[0], sign * base[0])
    sure = orders.gain(cell, reference, method, metric)
    gain = sure["gain"]
    differences = two_way.over_runs(other[1]) - two_way.over_runs(base[1])
    exist = cell["n_groups"] > 1 and np.isfinite(differences).any()
    spread = float(np.nanstd(differences)) if exist else 0.0
    deviation, alone = _deviation(other[0], base[0])
    varying = two_way.parts(other, base, cell["n_groups"])
    seeds = sorted((len(base[0]), len(other[0])))
    return {
        **{name: sure[name] for name in ("gain", "low", "high", "p", "p_better", "seed_share")},
        "p_groups": p_groups,
        "test_groups": test,
        "p_seeds": p_seeds,
        "p_seeds_better": p_seeds_better,
        "effect_groups": _over(gain, spread * math.sqrt(cell["n_groups"])),
        "effect_seeds": _over(gain, deviation),
        "seeds_for_gain": power.seeds_needed(gain, *varying),
        "seeds_for_point": power.seeds_needed(POINT, *varying),
        "n_seeds": seeds[1] if alone else seeds[0],
        "n_groups": cell["n_groups"],
    }


def _over_groups(cell, reference, method, metric) -> tuple[str | None, float | None]:
    """Test over groups of the models as they are: its name and two-sided p.

    None for fewer than two groups, and if the metric exists in fewer than half of the resamples.
    """
    pair = [cell["methods"][name][metric][1] for name in (method, reference)]
    if not all(two_way.over_groups(replicates, cell["n_groups"]) for replicates in pair):
        return None, None
    ours, theirs = ([run["counts"] for run in cell["runs"][name]] for name in (method, reference))
    matched = len(ours) == len(theirs) or 1 in (len(ours), len(theirs))
    if metrics.METRICS[metric].rate and matched:
        observed, null = p_values.permutation(ours, theirs, metric)
        extreme = (np.abs(null) >= abs(observed) - ROUNDING).sum()
        return "permutation", p_values.share(extreme, len(null))
    gains = two_way.over_runs(pair[0]) - two_way.over_runs(pair[1])
    gains = gains[np.isfinite(gains)]
    rarer = min((gains <= 0).sum(), (gains >= 0).sum())
    return "bootstrap", min(1.0, 2 * p_values.share(rarer, len(gains)))


def _deviation(ours: np.ndarray, theirs: np.ndarray) -> tuple[float | None, bool]:
    """Standard deviation over seeds, pooled, and whether only one side has one."""
    spreads = [values.var(ddof=1) for values in (ours, theirs) if len(values) > 1]
    if not spreads:
        return None, False
    return math.sqrt(sum(spreads) / len(spreads)), len(spreads) == 1


def _over(value: float, spread: float | None) -> float | None:
    return value / spread if spread else None


def _together(rows_of_method: list[dict], family: dict[str, str]) -> dict:
    gains = [row["gain"] for row in rows_of_method if row["p_better"] is not None]
    return {
        "dataset": EVERYTHING,
        "encoder": EVERYTHING,
        **{name: rows_of_method[0][name] for name in ("method", "reference", "metric")},
        "cells": len(gains),
        "gain": sum(gains) / len(gains) if gains else None,
        "test_groups": COMBINED,
        "p_better": _combined(rows_of_method, "p_better", family),
        "p_seeds_better": _combined(rows_of_method, "p_seeds_better", family),
    }


def _combined(rows_of_method: list[dict], name: str, family: dict[str, str]) -> float | None:
    parts: dict[str, list[float]] = {}
    for row in rows_of_method:
        if row[name] is not None:
            parts.setdefault(family[row["dataset"]], []).append(row[name])
    return p_values.fisher([p_values.harmonic(p) for p in parts.values()])
