"""What a trained method does at inference: pixels, tokens or both to logits."""

import importlib
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from histopair import encoders
from histopair.encoders import Encoder
from histopair.encoders.activations import split_towers
from histopair.errors import InputError
from histopair.export import architectures, layers
from histopair.training import heads
from histopair.training.classifiers import Classifier


class Predictor(nn.Module):
    """Pixels (n, 3, h, w), tokens (n, length) or both -> logits (n, C).

    The towers' features are joined, "concat" or "sum", and go through the head. `encoders` are the
    towers' encoders, "image" or "text" or both. A recipe that joins them in another way has a
    subclass, `Joined` in its module `inference`, with its name as `recipe` and its needs as `join`.
    """

    recipe = ""

    def __init__(
        self,
        head: nn.Module,
        image: Encoder | None = None,
        text: Encoder | None = None,
        join: str | dict = "concat",
    ):
        super().__init__()
        pairs = (("image", image), ("text", text))
        self.encoders = {kind: encoder for kind, encoder in pairs if encoder}
        self.image = image.image if image else None
        self.text = text.text if text else None
        self.head = head if isinstance(head, nn.Sequential) else nn.Sequential(head)
        self.join = join

    def forward(self, pixels: Tensor | None = None, tokens: Tensor | None = None) -> Tensor:
        inputs = [(self.image, pixels), (self.text, tokens)]
        return self.of_features([tower(x) for tower, x in inputs if tower is not None])

    def of_features(self, features: list[Tensor]) -> Tensor:
        """The logits (n, C) of what the towers give, (n, d) each, the image's first."""
        return self.head(sum(features) if self.join == "sum" else torch.cat(features, dim=1))


def of_one_tower(run, weights, kind: str) -> Predictor:
    """The predictor of a method that trains one tower, "image" or "text", or its last blocks.

    Its head is an MLP of the method's `layers`; without them it is linear.
    """
    encoder = run.encoder()
    tower, width = getattr(encoder, kind), getattr(encoder, f"{kind}_dim")
    trained = split_towers.trained_part(tower, run.method["unfreeze"])  # shares its parameters
    if "layers" in run.method:
        head = heads.mlp(width, len(run.classes), run.method["layers"])
    else:
        head = nn.Linear(width, len(run.classes))
    loaded(Classifier(trained, head), weights)
    return Predictor(head, **{kind: encoder})


def loaded(model: nn.Module, weights: dict[str, Tensor]) -> nn.Module:
    """`model` with a run's weights, in place: all that it trains, and nothing else.

    Raises ValueError if the weights are another model's.
    """
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    missing, unexpected = model.load_state_dict(weights, strict=False)
    wrong = [*unexpected, *(trained & set(missing))]
    if wrong:
        raise ValueError(f"unexpected or missing: {', '.join(sorted(wrong)[:3])}")
    return model


def text_encoder(run, image: Encoder) -> Encoder:
    """The encoder of a run's notes: `image`, if it is the same one."""
    entry = run.text_encoder_entry
    return image if entry in (None, run.encoder_entry) else encoders.load(entry)


def rebuild(folder: Path, config: dict) -> Predictor:
    """The predictor of an exported folder, in evaluation mode on the CPU.

    Raises InputError if its files do not belong together.
    """
    try:
        model = _built(folder, config)
    except (AttributeError, ImportError, KeyError, OSError, TypeError, ValueError) as error:
        problem = f"no model can be built from it ({type(error).__name__}: {error})"
        raise InputError(folder / "config.json", problem, "Export again") from error
    file = folder / "model.safetensors"
    try:
        model.load_state_dict(load_file(file))
    except (OSError, RuntimeError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[-1].strip()
        raise InputError(file, f"it does not fit config.json ({reason})", "Export again") from error
    return model.eval().requires_grad_(False)


def _built(folder: Path, config: dict) -> Predictor:
    entries = config["encoders"]
    by_name = {entry["name"]: _encoder(entry, folder) for entry in entries.values()}
    towers = {kind: by_name[entry["name"]] for kind, entry in entries.items()}
    kind = _kind(config["recipe"]) if "recipe" in config else Predictor
    return kind(layers.build(config["head"]), **towers, join=config["join"])


def _kind(recipe: str) -> type[Predictor]:
    """The subclass of a recipe; ValueError for what is not a name, so that nothing else runs."""
    if not recipe.isidentifier():
        raise ValueError(f"there is no recipe {recipe!r}")
    return importlib.import_module(f"histopair.methods.{recipe}.inference").Joined


def _encoder(entry: dict, folder: Path) -> Encoder:
    """An encoder of a library, or a network of plain layers."""
    if "layers" in entry:
        return Encoder(entry["name"], image=layers.build(entry["layers"]))
    return architectures.load(entry, folder / "encoders" / entry["name"])
