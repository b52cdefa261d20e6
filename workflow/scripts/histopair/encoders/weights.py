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
# The file of a folder that describes its model, and a key that it has for that library alone.
MARKS = {
    "open_clip": ("open_clip_config.json", "model_cfg"),
    "timm": ("config.json", "architecture"),
    "transformers": ("config.json", "model_type"),
}
# Where checkpoints keep a state dict; averaged and teacher's weights come first.
AVERAGED = ["state_dict_ema", "model_ema", "ema", "teacher"]
PLAIN = ["state_dict", "model_state_dict", "model", "module", "network", "net", "weights", "params"]
CONTAINERS = [*AVERAGED, *PLAIN, "backbone", "encoder", "trunk", "student"]
# If several prefixes fit: those that are meant, and those that are not.
MEANT, TWINS = {"teacher", "ema", "encoder_q"}, {"student", "momentum", "encoder_k"}
WRAPPERS = {*CONTAINERS, *MEANT, *TWINS, "_orig_mod"}
# Parts that sit on a tower only in training: classifiers, projectors, language heads.
CLASSIFIERS = {"head", "head_dist", "fc", "classifier"}
PROJECTORS = {"dino_head", "ibot_head", "projector", "projection_head", "predictor", "decoder"}
LANGUAGE = {"cls", "lm_head", "qa_outputs", "vocab_transform", "vocab_layer_norm"}
HEADS = {*CLASSIFIERS, *PROJECTORS, *LANGUAGE, "vocab_projector", "mask_token"}
# Buffers that are computed when a tower is built, whatever a file says of them.
COMPUTED = {"position_ids", "relative_position_index", "attn_mask", "num_batches_tracked"}


class Refusal(ValueError):
    """What is wrong with an encoder, and the remedy."""

    def __init__(self, problem: str, remedy: str):
        super().__init__(f"{problem}. {remedy}")
        self.problem, self.remedy = problem, remedy


def check_folder(folder: Path, library: str) -> None:
    """Raise Refusal where a folder is not of `library`, or its description cannot be read.

    Raises FileNotFoundError where there is no such folder.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"the folder {folder} does not exist")
    for file in _files(folder):
        if file.suffix in DESCRIBING and file.stat().st_size:
            _head(file)
    fitting = [other for other, (name, key) in MARKS.items() if key in _json(folder / name)]
    if library not in fitting:
        name, key = MARKS[library]
        problem = f"{folder} has no {name} with {key!r}; it holds {_there(folder)}"
        remedy = f"Set `library` to {' or '.join(fitting)}" if fitting else "Correct `model`"
        raise Refusal(problem, remedy)


def find(folder: Path, names: Collection[str]) -> Path:
    """The file of a folder that holds its weights: the first of these names, or the only one.

    Raises Refusal where there is none, or are several of other names.
    """
    for name in names:
        for suffix in SUFFIXES:
            if (folder / f"{name}{suffix}").is_file():
                return folder / f"{name}{suffix}"
    found = [file for file in _files(folder) if file.suffix in SUFFIXES]
    if len(found) == 1:
        return found[0]
    if found:
        problem = f"{folder} holds several files of weights ({_some(f.name for f in found)})"
        raise Refusal(problem, f"Name the one that is meant {names[0]}{found[0].suffix}")
    problem = f"{folder} holds no weights; it holds {_there(folder)}"
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
        remedy = "Get the file anew, or save its state dict as .safetensors"
        raise Refusal(problem, remedy) from error
    return _opened(content, file)


def stripped(state: State, own: State) -> State:
    """`state` without a prefix such as `module.` that its keys have, and those of `own` lack.

    Heads are left out, and the other of two networks (student and teacher); the log says all of it.
    Raises Refusal where two prefixes fit alike, or numbers are whole in place of broken ones.
    """
    prefix = _prefix(state, own)
    inside = {key[len(prefix) :]: state[key] for key in state if key.startswith(prefix)}
    outside = {key: state[key] for key in state if not key.startswith(prefix)}
    heads = {key for key in inside if key not in own and is_head(key)}
    twins = {key for key in outside if is_head(key) or not TWINS.isdisjoint(key.split("."))}
    if prefix:
        print(f"weights: the keys' prefix {prefix!r} is stripped")
    if heads or twins:
        print(f"weights: left out, not the tower's own: {_some(sorted(heads | twins))}")
    kept = {key: outside[key] for key in outside.keys() - twins}
    kept |= {key: inside[key] for key in inside.keys() - heads}
    for key in sorted(kept.keys() & own.keys()):
        if own[key].is_floating_point() and not kept[key].is_floating_point():
            problem = f"its weights are quantised: {key} is of {kept[key].dtype}"
            raise Refusal(problem, "Give weights in float32, bfloat16 or float16")
    return kept


def fit(model: nn.Module, state: State) -> None:
    """Load `state` into `model`. Raises Refusal unless it has all of its tensors, and no others."""
    own = model.state_dict()
    account(model, own.keys() - state.keys(), state.keys() - own.keys(), other(model, state))
    model.load_state_dict(state, strict=False)


def other(model: nn.Module, state: State) -> list[str]:
    """The tensors of a state dict that have another shape than the model's, in words."""
    own = model.state_dict()
    pairs = [
        (name, tensor, own.get(name, own.get(f"text.{name}"))) for name, tensor in state.items()
    ]
    return [
        f"{name} is {list(theirs.shape)} and not {list(mine.shape)}"
        for name, theirs, mine in sorted(pairs, key=lambda pair: pair[0])
        if mine is not None and theirs.numel() > 1 and theirs.shape != mine.shape
    ]


