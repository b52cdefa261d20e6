"""A tower's weights: read without running code, and every tensor of them accounted for.

Libraries load what fits and leave the rest of a tower at random, or say so in a warning. Here a
tower has all of its tensors from the file, or there is a Refusal that names some that differ.
"""

import argparse
import json
import pickle
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

State = dict[str, Tensor]

LFS = b"version https://git-lfs"
SUFFIXES = (".safetensors", ".safetensors.index.json", ".bin", ".bin.index.json", ".pth", ".pt")
DESCRIBING = (".json", ".txt", ".model")
# Where checkpoints keep a state dict; of several the averaged and the teacher's weights come first.
CONTAINERS = (
    "state_dict_ema model_ema ema teacher state_dict model_state_dict model module network net "
    "backbone encoder trunk weights params student"
).split()
# Among prefixes that fit alike, those that are meant, and those that are not.
MEANT, TWINS = {"teacher", "ema", "encoder_q"}, {"student", "momentum", "encoder_k"}
WRAPPERS = {*CONTAINERS, *MEANT, *TWINS, "_orig_mod"}
# What stands on a tower in training, and is not part of it.
HEADS = set(
    "head head_dist fc classifier cls lm_head qa_outputs vocab_transform vocab_layer_norm "
    "vocab_projector dino_head ibot_head projector projection_head predictor decoder mask_token "
    "discriminator_predictions generator_predictions".split()
)
# Buffers that are computed when a tower is built, whatever a file says of them.
COMPUTED = {"position_ids", "relative_position_index", "attn_mask", "num_batches_tracked"}


class Refusal(ValueError):
    """What is wrong with an encoder, and the remedy."""

    def __init__(self, problem: str, remedy: str):
        super().__init__(f"{problem}. {remedy}")
        self.problem, self.remedy = problem, remedy


