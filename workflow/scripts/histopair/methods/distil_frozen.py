"""A teacher's vector, learnt from frozen features on all images, and a probe beside it.

g predicts the teacher's vector of an image from the backbone's features v, learnt from all images
of the train split, labelled or not. Then a logistic regression reads [v, g(v) / |g(v)|] of the
labelled ones. Inference needs no text. Both parts take seconds, so many teachers, seeds and numbers
of labels can be compared.

g is a ridge regression at its optimum, with the penalty that predicts each image best from the
others. With `regression: mlp` it is an MLP that lowers the cosine distance until validation stops
improving; where images are few, it learns noise beside the text.

Two controls: with a random report as teacher g has the same size and carries nothing; without a
teacher (`teacher_of: pool`) g whitens v, which is what the pool tells alone.
"""

from collections.abc import Callable

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.linear_model import RidgeCV
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from torch.nn.functional import normalize

from histopair.methods.clip_it import students, text_stage
from histopair.training import chosen, heads, logistic

PARAMETERS = {
    "pairing": "retrieved",
    "retriever": "",
    "corpus": "",
    "rank": 1,
    "wrong_pairs": 0.0,
    "teacher_of": "text",
    "hidden": 512,
    "regression": "ridge",
}
CHOICES = {
    "teacher_of": ("text", "image", "label-prompt", "pool"),
    "regression": ("mlp", "ridge"),
}
DESCRIPTIONS = {
    "hidden": "Width of the hidden layer of g, if it is an MLP.",
    "regression": "What g is: an `mlp` with one hidden layer, or a `ridge` regression.",
    "teacher_of": "What the teacher embeds: the paired report, the image itself by the retriever, "
    "or the prompt of the labels. `pool` is a control without a teacher: g is a linear layer that "
    "whitens the features of all images of the train split.",
}
PENALTIES = 10.0 ** np.arange(-5, 9)  # wide enough to keep all of a teacher, or nothing
FLAT = 1e-9  # share of the largest variance, below which a direction is rounding


def needs(method):
    """Beside the backbone's embeddings, those of the teacher."""
    if method["teacher_of"] == "pool":
        return ("image_embeddings",)
    if method["teacher_of"] == "image":
        return ("image_embeddings", "teacher_images")
    if method["teacher_of"] == "label-prompt":
        return ("image_embeddings", "teacher_prompts", "retriever")
    return ("image_embeddings", "reports", "pairs", "text_embeddings")


def mistakes(method):
    """A logistic regression has its own loss."""
    if method.get("loss", "plain") == "plain":
        return {}
    return {"loss": "a logistic regression is fitted by `plain` alone; take recipe: distil_lora"}


class Student(nn.Module):
    """Features v (n, d) -> logits (n, C) of [v, g(v) / |g(v)|]."""

    def __init__(self, to_text: nn.Module, head: nn.Linear):
        super().__init__()
        self.to_text, self.head = to_text, head

    def forward(self, features: Tensor) -> Tensor:
        return self.head(beside(self.to_text, features))


def beside(to_text: nn.Module, features: Tensor) -> Tensor:
    """[v, g(v) / |g(v)|], (n, d + d_text)."""
    return torch.cat([features, normalize(to_text(features), dim=1)], dim=1)


def build(run):
    features = run.embeddings("image_embeddings")
    train, facts = taught_rows(run)["train"], {}
    if run.method["teacher_of"] == "pool":
        to_text = whitening(features[train])
    elif _linear(run.method):
        teach(run)
        targets = normalize(run.teacher(train).float(), dim=1)
        to_text, facts["penalty"] = ridge(features[train], targets)
    else:
        to_text = heads.mlp(features.shape[1], teach(run).shape[1], 2, run.method["hidden"])
        yield distillation(run, to_text, lambda rows: features[rows])
    yield _probe(run, to_text.to(run.device).eval(), features, facts)


def _linear(method) -> bool:
    return method["teacher_of"] == "pool" or method["regression"] == "ridge"


def teach(run) -> Tensor:
    """Set the run's teacher to the frozen retriever's vectors; those of distinct texts (m, d)."""
    texts = text_stage.vectors(run)
    vectors = texts.vectors.to(run.device)
    run.teacher = lambda rows: vectors[texts.index[rows].to(run.device)]
    return vectors


def taught_rows(run) -> dict[str, Tensor]:
    """The rows of train and val that have a teacher: all, unless it knows an image's label."""
    labelled = run.method["teacher_of"] == "label-prompt" or run.method["pairing"] == "label"
    return {name: run.rows(name, labelled=labelled) for name in ("train", "val")}


def ridge(features: Tensor, taught: Tensor) -> tuple[nn.Linear, float]:
    """The ridge regression of vectors (n, d_text) on standardised features (n, d); its penalty.

    If the largest penalty is best, features do not predict the vectors, and the layer gives their
    mean. Its tiny weights would be rounding, which a probe that standardises makes large again.
    """
    inputs, targets = (part.double().cpu().numpy() for part in (features, taught))
    scaler = StandardScaler().fit(inputs)
    model = RidgeCV(PENALTIES).fit(scaler.transform(inputs), targets)
    weight = model.coef_ / scaler.scale_ * (model.alpha_ < PENALTIES[-1])
    return _layer(weight, model.intercept_ - weight @ scaler.mean_), float(model.alpha_)


def whitening(features: Tensor) -> nn.Linear:
    """Features (n, d) along their principal directions, each with mean 0 and variance 1."""
    model = PCA(svd_solver="full").fit(features.double().cpu().numpy())
    kept = model.explained_variance_ > FLAT * model.explained_variance_[0]
    weight = (model.components_.T / np.sqrt(model.explained_variance_)).T[kept]
    return _layer(weight, -weight @ model.mean_)


def _layer(weight: np.ndarray, bias: np.ndarray) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weight))
        layer.bias.copy_(torch.from_numpy(bias))
    return layer


def distillation(run, model: nn.Module, inputs: Callable[[Tensor], Tensor], **overrides):
    """The stage in which model(inputs(rows)) learns the teacher's vectors (n, d_text)."""

    def loss(model, batch):
        value = students.distillation(batch["text"], model(batch["inputs"]))
        return {"loss": value, "task": value}

    def fetch(rows):
        return {"inputs": inputs(rows), "text": run.teacher(rows)}

    return run.stage("distillation", model, fetch, loss, **taught_rows(run), **overrides)


@torch.no_grad()
def _probe(run, to_text: nn.Module, features: Tensor, facts: dict):
    read = beside(to_text, features)
    heads = logistic.candidates(run, read)
    students = ((Student(to_text, head), facts | more) for head, more in heads)
    return chosen.stage(run, students, lambda rows: (features[rows],), **logistic.SEARCH)


def predictor(run, weights):
    from histopair.export.layers import BesidePrediction
    from histopair.export.predictor import Predictor, loaded

    encoder, linear = run.encoder(), _linear(run.method)
    width, text = encoder.image_dim, len(weights["to_text.bias" if linear else "to_text.2.bias"])
    both = BesidePrediction(width, text, 0 if linear else run.method["hidden"])
    head = nn.Linear(width + text, len(run.classes))
    loaded(Student(both.predict, head), weights)
    return Predictor(nn.Sequential(both, head), image=encoder)
