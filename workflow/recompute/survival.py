"""Tables of survival, recomputed from the risks: metrics by fold, and who has a high risk."""

from pathlib import Path

import numpy as np

from recompute import artifacts, cells, concordance, studies
from recompute.tally import Tally


def folds(tally: Tally, file: Path, grid: dict) -> None:
    """C-index and integrated AUC of each method, seed and fold."""
    fold_file, table = file.with_suffix(".folds.csv"), cells.beside(file, "folds")
    for row in table.to_dict("records"):
        cell = grid[row["dataset"], row["encoder"]]
        runs = {int(path.parent.name): path for path in cell.files[row["method"]]}
        tests = dict(zip(runs, cell.tests[row["method"]], strict=True))
        value = concordance.of_fold(tests[int(row["seed"])], int(row["fold"]))[row["metric"]]
        place = f"{row['method']} seed {row['seed']} fold {row['fold']} {row['metric']}"
        tally.equal(fold_file, place, row["value"], value)


def patients(tally: Tally, file: Path, grid: dict) -> None:
    """Who has a high risk: above the median of those that the fold's model was built on."""
    patient_file, table = file.with_suffix(".patients.csv"), cells.beside(file, "patients")
    if table.empty:
        return
    keys = ["dataset", "encoder", "method", "seed", "fold"]
    for (dataset, encoder, method, seed, fold), part in table.groupby(keys, sort=False):
        cell = grid[dataset, encoder]
        (path,) = (p for p in cell.files[method] if int(p.parent.name) == seed)
        middle = _middle(path, fold)
        high = part["risk"].to_numpy(float) > middle
        # Risks are printed with six digits.
        near = np.abs(part["risk"].to_numpy(float) - middle) < 1e-5 * max(1, abs(middle))
        wrong = int(((part["high"].astype(bool) != high) & ~near).sum())
        place = f"{method} seed {seed} fold {fold}"
        tally.equal(patient_file, f"{place} patients misplaced", 0, wrong)


def _middle(path: Path, fold: int) -> float:
    table = artifacts.table(path).assign(risk=artifacts.vectors(path, "scores")[:, 0])
    table = table.assign(fold=table.get("fold", 1))
    return table[(table["fold"] == fold) & (table["split"] != "test")]["risk"].median()


CHECKS = [
    studies.of_studies("survival by fold", folds),
    studies.of_studies("risk groups", patients),
]
