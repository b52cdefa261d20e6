"""The runs of all folds as one: every sample is tested once, by the model that has not seen it."""

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from histopair.errors import InputError
from histopair.files import tables

ABOUT = ("task", "classes", "parameters")


def join(folds: list[dict[str, str]], predictions: str, history: str, about: dict) -> None:
    """Write the predictions and histories of runs below each other, with the number of the fold.

    folds: the paths `predictions` and `history` of each fold's run, from fold 1. The stages of a
    history are named by their fold. Raises InputError where a sample is tested twice.
    """
    told = pa.concat_tables(
        part.append_column("fold", pa.array([fold] * len(part), pa.int64()))
        for fold, part in enumerate((_told(run["predictions"]) for run in folds), 1)
    )
    tested = told.filter(pc.equal(told["split"], "test"))["sample_id"].to_pandas()
    if tested.duplicated().any():
        problem = f"{tested[tested.duplicated()].iloc[0]!r} is tested in two folds"
        raise InputError(predictions, problem, "Delete the runs of these folds and rerun")
    parts = [tables.read(run["history"]) for run in folds]
    stages = [
        part.assign(stage=f"fold {fold} " + part["stage"].astype(str))
        for fold, part in enumerate(parts, 1)
    ]
    known = tables.about(folds[0]["predictions"])
    tables.write(predictions, told, about | {name: known[name] for name in ABOUT})
    tables.write(history, pd.concat(stages, ignore_index=True), about)


def _told(predictions: str) -> pa.Table:
    """What a run predicts; its teacher's vectors stay with its fold."""
    table = pq.read_table(predictions)
    return table.drop_columns([name for name in ("teacher",) if name in table.column_names])
