"""Time to an event, maybe censored: a risk should order patients by how early they have it.

A metric is taken in each test fold and averaged over the folds in which it exists, as CLIP-IT's
Table 8 does: risks of different folds come from different models and have no common scale.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from histopair.evaluation.metrics import mean_defined, mean_known, names, number


class Survival:
    """A task whose truth is time, and 1 for an event or 0: (n, 2). Scores are risks (n, 1)."""

    name = "survival"
    most_labels = 0

    def truth(self, table: pd.DataFrame, classes: list[str], file: str | Path) -> np.ndarray:
        """Time and event of the table, (n, 2)."""
        return table[["time", "event"]].to_numpy(float)

    def context(self, table: pd.DataFrame, rows: np.ndarray) -> dict:
        """fold: of each sample in the rows of one split (n,). others: by fold, times and events
        of the samples beside them (m, 2), which weigh censoring and set the times of the AUC.
        """
        fold = table["fold"].to_numpy() if "fold" in table else np.ones(len(table), int)
        split = table["split"].to_numpy()
        beside = ("train", "val") if (split[rows] == "test").any() else ("train",)
        outcome, is_beside = self.truth(table, [], ""), np.isin(split, beside)
        folds = np.unique(fold[rows])
        return {
            "fold": fold[rows],
            "others": {each: outcome[is_beside & (fold == each)] for each in folds},
        }

    def judge(
        self,
        truth: np.ndarray,
        scores: np.ndarray,
        classes: list[str],
        fold: np.ndarray,
        others: dict[int, np.ndarray],
    ) -> dict:
        """Both metrics of one split, and of each fold in `folds`; None where one does not exist."""
        from histopair.evaluation import concordance  # whose library takes a second to import

        parts = _by_fold(truth, scores, fold, others)
        folds = [
            {
                "fold": int(each),
                "n": len(test),
                "events": int(test["event"].sum()),
                "c_index": number(concordance.c_index(test)),
                "integrated_auc": number(concordance.integrated_auc(beside, test)),
            }
            for each, beside, test in parts
        ]
        means = {name: mean_known([part[name] for part in folds]) for name in names(self.name)}
        events = int(truth[:, 1].sum())
        return means | {"n": len(truth), "events": events, "folds": folds, "per_class": {}}

    def group_counts(self, truth: np.ndarray, scores: np.ndarray, groups: np.ndarray) -> None:
        """Nothing that adds up over patients."""

    def replicate(
        self,
        truth: np.ndarray,
        scores: np.ndarray,
        groups: np.ndarray,
        draws: np.ndarray,
        fold: np.ndarray,
        others: dict[int, np.ndarray],
    ) -> dict[str, np.ndarray]:
        """Both metrics of one run in every resample, means over folds: metric -> (replicates,).

        groups: (n,) in 0..G-1; draws: (replicates, G). NaN in a resample where no fold has it.
        """
        from histopair.evaluation import concordance

        parts = _by_fold(truth, scores, fold, others)
        by_fold = [
            concordance.resampled(beside, test, draws[:, groups[fold == each]])
            for each, beside, test in parts
        ]
        return {
            name: mean_defined(np.stack([values[name] for values in by_fold], axis=-1))
            for name in names(self.name)
        }


def _by_fold(truth, scores, fold, others) -> list[tuple[int, pd.DataFrame, pd.DataFrame]]:
    """Each fold's number, the samples beside it, and its own samples with their risk."""
    return [
        (each, _frame(beside), _frame(truth[fold == each], scores[fold == each, 0]))
        for each, beside in others.items()
    ]


def _frame(outcome: np.ndarray, risk: np.ndarray | None = None) -> pd.DataFrame:
    frame = pd.DataFrame({"time": outcome[:, 0], "event": outcome[:, 1] > 0})
    return frame if risk is None else frame.assign(risk=risk.astype(float))
