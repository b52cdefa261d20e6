"""What a random split of rows adds over the split by group of the same samples."""

from itertools import product

from histopair.evaluation import two_way

COLUMNS = ["random", "method", "metric", "by_row", "by_group", "difference", "low", "high"]
COLUMNS += ["seed_share", "unit"]


def pairs(study: dict) -> list[tuple[str, str]]:
    """Datasets of the study that split the same samples: (split by row, split by group)."""
    splits = study.get("splits", {})
    return [
        (row, group)
        for row, group in product(splits, splits)
        if splits[row]["of"] == splits[group]["of"]
        and (splits[row]["by"], splits[group]["by"]) == ("row", "group")
        and splits[row].get("labels") == splits[group].get("labels")
    ]


def rows(cells: dict[tuple[str, str], dict], study: dict) -> list[dict]:
    """One row per method and metric for each pair of splits, `dataset` by group, `random` by row.

    study: `splits`, for each dataset its base `of` and how it is split, `by` "row" or "group". The
    two test splits hold different samples, so nothing is paired: the interval is that of the
    difference of two means, each over its groups and seeds.
    """
    return [
        {"dataset": group, "encoder": column, "random": row, "method": method, "metric": metric}
        | _difference(cells[row, column], cells[group, column], method, metric)
        for row, group in pairs(study)
        for dataset, column in cells
        if dataset == group and (row, column) in cells
        for method in cells[group, column]["methods"]
        if method in cells[row, column]["methods"]
        for metric in cells[row, column]["methods"][method]
        if metric in cells[group, column]["methods"][method]
    ]


def _difference(by_row: dict, by_group: dict, method: str, metric: str) -> dict:
    sides = [cell["methods"][method][metric] for cell in (by_row, by_group)]
    groups = by_row["n_groups"], by_group["n_groups"]
    interval = two_way.of_unpaired(*sides, groups)
    means = [values.mean() for values, _ in sides]
    return {
        "by_row": means[0],
        "by_group": means[1],
        "difference": means[0] - means[1],
        **{name: interval[name] for name in ("low", "high", "seed_share")},
    }
