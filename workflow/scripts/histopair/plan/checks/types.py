"""Whether a method's parameter has the type of its default."""

from histopair.plan.mistakes import unknown

LORA_TARGETS = ["all", "no-linear"]


def fits(key: str, value: object, default: object, first: int = 1) -> list[str]:
    """Mistakes in a parameter. Floats may be written as whole numbers.

    Whole numbers count something and start at `first`; floats weigh something and start at 0.
    Adapters may be null, which leaves them out. A map without defaults holds texts.
    """
    if isinstance(default, dict) and "targets" in default and value is None:
        return []
    if default == {} and isinstance(value, dict):
        return [line for name in value for line in fits(f"{key}.{name}", value[name], "text")]
    kinds = (int, float) if isinstance(default, float) else type(default)
    least = first if type(default) is int else 0
    too_small = isinstance(value, (int, float)) and value < least
    truth = isinstance(value, bool) and not isinstance(default, bool)
    if not isinstance(value, kinds) or truth or too_small:
        wanted = type(default).__name__
        return [f"{key}: {value!r} is not allowed; a {wanted} such as {default!r} is"]
    return _parts(key, value, default, first) if isinstance(default, dict) else []


def _parts(key: str, value: dict, default: dict, first: int) -> list[str]:
    mistakes = [
        f"{key}: unknown key {name!r}; allowed are {sorted(default)}"
        for name in sorted(set(value) - set(default), key=str)
    ]
    if "targets" in default:
        mistakes += unknown(f"{key}.targets", value.get("targets", "all"), LORA_TARGETS)
    for name in default:
        mistakes += fits(f"{key}.{name}", value.get(name, default[name]), default[name], first)
    return mistakes
