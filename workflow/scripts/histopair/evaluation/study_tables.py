"""The tables of a study: every method on every dataset and encoder, with how sure the numbers are.

There are three spreads: the standard deviation over seeds (n - 1 in the denominator; null for one
seed or a method whose seeds predict alike), the 95% interval of the mean, for other test groups and
other trainings at once (`two_way`), and that of the paired difference to the study's reference
method. Each interval comes with the seeds' share of its variance, and with the `unit` that is
resampled for the rest.
"""

from pathlib import Path

import pandas as pd

from histopair.evaluation import (
    by_site,
    cells,
    claims,
    class_tables,
    external,
    follow_up,
    gate,
    label_curves,
    leak,
    orders,
    published,
    significance,
    two_way,
)

TABLE = ["method", "own_encoder", "metric", "mean", "std", "n_seeds", "not_converged"]
TABLE += ["val_loss", "below_probe", "low", "high", "seed_share", "difference"]
TABLE += ["difference_low", "difference_high", "difference_p", "difference_seed_share"]
TABLE += ["reference", "values", "n_test", "n_groups", "unit", *published.COLUMNS]
OF_METHOD = ("own_encoder", "not_converged", "val_loss", "below_probe")  # one value per method


def tabulate(
    runs: list[dict], labels: dict[str, str | Path], name: str, study: dict
) -> dict[str, pd.DataFrame]:
    """The tables of a study, by their names in TABLES.

    runs: dicts of dataset, encoder, method, seed, maybe `column` (`cells.gather`), and the paths
    `predictions` and `metrics`. labels: labels parquet of each dataset, for the groups. study: its
    entry in the config, `synthetic` (names of synthetic datasets), `splits` (`leak.rows`,
    `label_curves.families`) and maybe `truths` ({dataset: parquet}), `external` (runs on other
    datasets, `external.gather`) and `shared` (what those have in common with these).
    Each table has the columns study, dataset, encoder (the column), its own, and synthetic.
    Raises InputError if methods of one cell predict different test samples.
    """
    gathered = cells.gather(runs, labels)
    wrong = {
        dataset: class_tables.wrong_labels(labels[dataset], truth)
        for dataset, truth in study.get("truths", {}).items()
    }
    splits = label_curves.with_numbers(study.get("splits", {}), labels)
    more = {
        "splits": splits,
        "labels": labels,
        "outside": external.gather(study.get("external", []), labels, study.get("shared", [])),
    }
    facts = {key: {"unit": cell["unit"]} | wrong.get(key[0], {}) for key, cell in gathered.items()}
    return {
        table: _frame(name, make(gathered, study | more), columns, study, facts)
        for table, (columns, make) in TABLES.items()
    }


def _frame(
    name: str, rows: list[dict], columns: list[str], study: dict, facts: dict
) -> pd.DataFrame:
    """A table of rows; `facts` of their cells fill the columns of the same name, if it has them."""
    synthetic = {*study.get("synthetic", ())}
    if synthetic >= {*study.get("datasets", "?")}:
        synthetic.add(significance.EVERYTHING)
    rows = [
        {"study": name, "synthetic": row["dataset"] in synthetic}
        | facts.get((row["dataset"], row["encoder"]), {})
        | row
        for row in rows
    ]
    return pd.DataFrame(rows, columns=["study", "dataset", "encoder", *columns, "synthetic"])


def file(name: str, table: str) -> str:
    """The file name of a study's table: the main one has the study's name alone."""
    return f"{name}.csv" if table == "table" else f"{name}.{table}.csv"


def rows(gathered: dict, study: dict) -> list[dict]:
    """One row per cell, method and metric in the columns TABLE, with the paper's own number."""
    paper = published.read(study["published"]) if study.get("published") else []
    if paper:
        methods = [method for cell in gathered.values() for method in cell["methods"]]
        published.check(paper, study["published"], list(dict.fromkeys(methods)))
    return [
        row | published.find(paper, *key, row["method"], row["metric"])
        for key, cell in gathered.items()
        for row in _cell_rows(key, cell, study.get("reference"))
    ]


def _cell_rows(key: tuple[str, str], cell: dict, reference: str | None) -> list[dict]:
    rows_of_cell = []
    for method, by_metric in cell["methods"].items():
        for metric, (values, replicates) in by_metric.items():
            interval = two_way.of_mean(values, replicates, cell["n_groups"])
            row = {
                "dataset": key[0],
                "encoder": key[1],
                "method": method,
                "metric": metric,
                "mean": values.mean(),
                "std": values.std(ddof=1) if len(values) > 1 else None,
                "n_seeds": len(values),
                **{name: cell[name][method] for name in OF_METHOD},
                **{name: interval[name] for name in ("low", "high", "seed_share")},
                "reference": reference,
                "values": ";".join(f"{value:.6f}" for value in values),
                "n_test": cell["n_test"],
                "n_groups": cell["n_groups"],
            }
            if reference in cell["methods"] and method != reference:
                gap = orders.difference(cell, reference, method, metric)
                row["difference"] = gap["difference"]
                row |= {f"difference_{n}": gap[n] for n in ("low", "high", "p", "seed_share")}
            rows_of_cell.append(row)
    return rows_of_cell


def _of_dataset(study: dict, dataset: str) -> dict:
    """A study as it applies to one dataset: the claims about it, its truth."""
    claimed = study.get("claims", ())
    kept = [claim for claim in claimed if dataset in claim.get("datasets", [dataset])]
    return study | {"claims": kept, "truth": study.get("truths", {}).get(dataset)}


def each(rows_of):
    """Rows of all cells from a function that returns those of one."""

    def rows_of_all(gathered: dict, study: dict) -> list[dict]:
        return [
            {"dataset": dataset, "encoder": column} | row
            for (dataset, column), cell in gathered.items()
            for row in rows_of(cell, _of_dataset(study, dataset))
        ]

    return rows_of_all


# Name: columns, and a function of all cells and the study's entry that gives the rows.
TABLES = {
    "table": (TABLE, rows),
    "order": (orders.COLUMNS, each(orders.steps)),
    "claims": (claims.COLUMNS, each(claims.rows)),
    "tests": (significance.COLUMNS, significance.rows),
    "leak": (leak.COLUMNS, leak.rows),
    "external": (external.COLUMNS, external.rows),
    "sites": (by_site.COLUMNS, by_site.rows),
    "gate": (gate.COLUMNS, gate.rows),
    "curves": (label_curves.COLUMNS, label_curves.rows),
    "classes": (class_tables.CLASSES, each(class_tables.classes)),
    "calibration": (class_tables.CALIBRATION, each(class_tables.calibrations)),
    "reliability": (class_tables.BINS, each(class_tables.bins)),
    "folds": (follow_up.FOLDS, each(follow_up.folds)),
    "patients": (follow_up.PATIENTS, each(follow_up.patients)),
    "hazards": (follow_up.HAZARDS, each(follow_up.hazards)),
}
