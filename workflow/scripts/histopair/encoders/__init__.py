"""Image and text towers of the field's libraries in one form.

Each library is a file, `encoders/libraries/<library>.py`, which the config's `library:` names. It
has `load(entry, weights) -> Encoder` and, if it reads keys beyond ENTRY, their names in KEYS.
`entry` is an encoder's config entry with its `name`. A library that reads a hub also has
`repositories(entry, weights)`, what it reads there; one of text towers `counter(entry)`: how many
tokens texts have and how many the tower reads.
"""

import errno
import importlib
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from histopair.encoders import first_pass, hub, plain_attention, repositories
from histopair.encoders.weights import Refusal, check_finite, shortened
from histopair.errors import InputError, causes
from histopair.files.store import checksum, hashed

# Keys that every entry may have. Libraries do not read all of them.
ENTRY = ("name", "library", "model", "preset", "backbone", "templates", "train", "description")
ENTRY += ("licence",)
NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EROFS)
# The pad_id of a tower that reads padding. No token has this id, so nothing is cut.
NO_PADDING = -1
ABOUT = "histopair.json"  # how an encoder was trained here; no library reads it
COUNTED = 4096  # texts counted at a time


@dataclass
class Encoder:
    """An image tower, a text tower, or both; a missing tower is None.

    image: pixels (n, 3, h, w) -> (n, image_dim); preprocess: PIL RGB image -> pixels (3, h, w).
    text: tokens (n, length) -> (n, text_dim); tokenize: list of n strings -> tokens (n, length)
    of at most `context`; count: the same texts -> their n numbers of tokens before cutting, with
    start and end. pad_id: fills the places after a text's last token; the vector is the same
    without them. scale: a CLIP multiplies cosines by it. Outputs are raw, not L2-normalised.
    """

    name: str
    image: object | None = None
    preprocess: Callable | None = None
    image_dim: int = 0
    text: object | None = None
    tokenize: Callable | None = None
    count: Callable[[list[str]], list[int]] | None = None
    context: int = 0
    pad_id: int = NO_PADDING
    text_dim: int = 0
    scale: float = 1.0
    tokenizer: object | None = None  # transformers' own, which can be saved


def load(entry: dict, weights: bool = True) -> Encoder:
    """Load an encoder in evaluation mode on the CPU, in float32.

    Without `weights` only its architecture is built. Raises InputError, naming the encoder, if it
    cannot be loaded, if its weights are not exactly its own, or if its first pass fails; the
    library's error is the cause.
    """
    with _loading(entry), repositories.ready(_repositories(entry, weights)):
        encoder = _loaded(entry, weights)
        if weights:
            first_pass.check(encoder)
    return encoder


def counter(entry: dict) -> tuple[Callable[[list[str]], list[int]], int]:
    """`count` and `context` of an encoder (see Encoder), from its tokenizer alone.

    Raises InputError as `load` does, and for an encoder without a text tower.
    """
    library = _library(entry)
    require(getattr(library, "counter", None), entry, "text")
    with _loading(entry), repositories.ready(_repositories(entry, False)):
        return library.counter(entry)


def fetch(entry: dict) -> list[dict]:
    """Fetch and verify all that an encoder reads elsewhere: see `repositories.fetch`.

    A file of weights by its address has `address` in place of the repository. Raises InputError,
    naming the encoder.
    """
    with _loading(entry):
        records = [repositories.fetch(one) for one in _repositories(entry, True)]
        if (address := entry.get("weights", "")).startswith(hub.WEB):
            records.append(repositories.fetch_address(address, entry.get("sha256")))
        return records


def on_hub(entry: dict) -> Iterator[repositories.Repository]:
    """The repositories of a hub that an encoder reads. Raises InputError, naming the encoder.

    One that a file of an earlier one names is known as soon as that file is in the cache.
    """
    with _loading(entry):
        yield from _repositories(entry, True)


