"""Claims: what an interval says of a gain and of no gain, and nothing where there is none."""

import numpy as np
import pytest

from histopair.errors import InputError
from histopair.evaluation import claims


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.01, 0.2, "holds"),
        (-0.01, 0.2, "not resolved"),
        (-0.2, -0.01, "contradicted"),
        (None, None, "not resolved"),
    ],
)
def test_a_gain_holds_where_its_interval_is_above_zero(low, high, expected):
    assert claims.verdict("gain", low, high) == expected


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (-0.2, 0.009, "holds"),
        (-0.2, -0.1, "holds"),
        (0.001, 0.009, "holds"),
        (-0.01, 0.02, "not resolved"),
        (0.001, 0.02, "contradicted"),
        (None, None, "not resolved"),
    ],
)
def test_no_gain_holds_below_the_margin_and_is_contradicted_by_a_gain(low, high, expected):
    assert claims.verdict("no gain", low, high, margin=0.01) == expected


def cell(**methods):
    """A cell in which a method's seeds have these values of hamming, and its resamples vary."""
    wobble = np.linspace(-0.001, 0.001, 400)
    return {
        "methods": {
            name: {"hamming": (np.array(values), np.mean(values) + i * wobble)}
            for i, (name, values) in enumerate(methods.items())
        },
        "not_converged": dict.fromkeys(methods, 0),
        "gate_failed": dict.fromkeys(methods, ""),
        "below_probe": dict.fromkeys(methods, ""),
        "n_groups": 5,
        "task": "multi",
    }


CLAIM = {"claim": "New gains", "paper": "2 points", "better": "new", "worse": "old"}


def row(claim, **methods):
    return claims.rows(cell(**methods), {"metric": "hamming", "claims": [claim]})[0]


def test_a_lower_loss_is_a_gain():
    found = row(CLAIM | {"expect": "gain"}, old=[0.3, 0.3, 0.3], new=[0.24, 0.245, 0.25])
    assert found["gain"] == pytest.approx(0.055)
    assert 0.03 < found["low"] < found["gain"] < found["high"] < 0.08 and found["p"] < 0.02
    assert (found["seeds_agreeing"], found["n_seeds"], found["verdict"]) == (3, 3, "holds")
    assert found["margin"] is None and found["paper"] == "2 points"


def test_seeds_that_differ_as_much_as_they_gain_resolve_nothing():
    """The groups alone would: their resamples move the gain by a thousandth."""
    found = row(CLAIM | {"expect": "gain"}, old=[0.3, 0.3, 0.3], new=[0.2, 0.25, 0.29])
    assert found["seeds_agreeing"] == 3 and found["seed_share"] > 0.99
    assert found["low"] < 0 < found["gain"] and found["verdict"] == "not resolved"


def test_no_gain_has_a_margin_of_its_own():
    claim = CLAIM | {"expect": "no gain"}
    assert row(claim, old=[0.3], new=[0.295])["verdict"] == "holds"
    assert row(claim | {"margin": 0.002}, old=[0.3], new=[0.295])["verdict"] == "contradicted"


@pytest.mark.parametrize("expect", ["gain", "no gain"])
@pytest.mark.parametrize("new", [0.3, 0.2])
def test_methods_whose_difference_never_varies_resolve_nothing(expect, new):
    """A resample of 16 samples that both decide alike cannot differ: other samples could."""
    alike = cell(old=[0.3], new=[new])
    for name, value in (("old", 0.3), ("new", new)):
        alike["methods"][name] = {"hamming": (np.array([value]), np.full(400, value))}
    found = claims.rows(alike, {"metric": "hamming", "claims": [CLAIM | {"expect": expect}]})[0]
    assert (found["low"], found["high"], found["verdict"]) == (None, None, "not resolved")


def test_a_claim_of_methods_that_the_cell_lacks_has_no_row():
    study = {"metric": "hamming", "claims": [CLAIM | {"expect": "gain"}]}
    assert claims.rows(cell(old=[0.3]), study) == []


def test_a_claim_on_a_metric_of_the_other_task_is_named():
    with pytest.raises(InputError, match="balanced_accuracy"):
        row(CLAIM | {"expect": "gain", "metric": "balanced_accuracy"}, old=[0.3], new=[0.2])
