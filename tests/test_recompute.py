"""The standing check of other code agrees with a finished run, and stops where there is none."""

import ast
from pathlib import Path

import pytest

from commands import audit

ROOT = Path(__file__).parents[1]


def test_nothing_of_histopair_is_used_to_check_it():
    for file in [*(ROOT / "workflow/recompute").glob("*.py"), ROOT / "workflow/commands/audit.py"]:
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in getattr(node, "names", ())]
            names.append(getattr(node, "module", None) or "")
            assert not {name.split(".")[0] for name in names} & {"histopair", "torch"}, file


def test_a_finished_run_agrees_with_what_is_recomputed(finished_run, capsys):
    assert audit.main([str(finished_run / "results")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "All agree."
    idle = {line.removesuffix(" nothing to check").strip() for line in lines if "nothing" in line}
    assert idle <= {
        "adapters in exports, by the formula",
        "survival by fold",
        "risk groups",
        "curves over labels",
        "gates of synthetic worlds",
    }
    assert sum(" checked" in line for line in lines) >= 26
    assert not [line for line in lines if "left out" in line]


@pytest.mark.parametrize("name", ["", "absent"])
def test_an_empty_folder_is_one_line_and_no_silent_pass(tmp_path, capsys, name):
    assert audit.main([str(tmp_path / name)]) == 1
    text = capsys.readouterr().out
    assert text.count("\n") == 1
    assert "there is nothing to check" in text