def check_folder(folder: Path) -> None:
    """Raise Refusal where a file of a folder that describes its model cannot be read.

    Raises FileNotFoundError where there is no such folder.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"the folder {folder} does not exist")
    try:
        files = sorted(folder.iterdir())
    except PermissionError:
        raise _unreadable(folder) from None
    for file in files:
        if file.suffix in DESCRIBING and file.is_file():
            head = _head(file)
            if file.suffix == ".json" and not head.lstrip(b"\xef\xbb\xbf \r\n\t")[:1] in b"{[":
                raise Refusal(f"{file} is no JSON", "Get the file anew")


def find(folder: Path, names: Collection[str]) -> Path:
    """The file of a folder that holds its weights: the first of these names, or the only one.

    Raises Refusal where there is none, or are several of other names.
    """
    for name in names:
        for suffix in SUFFIXES:
            if (folder / f"{name}{suffix}").is_file():
                return folder / f"{name}{suffix}"
    found = sorted(file for file in folder.iterdir() if file.suffix in SUFFIXES)
    if len(found) == 1:
        return found[0]
    if found:
        problem = f"{folder} holds several files of weights ({_some(f.name for f in found)})"
        raise Refusal(problem, f"Name the one that is meant {names[0]}{found[0].suffix}")
    there = _some(sorted(file.name for file in folder.iterdir())) or "nothing"
    problem = f"{folder} holds no weights; it holds {there}"
    raise Refusal(problem, f"Put {names[0]}.safetensors there")


def read(file: Path) -> State:
    """The tensors of a .safetensors, of a PyTorch file, or of an index of several of them.

    Code in pickled files is never run. Containers such as {"state_dict": ...} are opened, and the
    log says so. Raises Refusal for a file that cannot be read, or holds no state dict.
    """
    head = _head(file)
    if file.name.endswith(".index.json"):
        return _read_parts(file)
    try:
        content = load_file(file) if head[8:9] == b"{" else _read_pickled(file)
    except pickle.UnpicklingError as error:
        problem = f"{file} holds pickled code, which is never run, or is no file of weights"
        raise Refusal(problem, "Save its state dict alone, best as .safetensors") from error
    except Exception as error:  # as many types as there are ways to break a file
        size = file.stat().st_size
        problem = f"{file} ({size} bytes) is cut short or no file of weights ({shortened(error)})"
        raise Refusal(
            problem, "Get the file anew, or save its state dict as .safetensors"
        ) from error
    return _opened(content, file)


def stripped(state: State, names: Collection[str]) -> State:
    """`state` without a prefix such as `module.` that its keys have, and those of `names` lack.

    Heads are left out, and the other of two networks (student and teacher); the log says all of it.
    Raises Refusal where two prefixes fit alike.
    """
    prefix = _prefix(state, names)
    inside = {
        key.removeprefix(prefix): value
        for key, value in state.items()
        if key[: len(prefix)] == prefix
    }
    outside = {key: value for key, value in state.items() if key[: len(prefix)] != prefix}
    left_out = {key for key in inside if key not in names and is_head(key)}
    twins = {key for key in outside if is_head(key) or not TWINS.isdisjoint(key.split("."))}
    if prefix:
        print(f"weights: the keys' prefix {prefix!r} is stripped")
    if left_out or twins:
        print(f"weights: left out, not the tower's own: {_some(sorted(left_out | twins))}")
    kept = {key: value for key, value in outside.items() if key not in twins}
    return kept | {key: value for key, value in inside.items() if key not in left_out}


def fit(model: nn.Module, state: State) -> None:
    """Load `state` into `model`. Raises Refusal unless it has each of its tensors, and no others."""
    own = model.state_dict()
    other = [
        f"{name} is {_shape(state[name])} and not {_shape(own[name])}"
        for name in own
        if name in state and not _alike(own[name], state[name])
    ]
    account(model, own.keys() - state.keys(), state.keys() - own.keys(), other)
    model.load_state_dict(state, strict=False)


def account(
    model: nn.Module,
    missing: Collection[str],
    unexpected: Collection[str],
    other: Collection[str] = (),
) -> None:
    """Raise Refusal for tensors that a model did not get, got in vain, or in another shape.

    Buffers that are computed anyway may be missing or there. The keys' order is the file's.
    """
    computed = {name for name, _ in model.named_buffers()} - model.state_dict().keys()
    known = {key for key in unexpected if key in computed or key.split(".")[-1] in COMPUTED}
    if known:
        print(f"weights: left out, computed anyway: {_some(sorted(known))}")
    parts = {
        "missing": sorted(key for key in missing if key.split(".")[-1] not in COMPUTED),
        "unexpected": sorted(set(unexpected) - known),
        "of another shape or type": list(other),
    }
    said = [f"{len(keys)} {kind} ({_some(keys)})" for kind, keys in parts.items() if keys]
    if said:
        problem = f"the weights are not those of this {type(model).__name__}: {', '.join(said)}"
        raise Refusal(problem, "Give the architecture and the weights of one model")


def check_finite(tower: nn.Module) -> None:
    """Raise Refusal where a parameter or a saved buffer of a tower is NaN or infinite."""
    for name, tensor in tower.state_dict().items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            problem = f"its weights are not finite, the first of them {name}"
            raise Refusal(problem, "Get the file anew, or save it in float32")


def say_resized(before: State, model: nn.Module) -> None:
    """Print which tensors of a file a library interpolated to the model's size (positions)."""
    own = model.state_dict()
    for name, tensor in before.items():
        mine = own.get(name, own.get(f"text.{name}"))
        if mine is not None and tensor.numel() > 1 and tensor.shape != mine.shape:
            print(f"weights: {name} is interpolated from {_shape(tensor)} to {_shape(mine)}")


@contextmanager
def replaced(module: object, name: str, value: object) -> Iterator[None]:
    """`module.name` is `value` inside: the seam of a library that has no parameter for it."""
    kept = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, kept)


def shortened(error: Exception | str, most: int = 400) -> str:
    """A library's message in one line: its beginning and its end, without the lists between."""
    text = " ".join(str(error).split()) or repr(error)
    return text if len(text) <= most else f"{text[: most * 3 // 4]} ... {text[-most // 4 :]}"


