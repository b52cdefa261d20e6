"""Whether a method's parameter has the type of its default."""

from histopair.plan.mistakes import unknown

LORA_TARGETS = ["all", "no-linear"]
LORA_BLOCKS = ("all",)  # beside a number


def fits(
    key: str, value: object, default: object, first: int = 1, words: tuple[str, ...] = ()
) -> list[str]:
    """Mistakes in a parameter. Floats may be written as whole numbers.

    Whole numbers count something and start at `first`; floats weigh something and start at 0.
    Adapters may be null, which leaves them out. A map without defaults holds texts. `words` may
    stand for a number.
    """
    if isinstance(default, dict) and "targets" in default and value is None:
        return []
    if default == {} and isinstance(value, dict):
        return [line for name in value for line in fits(f"{key}.{name}", value[name], "text")]
    if value in words and not isinstance(default, dict):
        return []
    default = first if default in words else default
    if isinstance(default, bool):
        return [] if isinstance(value, bool) else [f"{key}: {value!r} is not true or false"]
    kinds = (int, float) if isinstance(default, float) else type(default)
    least = first if type(default) is int else 0
    too_small = isinstance(value, (int, float)) and value < least
    truth = isinstance(value, bool) and not isinstance(default, bool)
    if not isinstance(value, kinds) or truth or too_small:
        wanted = type(default).__name__
        others = "".join(f", or {word!r}," for word in words)
        return [f"{key}: {value!r} is not allowed; a {wanted} such as {default!r}{others} is"]
    return _parts(key, value, default, first, words) if isinstance(default, dict) else []


def _parts(key: str, value: dict, default: dict, first: int, words: tuple[str, ...]) -> list[str]:
    mistakes = [
        f"{key}: unknown key {name!r}; allowed are {sorted(default)}"
        for name in sorted(set(value) - set(default), key=str)
    ]
    if "targets" in default:
        mistakes += unknown(f"{key}.targets", value.get("targets", "all"), LORA_TARGETS)
    for name in default:
        part = value.get(name, default[name])
        instead = LORA_BLOCKS if name == "blocks" else words
        mistakes += fits(f"{key}.{name}", part, default[name], first, instead)
    return mistakes
