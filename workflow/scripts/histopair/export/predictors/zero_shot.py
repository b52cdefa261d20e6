from torch import nn

from histopair.export.layers import LogOdds, UnitLength
from histopair.export.predictor import Predictor
from histopair.methods import zero_shot


def predictor(run, weights) -> Predictor:
    """The classes' vectors are the last layer's weights: no prompt is read at inference."""
    encoder = run.encoder()
    single = run.task == "single"
    layer = nn.Linear(encoder.image_dim, len(run.classes))
    layer.bias.data.zero_()
    layer.weight.data = zero_shot.class_vectors(run) * (zero_shot.TEMPERATURE if single else 1.0)
    odds = [] if single else [LogOdds()]
    return Predictor(nn.Sequential(UnitLength(), layer, *odds), image=encoder)
