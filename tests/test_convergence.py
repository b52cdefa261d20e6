"""Which runs count as converged, and what a claim with one that has not comes to."""

import numpy as np
import pandas as pd
import pytest

from histopair.evaluation import claims, convergence, orders
from histopair.files import tables
from recompute import convergence as audited


def history(val, train, stage="main", **columns):
    rows = {"stage": stage, "epoch": range(len(val)), "val_task": val}
    rows |= {"train_loss": train, "train_task": train}
    return pd.DataFrame(rows | columns)


def flat(epochs, level=1.0):
    return [level] * epochs


def test_best_epoch_last_has_not_converged():
    found = convergence.judge(history([3.0, 2.0, 1.0], flat(3)))
    assert not found["converged"]
    assert found["reasons"] == ["main stage: its best epoch is its last, 3 of 3"]


def test_one_epoch_has_not_converged():
    assert not convergence.judge(history([1.0], [1.0]))["converged"]


def test_train_loss_that_still_falls_has_not_converged():
    val = [3.0, 2.0, *flat(18, 2.5)]
    found = convergence.judge(history(val, np.linspace(2.0, 1.0, 20)))
    # Means of epochs 17, 18 and 19, 20 of a line from 2 to 1 in 19 steps: 1.1316 and 1.0263.
    assert found["reasons"] == [
        "main stage: its train loss still fell by 9% at the end of 20 epochs"
    ]
    assert convergence.falling(np.linspace(2.0, 1.0, 20)) == pytest.approx(
        1 - 1.026316 / 1.131579, 1e-5
    )


@pytest.mark.parametrize("steps, converged", [(12, False), (13, True)])
def test_a_stage_of_fewer_than_fifty_steps_has_not_converged(steps, converged):
    judged = convergence.judge(history([3.0, 1.0, 2.0, 2.0], flat(4), steps=steps))
    assert judged["converged"] is converged
    if not converged:
        assert judged["reasons"] == ["main stage: it took 48 steps, fewer than 50"]


def test_a_solver_that_is_done_needs_no_steps():
    rows = history([1.0], [1.0], stage="main", converged=True, steps=np.nan)
    other = history([3.0, 1.0, 2.0, 2.0], flat(4), stage="first", steps=20)
    assert convergence.judge(pd.concat([other, rows]))["converged"]


def test_a_loss_that_has_vanished_may_halve_again():
    losses = [2.0, *np.linspace(0.002, 0.001, 19)]
    assert convergence.judge(history([3.0, 2.0, *flat(18, 2.5)], losses))["converged"]
    # Means of two epochs, .00116667 and .00105556 less the half step between, against .2.
    assert convergence.falling(np.array(losses)) == pytest.approx(2 * 0.001 / 18 / 0.2)


def test_flat_losses_have_converged():
    found = convergence.judge(history([3.0, 1.0, 2.0, 2.0], flat(4)))
    assert found == {
        "converged": True,
        "reasons": [],
        "stages": [
            {
                "stage": "main",
                "epochs": 4,
                "best_epoch": 2,
                "train_task": {"first": 1.0, "best": 1.0},
                "reason": "",
                "solved": False,
                "used": True,
            }
        ],
    }


def test_each_stage_is_judged():
    rows = [history([2.0, 1.0], flat(2), "text"), history([1.0, 2.0], flat(2), "main")]
    found = convergence.judge(pd.concat(rows, ignore_index=True))
    assert found["reasons"] == ["text stage: its best epoch is its last, 2 of 2"]


def seed(first, best):
    """A seed whose train loss falls to `best` at its best epoch and stays there."""
    return convergence.judge(history([2.0, 1.0, *flat(18, 1.5)], [first, *flat(19, best)]))


@pytest.mark.parametrize(("odd", "expected"), [(0.81, 1), (0.79, 0), (0.1, 0)])
def test_a_seed_that_is_stuck_counts_as_not_converged(odd, expected):
    """The median of .6, .6 and `odd` is .6; above it a tenth of the first epoch's 2 is allowed."""
    found = [seed(2.0, 0.6), seed(2.0, odd), seed(2.0, 0.6)]
    assert all(each["converged"] for each in found)
    assert convergence.unfinished(found) == expected


