"""Mistakes in the config, one line each: the key, the value, what is allowed."""

import jsonschema

from histopair.errors import nearest

# Keys that configs used to have, and what to do with them.
GONE = {
    "chunk_words": "delete it: each retriever cuts reports into chunks that it reads whole, "
    "or shorter ones by chunk_tokens",
    "mean": "write pixels: {mean: ...}",
    "std": "write pixels: {std: ...}",
}
LONGEST = 160  # characters shown of a value
NAMES = "lower-case letters, digits and hyphens"


def shown(value: object) -> str:
    """A value as a message shows it, cut if it is long."""
    text = repr(value)
    return text if len(text) <= LONGEST else text[:LONGEST] + " …"


def not_allowed(key: str, value: object, allowed: list) -> str:
    """The line that says which values a key may have, and which is most like the one given."""
    line = f"{key}: {shown(value)} is not allowed; allowed are {sorted(map(str, allowed))}"
    return line + nearest(value, allowed)


def unknown(key: str, value: object, allowed: list | dict) -> list[str]:
    """The line of a value that is not allowed; none for one that is."""
    allowed = list(allowed)  # a dict could not look up a value without a hash
    return [] if value in allowed else [not_allowed(key, value, allowed)]


def unread(key: str, entry: dict, by: str, readers: dict[str, tuple[str, ...]]) -> list[str]:
    """The lines of keys that nobody reads. `readers` gives the values of `by` that read each."""
    return [
        f"{key}: {name!r} is read only for {by}: {' and '.join(readers[name])}, and this is "
        f"{shown(entry.get(by))}; leave it out"
        for name in sorted(set(entry) & set(readers))
        if entry.get(by) not in readers[name]
    ]


def of_schema(error: jsonschema.ValidationError) -> str:
    """The line of an error that the schema's validator gives."""
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
        allowed = error.schema.get("description", "see docs/config.md")
        return f"{key}: {shown(error.instance)} is nothing that its description allows: {allowed}"
    if error.validator == "pattern" and "propertyNames" in error.absolute_schema_path:
        return f"{key}: the name {error.instance!r} is not allowed; {NAMES} are"
    if error.validator == "type":
        error.message = f"{shown(error.instance)} is not of type {error.validator_value!r}"
        error.message += _as_number(error)
    hint = error.schema.get("description", "").split(". ")[0]  # the first sentence says what it is
    return f"{key}: {error.message}" + (f" ({hint})" if hint else "")


def _as_number(error: jsonschema.ValidationError) -> str:
    """How to write a number that YAML takes for a text, as it does 1e-4; "" for anything else."""
    if error.validator_value != "number" or not isinstance(error.instance, str):
        return ""
    try:
        mantissa, power = error.instance.lower().split("e")
        point = "" if "." in mantissa else ".0"
        float(mantissa)  # anything else is no number
        return f"; YAML takes it for a text: write {mantissa}{point}e{int(power):+d}"
    except ValueError:
        return ""
