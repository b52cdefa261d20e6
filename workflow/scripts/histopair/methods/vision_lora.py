"""LoRA on the vision backbone and a linear head, without text: the fair control of CLIP-IT."""

from torch import nn

from histopair.images import pixels
from histopair.training import lora
from histopair.training.classifiers import Classifier, Still

NEEDS = ("images",)
PARAMETERS = {"lora": {"rank": 16, "alpha": 8.0, "targets": "all"}, "normalisation": "own"}
CHOICES = {"normalisation": ("own", "imagenet")}


def build(run):
    encoder = run.encoder()
    source = run.pixels(pixels.normalised(encoder.preprocess, run.method["normalisation"]))
    yield run.classifier(adapted(run, encoder), lambda rows: (source(rows),))


def adapted(run, encoder) -> Classifier:
    """The model before training."""
    backbone = lora.adapt(encoder.image, run.method["lora"])
    return Classifier(Still(backbone), nn.Linear(encoder.image_dim, len(run.classes)))
