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
from histopair.training import checkpoint, chosen, heads, logistic, lora
from histopair.training.classifiers import Still

PARAMETERS = {
    "pairing": "retrieved",
    "retriever": "",
    "corpus": "",
    "rank": 1,
    "teacher_of": "text",
    "hidden": 512,
    "lora": {"rank": 16, "alpha": 8.0, "targets": "all"},
    "distillation_epochs": 100,
    "last_stage": "adapt",
    "normalisation": "own",
}
CHOICES = {
    "teacher_of": ("text", "image", "label-prompt"),
    "last_stage": ("adapt", "probe"),
    "normalisation": ("own", "imagenet"),
}
DESCRIPTIONS = {
    "hidden": "Width of the hidden layer of g.",
    "teacher_of": "What the teacher embeds: the paired report, the image itself by the retriever, "
    "or the prompt of the labels.",
    "distillation_epochs": "At most so many epochs over all images; `epochs` are those of the "
    "labels.",
    "last_stage": "`adapt`: adapters learn the labels after the probe. `probe`: the probe "
    "predicts.",
}


def needs(method):
    """The images, and the embeddings of the teacher."""
    if method["teacher_of"] == "image":
        return ("images", "teacher_images")
    if method["teacher_of"] == "label-prompt":
        return ("images", "teacher_prompts", "retriever")
    return ("images", "reports", "pairs", "text_embeddings")


class Student(nn.Module):
    """Pixels -> logits (n, C) of [v, g(v) / |g(v)|]."""

    def __init__(self, backbone: nn.Module, to_text: nn.Module, head: nn.Linear):
        super().__init__()
        self.backbone, self.to_text, self.head = Still(backbone), to_text, head

    def forward(self, images: Tensor) -> Tensor:
        return self.head(beside(self.to_text, self.backbone(images)))


def build(run):
    encoder = run.encoder()
    images = run.pixels(pixels.normalised(encoder.preprocess, run.method["normalisation"]))
    student = _student(run, encoder, distil_frozen.teach(run).shape[1])
    to_vector = nn.Sequential(student.backbone, student.to_text)
    epochs = run.method["distillation_epochs"]
    yield distil_frozen.distillation(run, to_vector, images, epochs=epochs)
    probe = _probe(run, student.to(run.device).eval(), images)
    yield probe
    student.head = probe.model
    if run.method["last_stage"] == "adapt":
        start, before = checkpoint.weights(student), probe.history[0]["val_task"]
        adapting = run.classifier(student, lambda rows: (images(rows),), "adapt")
        yield adapting
        if not min(row["val_task"] for row in adapting.history) < before:
            student.load_state_dict(start, strict=False)
    yield run.classifier(student, lambda rows: (images(rows),), "predict", epochs=0)


def _student(run, encoder, text_width: int) -> Student:
    """The whole model before training."""
    backbone, width = lora.adapt(encoder.image, run.method["lora"]), encoder.image_dim
    to_text = heads.mlp(width, text_width, 2, run.method["hidden"])
    return Student(backbone, to_text, nn.Linear(width + text_width, len(run.classes)))


@torch.no_grad()
def _probe(run, student: Student, images):
    """The logistic regression that validation likes best, on what the distilled model gives."""
    rows = torch.cat([run.rows("train"), run.rows("val")])
    parts = [
        beside(student.to_text, student.backbone(images(part)))
        for part in rows.split(run.method["batch_size"])
    ]
    read = parts[0].new_zeros(len(run.samples), parts[0].shape[1])
    read[rows.to(read.device)] = torch.cat(parts)
    candidates = logistic.candidates(run, read)
    return chosen.stage(run, candidates, lambda rows: (read[rows],), logistic.WORSE)