def account(
    model: nn.Module,
    missing: Collection[str],
    unexpected: Collection[str],
    reshaped: Collection[str] = (),
) -> None:
    """Raise Refusal for tensors that a model did not get, got in vain, or in another shape.

    Buffers that are computed anyway may be missing, or there.
    """
    computed = {name for name, _ in model.named_buffers()} - model.state_dict().keys()
    known = {key for key in unexpected if key in computed or key.split(".")[-1] in COMPUTED}
    if known:
        print(f"weights: left out, computed anyway: {_some(sorted(known))}")
    parts = {
        "missing": sorted(key for key in missing if key.split(".")[-1] not in COMPUTED),
        "unexpected": sorted(set(unexpected) - known),
        "of another shape": list(reshaped),
    }
    said = [f"{len(keys)} {kind} ({_some(keys)})" for kind, keys in parts.items() if keys]
    if said:
        problem = f"the weights are not those of this {type(model).__name__}: {', '.join(said)}"
        remedy = (
            "Architecture and weights must be of one model: correct `model`, `weights` or `kwargs`"
        )
        raise Refusal(problem, remedy)


def check_finite(tower: nn.Module) -> None:
    """Raise Refusal where a parameter or a saved buffer of a tower is NaN or infinite."""
    for name, tensor in tower.state_dict().items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            problem = f"its weights are not finite, the first of them {name}"
            raise Refusal(problem, "Get the file anew, or save it in float32")


def say_resized(model: nn.Module, before: State) -> None:
    """Print which tensors of a file a library interpolated to the model's size (positions)."""
    if resized := other(model, before):
        print(f"weights: interpolated to another size: {_some(resized)}")


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


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(file for file in folder.iterdir() if file.is_file())
    except PermissionError:
        raise _unreadable(folder) from None


def _there(folder: Path) -> str:
    return _some(file.name for file in _files(folder)) or "no files"


def _json(file: Path) -> dict:
    try:
        found = json.loads(file.read_text(encoding="utf-8-sig")) if file.is_file() else {}
    except ValueError as error:
        raise Refusal(f"{file} is no JSON ({shortened(error)})", "Get the file anew") from error
    return found if isinstance(found, dict) else {}


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


def _some(names, most: int = 3) -> str:
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
