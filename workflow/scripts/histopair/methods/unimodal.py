"""A linear head on the frozen backbone's features: what images alone give without adaptation."""

from torch import nn

NEEDS = ("image_embeddings",)
PARAMETERS = {}


def build(run):
    features = run.embeddings("image_embeddings")
    model = nn.Linear(features.shape[1], len(run.classes))

    def loss(model, batch):
        value = run.task_loss(model(batch["features"]), batch)
        return {"loss": value, "task": value}

    yield run.stage(
        "main",
        model,
        fetch=lambda rows: {"features": features[rows]},
        loss=loss,
        scores=lambda model, batch: run.probabilities(model(batch["features"])),
    )
