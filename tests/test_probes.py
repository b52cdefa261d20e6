"""Methods that do worse on validation than a probe of what they read: the rule by hand."""

import pytest

from histopair.evaluation import probes


def seed(loss, stages=1):
    """metrics.json of a run with this loss on validation, after scaling."""
    splits = {"val": {"before": {"nll": 9.0}, "after": {"nll": loss}}}
    return {
        "calibration": {"splits": splits},
        "convergence": {"stages": [{"stage": "main"}] * stages},
    }


def test_the_loss_of_a_method_is_the_mean_of_its_seeds_when_scaled():
    assert probes.val_loss([seed(0.5), seed(0.7)]) == pytest.approx(0.6)


def test_without_validation_or_training_there_is_no_loss():
    assert probes.val_loss([seed(0.5), seed(0.5) | {"calibration": None}]) is None
    assert probes.val_loss([seed(0.5, stages=0)]) is None


@pytest.mark.parametrize(("loss", "expected"), [(0.56, "probe"), (0.54, ""), (None, "")])
def test_more_than_a_tenth_above_the_probe_is_below_it(loss, expected):
    losses = {"probe": 0.5, "head": loss}
    assert probes.below(losses, {"head": ["probe"]}) == {"probe": "", "head": expected}


def test_a_probe_without_a_loss_and_a_method_without_a_probe_say_nothing():
    assert probes.below({"probe": None, "head": 9.0}, {"head": ["probe"]})["head"] == ""
    assert probes.below({"probe": 0.1, "head": 9.0}, {})["head"] == ""


def test_methods_that_are_below_are_named_with_the_probe():
    said = {"head": "probe, both", "tuned": "", "probe": ""}
    assert probes.named(said, "tuned", "head") == "head (probe, both)"
    assert probes.named(said, "tuned", "probe") == ""