def description(entry: dict) -> str:
    """Hash of the files that describe a loaded encoder: its config, its words, no weights.

    Equal weights give other vectors with other heads, activations or numbers of words.
    """
    named = entry["model"], entry.get("text_model", {}).get("model", "")
    folders = [Path(name.removeprefix("local-dir:")) for name in named if name]
    folders = [folder for folder in folders if folder.is_dir()]
    with _loading(entry), repositories.offline():
        folders += [repositories.cached(one) for one in _repositories(entry, False)]
    return hashed([_describing(folder) for folder in folders])


def _describing(folder: Path) -> list[list[str]]:
    """Name and checksum of the files of a folder that describe a model."""
    files = sorted(file for one in hub.DESCRIBING for file in folder.rglob(one) if file.is_file())
    return [
        [file.relative_to(folder).as_posix(), checksum(file)]
        for file in files
        if file.name != ABOUT
    ]


def require(tower: object, entry: dict, kind: str) -> None:
    """Raise InputError if an encoder has no tower of a kind, "image" or "text"."""
    if tower is None:
        problem = f"{entry['library']} gives it no {kind} tower"
        remedy = f"Choose an encoder with a {kind} tower in the study or method that asked for it"
        raise InputError(f"encoder {entry['name']}", problem, remedy)


def lengths(count: Callable[[list[str]], list[int]], texts: list[str]) -> list[int]:
    """`count` of any number of texts, in batches: tokenizers keep more of a text than its count."""
    batches = [texts[start : start + COUNTED] for start in range(0, len(texts), COUNTED)]
    return [n for batch in batches for n in count(batch)]


def _repositories(entry: dict, weights: bool) -> Iterable[repositories.Repository]:
    of_library = getattr(_library(entry), "repositories", None)
    return of_library(entry, weights) if of_library else []


def _library(entry: dict):
    return importlib.import_module(f"histopair.encoders.libraries.{entry['library']}")


@contextmanager
def _loading(entry: dict) -> Iterator[None]:
    """Turn any error of a library into one line that names the encoder."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        refused = isinstance(error, Refusal)
        reason = error.problem if refused else _reason(error)
        problem = f"{entry['library']} cannot load {entry['model']!r} ({reason})"
        remedy = error.remedy if refused else _remedy(error)
        raise InputError(f"encoder {entry['name']}", problem, remedy) from error


def _loaded(entry: dict, weights: bool) -> Encoder:
    library = _library(entry)
    keys = getattr(library, "KEYS", ())
    for key in sorted(set(entry) - {*ENTRY, *keys}):
        problem = f"{entry['library']} does not read the key `{key}`"
        raise Refusal(problem, f"Leave it out; it reads {', '.join(keys) or 'no further ones'}")
    encoder = library.load(entry, weights)
    for kind in ("image", "text"):
        if (tower := getattr(encoder, kind)) is not None:
            tower.float().eval()
            if weights:
                check_finite(tower)
            tower = plain_attention.rewritten(tower, encoder.name)
            tower.encoder_name = encoder.name  # for messages
            setattr(encoder, kind, tower)
    if not math.isfinite(encoder.scale):
        raise Refusal(f"its logit_scale gives {encoder.scale}", "Get the file again")
    return encoder


def _reason(error: Exception) -> str:
    """The message of a library's error, with the type if that says more than the text."""
    plain = type(error) in (OSError, ValueError, RuntimeError, FileNotFoundError)
    return shortened(error) if plain else f"{type(error).__name__}: {shortened(error)}"


def _remedy(error: Exception) -> str:
    if any(getattr(cause, "errno", None) in NOT_ALLOWED for cause in causes(error)):
        return (
            "Let this user read the files; HF_HOME (transformers, open_clip, timm) and TORCH_HOME "
            "(timm) move a cache that cannot be written"
        )
    return (
        "Check `model` in the config; gated or unreachable weights can be downloaded once "
        "and given as a local folder"
    )
