"""Chunks of a text that a text tower reads whole, cut at the ends of sentences where possible."""

import math
import re
import unicodedata
from collections.abc import Callable, Iterator

from histopair.corpora.report_text import UNSPACED

# Where a text may be cut, the best places first: after sentences, after clauses, between words; not
# after the number or letter of an item: "1. Adenoma", "A. Colon".
BORDERS = (
    re.compile(
        r"(?<=[.;!?])(?<!\b\w\.)\s+(?=[\"(]?[A-Z0-9])"
        rf"|(?<=[。！？；])|(?<=[{UNSPACED}][.;!?])"
    ),
    re.compile(rf"(?<=[,:)])\s+|\s+(?=\()|(?<=[，、：])|(?<=[{UNSPACED}][,:)])"),
    re.compile(r"\s+"),
)
STOPS = ".;!?。！？；,:)，、："
Size = Callable[[str], int]


def cut(text: str, most: int, size: Size) -> list[str]:
    """Chunks of at most size `most` and about equal size; joined they are the text's words.

    `size` gives the size of a part of the text, about the sum over its own parts. A single
    character may be larger than `most`.

    >>> cut("One two. Three four five. Six.", 4, lambda part: len(part.split()))
    ['One two.', 'Three four five. Six.']
    """
    return [piece.strip() for piece in _pieces(text, most, size, BORDERS)]


def halves(word: str) -> tuple[str, str]:
    """A word of several characters cut in the middle, never before an accent."""
    middle = len(word) // 2
    while middle > 1 and unicodedata.category(word[middle]).startswith("M"):
        middle -= 1
    return word[:middle], word[middle:]


def torn(text: str, cut: list[str]) -> list[str]:
    """The words of a text that its chunks cut inside, each once."""
    words, end = {}, 0
    for chunk in cut:
        start = text.index(chunk, end)
        if 0 < start == end and text[start - 1] not in STOPS:
            before, after = text[:start].split()[-1], text[start:].split()[0]
            words[start - len(before)] = before + after
        end = start + len(chunk)
    return list(words.values())


def _pieces(text: str, most: int, size: Size, borders: tuple[re.Pattern, ...]) -> list[str]:
    if not borders:
        return _inside(text, most, size)
    pieces = []
    for part in _parts(text, borders[0]):
        fits = size(part) <= most
        pieces += [part] if fits else _pieces(part, most, size, borders[1:])
    return _packed(pieces, most, size)


def _parts(text: str, border: re.Pattern) -> Iterator[str]:
    """The text's parts with the blanks after them: joined they are the text."""
    ends = [*(match.end() for match in border.finditer(text)), len(text)]
    parts = (text[start:end] for start, end in zip([0, *ends], ends, strict=False))
    return (part for part in parts if part.strip())


def _inside(word: str, most: int, size: Size) -> list[str]:
    """The parts of a word that is too large by itself."""
    if size(word) <= most or len(word.strip()) < 2:
        return [word]
    return [part for half in halves(word) for part in _inside(half, most, size)]


def _packed(pieces: list[str], most: int, size: Size) -> list[str]:
    """Neighbours joined into as few pieces of about equal size as `most` allows."""
    sizes = [size(piece) for piece in pieces]
    total = sum(sizes)
    target = math.ceil(total / math.ceil(total / most)) if total else 1
    packed, filled = [], target
    for piece, length in zip(pieces, sizes, strict=True):
        if filled >= target or filled + length > most:
            packed.append("")
            filled = 0
        packed[-1] += piece
        filled += length
    return packed
