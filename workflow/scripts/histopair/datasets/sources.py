"""Public data by name: `sources.yaml`, and what must be done before one of them is fetched."""

from functools import cache
from pathlib import Path

import yaml

from histopair.errors import InputError, nearest
from histopair.files import paths

DATA = "data"
RECEIPT = f"{DATA}/{{source}}/{paths.RECEIPT}"
CHECKSUMS = ("sha256", "md5", "git")


@cache
def read() -> dict[str, dict]:
    """The sources by name; the keys of each are explained in the file."""
    return yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))


def find(name: str) -> dict:
    """The source of that name; InputError for an unknown one."""
    if name not in read():
        problem = f"there is no source {name!r}{nearest(name, read())}"
        raise InputError("data", problem, f"Choose {', '.join(read())}")
    return read()[name]


def require_allowed(name: str, accepted: list[str]) -> None:
    """Raise InputError unless a source can be fetched and its licence is accepted.

    The message says where to ask, where to put the files, or what to accept.
    """
    source = find(name)
    if "by_hand" in source:
        problem = f"it cannot be fetched from here (page: {source['page']}; there: {place(name)})"
        raise InputError(name, problem, source["by_hand"])
    if source["licence"].casefold() not in map(str.casefold, accepted):
        problem = f"its licence, {source['licence']}, is not accepted"
        remedy = f"Read it at {source['page']}; if you accept it, run: {command(name)}"
        raise InputError(name, problem, remedy)


def command(name: str) -> str:
    """The command that fetches a source and accepts its licence."""
    return f"snakemake --cores 1 {rule(name)} --config accept={find(name)['licence']}"


def rule(name: str) -> str:
    """The rule that fetches a source."""
    return f"data_{name.replace('-', '_')}"


def place(name: str) -> str:
    """The folder of a source."""
    return f"{DATA}/{name}"


def of_path(path: str) -> str | None:
    """The source that a path of the config belongs to."""
    folder, _, rest = Path(path).as_posix().partition("/")
    name = rest.split("/")[0]
    return name if folder == DATA and name in read() else None


def verified(file: dict) -> bool:
    """Whether a file's source states a checksum."""
    return any(kind in file for kind in CHECKSUMS)


def size(source: dict) -> int | None:
    """The bytes to fetch, at most; None where there is nothing to fetch."""
    return sum(file.get("size", file.get("most")) for file in source.get("files", ())) or None
