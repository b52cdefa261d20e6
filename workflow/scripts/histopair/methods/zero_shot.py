"""Zero-shot CLIP: the classes whose prompts are most similar to the image. Nothing trains."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from histopair.files import tables

NEEDS = ("image_embeddings", "prompt_embeddings")
PARAMETERS = {"aggregation": "similarity"}
CHOICES = {"aggregation": ("similarity", "embedding")}
SEEDS = 1  # nothing is left to chance
PROMPTS_IN_EACH_PASS = True  # in the published code of CLIP-IT

TEMPERATURE = 100.0  # CLIP's learnt scale at its upper bound; no ranking of classes depends on it


def mistakes(method):
    """Nothing is fitted to a loss."""
    if method.get("loss", "plain") == "plain":
        return {}
    return {"loss": "nothing trains, so only `plain` is of use; take recipe: clip_adapter"}


def build(run):
    images = normalize(run.embeddings("image_embeddings"), dim=1)
    similarity = (images @ class_vectors(run).T).detach()

    def scores(model, batch):
        cosine = batch["similarity"]
        return (TEMPERATURE * cosine).softmax(1) if run.task.EXCLUSIVE else (cosine + 1) / 2

    def fetch(rows):
        return {"similarity": similarity[rows]}

    untrained = {"epochs": 0, "batch_size": 4096, "learning_rate": 0.0}
    yield run.stage("main", nn.Identity(), fetch, lambda model, batch: {}, scores, **untrained)


def class_vectors(run) -> Tensor:
    """One vector per class (C, d), from its prompts' unit vectors."""
    path = run.artifacts["prompt_embeddings"]
    unit, labels = tables.matrix(path, normalise=True), tables.read(path, ["label"])["label"]
    prompts = np.stack([unit[labels == label] for label in run.classes])
    return ensemble(torch.from_numpy(prompts), run.method["aggregation"]).to(run.device)


def ensemble(prompts: Tensor, aggregation: str) -> Tensor:
    """One vector per class (C, d) from the unit vectors of its prompts (C, templates, d).

    "similarity": their mean; an image's product with it is the mean of its similarities to the
    prompts (CLIP-IT, Appendix E). "embedding": that mean at length 1, so that classes whose
    templates disagree are not at a disadvantage (CONCH's own code).
    """
    mean = prompts.mean(1)
    return normalize(mean, dim=1) if aggregation == "embedding" else mean


def scale(clip) -> float:
    """What a CLIP multiplies cosines by, as it learnt it; TEMPERATURE if its library gives none."""
    if clip.scale != 1:  # the default of an Encoder
        return clip.scale
    print(f"encoder {clip.name}: it has no learnt scale; cosines are multiplied by {TEMPERATURE:g}")
    return TEMPERATURE


def predictor(run, weights):
    """The classes' vectors are the last layer's weights: inference reads no prompt."""
    from histopair.export.layers import LogOdds, UnitLength
    from histopair.export.predictor import Predictor

    encoder = run.encoder()
    exclusive = run.task.EXCLUSIVE
    layer = nn.Linear(encoder.image_dim, len(run.classes))
    layer.bias.data.zero_()
    layer.weight.data = class_vectors(run) * (TEMPERATURE if exclusive else 1.0)
    odds = [] if exclusive else [LogOdds()]
    return Predictor(nn.Sequential(UnitLength(), layer, *odds), image=encoder)
