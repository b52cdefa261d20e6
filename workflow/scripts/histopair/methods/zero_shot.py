"""Zero-shot CLIP: the classes whose prompts are most similar to the image; nothing is trained."""

import pandas as pd
import torch
from torch import nn

from histopair import tables

NEEDS = ("image_embeddings", "prompt_embeddings")
PARAMETERS = {}
SEEDS = 1  # nothing is left to chance

TEMPERATURE = 100.0  # CLIP's learnt scale at its upper bound; it changes no ranking of classes


def build(run):
    images = nn.functional.normalize(run.embeddings("image_embeddings"), dim=1)
    similarity = (images @ class_vectors(run).T).detach()

    def scores(model, batch):
        cosine = batch["similarity"]
        return (TEMPERATURE * cosine).softmax(1) if run.task == "single" else (cosine + 1) / 2

    yield run.stage(
        "main",
        nn.Identity(),
        fetch=lambda rows: {"similarity": similarity[rows]},
        loss=lambda model, batch: {},
        scores=scores,
        epochs=0,
        batch_size=4096,
        learning_rate=0.0,
    )


def class_vectors(run) -> torch.Tensor:
    """One vector per class (C, d): the mean of its prompts' unit vectors.

    An image's product with it is the mean of its similarities to the prompts (CLIP-IT, App. E).
    """
    path = run.artifacts["prompt_embeddings"]
    unit = pd.DataFrame(tables.matrix(path, normalise=True))
    means = unit.groupby(tables.read(path, ["label"])["label"]).mean().loc[run.classes]
    return torch.tensor(means.to_numpy(), dtype=torch.float32, device=run.device)
