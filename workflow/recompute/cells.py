"""A cell of a study, traced from its table: the runs behind every number."""

from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from recompute import artifacts, convergence, metrics
from recompute.artifacts import Predictions

ALL = "*"  # dataset and encoder in rows that combine all cells
PRINTED = 1e-6  # half a digit of the values in a study's table


class Cell:
    """All methods of a study on one dataset in one column, on the same test samples."""

    def __init__(self, results: Path, rows: pd.DataFrame):
        self.results, self.rows = results, rows
        self.dataset, self.column = rows["dataset"].iloc[0], rows["encoder"].iloc[0]

    @property
    def place(self) -> str:
        return f"{self.dataset} {self.column}"

    @property
    def methods(self) -> list[str]:
        return list(dict.fromkeys(self.rows["method"]))

    @cached_property
    def files(self) -> dict[str, list[Path]]:
        """Predictions of each method's seeds: those whose metrics are the values in the table.

        Raises ValueError for values that no run has.
        """
        return {method: self._runs_of(method) for method in self.methods}

    def _runs_of(self, method: str) -> list[Path]:
        rows = self.rows[self.rows["method"] == method]
        own_encoder = rows["own_encoder"].iloc[0]
        encoder = own_encoder if isinstance(own_encoder, str) else self.column
        folder = self.results / "runs" / self.dataset / encoder / method
        files = sorted(folder.glob("*/predictions.parquet"), key=lambda file: int(file.parent.name))
        values = [[float(value) for value in row.split(";")] for row in rows["values"]]
        chosen = []
        for values_of_seed in zip(*values, strict=True):
            stated = dict(zip(rows["metric"], values_of_seed, strict=True))
            fits = [file for file in files if file not in chosen and _fits(file, stated)]
            if not fits:
                raise ValueError(f"no run in {folder} has the values of {method} {stated}")
            chosen.append(fits[0])
        return chosen

    @cached_property
    def tests(self) -> dict[str, list[Predictions]]:
        """The test samples of each method's seeds, by sample id."""
        return {
            method: [artifacts.predictions(file).of("test") for file in files]
            for method, files in self.files.items()
        }

    def values(self, method: str, metric: str) -> np.ndarray:
        """The metric of each seed."""
        values = [metrics.of_test(file)[metric] for file in self.files[method]]
        return np.array([np.nan if value is None else value for value in values], float)

    def seeds(self, better: str, worse: str, metric: str) -> np.ndarray:
        """What each seed gains; a single run is compared with all of the other's seeds."""
        one, other = self.values(better, metric), self.values(worse, metric)
        if len(one) != len(other) and 1 not in (len(one), len(other)):
            return np.array([])
        return sign(metric) * (one - other)

    def not_converged(self, method: str) -> int:
        """How many of the method's runs have not converged."""
        histories = [file.with_name("history.parquet") for file in self.files[method]]
        return convergence.unfinished([artifacts.table(file) for file in histories])

    @cached_property
    def samples(self) -> pd.DataFrame:
        """Image and group of each test sample."""
        columns = ["sample_id", "image_id", "group"]
        samples = artifacts.table(self.labels, columns).set_index("sample_id")
        return samples.loc[self.tests[self.methods[0]][0].ids]

    @property
    def labels(self) -> Path:
        return self.results / "labels" / f"{self.dataset}.parquet"

    @property
    def unit(self) -> str:
        """What intervals are over: groups as the labels call them, images, or both."""
        grouped, unit = self.samples["group"].notna(), artifacts.metadata(self.labels)["unit"]
        return unit if grouped.all() else f"{unit} or image" if grouped.any() else "image"

    @cached_property
    def groups(self) -> np.ndarray:
        """The number of each test sample's group; an image without a group is its own."""
        lone = self.samples["group"].isna()
        groups = self.samples["group"].where(~lone, self.samples["image_id"])
        names = [(bool(a), b) for a, b in zip(lone, groups, strict=True)]
        return pd.factorize(pd.Series(names))[0]


@artifacts.remembered
def of_study(results: Path, file: Path) -> dict[tuple[str, str], Cell]:
    """The cells of a study by dataset and column."""
    table = artifacts.csv(file)
    return {
        key: Cell(results, rows) for key, rows in table.groupby(["dataset", "encoder"], sort=False)
    }


def study_files(results: Path) -> list[Path]:
    """The main table of each study."""
    return [file for file in sorted(results.glob("studies/*.csv")) if "." not in file.stem]


def beside(file: Path, table: str) -> pd.DataFrame:
    """Another table of the same study; empty where there is none."""
    other = file.with_name(f"{file.stem}.{table}.csv")
    return artifacts.csv(other) if other.is_file() else pd.DataFrame()


def sign(metric: str) -> int:
    """-1 if less is better."""
    return -1 if metric in ("hamming", "ece") else 1


def _fits(file: Path, stated: dict[str, float]) -> bool:
    """Whether a run has these metrics, to the digits that a table prints."""
    values = np.array([metrics.of_test(file)[name] for name in stated], float)
    return np.allclose(list(stated.values()), values, rtol=0, atol=PRINTED, equal_nan=True)
