"""A finished run's predictions of another dataset, with its own weights: nothing is trained."""

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from histopair import jobs
from histopair.encoders import embed
from histopair.errors import InputError
from histopair.export import finished, same_run
from histopair.export.predictor import Predictor
from histopair.files import tables
from histopair.training.one_run import KEPT

BATCH = 64
OF_TOWER = {"image": "image_embeddings", "text": "caption_embeddings"}


@torch.inference_mode()
def predict(run, outside, files: dict[str, str], out: str, about: dict) -> None:
    """Write the scores of the test split of `outside` by the model of `run`.

    run: as it was trained; outside: the same method on the labels of another dataset, whose classes
    may come in another order: the scores keep that of the run. files: the run's `weights` and
    `predictions`. Raises InputError if the model that the weights give is not the run's, and if a
    sample lacks the text that the method reads.
    """
    model = finished.model_of(run, files["weights"]).to(outside.device)
    samples = same_run.some(run)
    rows = torch.tensor(samples.index)
    same_run.check(_scores(model, run, rows, outside.device), samples, files["predictions"])
    rows = outside.rows("test")
    scores = _scores(model, outside, rows, outside.device)
    kept = [name for name in KEPT if name in outside.samples]
    table = pa.Table.from_pandas(outside.samples.iloc[rows.numpy()][kept], preserve_index=False)
    about = about | {"task": run.about["task"], "classes": run.classes}
    tables.write(out, table.append_column("scores", tables.vectors(scores)), about)


def _scores(model: Predictor, run, rows: Tensor, device: torch.device) -> np.ndarray:
    """The scores (n, C) of the rows, from cached embeddings or else through the towers."""
    cached = [run.embeddings(OF_TOWER[kind]) for kind in model.encoders if _frozen(run)]
    inputs = None if cached else _inputs(model, run, rows)
    parts = []
    for part in jobs.progress(rows.split(BATCH), len(rows), "samples", "predictions"):
        if cached:
            logits = model.of_features([features[part].to(device) for features in cached])
        else:
            given = (fetch and fetch(part).to(device) for fetch in inputs)
            logits = model(*given)
        parts.append(run.task.scores(logits.float()).cpu())
    return torch.cat(parts).numpy()


def _frozen(run) -> bool:
    return bool(set(OF_TOWER.values()) & run.artifacts.keys())


def _inputs(model: Predictor, run, rows: Tensor) -> tuple:
    """Functions of row numbers that give pixels and tokens; None for what the model reads not."""
    image, text = (model.encoders.get(kind) for kind in ("image", "text"))
    pixels, tokens = image and run.pixels(image.preprocess), None
    if text:
        captions = run.samples["caption"]
        without = int(captions.iloc[rows.numpy()].isna().sum())
        if without:
            problem = f"{without} samples of its test split have no caption, which the method reads"
            remedy = "Remove the dataset from `evaluate_on`, or the method from the study"
            raise InputError(run.artifacts["labels"], problem, remedy)
        every, lengths = embed.tokenize_all(text.tokenize, text.pad_id, list(captions.fillna("")))
        tokens = every[:, : lengths.max()].__getitem__
    return pixels, tokens