def unused(best):
    """A seed with a probe, beside which a stage was thrown away that had not converged."""
    probe = history([1.0], [1.0], converged=[True])
    return pd.concat([probe, history([2.0, 1.5], [2.0, best], "adapt", used=False)])


def test_what_a_run_threw_away_is_not_judged(tmp_path):
    tables.write(tmp_path / "history.parquet", unused(1.0), {})
    found = convergence.judge(tables.read(tmp_path / "history.parquet"))
    assert found["converged"] and found["reasons"] == []
    assert [(stage["stage"], stage["used"]) for stage in found["stages"]] == [
        ("main", True),
        ("adapt", False),
    ]


@pytest.mark.parametrize("odd, expected", [(False, 1), (True, 0)])
def test_only_stages_that_are_used_can_be_stuck(odd, expected):
    """Three seeds adapt, one of them stuck unless it threw the stage away; a fourth has none."""
    val = [2.0, 1.0, *flat(18, 1.5)]
    seeds = [history(val, [2.0, *flat(19, best)], "adapt") for best in (0.6, 0.6, 1.9)]
    seeds[2]["used"] = False if odd else None
    seeds.append(unused(0.1))
    assert convergence.unfinished([convergence.judge(rows) for rows in seeds]) == expected
    assert audited.unfinished(seeds) == expected


def test_of_two_seeds_none_can_be_told_to_be_stuck():
    assert convergence.unfinished([seed(2.0, 0.1), seed(2.0, 1.9)]) == 0


def test_what_trains_nothing_is_not_stuck():
    nothing = convergence.judge(history([], []))
    assert convergence.unfinished([nothing] * 3) == 0


@pytest.mark.parametrize("reached", [True, False])
def test_a_solver_knows_by_itself(reached):
    assert convergence.judge(history([1.0], [1.0], converged=[reached]))["converged"] == reached


def test_a_method_that_trains_nothing_has_converged():
    assert convergence.judge(pd.DataFrame({"stage": []}))["converged"]


def cell(**not_converged):
    draws = np.linspace(-0.01, 0.01, 101)
    values = {"a": (np.full(3, 0.5), 0.5 + draws), "b": (np.full(3, 0.85), 0.85 - draws)}
    return {
        "methods": {name: {"accuracy": found} for name, found in values.items()},
        "not_converged": {"a": 0, "b": 0} | not_converged,
        "gate_failed": {"a": "", "b": ""},
        "below_probe": {"a": "", "b": ""},
        "task": "single",
        "n_groups": 9,
    }


STUDY = {
    "metric": "accuracy",
    "order": ["a", "b"],
    "claims": [{"claim": "c", "paper": None, "better": "b", "worse": "a", "expect": "gain"}],
}


@pytest.mark.parametrize("method", ["a", "b"])
def test_a_comparison_with_an_unconverged_run_is_not_decided(method):
    [claim] = claims.rows(cell(**{method: 1}), STUDY)
    [step] = orders.steps(cell(**{method: 1}), STUDY)
    assert (claim["verdict"], claim["not_converged"]) == ("not decided", method)
    assert (step["verdict"], step["not_converged"]) == ("not decided", method)
    assert orders.overall([step["verdict"], "contradicted"]) == "not decided"


def test_a_comparison_of_converged_runs_is():
    assert claims.rows(cell(), STUDY)[0]["verdict"] == "holds"
    assert orders.steps(cell(), STUDY)[0]["verdict"] == "supported"


def test_a_solver_that_reached_its_optimum_is_not_stuck_however_its_loss_differs():
    """Each seed has a penalty of its own, which decides its train loss."""
    rows = [
        pd.DataFrame(
            {
                "stage": ["main"],
                "epoch": [0],
                "train_loss": [loss],
                "train_task": [loss],
                "val_task": [1.0],
                "converged": [reached],
            }
        )
        for loss, reached in ((0.1, True), (0.1, True), (1.0, True))
    ]
    assert convergence.unfinished([convergence.judge(part) for part in rows]) == 0
    rows[0]["converged"] = False
    assert convergence.unfinished([convergence.judge(part) for part in rows]) == 1
