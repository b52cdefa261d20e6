"""A study's metric at each site (hospital, centre) of a test split."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from histopair.evaluation import bootstrap, cells, tasks, two_way
from histopair.evaluation.tasks.labelled import Labels
from histopair.files import tables

COLUMNS = ["external", "method", "site", "metric", "mean", "low", "high", "seed_share"]
COLUMNS += ["n", "n_groups", "unit"]


def rows(gathered: dict, study: dict) -> list[dict]:
    """One row per method and site of each test split whose samples have sites.

    study: `metric`; `labels`, the labels parquet of each dataset; `outside`, the cells of external
    datasets, which fill the column `external`. The interval is for other groups of the same site
    and other trainings. Follow-up has no rows.
    """
    return [
        {"dataset": dataset, "encoder": column, "external": external} | row
        for (dataset, external, column), cell in _cells(gathered, study)
        for row in _of_cell(cell, study["labels"][external or dataset], study["metric"])
    ]


def _cells(gathered: dict, study: dict) -> Iterator[tuple[tuple, dict]]:
    """Every cell by (dataset, external or None, column)."""
    for (dataset, column), cell in gathered.items():
        yield (dataset, None, column), cell
    yield from study.get("outside", {}).items()


def _of_cell(cell: dict, labels: str | Path, metric: str) -> list[dict]:
    task, sites = tasks.of(cell["task"]), _sites(labels, cell["ids"])
    if sites is None or not isinstance(task, Labels):
        return []
    groups = cells.groups_of(labels, cell["ids"])
    parts = {site: np.flatnonzero(sites == site) for site in sorted(set(sites))}
    return [
        {"method": method, "site": site, "metric": metric}
        | _interval(members, part, groups, task, metric)
        | {"n": len(part), "unit": cells.unit_of(labels, [cell["ids"][row] for row in part])}
        for method, members in cell["runs"].items()
        if metric in cell["methods"][method]
        for site, part in parts.items()
    ]


def _sites(labels: str | Path, ids: list[str]) -> np.ndarray | None:
    samples = tables.read(labels).set_index("sample_id")
    return samples["site"].loc[ids].to_numpy() if "site" in samples else None


def _interval(
    members: list[dict], part: np.ndarray, groups: np.ndarray, task: Labels, metric: str
) -> dict:
    """Mean and interval of a method's seeds on the samples of one site."""
    number = pd.factorize(groups[part])[0]
    draws = bootstrap.resamples(number)
    values, replicates = [], []
    for member in members:
        truth, scores = member["truth"][part], member["scores"][part]
        values.append(task.judge(truth, scores, member["metrics"]["classes"])[metric])
        replicates.append(task.replicate(truth, scores, number, draws)[metric])
    values, count = np.array(values, float), int(number.max()) + 1
    interval = two_way.of_mean(values, np.stack(replicates), count)
    interval = {name: interval[name] for name in ("low", "high", "seed_share")}
    return {"mean": values.mean(), **interval, "n_groups": count}
