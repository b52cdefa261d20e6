"""Words that programs write where there is no value: R, pandas, spreadsheets, GDC, SAS."""

from collections import Counter
from collections.abc import Collection
from typing import TYPE_CHECKING

from histopair.files import audit, folding

if TYPE_CHECKING:
    import pandas as pd

WORDS = {"", "na", "n/a", "n.a.", "#n/a", "#n/a n/a", "#na", "<na>", "nan", "-nan", "null", "none"}
WORDS |= {"(null)", "1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan", "nil", "-", "--", "---", "'--"}
WORDS |= {".", "?", "[not available]", "[not applicable]", "not available", "not applicable"}
DASHES = {"-", "--", "---"}
OPPOSITE = {"+", "++", "+++", "+/-", "\u00b1"}  # beside these a dash is a value: negative
LONGEST = 4 * max(map(len, WORDS))  # leaves room for invisible characters


def word(text: str) -> bool:
    """Whether a cell with this text has no value; case and outer blanks do not matter."""
    return len(text.strip()) <= LONGEST and folding.plain(text) in WORDS


def without(
    column: "pd.Series", values: Collection[str] = ()
) -> "tuple[pd.Series, dict[str, int]]":
    """The column with such cells as null, and how often each such word occurred, except "".

    `values` are words that mean something in this column, in any case: a class called None. So do
    dashes beside "+".
    """
    counts = Counter(column.dropna().tolist())
    absent = _absent(counts, values)
    words: dict[str, int] = {}
    for text in sorted(absent):
        if looks := folding.tidy(text):
            words[looks] = words.get(looks, 0) + counts[text]
    return column.mask(column.isin(absent), None), words


def without_items(
    lists: "pd.Series", values: Collection[str], file: str
) -> tuple[list[list[str]], list[dict]]:
    """Lists of labels without repeats and such words, and the audit row of those words."""
    absent = _absent({item for items in lists for item in items}, values)
    cleaned = [list(dict.fromkeys(item for item in items if item not in absent)) for items in lists]
    words = sorted(absent - {""})
    if not words:
        return cleaned, []
    count = sum(item in words for items in lists for item in items)
    reason = "a word for a missing value among labels"
    return cleaned, [audit.row("read", "warned", file, reason, audit.listed(words, 3), count=count)]


def _absent(texts: Collection[str], values: Collection[str]) -> set[str]:
    kept = {folding.plain(value) for value in values}
    if not OPPOSITE.isdisjoint(map(folding.plain, texts)):
        kept |= DASHES
    return {text for text in texts if word(text) and folding.plain(text) not in kept}
