"""Attention over a bag of patch features, and a linear head: the control of CLIP-IT on bags.

attention     from patches to one vector a bag
"""

from histopair.methods.mil import attention
from histopair.training import heads
from histopair.training.classifiers import Classifier

NEEDS = ("bags",)
PARAMETERS = {"width": 64, "attention": 32, "dropout": 0.25}


def mistakes(method):
    """Parameters that do not fit, and why."""
    return {"dropout": "it is a share, below 1"} if method["dropout"] >= 1 else {}


def build(run):
    bags = run.bags()
    backbone = attention.of(bags.width, run.method)
    head = heads.Last(run.method["width"], len(run.classes))
    yield run.classifier(Classifier(backbone, head), bags)
