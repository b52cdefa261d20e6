"""A tower's weights: read without running code, and every tensor accounted for.

Libraries load what fits and leave the rest of a tower random, at most with a warning. Here a tower
gets all of its tensors from the file, or a Refusal names some that differ.
"""

import argparse
import hashlib
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
Names = Collection[str]

LFS = b"version https://git-lfs"
SUFFIXES = (".safetensors", ".safetensors.index.json", ".bin", ".bin.index.json", ".pth", ".pt")
DESCRIBING = (".json", ".txt", ".model")
# Library -> the file that describes a folder's model, and a key that only this library's file has.
MARKS = {
    "open_clip": ("open_clip_config.json", "model_cfg"),
    "timm": ("config.json", "architecture"),
    "transformers": ("config.json", "model_type"),
}
# Where checkpoints keep a state dict; weights of averages and teachers come first.
AVERAGED = ["state_dict_ema", "model_ema", "ema", "teacher"]
PLAIN = ["state_dict", "model_state_dict", "model", "module", "network", "net", "weights", "params"]
CONTAINERS = [*AVERAGED, *PLAIN, "backbone", "encoder", "trunk", "student"]
# If several prefixes fit: words of those that are meant, and of those that are not.
MEANT, TWINS = {"teacher", "ema", "encoder_q"}, {"student", "momentum", "encoder_k"}
WRAPPERS = {*CONTAINERS, *MEANT, *TWINS, "_orig_mod"}
# Parts that a tower has only in training: classifiers, projectors, language heads.
CLASSIFIERS = {"head", "head_dist", "fc", "classifier"}
PROJECTORS = {"dino_head", "ibot_head", "projector", "projection_head", "predictor", "decoder"}
LANGUAGE = {"cls", "lm_head", "qa_outputs", "vocab_transform", "vocab_layer_norm"}
HEADS = {*CLASSIFIERS, *PROJECTORS, *LANGUAGE, "vocab_projector", "mask_token"}
# Buffers that are computed when a tower is built, whether a file has them or not.
COMPUTED = {"position_ids", "relative_position_index", "attn_mask", "num_batches_tracked"}


class Refusal(ValueError):
    """What is wrong with an encoder, and the remedy."""

    def __init__(self, problem: str, remedy: str):
        super().__init__(f"{problem}. {remedy}")
        self.problem, self.remedy = problem, remedy


