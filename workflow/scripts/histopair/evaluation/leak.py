"""What a random split of rows adds over the split by group of the same samples."""

from itertools import product

import numpy as np

from histopair.evaluation import bootstrap

COLUMNS = ["random", "method", "metric", "by_row", "by_group", "difference", "low", "high"]


def pairs(study: dict) -> list[tuple[str, str]]:
    """Datasets of the study that are views of one: (split by row, split by group)."""
    splits = study.get("splits", {})
    return [
        (row, group)
        for row, group in product(splits, splits)
        if splits[row]["of"] == splits[group]["of"]
        and (splits[row]["by"], splits[group]["by"]) == ("row", "group")
    ]


def rows(cells: dict[tuple[str, str], dict], study: dict) -> list[dict]:
    """One row per method and metric for each pair of views, `dataset` by group, `random` by row.

    study: `splits`, for each dataset its base `of` and how it is split, `by` "row" or "group". The
    two test splits hold different samples, so their resamples are independent: the interval is
    that of the difference of two unpaired means.
    """
    return [
        {"dataset": group, "encoder": column, "random": row, "method": method} | found
        for row, group in pairs(study)
        for dataset, column in cells
        if dataset == group and (row, column) in cells
        for method in cells[group, column]["methods"]
        if method in cells[row, column]["methods"]
        for found in _differences(cells[row, column], cells[group, column], method)
    ]


def _differences(by_row: dict, by_group: dict, method: str) -> list[dict]:
    return [
        {"metric": metric} | _difference(by_row, by_group, method, metric)
        for metric in by_row["methods"][method]
        if metric in by_group["methods"][method]
    ]


def _difference(by_row: dict, by_group: dict, method: str, metric: str) -> dict:
    values, replicates = by_row["methods"][method][metric]
    grouped, others = by_group["methods"][method][metric]
    count = min(len(replicates), len(others))
    # Both sides draw from one seed; another order makes their draws independent.
    others = np.random.default_rng(bootstrap.SEED).permutation(others[:count])
    fewest = min(by_row["n_groups"], by_group["n_groups"])
    low, high = bootstrap.interval(replicates[:count] - others, fewest)
    means = values.mean(), grouped.mean()
    return {
        "by_row": means[0],
        "by_group": means[1],
        "difference": means[0] - means[1],
        "low": low,
        "high": high,
    }
