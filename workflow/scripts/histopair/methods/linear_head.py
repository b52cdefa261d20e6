"""A linear head on the frozen backbone's features: what images alone give without adaptation."""

from torch import nn

from histopair.training import heads

NEEDS = ("image_embeddings",)
PARAMETERS = {}


def build(run):
    features = run.embeddings("image_embeddings")
    model = heads.Last(features.shape[1], len(run.classes))
    yield run.classifier(model, lambda rows: (features[rows],))


def predictor(run, weights):
    from histopair.export.predictor import Predictor, loaded

    encoder = run.encoder()
    head = nn.Linear(encoder.image_dim, len(run.classes))
    return Predictor(loaded(head, weights), image=encoder)
