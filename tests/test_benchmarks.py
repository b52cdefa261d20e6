"""`make bench` writes what each script keeps, says what failed, and leaves the page's head."""

import sys

import pytest

from workflow import ROOT

KEEPS = """
import json, os
for name, ratio in (("ours", "2.00"), ("theirs | 1", "1.00")):
    row = {"question": "How fast?", "name": name, "value": "1 s", "ratio": ratio}
    open(os.environ["HISTOPAIR_BENCHMARKS"], "a").write(json.dumps(row) + "\\n")
print("skipped: other (no such package)")
"""


@pytest.fixture
def benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    yield
    for name in ("report", "timing", "others"):
        sys.modules.pop(name, None)


def test_the_report_has_the_rows_of_each_script(benchmarks, tmp_path, monkeypatch):
    import report

    scripts = {"keeps.py": KEEPS, "prints.py": "print('5 runs: 3 s\\n')", "fails.py": "1 / 0"}
    for name, code in scripts.items():
        (tmp_path / name).write_text(code)
    page = tmp_path / "README.md"
    page.write_text(f"# Head\n\n{report.MARK}\n\nold figures\n")
    monkeypatch.setattr(report, "HERE", tmp_path)
    monkeypatch.setattr(report, "README", page)
    monkeypatch.setattr(report, "SCRIPTS", {name: [] for name in scripts})
    monkeypatch.setattr(sys, "argv", ["report.py"])
    assert report.main() == 1
    text = page.read_text()
    assert text.startswith(f"# Head\n\n{report.MARK}\n") and "old figures" not in text
    assert (
        "| `keeps.py` | How fast? | ours | 1 s | 2.00 |\n|  |  | theirs \\| 1 | 1 s | 1.00 |"
        in text
    )
    assert "skipped: other (no such package) | skipped |" in text
    assert "| `prints.py` | prints.py | 5 runs: 3 s |  |  |" in text
    assert "| `fails.py` | fails.py | ZeroDivisionError: division by zero | failed |  |" in text


def test_what_cannot_be_installed_is_skipped_by_name(benchmarks, tmp_path, monkeypatch, capsys):
    import others

    monkeypatch.setattr(others, "FOLDERS", tmp_path)
    monkeypatch.setitem(others.PACKAGES, "usearch", (str(tmp_path / "none.whl"),))
    assert others.started("usearch", "a.npy", "b.npy", "5") == {}
    assert capsys.readouterr().out.startswith("skipped: usearch (")
