"""What a finished run predicts for every sample of its dataset, so that a student can learn it."""

from dataclasses import replace

import pyarrow as pa
import torch

from histopair.export import finished
from histopair.files import tables


def write(run, weights: str, out: str, about: dict) -> None:
    """Write a table of sample_id and logits (C), of all samples in all splits.

    Raises InputError for a run that does not predict, or another run's weights.
    """
    model = finished.model_of(replace(run, device=torch.device("cpu")), weights)
    rows = torch.arange(len(run.samples))
    logits = finished.logits_of(run, model, rows, run.device).numpy()
    table = pa.table({"sample_id": run.samples["sample_id"], "logits": tables.vectors(logits)})
    tables.write(out, table, about | {"task": run.about["task"], "classes": run.classes})
