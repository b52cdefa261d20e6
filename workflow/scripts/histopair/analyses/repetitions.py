"""A study repeated: how often its claims hold with other labels, other trainings, other patients.

Each repetition is the whole study with seeds of its own, on a part of the test groups drawn at
random. Runs are trained, scored and judged as those of any study are, from files. Where two methods
differ by chance alone, as with two draws of random reports, a claim that one is better must hold in
one of forty repetitions at most; where one must be better, it should hold nearly always.
"""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from histopair import jobs
from histopair.datasets import grouping
from histopair.evaluation import cells, claims, score, study_tables
from histopair.files import tables
from histopair.training import one_run

PART = 0.5  # of the test groups
JUDGED = ["claim", "better", "worse", "metric", "expect", "gain", "low", "high", "p", "seed_share"]
JUDGED += ["n_seeds", "not_converged", "gate_failed", "verdict"]
COLUMNS = ["repetition", "first_seed", "dataset", "encoder", *JUDGED, "n_test", "n_groups"]


def tabulate(runs: list[dict], study: dict, count: int, device: torch.device) -> pd.DataFrame:
    """A row in COLUMNS for each repetition, cell and claim.

    runs: as `study_tables.tabulate` takes them, each with `spec` and `artifacts` of `Run.of` in
    place of its files. study: its entry. Repetition r of S seeds runs with seeds from r S on, which
    no study with fewer seeds than S has; the first has number 1.
    """
    rows, seeds = [], 1 + max(run["seed"] for run in runs)
    numbers = range(1, count + 1)
    for repetition in jobs.progress(numbers, count, "repetitions", "repeat"):
        with tempfile.TemporaryDirectory() as folder:
            repeated = [run | {"seed": run["seed"] + repetition * seeds} for run in runs]
            judged = _judged(repeated, study, Path(folder), repetition, device)
        facts = {"repetition": repetition, "first_seed": repetition * seeds}
        rows += [facts | row for row in judged]
    return pd.DataFrame(rows, columns=COLUMNS)


def part_of_groups(samples: pd.DataFrame, draw: np.random.Generator) -> pd.DataFrame:
    """Samples of train and val, and those of PART of the test groups, rounded up."""
    test = (samples["split"] == "test").to_numpy()
    groups = grouping.numbers(samples["group"], samples["image_id"])
    there = np.unique(groups[test])
    chosen = draw.choice(there, int(np.ceil(PART * len(there))), replace=False)
    return samples[~test | np.isin(groups, chosen)]


def _judged(
    runs: list[dict], study: dict, folder: Path, repetition: int, device: torch.device
) -> list[dict]:
    """The rows of the study's claims in one repetition."""
    whole = {run["dataset"]: run["artifacts"]["labels"] for run in runs}
    labels = {}
    for dataset, path in whole.items():
        labels[dataset] = folder / f"{dataset}.parquet"
        draw = np.random.default_rng(repetition)  # datasets of the same samples keep the same ones
        tables.write(labels[dataset], part_of_groups(tables.read(path), draw), tables.about(path))
    trained = [
        _trained(run, labels[run["dataset"]], folder / str(number), device)
        for number, run in enumerate(runs)
    ]
    gathered = cells.gather(trained, labels)
    rows = study_tables.each(claims.rows)(gathered, study)
    return [row | _size(gathered[row["dataset"], row["encoder"]]) for row in rows]


def _size(cell: dict) -> dict:
    return {name: cell[name] for name in ("n_test", "n_groups")}


def _trained(run: dict, labels: Path, folder: Path, device: torch.device) -> dict:
    """A run, trained and scored, with the paths of its predictions and metrics."""
    folder.mkdir()
    names = {"weights": "weights.safetensors", "history": "history.parquet"}
    names |= {"predictions": "predictions.parquet", "metrics": "metrics.json"}
    out = {name: str(folder / file) for name, file in names.items()}
    artifacts = run["artifacts"] | {"labels": str(labels)}
    one = one_run.Run.of(run["spec"], artifacts, run["seed"], device)
    one_run.execute(one, str(folder / "resume"), out, {})
    score.score(out["predictions"], out["history"], out["metrics"], {})
    return run | {name: out[name] for name in ("predictions", "metrics")}