def check_folder(folder: Path, library: str) -> None:
    """Raise Refusal if a folder is not of `library`, or its description cannot be read.

    Raises FileNotFoundError if there is no such folder.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"the folder {folder} does not exist")
    for file in _files(folder):
        if file.suffix in DESCRIBING and file.stat().st_size:
            _head(file)
    fitting = [other for other, (name, key) in MARKS.items() if key in described(folder / name)]
    if library not in fitting:
        name, key = MARKS[library]
        problem = f"{folder} has no {name} with {key!r}; it holds {_contents(folder)}"
        remedy = f"Set `library` to {' or '.join(fitting)}" if fitting else "Correct `model`"
        raise Refusal(problem, remedy)


def described(file: Path) -> dict:
    """What a JSON file holds; {} without it. Raises Refusal for a file that is not JSON."""
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig")) if file.is_file() else {}
    except ValueError as error:
        raise Refusal(f"{file} is not JSON ({shortened(error)})", "Get the file again") from error
    return content if isinstance(content, dict) else {}


def find(folder: Path, names: Names) -> Path:
    """The file of a folder that holds its weights: the first of these names, or the only one.

    Raises Refusal if there is none, or several of other names.
    """
    for name in names:
        for suffix in SUFFIXES:
            if (file := folder / f"{name}{suffix}").is_file():
                return file
    files = [file for file in _files(folder) if file.suffix in SUFFIXES]
    if len(files) == 1:
        return files[0]
    if files:
        problem = f"{folder} holds several files of weights ({_some(f.name for f in files)})"
        raise Refusal(problem, f"Name the one that is meant {names[0]}{files[0].suffix}")
    problem = f"{folder} holds no weights; it holds {_contents(folder)}"
    raise Refusal(problem, f"Put {names[0]}.safetensors there")


def read(file: Path, key: str | None = None) -> State:
    """The tensors of a .safetensors or PyTorch file, or of an index of several such files.

    Code in pickled files is never run. Containers such as {"state_dict": ...} are opened, and the
    log says so; `key` names one that is meant. Raises Refusal for a file that cannot be read or
    holds no state dict.
    """
    head = _head(file)
    if file.name.endswith(".index.json"):
        return _read_parts(file)
    try:
        content = load_file(file) if head[8:9] == b"{" else _read_pickled(file)
    except pickle.UnpicklingError as error:
        problem = f"{file} holds pickled code, which is never run, or is not a file of weights"
        raise Refusal(problem, "Save its state dict alone, best as .safetensors") from error
    except Exception as error:  # a broken file can raise any type
        size, reason = file.stat().st_size, shortened(error)
        problem = f"{file} ({size} bytes) is cut short or not a file of weights ({reason})"
        remedy = "Get the file again, or save its state dict as .safetensors"
        raise Refusal(problem, remedy) from error
    return _opened(_at(content, key, file) if key else content, file)


def check_sum(file: Path, sha256: str | None) -> None:
    """Raise Refusal if a file's SHA-256 is not the given one."""
    if sha256 is None:
        return
    with open(file, "rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    if digest != sha256:
        problem = f"{file} has the SHA-256 {digest}, and `sha256` is {sha256}"
        raise Refusal(problem, "Get the file again; if it is another one on purpose, set `sha256`")


def taken(state: State, checkpoint: dict) -> State:
    """`state` as an entry's `checkpoint` says: without what starts with `drop`, then each prefix
    of `strip` taken off the keys that start with it, in order.

    Raises Refusal for a prefix that no key has.
    """
    for prefix in checkpoint.get("drop", []):
        kept = {key: state[key] for key in state if not key.startswith(prefix)}
        _check_prefix("drop", prefix, len(kept) < len(state), state)
        print(f"weights: left out, under {prefix!r}: {len(state) - len(kept)} tensors")
        state = kept
    for prefix in checkpoint.get("strip", []):
        _check_prefix("strip", prefix, any(key.startswith(prefix) for key in state), state)
        stripped_state = {key.removeprefix(prefix): tensor for key, tensor in state.items()}
        if len(stripped_state) < len(state):
            problem = f"`checkpoint.strip`: without {prefix!r} two tensors have one name"
            raise Refusal(problem, "Leave one network out by `key` or `drop`")
        state = stripped_state
    return state


def stripped(state: State, expected: State) -> State:
    """`state` without a prefix such as `module.` that its keys have and those of `expected` lack.

    Leaves out heads, and the other one of two networks (student and teacher), and logs all of it.
    Raises Refusal if two prefixes fit equally well, or if weights are quantised to integers.
    """
    prefix = _prefix(state, expected)
    inside = {key[len(prefix) :]: state[key] for key in state if key.startswith(prefix)}
    outside = {key: state[key] for key in state if not key.startswith(prefix)}
    heads = {key for key in inside if key not in expected and is_head(key)}
    twins = {key for key in outside if is_head(key) or not TWINS.isdisjoint(key.split("."))}
    if prefix:
        print(f"weights: the keys' prefix {prefix!r} is stripped")
    if heads or twins:
        print(f"weights: left out, not the tower's own: {_some(sorted(heads | twins))}")
    kept = {key: outside[key] for key in outside.keys() - twins}
    kept |= {key: inside[key] for key in inside.keys() - heads}
    for key in sorted(kept.keys() & expected.keys()):
        if expected[key].is_floating_point() and not kept[key].is_floating_point():
            problem = f"its weights are quantised: {key} is of {kept[key].dtype}"
            raise Refusal(problem, "Give weights in float32, bfloat16 or float16")
    return kept


def fit(model: nn.Module, state: State) -> None:
    """Load `state` into `model`. Raises Refusal unless it has exactly the model's tensors."""
    expected = model.state_dict()
    missing, unexpected = expected.keys() - state.keys(), state.keys() - expected.keys()
    account(model, missing, unexpected, other_shapes(model, state))
    model.load_state_dict(state, strict=False)


def other_shapes(model: nn.Module, state: State) -> list[str]:
    """The tensors of a state dict whose shape differs from the model's, in words."""
    expected, differing = model.state_dict(), []
    for name, tensor in sorted(state.items()):
        wanted = expected.get(name, expected.get(f"text.{name}"))
        if wanted is not None and tensor.numel() > 1 and tensor.shape != wanted.shape:
            differing.append(f"{name} is {list(tensor.shape)} and not {list(wanted.shape)}")
    return differing


def account(model: nn.Module, missing: Names, unexpected: Names, reshaped: Names = ()) -> None:
    """Raise Refusal for tensors that a model lacks, does not have, or has in another shape.

    Buffers that are computed anyway may be missing or present.
    """
    buffers = {name for name, _ in model.named_buffers()} - model.state_dict().keys()
    computed = {key for key in unexpected if key in buffers or key.split(".")[-1] in COMPUTED}
    if computed:
        print(f"weights: left out, computed anyway: {_some(sorted(computed))}")
    parts = {
        "missing": sorted(key for key in missing if key.split(".")[-1] not in COMPUTED),
        "unexpected": sorted(set(unexpected) - computed),
        "of another shape": list(reshaped),
    }
    wrong = [f"{len(keys)} {kind} ({_some(keys)})" for kind, keys in parts.items() if keys]
    if wrong:
        problem = f"the weights are not those of this {type(model).__name__}: {', '.join(wrong)}"
        remedy = "Give weights of this architecture: correct `model`, `weights` or `kwargs`"
        raise Refusal(problem, remedy)


def check_finite(tower: nn.Module) -> None:
    """Raise Refusal if a parameter or a saved buffer of a tower is NaN or infinite."""
    for name, tensor in tower.state_dict().items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            problem = f"its weights are not finite, the first of them {name}"
            raise Refusal(problem, "Get the file again, or save it in float32")


def print_resized(model: nn.Module, before: State) -> None:
    """Print which tensors of a file a library interpolated to the model's size (positions)."""
    if resized := other_shapes(model, before):
        print(f"weights: interpolated to another size: {_some(resized)}")


@contextmanager
def replaced(module: object, name: str, value: object) -> Iterator[None]:
    """Set `module.name` to `value` inside, where a library has no parameter for it."""
    original = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, original)


