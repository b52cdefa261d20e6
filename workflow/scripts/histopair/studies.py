"""The table of a study: every method on every dataset and encoder, with how sure the numbers are.

Three spreads are kept apart: the standard deviation over seeds (n - 1 in the denominator; null for
one seed or a method whose seeds predict alike), the 95% interval of the mean over seeds under
resampling of the test groups (`bootstrap`), and the interval of the paired difference to the
study's reference method on the same resamples.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from histopair import bootstrap, metrics, orders, tables
from histopair.errors import InputError

TABLE = [
    "study",
    "dataset",
    "encoder",
    "method",
    "metric",
    "mean",
    "std",
    "n_seeds",
    "low",
    "high",
    "difference",
    "difference_low",
    "difference_high",
    "reference",
    "values",
    "n_test",
    "n_groups",
    "synthetic",
]


def tabulate(
    runs: list[dict], labels: dict[str, str | Path], name: str, study: dict
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The table of a study and the verdicts on the order it claims.

    runs: dicts of dataset, encoder, method, seed and the paths `predictions` and `metrics`.
    labels: labels parquet of each dataset, for the groups. study: `reference` (method, optional),
    `metric` (of the order claim), `order` (methods from worst to best, optional), `synthetic`
    (names of synthetic datasets). Columns are TABLE and orders.COLUMNS; `values` holds the seeds'
    metrics.
    Raises InputError where methods of one dataset and encoder predict different test samples.
    """
    rows, steps = [], []
    for (dataset, encoder), members in _cells(runs).items():
        cell = _evaluate(members, labels[dataset])
        key = {"study": name, "dataset": dataset, "encoder": encoder}
        made = {"synthetic": dataset in study.get("synthetic", ())}
        rows += [key | row | made for row in _rows(cell, study.get("reference"))]
        steps += [key | step | made for step in orders.steps(cell, study)]
    return pd.DataFrame(rows, columns=TABLE), pd.DataFrame(steps, columns=orders.COLUMNS)


def _cells(runs: list[dict]) -> dict[tuple[str, str], list[dict]]:
    cells: dict[tuple[str, str], list[dict]] = {}
    for run in runs:
        cells.setdefault((run["dataset"], run["encoder"]), []).append(run)
    return cells


def _evaluate(runs: list[dict], labels: str | Path) -> dict:
    """Per method the seeds' values and the replicates of their mean, for one dataset and encoder.

    Returns methods {method: {metric: (values (seeds,), replicates (R,))}}, task, n_test, n_groups.
    """
    samples = tables.read(labels, ["sample_id", "image_id", "group"])
    # As in the split: where no group is known, each image is one.
    samples["group"] = samples["group"].fillna("\0" + samples["image_id"])
    group_of = samples.set_index("sample_id")["group"]
    methods: dict[str, list] = {}
    shared = seen = None
    for run in runs:
        ids, truth, scores, task = _test_split(run["predictions"])
        if shared is None:
            shared, seen = (ids, truth), run["predictions"]
            groups = _group_index(group_of, ids, labels)
            draws = bootstrap.resamples(groups)
        elif ids != shared[0] or not np.array_equal(truth, shared[1]):
            problem = f"its test samples or labels differ from those of {seen}"
            raise InputError(run["predictions"], problem, "Delete the older run and rerun")
        values = tables.read_json(run["metrics"])["splits"]["test"]
        results = methods.setdefault(run["method"], [])
        if not any(np.array_equal(scores, other) for other, _, _ in results):
            results.append(
                (scores, values, bootstrap.replicate(truth, scores, groups, draws, task))
            )
    gathered = {method: _gather(results, task) for method, results in methods.items()}
    sizes = {"n_test": len(ids), "n_groups": int(groups.max()) + 1}
    return {"methods": gathered, "task": task} | sizes


def _test_split(path: str | Path) -> tuple[list[str], np.ndarray, np.ndarray, str]:
    table = tables.read(path, columns=["sample_id", "split", "labels"])
    made = tables.about(path)
    test = np.flatnonzero(table["split"] == "test")
    if not len(test):
        raise InputError(path, "no test samples", "Give the dataset's split a test share")
    test = test[np.argsort(table["sample_id"].to_numpy()[test], kind="stable")]
    table = table.iloc[test]
    truth = metrics.truth_matrix(table["labels"], made["classes"], path)
    return list(table["sample_id"]), truth, tables.matrix(path, "scores")[test], made["task"]


def _group_index(group_of: pd.Series, ids: list[str], labels: str | Path) -> np.ndarray:
    missing = sorted(set(ids) - set(group_of.index))
    if missing:
        problem = f"{len(missing)} predicted samples are not in it, such as {missing[0]}"
        raise InputError(labels, problem, "Rerun the runs of this dataset")
    return pd.factorize(group_of.loc[ids], sort=True)[0]


def _gather(results: list[tuple], task: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    return {
        metric: (
            np.array([values[metric] for _, values, _ in results], float),
            np.mean([replicates[metric] for _, _, replicates in results], axis=0),
        )
        for metric in metrics.names(task)
    }


def _rows(cell: dict, reference: str | None) -> list[dict]:
    rows = []
    for method, found in cell["methods"].items():
        for metric, (values, replicates) in found.items():
            low, high = bootstrap.interval(replicates, cell["n_groups"])
            row = {
                "method": method,
                "metric": metric,
                "mean": values.mean(),
                "std": values.std(ddof=1) if len(values) > 1 else None,
                "n_seeds": len(values),
                "low": low,
                "high": high,
                "reference": reference,
                "values": ";".join(f"{value:.6f}" for value in values),
                "n_test": cell["n_test"],
                "n_groups": cell["n_groups"],
            }
            if reference in cell["methods"] and method != reference:
                names = ("difference", "difference_low", "difference_high")
                row |= zip(names, orders.difference(cell, reference, method, metric), strict=True)
            rows.append(row)
    return rows
