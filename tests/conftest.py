"""Make the package importable and keep tests to one thread each."""

import fcntl
import os
import shutil
import sys
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "workflow" / "scripts"))

from histopair.jobs import limit_threads  # noqa: E402
from workflow import copy_to, finish  # noqa: E402

limit_threads(1)
settings.register_profile("untimed", deadline=None)  # a busy machine is no failure
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def small_run(tmp_path_factory) -> Path:
    """The whole workflow as tests/small.yaml has it, run once by the first process that asks."""
    place = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        place = place.parent  # which all processes share
    folder, finished = place / "small" / "histopair", place / "small-is-finished"
    with open(place / "small.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not finished.exists():
            assert not folder.exists(), "the small run failed: another process says why"
            finish(copy_to(folder))
            finished.touch()
    return folder


@pytest.fixture(scope="session")
def finished_run(small_run, tmp_path_factory) -> Path:
    """This process's copy of the finished run; whoever changes it restores it."""
    copy = tmp_path_factory.mktemp("finished") / "histopair"
    return shutil.copytree(small_run, copy, symlinks=True)


# Files that run whole workflows. The first builds the small run; the others that need it come
# last, as they would wait for it if they came any sooner.
SLOW = ("test_reruns", "test_labels_chain", "test_real", "test_bags_chain", "test_bad_runs")
SLOW += ("test_second_read_chain",)
SLOW += ("test_resume", "test_kill", "test_end_to_end", "test_recompute_studies")
SLOW += ("test_recompute_runs", "test_recompute_data", "test_recompute")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that run whole workflows come last: a broken function is told in seconds."""
    items.sort(key=lambda item: SLOW.index(name) if (name := item.path.stem) in SLOW else -1)
