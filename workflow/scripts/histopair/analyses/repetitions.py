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


def tabulate(
    runs: list[dict], study: dict, count: int, kept: str | Path, device: torch.device
) -> pd.DataFrame:
    """A row in COLUMNS for each repetition, cell and claim.

    runs: as `study_tables.tabulate` takes them, each with `spec` and `artifacts` of `Run.of` in
    place of its files. study: its entry. kept: a folder of finished repetitions, which are not
    repeated. The first repetition is number 1. If the study has seeds up to S - 1, repetition r has
    those from r S on, so none has another's.
    """
    seeds, parts = 1 + max(run["seed"] for run in runs), []
    numbers = range(1, count + 1)
    for repetition in jobs.progress(numbers, count, "repetitions", "repeat"):
        part = Path(kept, f"{repetition}.parquet")
        if not part.exists():
            repeated = [run | {"seed": run["seed"] + repetition * seeds} for run in runs]
            facts = {"repetition": repetition, "first_seed": repetition * seeds}
            rows = [facts | row for row in _judged(repeated, study, repetition, device)]
            tables.write(part, pd.DataFrame(rows, columns=COLUMNS), {})
        parts.append(tables.read(part))
    return pd.concat(parts, ignore_index=True)


def part_of_groups(samples: pd.DataFrame, draw: np.random.Generator) -> pd.DataFrame:
    """Samples of train and val, and those of PART of the test groups, rounded up."""
    test = (samples["split"] == "test").to_numpy()
    groups = grouping.numbers(samples["group"], samples["image_id"])
    there = np.unique(groups[test])
    chosen = draw.choice(there, int(np.ceil(PART * len(there))), replace=False)
    return samples[~test | np.isin(groups, chosen)]


def _judged(runs: list[dict], study: dict, repetition: int, device: torch.device) -> list[dict]:
    """The rows of the study's claims in one repetition."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        labels = _labels(runs, folder, repetition)
        trained = [
            _trained(run, labels[run["dataset"]], folder / str(number), device)
            for number, run in enumerate(runs)
        ]
        gathered = cells.gather(trained, labels)
    rows = study_tables.each(claims.rows)(gathered, study)
    return [row | _size(gathered[row["dataset"], row["encoder"]]) for row in rows]


def _labels(runs: list[dict], folder: Path, repetition: int) -> dict[str, Path]:
    """Of each dataset the labels of this repetition; those of the same samples keep the same."""
    labels = {}
    for dataset, path in {run["dataset"]: run["artifacts"]["labels"] for run in runs}.items():
        labels[dataset] = folder / f"{dataset}.parquet"
        kept = part_of_groups(tables.read(path), np.random.default_rng(repetition))
        tables.write(labels[dataset], kept, tables.about(path))
    return labels


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
