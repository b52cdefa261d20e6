"""Which of several licences asks the most."""

import re

# From the strictest kind of terms to the mildest: words in the names of licences.
STRICTNESS = (
    {"unknown"},
    {"ncnd"},
    {"nc", "noncommercial", "non-commercial", "academic", "research"},
    {"nd"},
    {"sa", "gpl", "agpl", "lgpl"},
)


def strictest(licences: list[str]) -> str:
    """The licence with the strictest terms, the first of equals; an unknown one grants nothing."""
    return min(licences, key=strictness)


def strictness(licence: str) -> int:
    """0 for unknown terms, then no commerce nor derivatives, no commerce ... up to permissive."""
    name = licence.casefold().replace("_", "-")
    words = set(re.split(r"[^a-z]+", name)) | set(name.split())
    if "nc" in words and "nd" in words:
        words.add("ncnd")
    found = (rank for rank, marks in enumerate(STRICTNESS) if marks & words)
    return next(found, len(STRICTNESS))
