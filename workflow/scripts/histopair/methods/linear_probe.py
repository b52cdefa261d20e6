"""Logistic regression on the frozen backbone's features: a linear head at its optimum.

No learning rate or number of epochs can be too small, so it is the control that adapted backbones
and texts have to beat. Validation chooses the strength of the penalty.
"""

import numpy as np
import torch

from histopair.errors import InputError
from histopair.training import logistic

PARAMETERS = {"inputs": "image"}
CHOICES = {"inputs": ("image", "caption", "both")}
DESCRIPTIONS = {
    "inputs": "What it reads: the embedding of the `image`, of its `caption`, or of `both`, joined."
}
SEEDS = 1  # there is one optimum
AT_OPTIMUM = True

WORSE = 3  # strengths in a row, after which no weaker penalty is tried
STRENGTHS = tuple(10.0**power for power in range(-6, 5))  # scikit-learn's C: high is a weak penalty


def needs(method):
    """The embeddings of what it reads, images first."""
    kinds = ("image", "caption") if method["inputs"] == "both" else (method["inputs"],)
    return tuple(f"{kind}_embeddings" for kind in kinds)


def build(run):
    features = torch.cat([run.embeddings(kind) for kind in needs(run.method)], dim=1)
    train = run.rows("train")
    truth = run.indicator[train].numpy()
    if not (truth.any(0) & ~truth.all(0)).any():
        problem = "all samples of its train split have the same classes"
        raise InputError(run.artifacts["labels"], problem, "Choose another split")
    inputs = features[train].double().cpu().numpy()
    fits = logistic.path(inputs, truth, run.task.EXCLUSIVE, STRENGTHS)
    heads, rows = zip(*_until_worse(_judged(run, features, *fit) for fit in fits), strict=True)
    best = int(np.argmin([row["val_task"] for row in rows]))
    stage = run.classifier(heads[best], lambda rows: (features[rows],), epochs=0)
    stage.history = [{"stage": "main", "epoch": 0, "strength": STRENGTHS[best], **rows[best]}]
    yield stage


def _until_worse(fits):
    """Heads and their rows, until WORSE in a row are worse on validation than the best.

    The weakest penalties take most of the time.
    """
    best, worse = np.inf, 0
    for head, row in fits:
        yield head, row
        worse = 0 if row["val_task"] < best else worse + 1
        best = min(best, row["val_task"])
        if worse == WORSE:
            return


def _judged(run, features, head, converged: bool) -> tuple:
    """A head on the run's device, and its row of the history."""
    head = head.to(run.device)
    row = {"converged": converged}
    for split in ("train", "val"):
        rows = run.rows(split)
        loss = run.task_loss(head(features[rows]), {"targets": run.targets[rows]}).item()
        row |= {f"{split}_loss": loss, f"{split}_task": loss}
    return head, row


def predictor(run, weights):
    from histopair.export.predictor import Predictor, loaded, text_encoder

    encoder = run.encoder()
    inputs = run.method["inputs"]
    image = None if inputs == "caption" else encoder
    text = None if inputs == "image" else text_encoder(run, encoder)
    width = (image.image_dim if image else 0) + (text.text_dim if text else 0)
    head = torch.nn.Linear(width, len(run.classes))
    return Predictor(loaded(head, weights), image=image, text=text)
