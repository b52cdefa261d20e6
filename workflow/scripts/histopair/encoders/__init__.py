"""Image and text towers of the field's libraries behind one shape.

A library is one file here, `encoders/<library>.py`, with `load(entry, weights) -> Encoder` and
KEYS, the keys of a config entry that it reads beside those of ENTRY, if any; the config's
`library:` names it. `entry` is an encoder's config entry with its `name`. A library of text towers
has `counter(entry)` too: how many tokens texts have and how many the tower reads.
"""

import errno
import importlib
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from histopair.encoders import first_pass, plain_attention
from histopair.encoders.weights import Refusal, check_finite, shortened
from histopair.errors import InputError

# What every library's entry may have, and what of it no library reads.
ENTRY = ("name", "library", "model", "backbone", "templates", "train", "description", "licence")
NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EROFS)
# The pad_id of a tower that reads padding. No token has this id, so nothing is cut.
NO_PADDING = -1

COUNTED = 4096  # texts counted at a time


@dataclass
class Encoder:
    """An image tower, a text tower, or both; a tower that is missing is None.

    image: pixels (n, 3, h, w) -> (n, image_dim); preprocess: PIL RGB image -> pixels (3, h, w).
    text: tokens (n, length) -> (n, text_dim); tokenize: list of n strings -> tokens (n, length)
    of at most `context`; count: the same texts -> n numbers of tokens that they have uncut, start
    and end counted. pad_id: what stands behind a text's last token; cut or not, the vector is the
    same. scale: what a CLIP multiplies cosines by. Outputs are raw, not L2-normalised.
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
    """Load an encoder in evaluation mode on the CPU, in float32; its shape alone without `weights`.

    Raises InputError, naming the encoder, when it cannot be loaded, its weights are not all its
    own, or its first pass fails; whatever a library raises is the cause.
    """
    with _loading(entry):
        encoder = _loaded(entry, weights)
        plain_attention.rewrite(encoder)
        for tower in filter(None, (encoder.image, encoder.text)):
            tower.encoder_name = encoder.name  # for messages
        if weights:
            first_pass.check(encoder)
    return encoder


def counter(entry: dict) -> tuple[Callable[[list[str]], list[int]], int]:
    """`count` and `context` of an encoder (see Encoder), by its tokenizer alone.

    Raises InputError as `load` does, and for an encoder without a text tower.
    """
    library = _library(entry)
    if not hasattr(library, "counter"):
        problem = f"{entry['library']} gives it no text tower"
        raise InputError(f"encoder {entry['name']}", problem, "Choose one with a text tower")
    with _loading(entry):
        return library.counter(entry)


def lengths(count: Callable[[list[str]], list[int]], texts: list[str]) -> list[int]:
    """`count` of any number of texts, few at a time: tokenizers keep more than numbers of each."""
    batches = [texts[start : start + COUNTED] for start in range(0, len(texts), COUNTED)]
    return [n for batch in batches for n in count(batch)]


def _library(entry: dict):
    return importlib.import_module(f"histopair.encoders.libraries.{entry['library']}")


@contextmanager
def _loading(entry: dict) -> Iterator[None]:
    """Errors of a library, of whatever type, as one line that names the encoder."""
    where = f"encoder {entry['name']}"
    try:
        yield
    except InputError:
        raise
    except Refusal as refusal:
        said = f"{entry['library']} cannot load {entry['model']!r} ({refusal.problem})"
        raise InputError(where, said, refusal.remedy) from refusal
    except Exception as error:
        said = f"{entry['library']} cannot load {entry['model']!r} ({_reason(error)})"
        raise InputError(where, said, _remedy(error)) from error


def _loaded(entry: dict, weights: bool) -> Encoder:
    library = _library(entry)
    keys = getattr(library, "KEYS", ())
    for key in sorted(set(entry) - {*ENTRY, *keys}):
        problem = f"{entry['library']} does not read the key `{key}`"
        raise Refusal(problem, f"Leave it out; it reads {', '.join(keys) or 'no further ones'}")
    encoder = library.load(entry, weights)
    for tower in (encoder.image, encoder.text):
        if tower is not None:
            tower.float().eval()
            if weights:
                check_finite(tower)
    if not math.isfinite(encoder.scale):
        raise Refusal(f"its logit_scale gives {encoder.scale}", "Get the file anew")
    return encoder


def _reason(error: Exception) -> str:
    """What a library says, with the type where that tells more than the text."""
    plain = type(error) in (OSError, ValueError, RuntimeError, FileNotFoundError)
    return shortened(error) if plain else f"{type(error).__name__}: {shortened(error)}"


def _remedy(error: Exception) -> str:
    if any(getattr(cause, "errno", None) in NOT_ALLOWED for cause in _causes(error)):
        return (
            "Let this user read the files; a cache that cannot be written is moved by HF_HOME "
            "(transformers, open_clip, timm) and TORCH_HOME (timm)"
        )
    return (
        "Check `model` in the config; gated or unreachable weights can be downloaded once "
        "and given as a local folder"
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
