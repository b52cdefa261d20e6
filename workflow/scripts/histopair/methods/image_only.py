"""An image encoder's last blocks and an MLP head: the multi-label paper's ResNet-50."""

from histopair.training import heads
from histopair.training.classifiers import Classifier

PARAMETERS = {"unfreeze": 1, "layers": 4, "augmentations": 1}
WORDS = {"unfreeze": ("all",)}


def needs(method):
    """What the last blocks take, or the images themselves."""
    return ("images",) if method["unfreeze"] == "all" else ("image_activations",)


def build(run):
    blocks, width, fetch = run.tower("image", run.method["unfreeze"])
    head = heads.mlp(width, len(run.classes), run.method["layers"])
    yield run.classifier(Classifier(blocks, head), fetch)


def predictor(run, weights):
    from histopair.export.predictor import of_one_tower

    return of_one_tower(run, weights, "image")
