"""Findings as the terminal shows them."""

import sys

BAR = 24  # characters at a probability of one


def block(result: dict) -> str:
    """One image's findings, for the terminal."""
    rows = [(found["rank"], _name(found), found["probability"]) for found in result["shown"]]
    width = max(len(name) for _, name, _ in rows)
    lines = [
        f"  {rank:>2}  {name:<{width}}  {100 * value:5.1f} %  {_bar(value)}".rstrip()
        for rank, name, value in rows
    ]
    return "\n".join([_plain(result["image"]), *lines, "", ""])


def _name(found: dict) -> str:
    label, name = _plain(found["label"]), _plain(found["name"])
    return label if name == label else f"{name} ({label})"


def _bar(value: float) -> str:
    """A bar in eighths of a character, or in hashes where the terminal has no such letters."""
    eighths = round(value * BAR * 8)
    blocks = "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()
    try:
        blocks.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return "#" * round(value * BAR)
    return blocks


def footer(config: dict) -> str:
    """What made the findings, how sure they are, and what they are not for."""
    if config["calibrated"]:
        value = f"{config['temperature']:.2f}"
        if config.get("temperature_at_bound"):  # older folders do not say
            value += ", the bound of its fit: see README.md"
        sure = f"Probabilities calibrated on validation (temperature {value})"
    else:
        sure = "Probabilities not calibrated (temperature 1)"
    made = "{method} on {dataset}, encoder {encoder}, seed {seed}".format(**config["run"])
    synthetic = " Trained on synthetic images." if config["synthetic"] else ""
    return f"{made}. {sure}.{synthetic}\nResearch use only, not for diagnosis."


def _plain(text: str) -> str:
    """Text from data or file names without what would steer a terminal."""
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text
    )
