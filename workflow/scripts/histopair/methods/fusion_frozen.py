"""Concatenated image and caption embeddings of a frozen CLIP, and an MLP (multi-label paper)."""

import torch

from histopair import heads

NEEDS = ("image_embeddings", "caption_embeddings")
PARAMETERS = {"layers": 4}


def build(run):
    features = torch.cat(
        [run.embeddings("image_embeddings"), run.embeddings("caption_embeddings")], dim=1
    )
    head = heads.mlp(features.shape[1], len(run.classes), run.method["layers"])

    def loss(model, batch):
        value = run.task_loss(model(batch["features"]), batch)
        return {"loss": value, "task": value}

    yield run.stage(
        "main",
        head,
        fetch=lambda rows: {"features": features[rows]},
        loss=loss,
        scores=lambda model, batch: run.probabilities(model(batch["features"])),
    )
