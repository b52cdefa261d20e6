"""LoRA on the vision backbone and a linear head, without text: the fair control of CLIP-IT."""

from torch import nn

from histopair.images import pixels
from histopair.training import adapted_images, heads, lora
from histopair.training.classifiers import Classifier, Still

NEEDS = ("adapted_images",)
PARAMETERS = {
    "lora": {"rank": 16, "alpha": 8.0, "targets": "all", "blocks": "all"},
    "normalisation": "own",
}
CHOICES = {"normalisation": ("own", "imagenet")}


def build(run):
    backbone, width, images = adapted_images.tower(run)
    yield run.classifier(classifier(run, backbone, width), lambda rows: (images(rows),))


def classifier(run, backbone: nn.Module, width: int) -> Classifier:
    """The model before training."""
    return Classifier(Still(backbone), heads.Last(width, len(run.classes)))


def of_pixels(run, encoder) -> Classifier:
    """The model before training, also where it trains from what frozen blocks give."""
    backbone = lora.adapt(encoder.image, run.method["lora"])
    return classifier(run, backbone, encoder.image_dim)


def predictor(run, weights):
    from histopair.export.predictor import Predictor

    model, encoder = trained(run, weights)
    lora.merge(encoder.image)
    return Predictor(model.head, image=encoder)


def trained(run, weights):
    """The model as it was trained, adapters unmerged, and its encoder with the run's pixels."""
    from histopair.export.predictor import loaded

    encoder = run.encoder()
    model = loaded(of_pixels(run, encoder), weights)
    encoder.preprocess = pixels.normalised(encoder.preprocess, run.method["normalisation"])
    return model, encoder
