"""What no part of the config may be, whatever its key."""

import math
import unicodedata

KINDS = (str, int, float, type(None))
QUOTE = "write it in quotes"
# Of Unicode's categories: control characters and halves of a pair; in names what has no width, too.
NEVER = ("Cc", "Cs")
NEVER_IN_NAMES = (*NEVER, "Cf")


def values(config: dict) -> list[str]:
    """Mistakes of keys that are no texts, and of values that are no YAML of every day."""
    return _below(config, "", []) if isinstance(config, dict) else ["it is no map of keys"]


def _below(part: object, key: str, above: list[object]) -> list[str]:
    if any(part is other for other in above):
        return [f"{key}: it holds itself"]
    if isinstance(part, dict):
        children = [(f"{key}.{name}".lstrip("."), value) for name, value in part.items()]
        found = [line for name in part for line in _name(key or "the config", name)]
    elif isinstance(part, list):
        children, found = [(f"{key}.{place}", value) for place, value in enumerate(part)], []
    else:
        return _value(key, part)
    return found + [
        line for name, value in children for line in _below(value, name, [*above, part])
    ]


def _name(key: str, name: object) -> list[str]:
    """YAML reads yes, no, on and off as booleans, 2024 as a number, 2024-01-01 as a date."""
    if isinstance(name, str):
        return _characters(f"{key}: the key {name!r}", name, NEVER_IN_NAMES)
    said = " (yes, no, on, off, true or false)" if isinstance(name, bool) else ""
    return [f"{key}: the key {name}{said} is a {type(name).__name__} and no text; {QUOTE}"]


def _value(key: str, value: object) -> list[str]:
    if isinstance(value, str):
        return _characters(key, value, NEVER)
    if not isinstance(value, KINDS):
        return [f"{key}: {value} is a {type(value).__name__}; {QUOTE}"]
    if isinstance(value, float) and not math.isfinite(value):
        return [f"{key}: {value} is not allowed; a finite number is"]
    return []


def _characters(key: str, text: str, never: tuple[str, ...]) -> list[str]:
    """Line breaks and tabs may stand in descriptions, and in no name."""
    spaces = "\n\r\t" if never == NEVER else ""
    hidden = [x for x in text if unicodedata.category(x) in never and x not in spaces]
    return [f"{key}: it has the character {hidden[0]!r}, which cannot be shown"] if hidden else []
