"""One thing written in several ways: which spellings mean the same, and which one is kept."""

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from histopair.files import audit

if TYPE_CHECKING:
    import pandas as pd

# Control characters and those without width; `str.split` handles white space.
INVISIBLE = re.compile(
    r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e"
    r"\u2060-\u206f\ufe00-\ufe0f\ufeff]"
)
DASHES = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"))
# Three zeros behind a mark are thousands: 1,000 is not 1.
WHOLE = re.compile(r"(-?)0*([0-9]+)(?:[.,](?!000$)0+)?")


def tidy(text: str) -> str:
    """The text as it looks: no invisible characters, single blanks, Unicode's form NFC."""
    if text.isascii() and text.isprintable() and "  " not in text:
        return text.strip()
    return unicodedata.normalize("NFC", " ".join(INVISIBLE.sub("", text).split()))


def plain(text: str) -> str:
    """Equal for texts that look alike or differ only in case, letter width or kind of dash."""
    if text.isascii():
        return tidy(text).casefold()
    wide = unicodedata.normalize("NFKC", tidy(text)).translate(DASHES)
    return tidy(wide.casefold())


def key(text: str) -> str:
    """Like `plain`, and also equal for 1, 1.0 and 01."""
    text = plain(text)
    number = WHOLE.fullmatch(text)
    return "".join(number.groups()) if number else text


def spellings(counts: Mapping[str, int], fixed: Collection[str] = ()) -> dict[str, str]:
    """One spelling for each text: the `fixed` text of the same key, else the commonest text.

    Fixed texts stay as they are, even if their keys are equal.
    """
    fixed = sorted(set(fixed))
    ambiguous = {same for same, count in Counter(map(key, fixed)).items() if count > 1}
    common = sorted(counts, key=lambda text: (-counts[text], text))
    chosen: dict[str, str] = {}
    for text in [*fixed, *common]:
        chosen.setdefault(key(text), text if text in fixed else tidy(text) or text)
    kept = {text for text in counts if text in fixed or key(text) in ambiguous}
    return {text: text if text in kept else chosen[key(text)] for text in counts}


def united(column: "pd.Series", what: str) -> "tuple[pd.Series, list[dict]]":
    """A column (nulls stay) with one spelling of each thing, and the audit row of the changes."""
    counts = column.value_counts().to_dict()
    changed = {old: new for old, new in sorted(spellings(counts).items()) if old != new}
    if not changed:
        return column, []
    row = audit.row(
        "read",
        "merged",
        what,
        "one thing written in several ways",
        audit.listed(list(changed), 3),
        audit.listed(list(changed.values()), 3),
        sum(counts[old] for old in changed),
    )
    return column.map(lambda text: changed.get(text, text), na_action="ignore"), [row]
