"""The page of a study of survival: what it shows, that it escapes, and that it repeats."""

from types import SimpleNamespace

import pandas as pd
import pytest
from matplotlib import pyplot
from test_concordance import CLAIM, cohort, runs, study

from histopair.evaluation import study_tables
from histopair.pages import risk_figures
from histopair.pages.study_page import read_study, write_study

NAMES = ["svg", "html", *study_tables.TABLES]


def page(folder, truth=True):
    made, labels = runs(folder, {"bad": 20.0, "good": 0.1})
    claims = [CLAIM | {"claim": "Text <b>helps</b>", "paper": "0.609 to 0.661"}]
    given = study(folder, title="Does <text> help?", claims=claims, synthetic=["c"])
    if not truth:
        given.pop("truths")
    files = {name: folder / study_tables.file("s", name) for name in study_tables.TABLES}
    files |= {name: folder / f"s.{name}" for name in ("svg", "html")}
    write_study(made, labels, "s", given, SimpleNamespace(**files))
    return files, given, labels


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    return page(tmp_path_factory.mktemp("page"))


def test_the_page_holds_verdict_curves_folds_and_truth(shown):
    html = shown[0]["html"].read_text()
    for words in (
        "0.609 to 0.661",
        "holds",
        "true hazard",
        "Log-rank",
        "phantom",
        "80 patients",
        "time in months",
    ):
        assert words in html
    assert html.count("<svg") == 3


def test_text_from_data_is_escaped(shown):
    html = shown[0]["html"].read_text()
    assert "Does &lt;text&gt; help?" in html and "<b>helps" not in html


def test_without_a_truth_there_is_neither_ceiling_nor_scatter(tmp_path):
    html = page(tmp_path, truth=False)[0]["html"].read_text()
    assert "true hazard" not in html and "Kaplan" in html


def test_the_page_shows_the_same_from_the_tables(shown, tmp_path):
    files, given, labels = shown
    found = read_study("s", given, labels, files["html"].parent)["blocks"][0]["survival"]
    assert (found["patients"], len(found["folds"])) == (80, 2)
    assert found["ceiling"]["c_index"] > 0.7 and "<svg" in found["curves"]


@pytest.mark.parametrize("count", [1, 2, 4])
def test_the_label_stands_below_the_panels_that_are_shown(monkeypatch, count):
    monkeypatch.setattr(risk_figures.style, "svg", lambda figure: figure)
    people = cohort(80).assign(high=lambda table: table["log_hazard"] > 0)
    methods = [f"m{i}" for i in range(count)]
    table = pd.concat([people.assign(method=name) for name in methods])
    figure = risk_figures.curves(table, dict.fromkeys(methods, 0.5), "days")
    figure.draw_without_rendering()
    shown = [panel.get_position() for panel in figure.axes if panel.get_visible()]
    left, right = min(p.x0 for p in shown), max(p.x1 for p in shown)
    pyplot.close(figure)
    assert "in days" in figure.get_supxlabel()
    assert len(shown) == count and 0.35 < (0.5 - left) / (right - left) < 0.65


def test_the_page_repeats_bit_for_bit(shown, tmp_path):
    again = page(tmp_path)[0]
    for name in NAMES:
        assert shown[0][name].read_bytes() == again[name].read_bytes()
