"""Values that are not allowed anywhere in the config, whatever the key."""

import math
import unicodedata

KINDS = (str, int, float, type(None))
QUOTE = "write it in quotes"
# Unicode categories: control characters and halves of a pair; in names also those without width.
NEVER = ("Cc", "Cs")
NEVER_IN_NAMES = (*NEVER, "Cf")


def values(config: dict) -> list[str]:
    """Keys that are not text, and values that ordinary YAML does not have."""
    return _below(config, "", []) if isinstance(config, dict) else ["it is not a map of keys"]


def _below(part: object, key: str, above: list[object]) -> list[str]:
    if any(part is other for other in above):
        return [f"{key}: it contains itself"]
    if isinstance(part, dict):
        children = [(f"{key}.{name}".lstrip("."), value) for name, value in part.items()]
        mistakes = [line for name in part for line in _name(key or "the config", name)]
    elif isinstance(part, list):
        children, mistakes = [(f"{key}.{place}", value) for place, value in enumerate(part)], []
    else:
        return _value(key, part)
    for name, value in children:
        mistakes += _below(value, name, [*above, part])
    return mistakes


def _name(key: str, name: object) -> list[str]:
    """YAML reads yes, no, on and off as booleans, 2024 as a number, 2024-01-01 as a date."""
    if isinstance(name, str):
        return _characters(f"{key}: the key {name!r}", name, NEVER_IN_NAMES)
    words = " (yes, no, on, off, true or false)" if isinstance(name, bool) else ""
    return [f"{key}: the key {name}{words} is a {type(name).__name__}, not text; {QUOTE}"]


def _value(key: str, value: object) -> list[str]:
    if isinstance(value, str):
        return _characters(key, value, NEVER)
    if not isinstance(value, KINDS):
        return [f"{key}: {value} is a {type(value).__name__}; {QUOTE}"]
    if isinstance(value, float) and not math.isfinite(value):
        return [f"{key}: {value} is not allowed; a finite number is"]
    return []


def _characters(key: str, text: str, never: tuple[str, ...]) -> list[str]:
    """Line breaks and tabs are allowed in descriptions, not in names."""
    spaces = "\n\r\t" if never == NEVER else ""
    hidden = [x for x in text if unicodedata.category(x) in never and x not in spaces]
    return [f"{key}: it has the character {hidden[0]!r}, which cannot be shown"] if hidden else []
