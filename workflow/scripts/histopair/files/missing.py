"""Words that programs write where there is no value: R, pandas, spreadsheets, GDC, SAS."""

from collections import Counter
from collections.abc import Collection
from typing import TYPE_CHECKING

from histopair.files import folding

if TYPE_CHECKING:
    import pandas as pd

WORDS = {"", "na", "n/a", "n.a.", "#n/a", "#n/a n/a", "#na", "<na>", "nan", "-nan", "null", "none"}
WORDS |= {"(null)", "1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan", "nil", "-", "--", "---", "'--"}
WORDS |= {".", "?", "[not available]", "[not applicable]", "not available", "not applicable"}
LONGEST = 4 * max(map(len, WORDS))  # with characters that are not seen


def word(text: str) -> bool:
    """Whether a cell with this text has no value; case and outer blanks do not matter."""
    return len(text.strip()) <= LONGEST and folding.plain(text) in WORDS


def without(
    column: "pd.Series", values: Collection[str] = ()
) -> "tuple[pd.Series, dict[str, int]]":
    """The column with such cells as null, and how often each such word occurred, except "".

    `values` are words that mean something in this column, in any case: a class called None.
    """
    kept = {folding.plain(value) for value in values}
    counts = Counter(column.dropna().tolist())
    absent = {text for text in counts if word(text) and folding.plain(text) not in kept}
    told: dict[str, int] = {}
    for text in sorted(absent):
        if looks := folding.tidy(text):
            told[looks] = told.get(looks, 0) + counts[text]
    return column.mask(column.isin(absent), None), told


def without_items(
    lists: "pd.Series", values: Collection[str], file: str
) -> tuple[list[list[str]], list[dict]]:
    """Lists of labels without repeats and such words, and the audit row of those words."""
    from histopair.files import audit

    kept = {folding.plain(value) for value in values}
    items = {item for names in lists for item in names}
    absent = {item for item in items if word(item) and folding.plain(item) not in kept}
    told = sorted(item for item in absent if item)
    found = [list(dict.fromkeys(item for item in names if item not in absent)) for names in lists]
    if not told:
        return found, []
    count = sum(item in absent and item != "" for names in lists for item in names)
    reason = "a word for a missing value among labels"
    return found, [audit.row("read", "warned", file, reason, audit.listed(told, 3), count=count)]
