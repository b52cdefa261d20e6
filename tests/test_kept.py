"""What planning keeps between starts is never wrong, and never in the way."""

import json
import os
import subprocess
import sys

import pytest

from histopair.plan import fingerprint as fp
from histopair.plan import kept
from workflow import ROOT

SCRIPTS = ROOT / "workflow" / "scripts"


def start(folder, program):
    """What a fresh process prints that runs a program in a folder."""
    environment = os.environ | {"PYTHONPATH": str(SCRIPTS)}
    command = [sys.executable, "-c", program]
    return subprocess.run(
        command, cwd=folder, env=environment, text=True, capture_output=True, check=True
    ).stdout


ALL = """
from histopair.plan import fingerprint as fp
parsed = []
parse = fp.ast.parse
fp.ast.parse = lambda *text: parsed.append(text) or parse(*text)
print([fp.fingerprint(file.name) for file in sorted(fp.SCRIPTS.glob("*.py"))])
print(len(parsed))
"""


def test_a_second_start_says_the_same_and_parses_nothing(tmp_path):
    (tmp_path / ".snakemake").mkdir()
    first, parsed = start(tmp_path, ALL).splitlines()
    again, parsed_again = start(tmp_path, ALL).splitlines()
    here = [fp.fingerprint(file.name) for file in sorted(SCRIPTS.glob("*.py"))]
    assert first == again == str(here)
    assert int(parsed) > 100 and int(parsed_again) == 0


def test_nothing_is_written_where_snakemake_keeps_nothing(tmp_path):
    start(tmp_path, ALL)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_takes_no_file_stops_nothing(tmp_path):
    (tmp_path / "histopair").write_text("a file in the place of the folder")
    found = kept.Kept(tmp_path)
    found.answer("question", lambda: 1)
    found.write()
    assert (tmp_path / "histopair").is_file()


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[1]", b'{"a": ', b"null"])
def test_a_file_that_cannot_be_read_counts_as_none(tmp_path, content):
    file = tmp_path / "histopair" / "kept.json"
    file.parent.mkdir()
    file.write_bytes(content)
    found = kept.Kept(tmp_path)
    assert found.answer("question", lambda: "found") == "found"
    found.write()
    assert kept.Kept(tmp_path).answer("question", None) == "found"


def test_a_question_is_asked_once_and_other_questions_are_others(tmp_path):
    first = kept.Kept(tmp_path)
    assert first.answer(["a", "b"], lambda: [1]) == first.answer(["a", "b"], None) == [1]
    assert first.answer(["a", "c"], lambda: [2]) == [2]
    first.write()
    second = kept.Kept(tmp_path)
    assert second.answer(["a", "b"], None) == [1]
    assert second.answer(["a", "c"], None) == [2]


def test_answers_of_another_python_do_not_count(tmp_path, monkeypatch):
    first = kept.Kept(tmp_path)
    first.answer("question", lambda: 1)
    first.write()
    monkeypatch.setattr(kept.platform, "python_version", lambda: "2.7")
    assert kept.Kept(tmp_path).answer("question", lambda: 2) == 2


def test_with_too_many_answers_the_old_ones_go(tmp_path, monkeypatch):
    monkeypatch.setattr(kept, "MOST", 3)
    for names in ["ab", "cd"]:
        start = kept.Kept(tmp_path)
        for name in names:
            start.answer(name, lambda: 1)
        start.write()
    assert len(json.loads(start.file.read_text())) == 2
    assert set(os.listdir(start.file.parent)) == {"kept.json"}
    assert kept.Kept(tmp_path).answer("d", None) == 1
