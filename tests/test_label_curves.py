"""Curves over the number of labels: areas and crossings by hand."""

import numpy as np
import pytest

from histopair.evaluation import label_curves
from recompute import curves as recomputed

LABELS = np.array([2.0, 8.0, 32.0])


def test_the_area_is_the_mean_over_the_logarithm_of_the_labels():
    assert label_curves.area(LABELS, np.array([0.5, 0.7, 0.9])) == pytest.approx(0.7)
    uneven = np.array([2.0, 4.0, 32.0])  # steps of 1 and 3 in powers of two
    assert label_curves.area(uneven, np.array([0.4, 0.6, 0.8])) == pytest.approx(
        0.25 * 0.5 + 0.75 * 0.7
    )


def test_curves_of_several_seeds_have_an_area_each():
    curve = np.array([[0.5, 0.1], [0.7, 0.1], [0.9, 0.1]])
    np.testing.assert_allclose(label_curves.area(LABELS, curve), [0.7, 0.1])


def test_a_crossing_lies_between_the_points_where_the_sign_changes():
    """+.1 at 2 and -.1 at 8: half way on the logarithm is 4."""
    assert label_curves.crossing(LABELS, np.array([0.1, -0.1, -0.3])) == pytest.approx(4)
    assert label_curves.crossing(LABELS, np.array([0.1, 0.2, 0.3])) is None


@pytest.mark.parametrize(
    ("difference", "place"),
    [
        ([0.1, 0.0, -0.1], 8),
        ([0.1, 0.0, 0.0, -0.1], 8),
        ([0.0, 0.1, -0.1], 16),
        ([0.1, 0.0, 0.1], None),
        ([0.1, 0.1, 0.0], None),
    ],
)
def test_curves_that_meet_at_a_point_cross_there_if_they_change_sides(difference, place):
    labels = np.array([2.0, 8.0, 32.0, 128.0])[: len(difference)]
    expected = None if place is None else pytest.approx(place)
    assert label_curves.crossing(labels, np.array(difference)) == expected
    assert recomputed._crossing(np.log(labels), np.array(difference)) == expected


def cell(groups=5, **methods):
    """A cell in which a method's seeds have these accuracies, wherever groups are drawn again."""
    return {
        "methods": {
            name: {"accuracy": (np.array(values), np.repeat(np.array(values)[:, None], 50, axis=1))}
            for name, values in methods.items()
        },
        "n_groups": groups,
        "unit": "patient",
    }


SPLITS = {
    "d-2-labels": {"whole": "d", "per_class": 2},
    "d-8-labels": {"whole": "d", "per_class": 8},
    "d": {"whole": "d", "per_class": 32},
    "other": {"whole": "other", "per_class": 9},
}
STUDY = {"splits": SPLITS, "reference": "base"}


def test_a_family_has_one_row_per_method_with_its_gain_and_crossing():
    cells = {
        ("d-2-labels", "e"): cell(base=[0.4, 0.5], text=[0.6, 0.7]),
        ("d-8-labels", "e"): cell(base=[0.6, 0.7], text=[0.7, 0.8]),
        ("d", "e"): cell(base=[0.9], text=[0.8, 0.8]),  # one run without chance
        ("other", "e"): cell(base=[0.9]),
    }
    base, text = label_curves.rows(cells, STUDY)
    assert (base["dataset"], base["labels"], base["method"]) == ("d", "2;8;32", "base")
    assert base["area"] == pytest.approx((0.45 / 2 + 0.65 + 0.9 / 2) / 2)
    assert "gain" not in base
    assert text["gain"] == pytest.approx((0.2 / 2 + 0.1 - 0.1 / 2) / 2)
    assert text["crossing"] == pytest.approx(16)  # half way from 8 to 32
    assert text["crossed"] == 1 and text["crossing_low"] <= 16 <= text["crossing_high"]


def test_a_gain_is_a_lower_area_where_lower_is_better():
    cells = {
        (name, "e"): cell(base=[0.3, 0.2], text=[0.1, 0.1]) for name in ("d-2-labels", "d-8-labels")
    }
    for one in cells.values():
        for values in one["methods"].values():
            values["hamming"] = values["accuracy"]
    rows = {row["metric"]: row for row in label_curves.rows(cells, STUDY) if "gain" in row}
    assert rows["hamming"]["gain"] == pytest.approx(0.15)
    assert rows["accuracy"]["gain"] == pytest.approx(-0.15)
    ends = [rows["hamming"][f"gain_{end}"] for end in ("low", "high")]
    assert ends == [-rows["accuracy"][f"gain_{end}"] for end in ("high", "low")]


def test_a_method_that_a_point_lacks_has_no_curve():
    cells = {
        ("d-2-labels", "e"): cell(base=[0.4]),
        ("d", "e"): cell(base=[0.9], text=[0.8]),
    }
    assert [row["method"] for row in label_curves.rows(cells, STUDY)] == ["base"]


def test_one_point_is_no_curve():
    assert label_curves.families({"a": {"whole": "a", "per_class": 3}}) == {}
