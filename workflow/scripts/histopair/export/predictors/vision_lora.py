from histopair.encoders import Encoder
from histopair.export.predictor import Predictor, loaded
from histopair.images import pixels
from histopair.methods import vision_lora
from histopair.training import lora
from histopair.training.classifiers import Classifier


def predictor(run, weights) -> Predictor:
    model, encoder = trained(run, weights)
    lora.merge(encoder.image)
    return Predictor(model.head, image=encoder)


def trained(run, weights) -> tuple[Classifier, Encoder]:
    """The model as it was trained, adapters apart, and its encoder with the run's pixels."""
    encoder = run.encoder()
    model = loaded(vision_lora.adapted(run, encoder), weights)
    encoder.preprocess = pixels.normalised(encoder.preprocess, run.method["normalisation"])
    return model, encoder
