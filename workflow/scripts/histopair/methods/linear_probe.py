"""Logistic regression on the frozen backbone's features: what a linear head gives at its optimum.

It has no learning rate and no number of epochs that could be too small: the control that adapted
backbones and texts have to beat. Validation chooses the strength of the penalty.
"""

import numpy as np

from histopair.errors import InputError
from histopair.training import logistic

NEEDS = ("image_embeddings",)
PARAMETERS = {}
SEEDS = 1  # there is one optimum

STRENGTHS = tuple(10.0**power for power in range(-6, 5))  # scikit-learn's C: high is a weak penalty


def build(run):
    features = run.embeddings("image_embeddings")
    train, truth = run.rows("train"), run.indicator[run.rows("train")].numpy()
    if not (truth.any(0) & ~truth.all(0)).any():
        problem = "all samples of its train split have the same classes"
        raise InputError(run.artifacts["labels"], problem, "Choose another split")
    known = features[train].double().cpu().numpy()
    found = logistic.path(known, truth, run.task.EXCLUSIVE, STRENGTHS)
    heads, rows = zip(*(_judged(run, features, *fit) for fit in found), strict=True)
    best = int(np.argmin([row["val_task"] for row in rows]))
    stage = run.classifier(heads[best], lambda rows: (features[rows],), epochs=0)
    stage.history = [{"stage": "main", "epoch": 0, "strength": STRENGTHS[best], **rows[best]}]
    yield stage


def _judged(run, features, head, converged: bool) -> tuple:
    """A head on the run's device, and the row that says how well it does."""
    head = head.to(run.device)
    row = {"converged": converged}
    for split in ("train", "val"):
        rows = run.rows(split)
        loss = run.task_loss(head(features[rows]), {"targets": run.targets[rows]}).item()
        row |= {f"{split}_loss": loss, f"{split}_task": loss}
    return head, row


def predictor(run, weights):
    from histopair.methods import unimodal

    return unimodal.predictor(run, weights)
