"""Which words of a note a finding comes from: each is left out once.

This is the occlusion of Zeiler and Fergus (ECCV 2014), with words for squares.
"""

import re

import numpy as np

from histopair.errors import InputError
from histopair.export.read import Exported

WORD = re.compile(r"\w+(?:[-'\N{RIGHT SINGLE QUOTATION MARK}]\w+)*")
AT_ONCE = 64  # notes
MOST = 512  # words of a note; those after them count as unread


def of(
    exported: Exported, pixels: np.ndarray | None, note: str
) -> tuple[list[tuple[int, int]], np.ndarray]:
    """Start and end of each word in the note, and what it adds to each finding, (words, C).

    That is the finding's probability with the note less that without the word: positive for words
    that speak for it. pixels (3, h, w), or None for a model of notes alone. Raises InputError for a
    model that reads no note.
    """
    if "text" not in exported.reads:
        raise InputError("words", "this model reads no note", "Ask where in the image it looked")
    places = [match.span() for match in WORD.finditer(note)][:MOST]
    notes = [note, *(without(note, *place) for place in places)]
    values = exported.probabilities_of(_logits(exported.predictor, pixels, notes))
    return places, values[0] - values[1:]


def without(note: str, start: int, end: int) -> str:
    """The note without one of its words, and without the blank that it leaves."""
    return f"{note[:start].rstrip()} {note[end:].lstrip()}".strip()


def _logits(model, pixels: np.ndarray | None, notes: list[str]) -> np.ndarray:
    """The logits (n, C) of one image with n notes; its features are computed once."""
    import torch

    from histopair.export.answer import plain, tokens_of

    with torch.inference_mode():
        image = None if pixels is None else torch.from_numpy(pixels)[None]
        features = model.image(image) if image is not None and plain(model) else None
        parts = []
        for start in range(0, len(notes), AT_ONCE):
            tokens = tokens_of(model, notes[start : start + AT_ONCE])
            if not plain(model):
                parts.append(model(image.expand(len(tokens), -1, -1, -1), tokens))
                continue
            text = model.text(tokens)
            first = [] if features is None else [features.expand(len(tokens), -1)]
            parts.append(model.of_features([*first, text]))
        return torch.cat(parts).numpy()
