"""An image backbone of timm trained on a dataset's labels, from chance or from another backbone."""

import copy
from pathlib import Path

import timm
from torch import nn

from histopair import encoders
from histopair.errors import InputError
from histopair.training.pretrain import turned
from histopair.training.tasks import multi

REQUIRES = ("architecture", "model")


def build(run):
    classes, settings = run.about["classes"], run.method["model"]
    size = settings.get("input_size", settings.get("img_size", 224))
    model = timm.create_model(
        run.method["architecture"],
        num_classes=len(classes),
        **_architecture(settings),
        pretrained_cfg_overlay={"input_size": (3, size, size)},
    )
    if "image" in run.towers:
        _start_from(run.towers["image"], model)
    data = timm.data.resolve_model_data_config(model)
    pixels = run.pixels(timm.data.create_transform(**data, is_training=False))
    targets = multi.targets(run.samples, classes).to(run.device)

    def loss(model, batch):
        images = turned(batch["pixels"]) if model.training else batch["pixels"]
        value = multi.loss(model(images), batch["targets"])
        return {"loss": value, "task": value}

    yield run.stage(
        "classifier", model, lambda rows: {"pixels": pixels(rows), "targets": targets[rows]}, loss
    )


def save(stage, run, folder: Path) -> None:
    """A timm folder without the classifier, loaded as `local-dir:`."""
    stage.model.reset_classifier(0)
    timm.models.save_for_hf(
        stage.model,
        str(folder),
        safe_serialization=True,
        model_args=_architecture(run.method["model"]),
    )


def _start_from(entry: dict, model: nn.Module) -> None:
    """Give the model an encoder's weights; its classifier stays as it is.

    Raises InputError for another architecture.
    """
    weights = encoders.load(entry).image.state_dict()
    trunk = copy.deepcopy(model)
    trunk.reset_classifier(0)
    try:
        trunk.load_state_dict(weights)
    except RuntimeError as error:
        problem = f"it starts an encoder of another architecture: {error}"
        remedy = "Give `architecture` and `model` as that encoder has them"
        raise InputError(f"encoder {entry['name']}", " ".join(problem.split()), remedy) from error
    model.load_state_dict(weights, strict=False)


def _architecture(settings: dict) -> dict:
    """timm's arguments; a convolutional network takes none for the size of its input."""
    return {key: value for key, value in settings.items() if key != "input_size"}
