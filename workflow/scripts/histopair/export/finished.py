"""The model of a finished run, and what it reads of samples."""

import importlib
import pkgutil
from collections.abc import Sequence

import torch
from safetensors.torch import load_file
from torch import Tensor

from histopair import jobs
from histopair.encoders import embed
from histopair.errors import InputError
from histopair.export.predictor import Predictor
from histopair.images import pixels
from histopair.images.prefetch import ahead

BATCH = 64


def model_of(run, weights: str) -> Predictor:
    """The model of a finished run with its weights, in evaluation mode on the CPU.

    Raises InputError for a recipe that does not say how it predicts, and for another run's weights.
    """
    if not hasattr(run.recipe, "predictor"):
        problem = f"runs of recipe {run.method['recipe']!r} cannot be exported"
        others = ", ".join(_recipes_that_predict())
        raise InputError(weights, problem, f"Export a method of another recipe: {others}")
    try:
        return run.recipe.predictor(run, load_file(weights)).eval().requires_grad_(False)
    except (KeyError, ValueError) as error:
        problem = f"the run's weights do not fit its method ({error})"
        raise InputError(weights, problem, "Run it again") from error


def _recipes_that_predict() -> list[str]:
    folder = importlib.import_module("histopair.methods").__path__
    names = sorted(module.name for module in pkgutil.iter_modules(folder))
    recipes = {name: importlib.import_module(f"histopair.methods.{name}") for name in names}
    return [name for name, recipe in recipes.items() if hasattr(recipe, "predictor")]


@torch.inference_mode()
def logits_of(
    run, model: Predictor, rows: Tensor, device: torch.device, cached: Sequence[Tensor] = ()
) -> Tensor:
    """Logits (n, C) of rows of the run's samples, float32 on the CPU, through the model's towers.

    cached: what these give for all samples, (m, d) each, if nothing of them was trained.
    """
    model.to(device)

    def fetch(part: Tensor) -> list[Tensor | None]:
        if cached:
            return [features[part].to(device) for features in cached]
        inputs = inputs_of(run, model, run.samples.iloc[part.numpy()])
        return [None if tensor is None else tensor.to(device) for tensor in inputs]

    parts = rows.split(BATCH)
    batches = jobs.progress(ahead(fetch, parts, device), len(parts), "batches", "predictions")
    logits = (model.of_features(batch) if cached else model(*batch) for batch in batches)
    return torch.cat([part.float().cpu() for part in logits])


def inputs_of(run, model: Predictor, samples) -> tuple[Tensor | None, Tensor | None]:
    """Pixels and tokens of the samples, as the run's own encoders make them."""
    image, text = (model.encoders.get(kind) for kind in ("image", "text"))
    batch, tokens = None, None
    if image:
        batch = torch.stack([pixels.read(run.root, p, image.preprocess) for p in samples["path"]])
    if text:
        tokens, lengths = embed.tokenize_all(text.tokenize, text.pad_id, list(samples["caption"]))
        tokens = tokens[:, : lengths.max()]
    return batch, tokens
