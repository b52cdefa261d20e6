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


def predictor(run, weights):
    from histopair.export.predictor import Predictor

    model, encoder = trained(run, weights)
    lora.merge(encoder.image)
    return Predictor(model.head, image=encoder)


def trained(run, weights):
    """The model as it was trained, adapters unmerged, and its encoder with the run's pixels."""
    from histopair.export.predictor import loaded

    encoder = run.encoder()
    model = loaded(adapted(run, encoder), weights)
    encoder.preprocess = pixels.normalised(encoder.preprocess, run.method["normalisation"])
    return model, encoder
