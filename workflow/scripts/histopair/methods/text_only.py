"""A text encoder's last blocks and an MLP head: the multi-label paper's BioBERT."""

from histopair.training import heads
from histopair.training.classifiers import Classifier

PARAMETERS = {"unfreeze": 2, "layers": 3}
WORDS = {"unfreeze": ("all",)}


def needs(method):
    """What the last blocks take, or the captions themselves."""
    return ("captions",) if method["unfreeze"] == "all" else ("caption_activations",)


def build(run):
    blocks, width, fetch = run.tower("text", run.method["unfreeze"])
    head = heads.mlp(width, len(run.classes), run.method["layers"])
    yield run.classifier(Classifier(blocks, head), fetch)


def predictor(run, weights):
    from histopair.export.predictor import of_one_tower

    return of_one_tower(run, weights, "text")
