"""Long work shared by jobs: parts make the pieces of a store, and one job joins them.

Each part makes every n-th piece. All of them list the same pieces, so no piece has two makers. Only
the joining job, which starts when all parts have ended, drops pieces.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from histopair.errors import InputError
from histopair.files.store import Store

FOLDER = "results/.parts"  # {what the joining job writes}/{part}-of-{jobs}
Pieces = TypeVar("Pieces", list, range)


@dataclass(frozen=True)
class Share:
    """What a job does of the work for `out`, which `of` jobs share.

    number: which of them it is, from 0; None for the job that joins what they made.
    """

    out: str
    number: int | None = 0
    of: int = 1

    @property
    def alone(self) -> bool:
        return self.of == 1

    @property
    def joins(self) -> bool:
        """Whether the job writes `out`."""
        return self.alone or self.number is None

    def mine(self, pieces: Pieces) -> Pieces:
        """Those of all pieces that this job makes."""
        return pieces[self.number :: self.of] if self.number is not None else pieces[:0]

    def found(self, store: Store, contents: list) -> list[Path]:
        """The pieces that the parts made of `contents`. Raises InputError if any is not there."""
        files = [store.found(content) for content in contents]
        self.require(files.count(None), len(files), "shards")
        return [file for file in files if file is not None]

    def require(self, missing: int, total: int, what: str) -> None:
        """Raise InputError if the joining job misses some of what the parts should have made."""
        if self.alone or not self.joins or not missing:
            return
        problem = f"{missing} of {total} {what} are missing or damaged, but all parts have ended"
        remedy = f"Delete {FOLDER}/{self.out} and run again: its parts make only what is missing"
        raise InputError(self.out, problem, remedy)


def share_of(snakemake) -> Share:
    """The share of a rule's job: a part's by its wildcards, the joining job's by its inputs."""
    out, names = Path(snakemake.output[0]), snakemake.wildcards
    if names.get("part"):
        joined = str(out.parent).removeprefix(f"{FOLDER}/")
        return Share(joined, int(names.part) - 1, int(names.jobs))
    parts = snakemake.input.get("parts", [])
    return Share(str(out), None, len(parts)) if parts else Share(str(out))
