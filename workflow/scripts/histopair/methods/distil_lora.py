"""A teacher's vector, learnt by the backbone on all images first; then the labels.

Where labels are few, a joint training (clip_it) ends before it has learnt what the texts say. So:

distillation  adapters of the backbone, and g, an MLP, learn the teacher's vector of an image from
              all images of the train split, labelled or not, until validation stops improving
main          a logistic regression reads [v, g(v) / |g(v)|] of the labelled ones
adapt         the three learn the labels further, as one model; if no epoch is better on validation
              than the start, the run predicts with the start

distil_frozen is the same without adapters. A random report as teacher is the fair control of both.
"""

import torch
from torch import Tensor, nn

from histopair.images import pixels
from histopair.methods import distil_frozen
from histopair.methods.distil_frozen import beside
from histopair.training import adapted_images, checkpoint, chosen, heads, logistic, lora
from histopair.training import unlabelled as pool
from histopair.training.classifiers import Still

PARAMETERS = {
    "pairing": "retrieved",
    "retriever": "",
    "corpus": "",
    "rank": 1,
    "wrong_pairs": 0.0,
    "teacher_of": "text",
    "hidden": 512,
    "lora": {"rank": 16, "alpha": 8.0, "targets": "all", "blocks": "all"},
    "distillation_epochs": 100,
    "last_stage": "adapt",
    "normalisation": "own",
}
CHOICES = {
    "teacher_of": ("text", "image"),
    "last_stage": ("adapt", "probe"),
    "normalisation": ("own", "imagenet"),
}
AFTER_DISTILLATION = ("last_stage", "epochs")
DESCRIPTIONS = {
    "hidden": "Width of the hidden layer of g.",
    "teacher_of": "What the teacher embeds: the paired report, or the image itself by the "
    "retriever.",
    "distillation_epochs": "At most so many epochs over all images; `epochs` are those of the "
    "labels.",
    "last_stage": "`adapt`: adapters learn the labels after the probe. `probe`: the probe "
    "predicts.",
}


def needs(method):
    """The images, the teacher's embeddings, and what was distilled on all images."""
    distilled = ("distilled_weights", "distilled_history", "distilled_vectors")
    if method["teacher_of"] == "image":
        return ("adapted_images", "teacher_images", *distilled)
    return ("adapted_images", "reports", "pairs", "text_embeddings", *distilled)


def mistakes(method):
    """A teacher that knows labels cannot be learnt from the pool; a probe has its own loss."""
    problems = {}
    if method["pairing"] == "label":
        problem = "'label' pairs by labels, which the pool lacks; take recipe: distil_frozen"
        problems["pairing"] = problem
    if method["last_stage"] == "probe" and method.get("loss", "plain") != "plain":
        problems["loss"] = "a probe is fitted by `plain` alone; set last_stage to adapt"
    return problems


class Student(nn.Module):
    """What the backbone takes -> logits (n, C) of [v, g(v) / |g(v)|]."""

    def __init__(self, backbone: nn.Module, to_text: nn.Module, head: nn.Linear):
        super().__init__()
        self.backbone, self.to_text, self.head = backbone, to_text, head

    def forward(self, images: Tensor) -> Tensor:
        return self.head(beside(self.to_text, self.backbone(images)))


def unlabelled(run):
    """The stage in which adapters and g learn the teacher's vectors."""
    backbone, width, images = adapted_images.tower(run)
    text_width = distil_frozen.teach(run).shape[1]
    to_text = heads.mlp(width, text_width, 2, run.method["hidden"])
    epochs = run.method["distillation_epochs"]
    model = nn.Sequential(Still(backbone), to_text)
    return distil_frozen.distillation(run, model, images, epochs=epochs)


@torch.no_grad()
def read(run, stage) -> Tensor:
    """[v, g(v) / |g(v)|] of all samples, (n, d + d_text)."""
    backbone, to_text = stage.model.eval()
    parts = torch.arange(len(run.samples)).split(stage.batch_size)
    images = (stage.fetch(part)["inputs"] for part in parts)
    return torch.cat([beside(to_text, backbone(batch)) for batch in images])


def build(run):
    distillation = pool.finished(run)
    yield distillation
    vectors = run.embeddings("distilled_vectors")
    candidates = logistic.candidates(run, vectors)
    probe = chosen.stage(run, candidates, lambda rows: (vectors[rows],), **logistic.SEARCH)
    yield probe
    student = Student(*distillation.model, probe.model)

    def fetch(rows):
        return (distillation.fetch(rows)["inputs"],)

    if run.method["last_stage"] == "adapt":
        start, val = checkpoint.weights(student), run.rows("val")
        before = run.task_loss(probe.model(vectors[val]), {"targets": run.targets[val]}).item()
        adapting = run.classifier(student, fetch, "adapt")
        yield adapting
        if not min(row["val_task"] for row in adapting.history) < before:
            student.load_state_dict(start, strict=False)
            for row in adapting.history:  # the run's history holds these very rows
                row["used"] = False
    yield run.classifier(student, fetch, "predict", epochs=0)


def predictor(run, weights):
    """Reads the image alone: adapters merged."""
    from histopair.export.layers import BesidePrediction
    from histopair.export.predictor import Predictor, loaded

    encoder, classes = run.encoder(), len(run.classes)
    width, text_width = encoder.image_dim, len(weights["to_text.2.bias"])
    both = BesidePrediction(width, text_width, run.method["hidden"])
    head = nn.Linear(width + text_width, classes)
    backbone = Still(lora.adapt(encoder.image, run.method["lora"]))
    loaded(Student(backbone, both.predict, head), weights)
    lora.merge(encoder.image)
    encoder.preprocess = pixels.normalised(encoder.preprocess, run.method["normalisation"])
    return Predictor(nn.Sequential(both, head), image=encoder)
