"""Attentive probe: a learnt query attends to the frozen tower's tokens, and a linear head reads it.

A linear probe reads the one vector that the tower pools; this learns which tokens to read. Tokens
are those after the last block. The form is V-JEPA's (Bardes 2024, appendix on evaluation) without
its MLP: attention, the query added back, a layer norm, a linear classifier.

pooling      the attention of the query
inference    how a run predicts from pixels
"""

from torch import nn

from histopair.methods.attentive_probe.pooling import QueryPooling
from histopair.training import heads
from histopair.training.classifiers import Classifier

NEEDS = ("image_activations",)
PARAMETERS = {"attention_heads": 4}


def build(run):
    width, fetch = run.tokens()
    pooling = QueryPooling(width, run.method["attention_heads"])
    model = Classifier(pooling, heads.Last(width, len(run.classes)))
    yield run.classifier(model, fetch, rates=run.rates("backbone", "head"))


def predictor(run, weights):
    from histopair.export.predictor import loaded
    from histopair.methods.attentive_probe import inference

    width = weights["backbone.query"].shape[-1]
    head = nn.Linear(width, len(run.classes))
    join = {"width": width, "attention_heads": run.method["attention_heads"]}
    model = inference.Joined(head, image=run.encoder(), join=join)
    loaded(Classifier(model.pooling, head), weights)
    return model
