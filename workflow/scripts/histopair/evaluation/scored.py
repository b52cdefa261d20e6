"""The metrics.json of all seeds of a method, and the file that says that they are whole.

One job scores all seeds, because Snakemake's plan takes a millisecond for each job. Snakemake sees
only that job's file, which holds a hash of each metrics.json, and who reads them checks these.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from histopair.errors import InputError
from histopair.files import store, tables


def metrics_of(predictions: str | Path) -> Path:
    """The metrics.json beside a run's predictions."""
    return Path(predictions).with_name("metrics.json")


def seed_of(file: str | Path) -> str:
    """The seed of the run that a file belongs to."""
    return Path(file).parent.name


@contextmanager
def writing(predictions: str | Path, study: str) -> Iterator[Path]:
    """Yield a path that becomes a run's metrics.json: another study may write it meanwhile."""
    file = metrics_of(predictions)
    own = file.with_name(f"metrics.{study}.json")
    yield own
    own.replace(file)


def about_run(about: dict, predictions: str | Path) -> dict:
    """A job's facts for one of its runs: the same for all studies that score it."""
    names = {name: value for name, value in about["wildcards"].items() if name != "study"}
    return about | {"wildcards": names | {"seed": seed_of(predictions)}}


def write(output: str | Path, predictions: Iterable[str]) -> None:
    """Write the hash of the metrics.json of each of some runs, by its path."""
    files = map(metrics_of, predictions)
    tables.write_json(output, {file.as_posix(): _hash(file) for file in files})


def files(output: str | Path) -> dict[str, str]:
    """The metrics.json that such a file names, by the run's seed."""
    return {seed_of(file): file for file in _hashes(output)}


def check(outputs: Iterable[str | Path]) -> None:
    """Raise InputError for a metrics.json, or an output, that is not as the job wrote it."""
    for output in outputs:
        for file, expected in _hashes(output).items():
            if _hash_if_whole(Path(file)) != expected:
                problem = "it is not as it was when its run was scored"
                raise InputError(file, problem, f"Delete {output} and start again")


def _hashes(output: str | Path) -> dict[str, str]:
    try:
        return dict(tables.read_json(output))
    except (ValueError, TypeError):
        problem = "it does not say which metrics a job wrote"
        raise InputError(output, problem, "Delete it and start again") from None


def _hash_if_whole(file: Path) -> str | None:
    """None for a file that is gone, or cut off, or holds something else."""
    try:
        return _hash(file)
    except (OSError, ValueError, TypeError, LookupError):
        return None


def _hash(file: Path) -> str:
    """Of all that it says, but for how it was made: two studies may score a run years apart."""
    content = tables.read_json(file)
    return store.hashed({key: content[key] for key in content if key != "about"})