def shortened(error: Exception | str, most: int = 400) -> str:
    """A library's message in one line: its beginning and end, without long lists between."""
    text = " ".join(str(error).split()) or repr(error)
    return text if len(text) <= most else f"{text[: most * 3 // 4]} ... {text[-most // 4 :]}"


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(file for file in folder.iterdir() if file.is_file())
    except PermissionError:
        raise _unreadable(folder) from None


def _contents(folder: Path) -> str:
    return _some(file.name for file in _files(folder)) or "no files"


def _head(file: Path) -> bytes:
    try:
        with open(file, "rb") as opened:
            head = opened.read(64)
    except FileNotFoundError:
        problem = f"there is no file {str(file)!r}"
        raise Refusal(problem, "Correct the config, or get the file") from None
    except PermissionError:
        raise _unreadable(file) from None
    if head.startswith(LFS):
        problem = f"{file} is a pointer of Git LFS and not the file itself"
        raise Refusal(problem, "Run `git lfs pull` in its folder, or download the file")
    if not head:
        raise Refusal(f"{file} is empty", "Get the file again")
    return head


def _unreadable(place: Path) -> Refusal:
    return Refusal(f"there is no permission to read {place}", "Let this user read it (chmod)")


def _read_pickled(file: Path) -> object:
    # timm's checkpoints hold their arguments, too.
    with torch.serialization.safe_globals([argparse.Namespace]):
        return torch.load(file, map_location="cpu", weights_only=True)


def _read_parts(index: Path) -> State:
    try:
        places = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
    except (KeyError, TypeError, ValueError) as error:
        problem = f"{index} is not an index of weights ({shortened(error)})"
        raise Refusal(problem, "Get the file again") from error
    state = {}
    for name in sorted(set(places.values())):
        state |= read(index.parent / name)
    if missing := sorted(places.keys() - state.keys()):
        problem = f"the parts of {index} lack {len(missing)} of its tensors ({_some(missing)})"
        raise Refusal(problem, "Get the parts again")
    return state


def _check_prefix(role: str, prefix: str, present: bool, state: State) -> None:
    if not present:
        problem = f"`checkpoint.{role}`: no key starts with {prefix!r}; there are {_some(state)}"
        raise Refusal(problem, "Correct it, or leave it out")


def _at(content: object, key: str, file: Path) -> dict:
    entry = content.get(key) if isinstance(content, dict) else None
    if isinstance(entry, dict):
        return entry
    holds = _some(map(str, content)) if isinstance(content, dict) else type(content).__name__
    problem = f"`checkpoint.key`: {file} has no state dict {key!r}; it holds {holds}"
    raise Refusal(problem, "Correct it, or leave it out")


def _opened(content: object, file: Path) -> State:
    """The state dict in the containers of a checkpoint."""
    entries, trail = content if isinstance(content, dict) else {}, []
    while inner := next((key for key in CONTAINERS if isinstance(entries.get(key), dict)), None):
        trail.append(inner)
        entries = entries[inner]
    if trail:
        print(f"weights: those under {'.'.join(trail)!r} of {file}")
    tensors = {str(key): value for key, value in entries.items() if isinstance(value, Tensor)}
    if not tensors:
        holds = type(content).__name__
        if isinstance(content, dict):
            holds = f"{type(entries).__name__} with the keys {_some(map(str, entries))}"
        problem = f"{file} holds a {holds}, and no tensors by name"
        raise Refusal(problem, "Save the model's state dict, best as .safetensors")
    return tensors


def _prefix(keys: Names, names: Names) -> str:
    """The prefix that `keys` have before the most `names`; "" if these are under half of them."""
    counts = Counter()
    for key in keys:
        parts = key.split(".")
        splits = ((".".join(parts[:at]), ".".join(parts[at:])) for at in range(len(parts)))
        counts.update(prefix for prefix, name in splits if name in names)
    most = max(counts.values(), default=0)
    best = sorted(prefix for prefix, count in counts.items() if count == most)
    if 2 * most < len(names) or "" in best:
        return ""
    if len(best) > 1:
        best = [prefix for prefix in best if _meant(prefix)] or best
    if len(best) > 1:
        problem = f"it holds several networks that fit ({_some(best)})"
        raise Refusal(problem, "Save the one that is meant alone")
    return f"{best[0]}."


def _meant(prefix: str) -> bool:
    parts = set(prefix.split("."))
    return bool(parts & MEANT) and not parts & TWINS


def is_head(key: str) -> bool:
    first = next((part for part in key.split(".") if part not in WRAPPERS), None)
    return first in HEADS


def _some(names, most: int = 3) -> str:
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
