"""List the public data that one command fetches, and show one of them.

    histopair data [NAME]

Without a name: each source with its size, licence, how many of its files have checksums, and where
it lies or will lie. With one: the rest, the command that fetches it, and an entry for your config.
"""

import yaml

import commands
from histopair import jobs
from histopair.datasets import sources

HEADING = ("name", "size", "licence", "checksums", "there", "folder")


def main(words: list[str]) -> None:
    parser = commands.parser("data", __doc__)
    parser.add_argument("name", nargs="?", help="one of the sources")
    name = parser.parse_args(words).name
    jobs.say(shown(name.replace("_", "-")) if name else listed())  # as the rule data_NAME spells it


def listed() -> str:
    """A line for each source, in columns."""
    rows = [HEADING, *(row(name, source) for name, source in sources.read().items())]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in rows
    )


def row(name: str, source: dict) -> tuple[str, ...]:
    """The cells of a source; "<" marks a size that is a limit, as its source states none."""
    files = source.get("files", [])
    exact = "" if all("size" in file for file in files) else "<"
    size = f"{exact}{sources.size(source) / 1e9:.1f} GB" if files else "-"
    there = (commands.folder() / sources.RECEIPT.format(source=name)).is_file()
    return name, size, source["licence"], kind(source), "yes" if there else "", sources.place(name)


def kind(source: dict) -> str:
    """Whether files can be verified, or why there are none."""
    if "by_hand" in source:
        return "by hand"
    files = source["files"]
    verified = sum(map(sources.verified, files))
    gate = ", with a token" if any("gate" in file for file in files) else ""
    return ("all" if verified == len(files) else f"{verified} of {len(files)}") + gate


def shown(name: str) -> str:
    """All that is known of one source."""
    source = sources.find(name)
    about = [f"{key}: {source[key]}" for key in ("title", "page", "licence", "citation")]
    how = source.get("by_hand") or sources.command(name)
    example = yaml.safe_dump(source["config"], sort_keys=False, width=100)
    return "\n".join([*about, f"folder: {sources.place(name)}", "", how, "", example.rstrip()])
