"""Image and text towers of the field's libraries behind one shape.

A library is one file here, `encoders/<library>.py`, with `load(entry, weights) -> Encoder`; the
config's `library:` names it. `entry` is an encoder's config entry with its `name`.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass

from histopair import attention
from histopair.errors import InputError


@dataclass
class Encoder:
    """An image tower, a text tower, or both; a tower that is missing is None.

    image: pixels (n, 3, h, w) -> (n, image_dim); preprocess: PIL RGB image -> pixels (3, h, w).
    text: tokens (n, length) -> (n, text_dim); tokenize: list of n strings -> tokens (n, length)
    with the library's padding; scale: what a CLIP multiplies cosines by. Outputs are raw, not
    L2-normalised.
    """

    name: str
    image: object | None = None
    preprocess: Callable | None = None
    image_dim: int = 0
    text: object | None = None
    tokenize: Callable | None = None
    pad_id: int = 0
    text_dim: int = 0
    scale: float = 1.0
    tokenizer: object | None = None  # transformers' own, which can be saved


def load(entry: dict, weights: bool = True) -> Encoder:
    """Load an encoder in evaluation mode on the CPU, in float32; its shape alone without `weights`.

    Raises InputError, naming the encoder, when its weights or configuration cannot be loaded.
    """
    library = importlib.import_module(f"histopair.encoders.{entry['library']}")
    try:
        encoder = library.load(entry, weights)
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        raise InputError(
            f"encoder {entry['name']}",
            f"{entry['library']} cannot load {entry['model']!r} ({reason})",
            "Check `model` in the config; gated or unreachable weights can be downloaded once "
            "and given as a local folder",
        ) from error
    attention.rewrite(encoder)
    for tower in (encoder.image, encoder.text):
        if tower is not None:
            tower.eval()
            tower.encoder_name = encoder.name  # for messages
    return encoder
