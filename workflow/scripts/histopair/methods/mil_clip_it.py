"""CLIP-IT on bags of patch features: the bag's report is distilled into it (CLIP-IT, Section F.6).

The text stage learns from the reports as the frozen text tower embeds them. In the main stage gated
attention learns the task and, through g, the report's embedding. Inference reads only the bag.
"""

from torch import nn

from histopair.methods.clip_it import students, text_stage
from histopair.methods.mil import attention

NEEDS = ("bags", "reports", "pairs", "text_embeddings")
PARAMETERS = {
    "pairing": "retrieved",
    "retriever": "",
    "corpus": "",
    "rank": 1,
    "wrong_pairs": 0.0,
    "distillation_weight": 1.0,
    "text_epochs": 500,
    "width": 64,
    "attention": 32,
    "dropout": 0.25,
}


class Student(students.Distilled):
    """Bags -> logits and g(z). The attention trains, with dropout, unlike an encoder."""

    def train(self, mode: bool = True):
        return nn.Module.train(self, mode)


def mistakes(method):
    """Parameters that do not fit, and why."""
    return {"dropout": "it is a share, below 1"} if method["dropout"] >= 1 else {}


def build(run):
    bags = run.bags()
    text, texts = text_stage.classifier(run, frozen=True)
    yield text_stage.stage(run, "text", text, texts, epochs=run.method["text_epochs"])
    run.teacher, text_width = text_stage.teacher(run, text, texts)
    backbone = attention.of(bags.width, run.method)
    model = Student(backbone, run.method["width"], text.head, text_width, len(run.classes))

    def loss(model, batch):
        return students.losses(run, batch, *model(*batch["bags"]), batch["text"])

    yield run.stage(
        "main",
        model,
        lambda rows: {"bags": bags(rows), "text": run.teacher(rows)},
        loss,
        lambda model, batch: run.scores(model(*batch["bags"])[0]),
    )
