"""Fine-tuning of the image backbone, whole or its last blocks, with a linear head.

With `start: probe` the head starts as the converged logistic regression on frozen features, so that
a head at random does not spoil them (LP-FT, Kumar 2022). `wise` mixes the weights with those of
the start (WiSE-FT, Wortsman 2022).
"""

from torch import nn

from histopair.training import checkpoint, chosen, heads, layer_rates, logistic, recomputed, wise_ft
from histopair.training.classifiers import Classifier

PARAMETERS = {
    "unfreeze": "all",
    "start": "random",
    "layer_decay": 1.0,
    "wise": 1.0,
    "checkpointing": False,
    "augmentations": 1,
}
WORDS = {"unfreeze": ("all",), "wise": ("choose",)}
CHOICES = {"start": ("random", "probe")}
DESCRIPTIONS = {
    "start": "How the head starts: at `random`, or as the logistic regression on frozen features "
    "(`probe`; LP-FT, Kumar 2022).",
    "wise": "WiSE-FT's α: the share of the fine-tuned weights, mixed with those of the start. With "
    "`choose`, validation chooses among 0, 0.1 … 1; 1 is fine-tuning alone. Below 1 it needs "
    "`start: probe`.",
}


def needs(method):
    """Images or activations; for the probe also the frozen backbone's embeddings."""
    images = "images" if method["unfreeze"] == "all" else "image_activations"
    return (images, "image_embeddings") if method["start"] == "probe" else (images,)


def mistakes(method):
    """Parameters that do not fit together, and what to do."""
    problems = {}
    if not 0 < method["layer_decay"] <= 1:
        problems["layer_decay"] = "it is a factor above 0, 1 at most"
    if method["wise"] != "choose" and method["wise"] > 1:
        problems["wise"] = "it is a share, 1 at most"
    elif method["wise"] != 1 and method["start"] == "random":
        problems["wise"] = "a head at random is no start to mix with; set start to probe"
    return problems


def build(run):
    model, fetch = classifier(run)
    before, share = checkpoint.weights(model), run.method["wise"]
    tuned = run.classifier(model, fetch, rates=rates(run, model.backbone))
    yield tuned
    if share != 1:
        shares = wise_ft.SHARES if share == "choose" else (share,)
        yield wise_ft.stage(run, tuned, before, fetch, shares)


def classifier(run):
    """What trains of the run's image tower with a linear head, and the fetch of its inputs."""
    backbone, width, fetch = run.tower("image", run.method["unfreeze"])
    if run.method["checkpointing"]:
        recomputed.switch_on(backbone, run.encoder_entry["name"])
    head = heads.Last(width, len(run.classes)) if run.method["start"] == "random" else probe(run)
    return Classifier(backbone, head), fetch


def rates(run, backbone: nn.Module) -> dict[str, float]:
    """The layers' learning rates, and the head's own if it is set."""
    settings = run.method["learning_rate"], run.method["layer_decay"]
    return layer_rates.of_backbone(backbone, "backbone", *settings) | run.rates("head")


def probe(run) -> nn.Linear:
    """The head of `linear_probe`."""
    features = run.embeddings("image_embeddings")
    candidates = logistic.candidates(run, features)
    return chosen.stage(run, candidates, lambda rows: (features[rows],), **logistic.SEARCH).model


def predictor(run, weights):
    from histopair.export.predictor import of_one_tower

    return of_one_tower(run, weights, "image")
