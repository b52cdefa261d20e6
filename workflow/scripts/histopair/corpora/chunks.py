"""Chunks of a text that a text tower reads whole, cut at the ends of sentences where possible."""

import math
import re

# Not after the number or letter of an item: "1. Adenoma", "A. Colon".
SENTENCE_END = re.compile(r"(?<=[.;!?])(?<!\b\w\.)\s+(?=[\"(]?[A-Z0-9])")


def cut(text: str, most: int) -> list[str]:
    """Chunks of at most `most` words, of about equal length; joined they are the text's words.

    >>> cut("One two. Three four five. Six.", 4)
    ['One two.', 'Three four five. Six.']
    """
    sentences = [words for words in map(str.split, SENTENCE_END.split(text)) if words]
    if not sentences:
        return []
    pieces = [piece for words in sentences for piece in _even(words, most)]
    target = _even_length(sum(map(len, pieces)), most)
    chunks = [[]]
    for piece in pieces:
        if chunks[-1] and (len(chunks[-1]) + len(piece) > most or len(chunks[-1]) >= target):
            chunks.append([])
        chunks[-1] = chunks[-1] + piece
    return [" ".join(words) for words in chunks]


def _even(words: list[str], most: int) -> list[list[str]]:
    """The words in as few parts of about equal length as `most` allows."""
    length = _even_length(len(words), most)
    return [words[start : start + length] for start in range(0, len(words), length)]


def _even_length(total: int, most: int) -> int:
    return math.ceil(total / math.ceil(total / most))
