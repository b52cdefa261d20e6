"""Mistakes in the config, each in one line: the key, the value, what is allowed."""

import jsonschema

# Keys that configs once had, and what to do with them.
GONE = {
    "chunk_words": "delete it: each retriever cuts reports into chunks that it reads whole, "
    "shorter ones by chunk_tokens",
}


def not_allowed(key: str, value: object, allowed: list) -> str:
    """The line that says which values a key may have."""
    return f"{key}: {value!r} is not allowed; allowed are {sorted(map(str, allowed))}"


def unknown(key: str, value: object, allowed: list | dict) -> list[str]:
    """The line of a value that is not among those allowed; none of one that is."""
    allowed = list(allowed)  # of any value, also of one that has no hash
    return [] if value in allowed else [not_allowed(key, value, allowed)]


def of_schema(error: jsonschema.ValidationError) -> str:
    """The line of what the schema does not allow."""
    key = ".".join(map(str, error.absolute_path)) or "the config"
    if error.validator == "additionalProperties":
        allowed = sorted(error.schema.get("properties", {}))
        extra = sorted(set(error.instance) - set(allowed))
        gone = "".join(f"; {name}: {GONE[name]}" for name in extra if name in GONE)
        return f"{key}: unknown key {', '.join(map(repr, extra))}{gone}; allowed are {allowed}"
    if error.validator == "required":
        return f"{key}: {error.message}"
    if error.validator == "enum":
        return not_allowed(key, error.instance, error.validator_value)
    if error.validator in ("anyOf", "oneOf"):
        return f"{key}: {error.instance!r} fits none of what its description allows: " + (
            error.schema.get("description", "see config/README.md")
        )
    hint = error.schema.get("description", "")
    return f"{key}: {error.message}" + (f" ({hint})" if hint else "")
