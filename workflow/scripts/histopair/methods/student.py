"""A small image model that learns what a finished run predicts, beside the labels (Hinton 2015).

The teacher is another method's run of the same dataset and seed. It may read more than the student,
such as notes. Without a teacher the same model learns from the labels alone: the fair control.
"""

import torch

from histopair.errors import InputError
from histopair.files import tables
from histopair.methods import fine_tune
from histopair.training import soft_targets

PARAMETERS = {
    "teacher_method": "",
    "teacher_encoder": "",
    "temperature": 2.0,
    "distillation_weight": 1.0,
    "unfreeze": "all",
    "start": "random",
    "layer_decay": 1.0,
    "checkpointing": False,
    "augmentations": 1,
}
WORDS = {"unfreeze": ("all",)}
CHOICES = {"start": ("random", "probe")}
DESCRIPTIONS = {
    "teacher_method": "The method whose finished run teaches, of the same dataset and seed; "
    "without it the student learns from the labels alone.",
    "teacher_encoder": "The encoder of the teacher's run, if it is neither the student's nor named "
    "by the teacher's method.",
    "temperature": "T: the logits of both are divided by it before they are compared.",
    "start": "How the head starts: at `random`, or as the logistic regression on frozen features.",
}


def needs(method):
    """Images or activations, the probe's embeddings, and what the teacher predicts."""
    images = "images" if method["unfreeze"] == "all" else "image_activations"
    probe = ("image_embeddings",) if method["start"] == "probe" else ()
    taught = ("teacher_logits",) if method["teacher_method"] else ()
    return (images, *probe, *taught)


def mistakes(method):
    """Parameters that do not fit together, and what to do."""
    problems = {}
    if not 0 < method["layer_decay"] <= 1:
        problems["layer_decay"] = "it is a factor above 0, 1 at most"
    if not method["temperature"] > 0:
        problems["temperature"] = "it must be above 0"
    return problems


def build(run):
    model, fetch = fine_tune.classifier(run)
    rates = fine_tune.rates(run, model.backbone)
    if not run.method["teacher_method"]:
        yield run.classifier(model, fetch, rates=rates)
        return
    teacher = _teacher(run)

    def with_teacher(rows, *turns):
        return {"inputs": fetch(rows, *turns), "teacher": teacher[rows]}

    def loss(model, batch):
        return losses(run, model(*batch["inputs"]), batch)

    def scores(model, batch):
        return run.scores(model(*batch["inputs"]))

    yield run.stage("main", model, with_teacher, loss, scores, rates=rates)


def losses(run, logits, batch):
    """The task's loss plus the weighted distillation, and both alone."""
    task, settings = run.task_loss(logits, batch), run.method
    soft = soft_targets.loss(logits, batch["teacher"], settings["temperature"], run.task.EXCLUSIVE)
    weighted = settings["distillation_weight"] * soft
    return {"loss": task + weighted, "task": task, "distillation": soft}


def _teacher(run):
    """The teacher's logits (n, C) of the run's samples."""
    path = run.artifacts["teacher_logits"]
    if (classes := tables.about(path)["classes"]) != run.classes:
        problem = f"its teacher knows the classes {classes}, and the dataset has {run.classes}"
        raise InputError(path, problem, "Run the teacher again")
    keys = tables.read(path, ["sample_id"])["sample_id"]
    missing, remedy = "the teacher did not predict {}", "Remove the file and run again"
    position = tables.positions(run.samples["sample_id"], keys, path, missing, remedy)
    return torch.from_numpy(tables.matrix(path, "logits")[position]).to(run.device)


def predictor(run, weights):
    from histopair.export.predictor import of_one_tower

    return of_one_tower(run, weights, "image")
