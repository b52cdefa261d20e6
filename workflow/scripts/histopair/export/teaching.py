"""What a finished run predicts for every sample of its dataset, so that a student can learn it."""

from dataclasses import replace

import pyarrow as pa
import torch
from torch import Tensor

from histopair import jobs
from histopair.export import finished
from histopair.files import tables
from histopair.images.prefetch import ahead

BATCH = 64


def write(run, weights: str, out: str, about: dict) -> None:
    """Write a table of sample_id and logits (C), of all samples in all splits.

    Raises InputError for a run that does not predict, or another run's weights.
    """
    model = finished.model_of(replace(run, device=torch.device("cpu")), weights)
    logits = logits_of(run, model).numpy()
    table = pa.table({"sample_id": run.samples["sample_id"], "logits": tables.vectors(logits)})
    tables.write(out, table, about | {"task": run.about["task"], "classes": run.classes})


@torch.inference_mode()
def logits_of(run, model) -> Tensor:
    """(n, C) float32 on the CPU, in the order of the run's samples."""
    model.to(run.device)
    parts = torch.arange(len(run.samples)).split(BATCH)
    inputs = ahead(lambda rows: _inputs(run, model, rows), parts, run.device)
    shown = jobs.progress(inputs, len(parts), "batches", "teacher")
    return torch.cat([model(*batch).float().cpu() for batch in shown])


def _inputs(run, model, rows: Tensor) -> list[Tensor | None]:
    """Pixels and tokens of some samples, on the device."""
    tensors = finished.inputs_of(run, model, run.samples.iloc[rows.numpy()])
    return [None if tensor is None else tensor.to(run.device) for tensor in tensors]
