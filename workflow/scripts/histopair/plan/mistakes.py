"""Mistakes in the config, each in one line: the key, the value, what is allowed."""

import jsonschema

from histopair.errors import nearest

# Keys that configs once had, and what to do with them.
GONE = {
    "chunk_words": "delete it: each retriever cuts reports into chunks that it reads whole, "
    "shorter ones by chunk_tokens",
}
LONGEST = 160  # characters shown of a value
NAMES = "lower-case letters, digits and hyphens"


def shown(value: object) -> str:
    """A value as a message shows it, cut where it is long."""
    text = repr(value)
    return text if len(text) <= LONGEST else text[:LONGEST] + " …"


def not_allowed(key: str, value: object, allowed: list) -> str:
    """The line that says which values a key may have, and which of them is most like its own."""
    line = f"{key}: {shown(value)} is not allowed; allowed are {sorted(map(str, allowed))}"
    return line + nearest(value, allowed)


def unknown(key: str, value: object, allowed: list | dict) -> list[str]:
    """The line of a value that is not among those allowed; none of one that is."""
    allowed = list(allowed)  # of any value, also of one that has no hash
    return [] if value in allowed else [not_allowed(key, value, allowed)]


def unread(key: str, entry: dict, by: str, readers: dict[str, tuple[str, ...]]) -> list[str]:
    """The lines of keys that nobody reads: `readers` says for which values of `by` each is read."""
    return [
        f"{key}: {name!r} is read for {by}: {' and '.join(readers[name])} alone, and this is "
        f"{shown(entry.get(by))}; leave it out"
        for name in sorted(set(entry) & set(readers))
        if entry.get(by) not in readers[name]
    ]


def of_schema(error: jsonschema.ValidationError) -> str:
    """The line of what the schema does not allow."""
    key = ".".join(map(str, error.absolute_path)) or "the config"
    if error.validator == "additionalProperties":
        allowed = sorted(error.schema.get("properties", {}))
        extra = sorted(set(error.instance) - set(allowed))
        gone = "".join(f"; {name}: {GONE[name]}" for name in extra if name in GONE)
        alike = "".join(nearest(name, allowed) for name in extra[:1] if name not in GONE)
        return (
            f"{key}: unknown key {', '.join(map(repr, extra))}{gone}; allowed are {allowed}{alike}"
        )
    if error.validator == "required":
        return f"{key}: {error.message}"
    if error.validator == "enum":
        return not_allowed(key, error.instance, error.validator_value)
    if error.validator in ("anyOf", "oneOf"):
        return f"{key}: {shown(error.instance)} fits none of what its description allows: " + (
            error.schema.get("description", "see docs/config.md")
        )
    if error.validator == "pattern" and "propertyNames" in error.absolute_schema_path:
        return f"{key}: the name {error.instance!r} is not allowed; {NAMES} are"
    if error.validator == "type":
        error.message = f"{shown(error.instance)} is not of type {error.validator_value!r}"
    hint = error.schema.get("description", "").split(". ")[0]  # the first sentence says what it is
    return f"{key}: {error.message}" + (f" ({hint})" if hint else "")
