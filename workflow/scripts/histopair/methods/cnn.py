"""A plain convolutional network from random weights: the multi-label paper's "vanilla CNN"."""

from itertools import pairwise

from torch import nn

from histopair.training import heads
from histopair.training.classifiers import Classifier

NEEDS = ("images",)
PARAMETERS = {"layers": 4}

CHANNELS = (3, 32, 64, 128, 256)


def build(run):
    pixels = run.pixels(run.encoder().preprocess)
    head = heads.mlp(CHANNELS[-1], len(run.classes), run.method["layers"])
    yield run.classifier(Classifier(convolutions(), head), lambda rows: (pixels(rows),))


def convolutions() -> nn.Sequential:
    """Pixels (n, 3, h, w) -> (n, 256): four times convolution, normalisation, ReLU and halving."""
    steps: list[nn.Module] = []
    for left, right in pairwise(CHANNELS):
        steps += [nn.Conv2d(left, right, 3, padding=1, bias=False), nn.BatchNorm2d(right)]
        steps += [nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*steps, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def predictor(run, weights):
    """Only the preprocessing comes from the run's encoder."""
    from histopair.encoders import Encoder
    from histopair.export.predictor import Predictor, loaded

    network = convolutions()
    head = heads.mlp(CHANNELS[-1], len(run.classes), run.method["layers"])
    loaded(Classifier(network, head), weights)
    image = Encoder("cnn", image=network, preprocess=run.encoder().preprocess)
    return Predictor(head, image=image)
