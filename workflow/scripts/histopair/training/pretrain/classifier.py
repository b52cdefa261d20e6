"""An image backbone of timm trained on a dataset's labels, from chance or from another backbone."""

import copy
from pathlib import Path

import timm
import torch
from torch import nn

from histopair import encoders
from histopair.encoders import preparation
from histopair.errors import InputError
from histopair.training.pretrain import turned
from histopair.training.tasks import multi

REQUIRES = ("architecture", "model")
SAME = 1e-6  # of the largest output: in float64, other arguments differ by more


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
        _start_from(run.towers["image"], model, size)
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


def _start_from(entry: dict, model: nn.Module, size: int) -> None:
    """Give the model an encoder's weights and preparation of images; its classifier stays.

    Raises InputError for another architecture, also if only its arguments differ.
    """
    start = encoders.load(entry).image
    weights, trunk = start.state_dict(), copy.deepcopy(model)
    trunk.reset_classifier(0)
    try:
        trunk.load_state_dict(weights)
    except RuntimeError as error:
        raise _other_architecture(entry, " ".join(str(error).split())) from error
    model.load_state_dict(weights, strict=False)
    model.pretrained_cfg |= _prepared(entry, start)
    if not _alike(start, trunk, size):  # turns both to float64
        reason = "with its weights an image gives another vector; an argument of timm differs"
        raise _other_architecture(entry, f"{reason}, such as num_heads")


def _other_architecture(entry: dict, reason: str) -> InputError:
    problem = f"it starts an encoder of another architecture: {reason}"
    remedy = "Give `architecture` and `model` as that encoder has them"
    return InputError(f"encoder {entry['name']}", problem, remedy)


def _alike(start: nn.Module, trunk: nn.Module, size: int) -> bool:
    """Whether two modules with the same weights compute the same: names and shapes leave room."""
    image = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(0)).double()
    with torch.inference_mode():
        ours, theirs = (module.double().eval()(image) for module in (trunk, start))
    return ours.shape == theirs.shape and bool(
        (ours - theirs).abs().max() <= SAME * theirs.abs().max()
    )


def _prepared(entry: dict, start: nn.Module) -> dict:
    """How the start prepares images, as timm says it; the size is the trained encoder's own."""
    data, pixels = timm.data.resolve_model_data_config(start), entry.get("pixels", {})
    changed = preparation.of_timm(data).changed(pixels)
    if {"size", "resize"} & pixels.keys():
        data["crop_pct"] = changed.size / changed.resize
    same = {name: getattr(changed, name) for name in ("interpolation", "mean", "std")}
    return same | {"crop_pct": data["crop_pct"]}


def _architecture(settings: dict) -> dict:
    """timm's arguments; a convolutional network takes none for the size of its input."""
    return {key: value for key, value in settings.items() if key != "input_size"}
