"""What every job does around its work: thread limits, a log file, one-line errors, progress.

Import this module before anything that loads numpy, because BLAS reads thread limits at its start.
"""

import importlib.metadata
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from histopair.errors import InputError
from histopair.jobs import gpus, loading

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "ARROW_NUM_THREADS",
)
# Set where a process is one of several that a job has started with its own script: the log, the
# GPUs and the errors are the job's.
PART = "HISTOPAIR_PART_OF"
# What decides pixels, and what decides the vectors that an encoder gives for them.
DECODING = ("pillow", "tifffile", "imagecodecs")
ENCODING = ("torch", "torchvision", "open_clip_torch", "timm", "transformers", "tokenizers")
ENCODING += ("conch", "musk", *DECODING)
VERSIONED = (*ENCODING, "peft", "faiss-cpu", "pyarrow")


@contextmanager
def job(snakemake) -> Iterator[dict]:
    """Run a script's work with its rule's threads, GPUs and log; yield the facts for its artifacts.

    They are a dict of rule, wildcards, params, code fingerprint and versions. An InputError becomes
    one line on stderr and in the log, and exit status 1. The audit of a step that fails is kept
    beside the log, because Snakemake deletes its outputs.
    """
    limit_threads(snakemake.threads)
    loading.without_collection()
    if PART in os.environ:
        yield _about(snakemake)
        return
    log = Path(snakemake.log[0])
    audit = log.with_suffix(".audit.csv")
    audit.unlink(missing_ok=True)
    with _logging_to(log):
        gpus.take(snakemake.resources.get("gpu", 0))
        try:
            yield _about(snakemake)
        except InputError as error:
            if error.audit:
                from histopair.files import sheets, tables

                rows = tables.read(error.audit).map(sheets.guarded)
                tables.write_text(audit, rows.to_csv(index=False))
                error.audit = audit
            print(f"error: {error}", file=sys.stderr, flush=True)
            failed = str(error)
        else:
            return
    # After the log is closed, so that it also reaches the terminal.
    print(f"histopair: {failed}", file=sys.stderr, flush=True)
    sys.exit(1)


def limit_threads(threads: int) -> None:
    """Give torch, OpenMP, BLAS, faiss and arrow `threads` threads in this process.

    Oversubscribed OpenMP threads spin: of two runs on two cores, one fell to a tenth of its speed.
    """
    for name in THREAD_VARIABLES:
        os.environ[name] = str(threads)
    os.environ["OMP_DYNAMIC"] = "FALSE"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
    if "pyarrow" in sys.modules:
        sys.modules["pyarrow"].set_cpu_count(threads)


def say(text: str, end: str = "\n", stream: TextIO | None = None) -> None:
    """Print to a stream, by default stdout; if its reader has gone (`| head`), drop the rest."""
    stream = stream or sys.stdout
    try:
        print(text, end=end, file=stream, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def threads() -> int:
    """The thread count this process was given."""
    return int(os.environ.get("OMP_NUM_THREADS", "1"))


def progress(
    items: Iterable,
    total: int,
    unit: str,
    label: str,
    size: Callable[[Any], int] | None = None,
    every: float = 10.0,
) -> Iterator:
    """Yield `items`, printing count, rate and time left, one line every `every` seconds.

    `size` gives an item's number of units, by default its length if it has one, else 1.
    """
    size = size or (lambda item: len(item) if hasattr(item, "__len__") else 1)
    start = last = time.monotonic()
    done = 0
    for item in items:
        yield item
        done += size(item)
        now = time.monotonic()
        if now - last >= every and done < total:
            last = now
            print(_progress_line(label, done, total, unit, now - start), flush=True)
    print(_progress_line(label, done, total, unit, time.monotonic() - start), flush=True)


def _progress_line(label: str, done: int, total: int, unit: str, seconds: float) -> str:
    rate = done / max(seconds, 1e-9)
    left = f", {(total - done) / rate:.0f} s left" if 0 < done < total else ""
    return f"{label}: {done}/{total} {unit}, {rate:.1f} {unit}/s{left}"


def _about(snakemake) -> dict:
    return {
        "rule": snakemake.rule,
        "wildcards": dict(snakemake.wildcards.items()),
        "params": {key: value for key, value in snakemake.params.items() if key != "code"},
        "code": snakemake.params.get("code"),
        "versions": {"python": platform.python_version(), **versions(VERSIONED)},
    }


def versions(names: Iterable[str]) -> dict[str, str]:
    """Versions of those of some packages that are installed."""
    found = {}
    for name in names:
        # Each environment has only the packages that its rules import.
        with suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


@contextmanager
def _logging_to(path: Path) -> Iterator[None]:
    """Send file descriptors 1 and 2 to the log, and with them the output of C libraries."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush(), sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    with open(path, "w", buffering=1) as log:
        os.dup2(log.fileno(), 1), os.dup2(log.fileno(), 2)
        try:
            yield
        except BaseException:
            import traceback

            traceback.print_exc()
            raise
        finally:
            sys.stdout.flush(), sys.stderr.flush()
            os.dup2(saved[0], 1), os.dup2(saved[1], 2)
            os.close(saved[0]), os.close(saved[1])