def _head(file: Path) -> bytes:
    try:
        with open(file, "rb") as opened:
            head = opened.read(64)
    except FileNotFoundError:
        raise Refusal(
            f"there is no file {str(file)!r}", "Correct the config, or get the file"
        ) from None
    except PermissionError:
        raise _unreadable(file) from None
    if head.startswith(LFS):
        problem = f"{file} is a pointer of Git LFS and not the file itself"
        raise Refusal(problem, "Run `git lfs pull` in its folder, or download the file")
    if not head:
        raise Refusal(f"{file} is empty", "Get the file anew")
    return head


def _unreadable(place: Path) -> Refusal:
    return Refusal(f"there is no permission to read {place}", "Let this user read it (chmod)")


def _read_pickled(file: Path) -> object:
    # Checkpoints of timm hold their arguments beside the weights.
    with torch.serialization.safe_globals([argparse.Namespace]):
        return torch.load(file, map_location="cpu", weights_only=True)


def _read_parts(index: Path) -> State:
    try:
        places = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
    except (KeyError, TypeError, ValueError) as error:
        problem = f"{index} is no index of weights ({shortened(error)})"
        raise Refusal(problem, "Get the file anew") from error
    state = {}
    for name in sorted(set(places.values())):
        state |= read(index.parent / name)
    lost = sorted(places.keys() - state.keys())
    if lost:
        problem = f"the parts of {index} lack {len(lost)} of its tensors ({_some(lost)})"
        raise Refusal(problem, "Get the parts anew")
    return state


def _opened(content: object, file: Path) -> State:
    """The state dict in the containers of a checkpoint."""
    trail = []
    while inner := next((key for key in CONTAINERS if _is_map(content, key)), None):
        trail.append(inner)
        content = content[inner]
    if trail:
        print(f"weights: those under {'.'.join(trail)!r} of {file}")
    tensors = {}
    if isinstance(content, dict):
        tensors = {str(key): value for key, value in content.items() if isinstance(value, Tensor)}
    if not tensors:
        keys = f" with the keys {_some(map(str, content))}" if isinstance(content, dict) else ""
        problem = f"{file} holds a {type(content).__name__}{keys}, and no tensors by name"
        raise Refusal(problem, "Save the model's state dict, best as .safetensors")
    return tensors


def _is_map(content: object, key: str) -> bool:
    return isinstance(content, dict) and isinstance(content.get(key), dict)


def _prefix(keys: Collection[str], names: Collection[str]) -> str:
    """What stands before the most `names` in `keys`; "" where that is less than half of them."""
    found = Counter()
    for key in keys:
        parts = key.split(".")
        found.update(
            ".".join(parts[:at]) for at in range(len(parts)) if ".".join(parts[at:]) in names
        )
    most = max(found.values(), default=0)
    best = sorted(prefix for prefix, times in found.items() if times == most)
    if 2 * most < len(names) or "" in best:
        return ""
    if len(best) > 1:
        best = [one for one in best if _meant(one)] or best
    if len(best) > 1:
        problem = f"it holds several networks that fit ({_some(best)})"
        raise Refusal(problem, "Save the one that is meant alone")
    return f"{best[0]}."


def _meant(prefix: str) -> bool:
    parts = set(prefix.split("."))
    return bool(parts & MEANT) and not parts & TWINS


def is_head(key: str) -> bool:
    own = [part for part in key.split(".") if part not in WRAPPERS]
    return bool(own) and own[0] in HEADS


def _alike(mine: Tensor, theirs: Tensor) -> bool:
    return mine.shape == theirs.shape and mine.is_floating_point() == theirs.is_floating_point()


def _shape(tensor: Tensor) -> str:
    kind = "" if tensor.is_floating_point() else f" of {tensor.dtype}".replace("torch.", "")
    return f"{list(tensor.shape)}{kind}"


def _some(names, most: int = 3) -> str:
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
