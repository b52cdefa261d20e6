"""Which of several licences is the strictest, judged by their names."""

import re

# Words in the names of licences, from the strictest kind of terms to the mildest.
RESTRICTIVE = (
    {"ncnd"},
    {"nc", "noncommercial", "academic", "research"},
    {"nd"},
    {"sa", "gpl", "agpl", "lgpl", "mpl", "odbl"},
)
# Whole names: "MIT (metadata); images by their owners' terms" is not MIT.
PERMISSIVE = re.compile(
    r"(mit|isc|0bsd|unlicense|public-domain|cc0|apache|bsd|bsd-[23]-clause|cc-by|odc-by|pddl)"
    r"(-v?\d(\.\d)?)?"
)
UNKNOWN = 0


def strictest(licences: list[str]) -> str:
    """The licence with the strictest terms, the first of equals; an unknown one is strictest."""
    return min(licences, key=strictness)


def strictness(licence: str) -> int:
    """UNKNOWN for an unknown name, then from 1, neither commerce nor derivatives, to permissive.

    A name that contains a word such as "nc" or "GPL" is of that kind, whatever else it says.
    """
    name = re.sub(r"[\s_]+", "-", licence.strip().casefold())
    words = set(re.split(r"[^a-z]+", name.replace("non-commercial", "noncommercial")))
    if "nc" in words and "nd" in words:
        words.add("ncnd")
    for rank, marks in enumerate(RESTRICTIVE, UNKNOWN + 1):
        if marks & words:
            return rank
    name = re.sub(r"-licen[cs]e$", "", name)
    return len(RESTRICTIVE) + 1 if PERMISSIVE.fullmatch(name) else UNKNOWN


def known(licence: str) -> bool:
    """Whether the terms behind this name are known here."""
    return strictness(licence) != UNKNOWN
