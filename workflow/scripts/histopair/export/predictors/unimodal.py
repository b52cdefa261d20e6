from torch import nn

from histopair.export.predictor import Predictor, loaded


def predictor(run, weights) -> Predictor:
    encoder = run.encoder()
    head = nn.Linear(encoder.image_dim, len(run.classes))
    return Predictor(loaded(head, weights), image=encoder)
