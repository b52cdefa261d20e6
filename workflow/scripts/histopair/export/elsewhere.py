"""A finished run's predictions of another dataset, with its own weights: nothing is trained."""

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from histopair.errors import InputError
from histopair.export import finished, same_run
from histopair.export.predictor import Predictor
from histopair.files import tables
from histopair.training.one_run import KEPT

OF_TOWER = {"image": "image_embeddings", "text": "caption_embeddings"}


def predict(run, outside, files: dict[str, str], out: str, about: dict) -> None:
    """Write the scores of the test split of `outside` by the model of `run`.

    run: as it was trained; outside: the same method on the labels of another dataset, whose classes
    may come in another order: the scores keep that of the run. files: the run's `weights` and
    `predictions`. Raises InputError if the model that the weights give is not the run's, and if a
    sample lacks the text that the method reads.
    """
    model = finished.model_of(run, files["weights"])
    samples = same_run.some(run)
    rows = torch.tensor(samples.index)
    same_run.check(_scores(model, run, rows, outside.device), samples, files["predictions"])
    rows = outside.rows("test")
    if "text" in model.encoders:
        _require_captions(outside, rows)
    scores = _scores(model, outside, rows, outside.device)
    kept = [name for name in KEPT if name in outside.samples]
    table = pa.Table.from_pandas(outside.samples.iloc[rows.numpy()][kept], preserve_index=False)
    about = about | {"task": run.about["task"], "classes": run.classes}
    tables.write(out, table.append_column("scores", tables.vectors(scores)), about)


def _scores(model: Predictor, run, rows: Tensor, device: torch.device) -> np.ndarray:
    """The scores (n, C) of the rows; a run of frozen towers alone has their embeddings."""
    frozen = bool(set(OF_TOWER.values()) & run.artifacts.keys())
    cached = [run.embeddings(OF_TOWER[kind]) for kind in model.encoders if frozen]
    return run.task.scores(finished.logits_of(run, model, rows, device, cached)).numpy()


def _require_captions(run, rows: Tensor) -> None:
    """Raise InputError if one of the rows has no caption."""
    without = int(run.samples["caption"].iloc[rows.numpy()].isna().sum())
    if without:
        problem = f"{without} samples of its test split have no caption, which the method reads"
        remedy = "Remove the dataset from `evaluate_on`, or the method from the study"
        raise InputError(run.artifacts["labels"], problem, remedy)
