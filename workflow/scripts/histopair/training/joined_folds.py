"""The runs of all folds as one: each sample is tested once, by the model that did not see it."""

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from histopair.errors import InputError
from histopair.files import tables

ABOUT = ("task", "classes", "parameters")


def join(folds: list[dict[str, str]], predictions: str, history: str, about: dict) -> None:
    """Write the predictions and the histories of all folds, one below the other.

    folds: the paths `predictions` and `history` of each fold's run, from fold 1. Predictions get a
    column `fold`; a history's stages are named by it. Raises InputError for a sample tested twice.
    """
    table = pa.concat_tables(
        part.append_column("fold", pa.array([fold] * len(part), pa.int64()))
        for fold, part in enumerate((_without_teacher(run["predictions"]) for run in folds), 1)
    )
    tested = table.filter(pc.equal(table["split"], "test"))["sample_id"].to_pandas()
    if tested.duplicated().any():
        problem = f"{tested[tested.duplicated()].iloc[0]!r} is tested in two folds"
        raise InputError(predictions, problem, "Delete the runs of these folds and rerun")
    stages = [
        part.assign(stage=f"fold {fold} " + part["stage"].astype(str))
        for fold, part in enumerate((tables.read(run["history"]) for run in folds), 1)
    ]
    first = tables.about(folds[0]["predictions"])
    tables.write(predictions, table, about | {name: first[name] for name in ABOUT})
    tables.write(history, pd.concat(stages, ignore_index=True), about)


def _without_teacher(predictions: str) -> pa.Table:
    """A run's predictions without its teacher's vectors, which differ from fold to fold."""
    columns = pq.read_schema(predictions).names
    return pq.read_table(predictions, columns=[name for name in columns if name != "teacher"])
