"""Trainings: what history.parquet holds, and the loss of the run's predictions."""

import math
from pathlib import Path

import numpy as np
import pandas as pd

from recompute import artifacts, calibration, concordance, convergence
from recompute.tally import Tally

FLOAT32 = 2e-5  # of a loss; scores are stored as float32


def histories(results: Path) -> Tally:
    """Epochs are consecutive and no more than asked for; losses are finite; rates are as set."""
    tally = Tally("histories of trainings")
    for file in artifacts.run_files(results, "history.parquet"):
        with tally.reading(file):
            table, method = artifacts.table(file), artifacts.method(file)
            values = table.select_dtypes("number")
            losses = values[[name for name in values if name.startswith(("train_", "val_"))]]
            for stage, part in table.groupby("stage", sort=False):
                in_turn = part["epoch"].tolist() == list(range(len(part)))
                tally.holds(file, f"{stage} epochs", in_turn, part["epoch"].tolist(), "0, 1, 2 ...")
                filled = losses.loc[part.index].dropna(axis=1, how="all")
                bad = (~np.isfinite(filled.to_numpy(float))).sum()
                tally.equal(file, f"{stage} losses that are not finite", 0, bad)
            _settings(tally, file, table[table["stage"] == "main"], method)
    return tally


def _settings(tally: Tally, file: Path, main: pd.DataFrame, method: dict) -> None:
    if len(main) and "epochs" in method and not convergence.stated(main):
        enough = len(main) == method["epochs"] or (
            len(main) < method["epochs"] and _patience_is_out(main["val_task"], method)
        )
        tally.holds(file, "number of epochs", bool(enough), method["epochs"], len(main))
    # No layer has that very rate if rates fall with depth and the head has its own.
    apart = method.get("layer_decay", 1) < 1 and method.get("head_learning_rate")
    if len(main) and method.get("schedule") == "constant" and not apart:
        rate = main["learning_rate"].iloc[0]
        tally.equal(file, "learning rate at the start", method["learning_rate"], rate, 1e-12)


def _patience_is_out(losses: pd.Series, method: dict) -> bool:
    """Whether so many epochs before the end had no better loss on validation."""
    patience = method.get("patience") or math.inf
    return len(losses) > patience and losses[:-patience].min() <= losses[-patience:].min()


def best_losses(results: Path) -> Tally:
    """The least loss on val is the cross-entropy of the val predictions, the best epoch's."""
    tally = Tally("losses of the best epochs")
    for file in artifacts.run_files(results, "history.parquet"):
        with tally.reading(file):
            table, method = artifacts.table(file), artifacts.method(file)
            plain = method.get("loss") == "plain" and method.get("precision") == "float32"
            if plain and "val_task" in table and len(table):
                learnt = table["stage"].isin(["main", "adapt"])  # the best of both predicts
                last = table[learnt if learnt.any() else table["stage"] == table["stage"].iloc[-1]]
                val = artifacts.predictions(file.with_name("predictions.parquet")).of("val")
                survival = val.task == "survival"
                if survival and len(val.ids) > method["batch_size"]:
                    continue  # the loss is over batches
                loss = concordance.cox_loss(val) if survival else calibration.loss(val, 1.0)
                tally.equal(file, "least loss on val", last["val_task"].min(), loss, FLOAT32)
    return tally


CHECKS = [histories, best_losses]
