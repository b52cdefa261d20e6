"""The page of a survival study: what it shows, that it escapes, and that it repeats."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot
from test_survival_evaluation import CLAIM, cohort, runs

from histopair.files import audit, tables
from histopair.report import survival_figures
from histopair.report.survival_page import write_study

STUDY = {"title": "Does <text> help?", "reference": "bad", "methods": ["bad", "good"]}
STUDY |= {"claims": [CLAIM | {"claim": "Text <b>helps</b>", "paper": "0.609 to 0.661"}]}
COHORT = {"name": "c", "corpus": "breast", "description": "Five & six.", "licence": "CC0"}
COHORT |= {"retriever": "clip", "synthetic": True, "time_unit": "months"}
FILES = ("csv", "folds", "claims", "svg", "curves", "html")


def page(folder, truth=True, paper=True):
    made, known = runs(folder, {"bad": 20.0, "good": 0.1})
    people = cohort(80)[["patient", "time", "event"]]
    slides = [[name] for name in people["patient"]]
    people = people.assign(fold=np.arange(80) % 2, slides=slides, patches=3)
    tables.write(folder / "people.parquet", people, {})
    note = audit.row("clean", "dropped", "x<i>.csv", "no slide: <a>")
    tables.write(folder / "audit.parquet", audit.table([note]), {})
    (folder / "paper.csv").write_text("method,metric,value,note\ngood,c_index,0.661,\n")
    evidence = {"patients": folder / "people.parquet", "audit": folder / "audit.parquet"}
    evidence |= {"truth": known if truth else None, "pairs": None}
    evidence |= {"published": str(folder / "paper.csv") if paper else None}
    output = SimpleNamespace(**{name: folder / f"out.{name}" for name in FILES})
    study = STUDY if paper else STUDY | {"claims": [CLAIM]}
    write_study(made, "s", study, COHORT, evidence, output)
    return output


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    return page(tmp_path_factory.mktemp("page"))


def test_the_page_holds_scores_verdict_curves_and_truth(shown):
    html = shown.html.read_text()
    for words in ("0.609 to 0.661", "holds", "0.661", "true hazard", "Log-rank", "phantom"):
        assert words in html
    assert html.count("<svg") == 3


def test_text_from_data_is_escaped(shown):
    html = shown.html.read_text()
    assert "Does &lt;text&gt; help?" in html
    assert "<b>helps" not in html and "<text>" not in html and "<a>" not in html


def test_without_a_truth_there_is_neither_ceiling_nor_scatter(tmp_path):
    html = page(tmp_path, truth=False).html.read_text()
    assert "true hazard" not in html and "Against the truth" not in html


def test_without_published_figures_no_paper_is_spoken_of(shown, tmp_path):
    assert shown.html.read_text().count(">Paper</th>") == 3
    html = page(tmp_path, paper=False).html.read_text()
    assert "holds" in html and "paper" not in html.split("</style>")[1].casefold()


@pytest.mark.parametrize("count", [1, 2, 4])
def test_the_unit_stands_below_the_panels_that_are_shown(monkeypatch, count):
    monkeypatch.setattr(survival_figures.figures, "svg", lambda figure: figure)
    people = cohort(80).assign(high=lambda table: table["log_hazard"] > 0)
    methods = [f"m{i}" for i in range(count)]
    table = pd.concat([people.assign(method=name) for name in methods])
    figure = survival_figures.curves(table, dict.fromkeys(methods, 0.5), "months")
    figure.draw_without_rendering()
    shown = [panel.get_position() for panel in figure.axes if panel.get_visible()]
    left, right = min(p.x0 for p in shown), max(p.x1 for p in shown)
    pyplot.close(figure)
    assert len(shown) == count and 0.35 < (0.5 - left) / (right - left) < 0.65


def test_the_page_repeats_bit_for_bit(shown, tmp_path):
    again = page(tmp_path)
    for name in FILES:
        assert getattr(shown, name).read_bytes() == getattr(again, name).read_bytes()
