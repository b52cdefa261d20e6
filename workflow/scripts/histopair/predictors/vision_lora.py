from histopair import lora, pixels
from histopair.export.predictor import Predictor, loaded
from histopair.methods import vision_lora


def predictor(run, weights) -> Predictor:
    encoder = run.encoder()
    model = loaded(vision_lora.adapted(run, encoder), weights)
    lora.merge(encoder.image)
    encoder.preprocess = pixels.normalised(encoder.preprocess, run.method["normalisation"])
    return Predictor(model.head, image=encoder)
