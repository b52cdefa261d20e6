"""FixMatch: self-training of a LoRA backbone on the pool, without text (Sohn 2020).

Where the model is sure of the class of an unlabelled tile in a weak version, it learns to give that
class to a strong version of the tile, too (Eqs. 3 and 4). So it has the pool, as a distilled
student has, and no report.

An epoch passes the whole pool, the labelled tiles among it without their labels, as in the paper;
each batch has a few labelled tiles beside it. Instead of the paper's mean of late weights the
epoch that validation likes best predicts.

views    weak and strong versions of tiles
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from histopair.images import pixels
from histopair.methods import lora
from histopair.methods.fixmatch import views

NEEDS = ("images",)
PARAMETERS = {
    "lora": {"rank": 16, "alpha": 8.0, "targets": "all", "blocks": "all"},
    "normalisation": "own",
    "threshold": 0.95,
    "unlabelled_weight": 1.0,
    "unlabelled_ratio": 7,
}
CHOICES = {"normalisation": ("own", "imagenet")}
DESCRIPTIONS = {
    "threshold": "τ, the probability from which the model's own class counts.",
    "unlabelled_weight": "λ, the weight of the loss on unlabelled tiles.",
    "unlabelled_ratio": "μ: a batch has `batch_size` labelled tiles and μ times as many of the "
    "pool.",
}


def mistakes(method):
    """What does not fit, by parameter."""
    return {"threshold": "it is a probability, 1 at most"} if method["threshold"] > 1 else {}


def build(run):
    run.require_exclusive()
    encoder, method = run.encoder(), run.method
    preprocess = pixels.normalised(encoder.preprocess, method["normalisation"])
    source = run.pixels(preprocess)
    yield run.stage(
        "main",
        lora.of_pixels(run, encoder),
        fetch=lambda rows: {"pixels": source(rows)},
        loss=_loss(run, source, views.Strong(preprocess)),
        scores=lambda model, batch: run.scores(model(batch["pixels"])),
        train=run.rows("train", labelled=False),
        batch_size=method["batch_size"] * method["unlabelled_ratio"],
    )


def _loss(run, source: Callable[[Tensor], Tensor], strong: views.Strong) -> Callable:
    """Of a batch of the pool, with labelled tiles drawn beside it; in evaluation the task's."""
    labelled, method = run.rows("train"), run.method

    def loss(model, batch):
        if not model.training:
            task = run.task_loss(model(batch["pixels"]), batch)
            return {"loss": task, "task": task}
        rows = drawn(labelled, len(batch["rows"]), method["unlabelled_ratio"])
        task = run.task_loss(model(views.weak(source(rows))), {"targets": run.targets[rows]})
        weak = views.weak(batch["pixels"])
        with torch.no_grad():
            answers = model(weak)
        own = consistency(answers, model(strong(weak)), method["threshold"])
        return {"loss": task + method["unlabelled_weight"] * own, "task": task, "consistency": own}

    return loss


def drawn(labelled: Tensor, unlabelled: int, ratio: int) -> Tensor:
    """Labelled row numbers, drawn with replacement, beside so many unlabelled ones."""
    return labelled[torch.randint(len(labelled), (max(1, round(unlabelled / ratio)),))]


def consistency(weak: Tensor, strong: Tensor, threshold: float) -> Tensor:
    """Cross-entropy of strong versions against the classes of sure weak ones (Sohn 2020, Eq. 4).

    weak, strong: logits (n, C) of the same images. A mean over all n; those that the model is not
    sure of count 0.
    """
    highest, classes = weak.detach().float().softmax(1).max(1)
    losses = cross_entropy(strong.float(), classes, reduction="none")
    return (losses * (highest >= threshold)).mean()


def predictor(run, weights):
    return lora.predictor(run, weights)


def trained(run, weights):
    """As that of `lora`: only the training differs."""
    return lora.trained(run, weights)
