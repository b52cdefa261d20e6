"""SimpleShot: the class whose mean is nearest, in centred features of length 1 (Wang 2019, CL2N).

The centre is the mean of all images of the train split, labelled or not, where the paper takes that
of other classes. Nothing trains; validation chooses how sharp the softmax is.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from histopair.training import chosen, heads

NEEDS = ("image_embeddings",)
PARAMETERS = {}
SEEDS = 1

SHARPNESS = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)


def mistakes(method):
    """Nothing is fitted to a loss."""
    if method.get("loss", "plain") == "plain":
        return {}
    return {"loss": "nothing trains, so only `plain` is of use; take recipe: linear_head"}


def build(run):
    run.require_exclusive()
    features, train = run.embeddings("image_embeddings"), run.rows("train")
    centre = features[run.rows("train", labelled=False)].mean(0)
    means = class_means(normalize(features[train] - centre, dim=1), run.indicator[train])
    ready = (
        (NearestMean(centre, means, s), {"sharpness": s, "converged": True}) for s in SHARPNESS
    )
    edges = {"sharpness": (SHARPNESS[0], SHARPNESS[-1])}
    yield chosen.stage(run, ready, lambda rows: (features[rows],), edges)


def class_means(features: Tensor, indicator: Tensor) -> Tensor:
    """The mean feature (C, d) of each class; the origin for a class without samples."""
    members = indicator.to(features)
    return (members / members.sum(0).clamp(min=1)).T @ features


class NearestMean(nn.Module):
    """Features v (n, d) -> sharpness (1 - |u - mean|²), where u = (v - centre) / |v - centre|."""

    def __init__(self, centre: Tensor, means: Tensor, sharpness: float = 1.0):
        super().__init__()
        self.centre = nn.Parameter(centre)
        self.last = heads.Last(len(centre), len(means))
        with torch.no_grad():
            self.last.weight.copy_(2 * sharpness * means)
            self.last.bias.copy_(-sharpness * means.square().sum(1))

    def forward(self, features: Tensor) -> Tensor:
        return self.last(normalize(features - self.centre, dim=1))


def predictor(run, weights):
    from histopair.export.layers import UnitLength
    from histopair.export.predictor import Predictor, loaded

    encoder = run.encoder()
    width = encoder.image_dim
    means = torch.zeros(len(run.classes), width)
    model = loaded(NearestMean(torch.zeros(width), means), weights)
    shift = nn.Linear(width, width)
    with torch.no_grad():
        shift.weight.copy_(torch.eye(width))
        shift.bias.copy_(-model.centre)
    return Predictor(nn.Sequential(shift, UnitLength(), model.last), image=encoder)
