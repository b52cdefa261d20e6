"""What a method learns from all images before it reads a label.

Runs of one seed share it, whatever number of labels they have. A recipe has `unlabelled(run)`, the
stage, and `read(run, stage)`, what later stages read of each sample, vectors (n, d).
"""

import pandas as pd
import pyarrow as pa
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from histopair.errors import InputError
from histopair.files import tables
from histopair.training import loop, parallel
from histopair.training.one_run import Run, write_weights


def execute(run: Run, resume: str, out: dict[str, str], about: dict) -> None:
    """Train the stage; write its weights, its history and the vectors (image_id, embedding)."""
    torch.manual_seed(run.seed)
    stage = run.recipe.unlabelled(run)
    loop.fit(stage, run.seed, resume, run.device)
    vectors = run.recipe.read(run, stage)
    if parallel.rank():
        return
    first = ~run.samples["image_id"].duplicated()
    table = pa.table({"image_id": run.samples["image_id"][first]})
    vectors = tables.vectors(vectors[torch.tensor(first.to_numpy())].float().cpu().numpy())
    tables.write(out["vectors"], table.append_column("embedding", vectors), about)
    tables.write(out["history"], pd.DataFrame(stage.history), about)
    write_weights(stage.model, out["weights"], about)


def finished(run: Run) -> loop.Stage:
    """The stage as `execute` left it, with its history; it trains no more.

    Raises InputError for weights of another model.
    """
    stage, path = run.recipe.unlabelled(run), run.artifacts["distilled_weights"]
    trained = {name for name, p in stage.model.named_parameters() if p.requires_grad}
    try:
        weights = load_file(path)
        unexpected = stage.model.load_state_dict(weights, strict=False).unexpected_keys
        wrong = [*unexpected, *(trained - weights.keys())]
    except (OSError, RuntimeError, SafetensorError) as error:
        wrong = [str(error).strip().splitlines()[-1].strip()]
    if wrong:
        problem = f"it is not what this method learns from all images ({', '.join(wrong[:3])})"
        raise InputError(path, problem, "Delete it and rerun")
    stage.epochs = 0
    stage.history = tables.read(run.artifacts["distilled_history"]).to_dict("records")
    return stage
