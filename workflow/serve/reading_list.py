"""The samples that `histopair make-queue` put into an order, for readers who go through them."""

from itertools import islice
from pathlib import Path
from typing import NamedTuple

from histopair import images
from histopair.errors import InputError
from histopair.files import answers, sheets
from serve.refusals import Refusal
from serve.uploads import Upload

COLUMNS = ("path", "sha256", "split")


class Sample(NamedTuple):
    """A row of the queue. Labels and predictions are left out: a reader should judge freely.

    Nor does a reader see the path, which often names the label: tiles lie in a folder for each.
    """

    rank: int
    path: str
    sha256: str
    split: str


class ReadingList:
    """A queue's samples by rank; their images lie below `root`."""

    def __init__(self, file: Path, root: Path):
        """Raises InputError for a file that `make-queue` did not write, and without the folder."""
        frame = sheets.read(file, COLUMNS, texts=("path",))
        for name in COLUMNS:
            sheets.require_filled(frame, name, file)
        if not root.is_dir():
            raise InputError(root, "there is no such folder", "Give the dataset's root as --root")
        paths = frame["path"].map(sheets.unguarded)
        rows = map(Sample, range(1, len(frame) + 1), paths, frame["sha256"], frame["split"])
        self.root, self.samples = root, {row.rank: row for row in rows}

    def listed(self, kept: Path) -> list[dict]:
        """Each sample's rank and split, and whether the csv `kept` has an answer to it.

        An answer about a region is none: it amends no label.
        """
        done = answered(kept)
        return [
            {"rank": row.rank, "split": row.split, "done": row.sha256 in done}
            for row in self.samples.values()
        ]

    def paths_of(self, sha256: str) -> set[str]:
        """The paths of the samples with these bytes."""
        return {row.path for row in self.samples.values() if row.sha256 == sha256}

    def take(self, rank: int, pixels: int) -> Upload:
        """The image of a rank. Raises InputError if it is not the one that was queued."""
        if rank not in self.samples:
            raise Refusal(404, "queue", f"it has no rank {rank}", "See /api/queue")
        row = self.samples[rank]
        image = images.load(self.root, row.path, pixels)
        if images.digest(self.root, row.path) != row.sha256:
            problem = "it is another image than when the queue was made"
            raise Refusal(422, row.path, problem, "Make the queue again, or correct --root")
        return Upload(row.sha256, f"Sample {rank}", image, file=Path(row.path).name)


def answered(file: Path) -> set[str]:
    """SHA-256 of the images of which a csv has an answer about all of the image.

    None without the file, or before its first answer. Raises InputError as `answers.read` does.
    """
    if not file.is_file():
        return set()
    with sheets.readable(file), open(file, "rb") as lines:
        if not any(line.strip() for line in islice(lines, 1, None)):
            return set()
    given = answers.read(file)
    return set(given["image"][given["region"].fillna("") == ""])
