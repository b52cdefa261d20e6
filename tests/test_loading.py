"""The garbage collector rests while modules load, and only then."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[1] / "workflow" / "scripts"
START = """
import gc, sys
from histopair.jobs import loading
loading.without_collection()
loading.without_collection()
"""


def said(folder: Path, program: str) -> list[str]:
    """The lines that a program prints, started in a folder of modules of its own."""
    words = [sys.executable, "-c", START + program]
    paths = {"PYTHONPATH": f"{SCRIPTS}:{folder}", "PATH": ""}
    process = subprocess.run(words, env=paths, capture_output=True, text=True, check=True)
    return process.stdout.split()


@pytest.fixture
def modules(tmp_path):
    package = tmp_path / "outer"
    package.mkdir()
    state = "import gc\nprint(__name__, gc.isenabled())\n"
    (package / "__init__.py").write_text(f"{state}from outer import inner\n{state}")
    (package / "inner.py").write_text(state)
    (tmp_path / "broken.py").write_text("import outer\n1 / 0\n")
    return tmp_path


def test_it_rests_until_the_outermost_module_is_loaded(modules):
    lines = said(modules, "import outer\nprint('after', gc.isenabled())")
    assert lines == ["outer", "False", "outer.inner", "False", "outer", "False", "after", "True"]


def test_it_works_again_after_a_module_that_fails(modules):
    program = "try:\n    import broken\nexcept ZeroDivisionError:\n    print(gc.isenabled())"
    assert said(modules, program)[-1] == "True"


def test_who_has_turned_it_off_keeps_it_off(modules):
    assert said(modules, "gc.disable()\nimport outer\nprint(gc.isenabled())")[-1] == "False"
