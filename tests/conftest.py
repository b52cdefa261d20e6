"""Make the package importable and keep tests to one thread each."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "workflow" / "scripts"))

from histopair.jobs import limit_threads  # noqa: E402
from workflow import finish  # noqa: E402

limit_threads(1)


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory) -> Path:
    """The whole workflow as tests/small.yaml has it, run once; whoever changes it restores it."""
    return finish(tmp_path_factory.mktemp("small") / "histopair")


SLOW = ("test_bad_runs", "test_end_to_end", "test_kill", "test_real", "test_reruns", "test_resume")
SLOW += ("test_survival_chain",)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that run whole workflows come last: a broken function is told in seconds."""
    items.sort(key=lambda item: SLOW.index(name) if (name := item.path.stem) in SLOW else -1)
