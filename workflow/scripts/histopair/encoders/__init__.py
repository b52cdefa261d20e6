"""Image and text towers of the field's libraries behind one shape.

A library is one file here, `encoders/<library>.py`, with `load(entry, weights) -> Encoder`; the
config's `library:` names it. `entry` is an encoder's config entry with its `name`. A library of
text towers has `counter(entry)` too: how many tokens texts have and how many the tower reads.
"""

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from histopair import attention
from histopair.errors import InputError

COUNTED = 4096  # texts counted at a time


@dataclass
class Encoder:
    """An image tower, a text tower, or both; a tower that is missing is None.

    image: pixels (n, 3, h, w) -> (n, image_dim); preprocess: PIL RGB image -> pixels (3, h, w).
    text: tokens (n, length) -> (n, text_dim); tokenize: list of n strings -> tokens (n, length)
    with the library's padding, cut to `context`; count: the same texts -> n numbers of tokens that
    they have uncut, start and end counted; scale: what a CLIP multiplies cosines by. Outputs are
    raw, not L2-normalised.
    """

    name: str
    image: object | None = None
    preprocess: Callable | None = None
    image_dim: int = 0
    text: object | None = None
    tokenize: Callable | None = None
    count: Callable[[list[str]], list[int]] | None = None
    context: int = 0
    pad_id: int = 0
    text_dim: int = 0
    scale: float = 1.0
    tokenizer: object | None = None  # transformers' own, which can be saved


def load(entry: dict, weights: bool = True) -> Encoder:
    """Load an encoder in evaluation mode on the CPU, in float32; its shape alone without `weights`.

    Raises InputError, naming the encoder, when its weights or configuration cannot be loaded.
    """
    with _loading(entry):
        encoder = _library(entry).load(entry, weights)
    attention.rewrite(encoder)
    for tower in (encoder.image, encoder.text):
        if tower is not None:
            tower.eval()
            tower.encoder_name = encoder.name  # for messages
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
    return importlib.import_module(f"histopair.encoders.{entry['library']}")


@contextmanager
def _loading(entry: dict) -> Iterator[None]:
    """Errors of a library as one line that names the encoder."""
    try:
        yield
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        raise InputError(
            f"encoder {entry['name']}",
            f"{entry['library']} cannot load {entry['model']!r} ({reason})",
            "Check `model` in the config; gated or unreachable weights can be downloaded once "
            "and given as a local folder",
        ) from error
