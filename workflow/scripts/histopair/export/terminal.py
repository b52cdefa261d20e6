"""Findings as the terminal shows them."""

import sys

from histopair.export.findings import USE

BAR = 24  # characters at a probability of one


def block(result: dict) -> str:
    """One image's findings, for the terminal."""
    rows = [(one["rank"], _name(one), one["probability"]) for one in result["shown"]]
    width = max(len(name) for _, name, _ in rows)
    lines = [
        f"  {rank:>2}  {name:<{width}}  {100 * value:5.1f} %  {_bar(value)}".rstrip()
        for rank, name, value in rows
    ]
    return _shown("\n".join([plain(result["image"]), *lines, "", ""]))


def _name(finding: dict) -> str:
    label, name = plain(finding["label"]), plain(finding["name"])
    return label if name == label else f"{name} ({label})"


def _bar(value: float) -> str:
    """A bar in eighths of a character, or in hashes if the terminal has no such characters."""
    eighths = round(value * BAR * 8)
    blocks = "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()
    try:
        blocks.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return "#" * round(value * BAR)
    return blocks


def footer(config: dict) -> str:
    """The model behind the findings, how sure they are, and what they are not for."""
    if config["calibrated"]:
        value = f"{config['temperature']:.2f}"
        if config.get("temperature_at_bound"):  # older folders lack the key
            value += ", the bound of its fit: see README.md"
        sure = f"Probabilities calibrated on validation (temperature {value})"
    else:
        sure = "Probabilities not calibrated (temperature 1)"
    model = "{method} on {dataset}, encoder {encoder}, seed {seed}".format(**config["run"])
    synthetic = " Trained on synthetic images." if config["synthetic"] else ""
    return _shown(f"{model}. {sure}.{synthetic}\n{USE}")


def _shown(text: str) -> str:
    """Text with question marks for characters that the terminal does not have."""
    encoding = sys.stdout.encoding or "ascii"
    return text.encode(encoding, "replace").decode(encoding)


def plain(text: str) -> str:
    """Text from data or file names without characters that control a terminal."""
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text
    )
