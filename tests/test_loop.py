"""The training loop: reproducible, resumable to the bit, stopped by a loss that is not a number."""

import math

import pytest
import torch
from torch import nn

from histopair import loop, optimizers
from histopair.errors import InputError

CPU = torch.device("cpu")


def stage(epochs=4, **settings) -> loop.Stage:
    torch.manual_seed(3)
    x, y = torch.randn(40, 5), torch.randint(0, 2, (40,))
    model = nn.Sequential(nn.Linear(5, 8), nn.Dropout(0.3), nn.BatchNorm1d(8), nn.Linear(8, 2))

    def loss(model, batch):
        value = nn.functional.cross_entropy(model(batch["x"]), batch["y"])
        return {"loss": value, "task": value}

    return loop.Stage(
        "main",
        model,
        torch.arange(30),
        torch.arange(30, 40),
        lambda rows: {"rows": rows, "x": x[rows], "y": y[rows]},
        loss,
        epochs=epochs,
        batch_size=8,
        learning_rate=0.05,
        scores=lambda model, batch: model(batch["x"]).softmax(1),
        **settings,
    )


def weights(stage):
    return torch.cat([value.flatten().double() for value in stage.model.state_dict().values()])


def test_the_same_seed_gives_the_same_bits(tmp_path):
    first, second, other = stage(), stage(), stage()
    for one, seed in ((first, 1), (second, 1), (other, 2)):
        loop.fit(one, seed, str(tmp_path / str(seed)), CPU)
    assert torch.equal(weights(first), weights(second))
    assert not torch.equal(weights(first), weights(other))


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_a_killed_run_resumes_to_the_same_bits(tmp_path, monkeypatch, schedule):
    monkeypatch.setattr(loop, "CHECKPOINT_EVERY", -1.0)
    whole = stage(schedule=schedule)
    loop.fit(whole, 1, str(tmp_path / "whole"), CPU)

    class Killed(BaseException):
        pass

    real, seen = loop._train_epoch, []

    def killed_in_the_third(*arguments):
        seen.append(1)
        if len(seen) == 3:
            raise Killed
        return real(*arguments)

    monkeypatch.setattr(loop, "_train_epoch", killed_in_the_third)
    with pytest.raises(Killed):
        loop.fit(stage(schedule=schedule), 1, str(tmp_path / "cut"), CPU)
    monkeypatch.setattr(loop, "_train_epoch", real)
    resumed = stage(schedule=schedule)
    loop.fit(resumed, 1, str(tmp_path / "cut"), CPU)
    assert torch.equal(weights(whole), weights(resumed))
    assert resumed.history == whole.history


def test_the_best_epoch_on_validation_is_kept(tmp_path):
    one = stage(epochs=8)
    loop.fit(one, 1, str(tmp_path), CPU)
    best = min(row["val_task"] for row in one.history)
    assert loop.evaluate(one, one.val, CPU)["task"] == pytest.approx(best, rel=1e-6)


def test_a_loss_that_is_not_a_number_stops_with_the_epoch_and_a_remedy(tmp_path):
    one = stage()
    real = one.loss
    one.loss = lambda model, batch: {
        key: value * math.nan for key, value in real(model, batch).items()
    }
    with pytest.raises(
        InputError, match=r"main stage, epoch 0, step 0: the loss is nan.*learning_rate"
    ):
        loop.fit(one, 1, str(tmp_path), CPU)


def test_predictions_keep_the_order_of_the_rows():
    one = stage()
    rows = torch.tensor([35, 2, 17])
    scores = loop.predict(one, rows, CPU)
    for row, score in zip(rows, scores, strict=True):
        torch.testing.assert_close(loop.predict(one, row[None], CPU)[0], score)


def test_a_single_last_sample_joins_the_batch_before_it():
    assert [len(part) for part in loop._batches(torch.arange(17), 8)] == [8, 9]
    assert sum(len(part) for part in loop._batches(torch.arange(30), 8)) == 30


def test_the_cosine_schedule_rises_falls_and_ends_at_zero():
    factors = [optimizers.learning_rate_factor("cosine", step / 100) for step in range(101)]
    assert max(factors) == pytest.approx(1, abs=0.02) and factors[-1] == pytest.approx(0, abs=1e-9)
    assert factors[0] < 0.05 and factors.index(max(factors)) == 5
    assert optimizers.learning_rate_factor("constant", 0.7) == 1
