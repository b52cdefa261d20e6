"""The training loop: reproducible, resumable to the bit, stopped by a loss that is not a number."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from histopair.errors import InputError
from histopair.training import checkpoint, loop, lora, optimizers

CPU = torch.device("cpu")


def stage(epochs=4, **settings) -> loop.Stage:
    torch.manual_seed(3)
    x, y = torch.randn(40, 5), torch.randint(0, 2, (40,))
    model = nn.Sequential(nn.Linear(5, 8), nn.Dropout(0.3), nn.BatchNorm1d(8), nn.Linear(8, 2))

    def loss(model, batch):
        value = nn.functional.cross_entropy(model(batch["x"]), batch["y"])
        return {"loss": value, "task": value}

    def fetch(rows, turns=None):
        seen = x[rows] if turns is None else x[rows] + turns[:, None]
        return {"rows": rows, "x": seen, "y": y[rows]}

    return loop.Stage(
        "main",
        model,
        torch.arange(30),
        torch.arange(30, 40),
        fetch,
        loss,
        scores=lambda model, batch: model(batch["x"]).softmax(1),
        **{"epochs": epochs, "batch_size": 8, "learning_rate": 0.05} | settings,
    )


def weights(stage):
    return torch.cat([value.flatten().double() for value in stage.model.state_dict().values()])


def test_the_same_seed_gives_the_same_bits(tmp_path):
    first, second, other = stage(), stage(), stage()
    for one, seed in ((first, 1), (second, 1), (other, 2)):
        loop.fit(one, seed, str(tmp_path / str(seed)), CPU)
    assert torch.equal(weights(first), weights(second))
    assert not torch.equal(weights(first), weights(other))


class Killed(BaseException):
    pass


def killed_at(call: int, one: loop.Stage) -> loop.Stage:
    """The stage, stopped as its loss is computed for the `call`th time, in training or after it."""
    real, calls = one.loss, []

    def loss(model, batch):
        calls.append(1)
        if len(calls) > call:
            raise Killed
        return real(model, batch)

    one.loss = loss
    return one


def test_a_run_killed_anywhere_resumes_to_the_same_bits(tmp_path, monkeypatch):
    """Dropout, batch statistics, turns: each of 2 epochs has 4 steps of 2 parts, and 2 batches."""
    settings = {"schedule": "cosine", "accumulate": 2, "turns": 3, "rates": {"3": 0.01}}
    settings["epochs"] = 2
    monkeypatch.setattr(loop, "CHECKPOINT_EVERY", -1.0)
    whole = stage(**settings)
    loop.fit(whole, 1, str(tmp_path / "whole"), CPU)
    for call in range(2 * (4 * 2 + 2)):
        folder = str(tmp_path / str(call))
        with pytest.raises(Killed):
            loop.fit(killed_at(call, stage(**settings)), 1, folder, CPU)
        torch.manual_seed(call)
        resumed = stage(**settings)
        loop.fit(resumed, 1, folder, CPU)
        assert torch.equal(weights(whole), weights(resumed))
        assert resumed.history == whole.history


def test_what_is_built_after_a_resumed_stage_draws_the_same_numbers(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "CHECKPOINT_EVERY", -1.0)
    loop.fit(stage(), 1, str(tmp_path), CPU)
    drawn = torch.rand(3)
    loop.fit(stage(), 1, str(tmp_path), CPU)
    assert torch.equal(torch.rand(3), drawn)


def test_a_checkpoint_of_another_job_is_removed_and_the_log_says_so(tmp_path, capsys):
    (tmp_path / "labels").write_text("a")
    path, inputs = tmp_path / "resume", [str(tmp_path / "labels")]

    def kept(about) -> bool:
        checkpoint.folder(str(path), about, inputs)
        there = (path / "main.pt").exists()
        (path / "main.pt").touch()
        return there

    assert not kept({"code": "x"})
    assert kept({"code": "x"})
    assert capsys.readouterr().out == ""
    assert not kept({"code": "y"})
    assert "checkpoints of other settings, code or inputs are removed" in capsys.readouterr().out
    (tmp_path / "labels").write_text("ab")
    assert not kept({"code": "y"})
    (path / "job").unlink()
    assert not kept({"code": "y"})


def test_the_best_epoch_on_validation_is_kept(tmp_path):
    one = stage(epochs=8)
    loop.fit(one, 1, str(tmp_path), CPU)
    best = min(row["val_task"] for row in one.history)
    assert loop.evaluate(one, one.val, CPU)["task"] == pytest.approx(best, rel=1e-6)


def test_a_loss_that_is_not_a_number_stops_with_the_step_and_a_remedy(tmp_path):
    one = stage()
    real = one.loss
    one.loss = lambda model, batch: {
        key: value * (math.nan if batch["rows"][0] == 0 else 1)
        for key, value in real(model, batch).items()
    }
    place = r"^main stage, epoch \d, step \d: the loss is nan\. Lower the method's learning_rate"
    with pytest.raises(InputError, match=place):
        loop.fit(one, 1, str(tmp_path), CPU)


def rootless(model, batch):
    """A loss of 0 whose gradient is 0 / 0."""
    value = (model(batch["x"]) * 0).sqrt().sum()
    return {"loss": value, "task": value}


def test_a_gradient_that_is_not_a_number_stops_with_the_step_and_a_remedy(tmp_path):
    one = stage()
    one.loss = rootless
    place = "main stage, epoch 0, step 0: the gradient's norm is nan. Lower the .*learning_rate"
    with pytest.raises(InputError, match=place):
        loop.fit(one, 1, str(tmp_path), CPU)


class Unread(nn.Module):
    """A classifier with a layer whose output nobody reads."""

    def __init__(self):
        super().__init__()
        self.read, self.unread = nn.Linear(5, 2), nn.Linear(5, 2)

    def forward(self, x):
        self.unread(x)
        return self.read(x)


def test_an_adapter_without_a_gradient_stops_the_first_step(tmp_path):
    one = stage()
    one.model = lora.adapt(Unread(), {"rank": 2, "alpha": 1, "targets": "all"})
    with pytest.raises(InputError, match="adapter of its layer 'unread' gets no gradient"):
        loop.fit(one, 0, str(tmp_path), CPU)
    assert one.history == []
    one.model.unread = nn.Identity()
    loop.fit(one, 0, str(tmp_path), CPU)
    assert len(one.history) == one.epochs


def test_float16_without_a_gpu_is_one_clear_line(tmp_path):
    with pytest.raises(InputError) as caught:
        loop.fit(stage(precision="float16"), 1, str(tmp_path), CPU)
    assert str(caught.value) == (
        "main stage: training in float16 needs a GPU, and there is none. "
        "Set precision to bfloat16 or float32"
    )


def test_scaled_losses_give_the_same_weights_and_overflows_do_not_go_on_for_ever(
    tmp_path, monkeypatch
):
    plain, scaled, broken = stage(clip=0.1), stage(clip=0.1), stage(epochs=9)
    loop.fit(plain, 1, str(tmp_path), CPU)
    monkeypatch.setattr(optimizers, "scaler", lambda *_: torch.amp.GradScaler("cpu"))
    loop.fit(scaled, 1, str(tmp_path), CPU)
    torch.testing.assert_close(weights(scaled), weights(plain), rtol=0, atol=1e-4)
    broken.loss = rootless
    # The scale starts at 2 ** 16 and is halved by each overflow.
    with pytest.raises(InputError, match=r"epoch 4, step 1: the gradient's norm is nan"):
        loop.fit(broken, 1, str(tmp_path), CPU)


def plain(**settings) -> loop.Stage:
    """Without dropout and batch statistics, which see what a batch is cut into."""
    one = stage(**settings)
    one.model = nn.Sequential(one.model[0], nn.Tanh(), one.model[3])
    return one


def test_accumulated_gradients_are_those_of_the_whole_batch(tmp_path):
    """Batches of 8 and 6 in parts of 3, 3, 2 and 2, 2, 2."""
    whole, parts = plain(), plain(accumulate=3)
    sizes = []
    parts_fetch = parts.fetch
    parts.fetch = lambda rows: sizes.append(len(rows)) or parts_fetch(rows)
    for one in (whole, parts):
        loop.fit(one, 1, str(tmp_path), CPU)
    torch.testing.assert_close(weights(parts), weights(whole), rtol=0, atol=1e-5)
    assert sizes[:14] == [3, 3, 2] * 3 + [2, 2, 2] + [8, 2]
    for row, expected in zip(parts.history, whole.history, strict=True):
        assert row["train_loss"] == pytest.approx(expected["train_loss"], abs=1e-5)


@pytest.mark.parametrize("schedule, factor", [("constant", 1), ("cosine", 1e-3 / 0.05)])
def test_parts_move_by_their_own_learning_rates(tmp_path, schedule, factor):
    """The first step of Adam is the learning rate, whatever the gradient."""
    one = stage(epochs=1, batch_size=30, schedule=schedule, rates={"0": 1e-3, "0.bias": 1e-4})
    before = {name: p.detach().clone() for name, p in one.model.named_parameters()}
    loop.fit(one, 1, str(tmp_path), CPU)
    moved = {name: p - before[name] for name, p in one.model.named_parameters()}
    for name, rate in {
        "0.weight": 1e-3,
        "2.weight": 0.05,
        "3.weight": 0.05,
        "3.bias": 0.05,
    }.items():
        assert moved[name].abs().max().item() == pytest.approx(rate * factor, rel=1e-3)
    assert moved["0.bias"].abs().max().item() <= 1e-4 * factor * 1.001
    assert one.history[0]["learning_rate"] == pytest.approx(0.05 * factor)


def test_a_learning_rate_of_nothing_that_trains_is_an_error(tmp_path):
    for name in ("head", "0.weigh", "0"):
        one = stage(rates={name: 0.1})
        one.model[0].requires_grad_(False)
        with pytest.raises(ValueError, match=f"no trainable parameter is of .'{name}'"):
            loop.fit(one, 1, str(tmp_path), CPU)


def told(losses: list[float], patience: int) -> loop.Stage:
    """A stage whose validation loss is told for each epoch."""
    one = stage(epochs=len(losses), patience=patience)
    one.val = torch.tensor([30])
    real = one.loss

    def loss(model, batch):
        if model.training:
            return real(model, batch)
        one.seen = [*getattr(one, "seen", []), weights(one)]
        return {"loss": torch.tensor(0.0), "task": torch.tensor(losses[len(one.seen) - 1])}

    one.loss = loss
    return one


@pytest.mark.parametrize(
    "patience, trained, best", [(0, 6, 5), (1, 3, 1), (2, 4, 1), (3, 6, 5), (4, 6, 5)]
)
def test_training_ends_after_so_many_epochs_without_a_better_one(
    tmp_path, monkeypatch, patience, trained, best
):
    monkeypatch.setattr(loop, "CHECKPOINT_EVERY", -1.0)
    losses = [3.0, 2.0, 2.5, 2.0, 1.5, 1.0]
    one = told(losses, patience)
    loop.fit(one, 1, str(tmp_path), CPU)
    assert [row["val_task"] for row in one.history] == losses[:trained]
    assert torch.equal(weights(one), one.seen[best])
    again = told(losses, patience)
    loop.fit(again, 1, str(tmp_path), CPU)
    assert again.history == one.history
    assert torch.equal(weights(again), weights(one))


@pytest.mark.parametrize("least, steps, passes", [(1, 3, 1), (3, 3, 1), (4, 6, 2), (7, 9, 3)])
def test_an_epoch_of_few_steps_passes_its_samples_again(tmp_path, least, steps, passes):
    one = stage(epochs=2, batch_size=10, least_steps=least)
    batches, fetch = [], one.fetch

    def spy(rows):
        if one.model.training:
            batches.append(rows)
        return fetch(rows)

    one.fetch = spy
    loop.fit(one, 1, str(tmp_path), CPU)
    assert [row["steps"] for row in one.history] == [steps, steps]
    drawn = torch.cat(batches[:steps])
    assert torch.equal(drawn.sort().values, one.train.repeat(passes).sort().values)
    assert all(len(set(batch.tolist())) == 10 for batch in batches)  # no sample twice in a batch


def test_the_train_loss_of_several_passes_is_their_mean(tmp_path):
    once, twice = (stage(epochs=1, learning_rate=0.0, least_steps=least) for least in (1, 4))
    for one in (once, twice):
        one.batch_size, one.model[1], one.model[2] = 10, nn.Identity(), nn.Identity()
        loop.fit(one, 1, str(tmp_path / str(one.least_steps)), CPU)
    assert twice.history[0]["train_loss"] == pytest.approx(once.history[0]["train_loss"])


def test_views_are_drawn_in_training_and_are_the_first_elsewhere(tmp_path):
    asked = {True: [], False: []}

    def seen(seed):
        one = stage(epochs=2, turns=4)
        fetch = one.fetch

        def spy(rows, turns):
            asked[one.model.training].append(torch.stack([rows, turns]))
            return fetch(rows)

        one.fetch = spy
        loop.fit(one, seed, str(tmp_path), CPU)
        loop.predict(one, torch.arange(40), CPU)
        drawn = torch.cat(asked[True], dim=1)
        asked[True].clear()
        return drawn

    first, again, other = seen(1), seen(1), seen(2)
    assert first.dtype == torch.int64
    assert set(first[1].tolist()) == {0, 1, 2, 3}
    assert not torch.equal(first[1, :30], first[1, 30:])
    assert torch.equal(first, again)
    assert not torch.equal(first[1], other[1])
    assert not torch.cat(asked[False], dim=1)[1].any()


def test_tensorboard_shows_each_epoch_once_after_a_resume_too(tmp_path, monkeypatch):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    monkeypatch.setattr(loop, "CHECKPOINT_EVERY", -1.0)
    events = str(tmp_path / "events")
    with pytest.raises(Killed):
        loop.fit(killed_at(14, stage()), 1, str(tmp_path), CPU, events)
    one = stage()
    loop.fit(one, 1, str(tmp_path), CPU, events)
    board = EventAccumulator(f"{events}/main").Reload()
    shown = board.Scalars("val_task")
    assert [event.step for event in shown] == [0, 1, 2, 3]
    assert [event.value for event in shown] == pytest.approx(
        [row["val_task"] for row in one.history]
    )


def test_predictions_keep_the_order_of_the_rows():
    one = stage()
    rows = torch.tensor([35, 2, 17])
    scores = loop.predict(one, rows, CPU)
    for row, score in zip(rows, scores, strict=True):
        torch.testing.assert_close(loop.predict(one, row[None], CPU)[0], score)


def test_a_single_last_sample_joins_the_batch_before_it():
    assert [len(part) for part in loop._batches(torch.arange(17), 8)] == [8, 9]
    assert sum(len(part) for part in loop._batches(torch.arange(30), 8)) == 30


@pytest.mark.parametrize("size, sizes", [(8, [2, 2, 2, 2]), (7, [3, 2, 2]), (3, [3]), (1, [1])])
def test_no_part_of_a_batch_is_a_single_sample(size, sizes):
    pieces = loop._pieces(stage(accumulate=4), torch.arange(size))
    assert [len(own) for own, _ in pieces] == sizes
    assert torch.equal(torch.cat([own for own, _ in pieces]), torch.arange(size))
    assert [weight for _, weight in pieces] == [length / size for length in sizes]


def test_small_batches_in_many_parts_train_batch_normalisation(tmp_path):
    loop.fit(stage(epochs=1, batch_size=3, accumulate=3), 1, str(tmp_path), CPU)


def test_the_cosine_schedule_rises_falls_and_ends_at_zero():
    factors = [optimizers.learning_rate_factor("cosine", step / 100) for step in range(101)]
    assert max(factors) == pytest.approx(1, abs=0.02) and factors[-1] == pytest.approx(0, abs=1e-9)
    assert factors[0] < 0.05 and factors.index(max(factors)) == 5
    assert optimizers.learning_rate_factor("constant", 0.7) == 1


@pytest.mark.parametrize(
    "losses, patience, stalls",
    [
        ([], 2, (0, 0)),
        ([1, 2, 2], 2, (1, 1)),
        ([1, 2, 2, 2], 2, (1, 1)),  # after a stall the wait begins anew
        ([1, 2, 2, 2, 2], 2, (2, 2)),
        ([1, 2, 2, 0.5], 2, (1, 0)),
        ([1, 2, 2, 0.5, 2, 2], 2, (2, 1)),
        ([1, 2, 0.5, 2, 2], 2, (1, 1)),
        ([1, 1, 1], 2, (1, 1)),  # an equal loss is no better one
        ([1, 2, 2, 2, 2], 0, (0, 0)),
    ],
)
def test_validation_stalls_after_so_many_epochs_without_a_better_one(losses, patience, stalls):
    assert optimizers.stalls(losses, patience) == stalls


def test_on_a_plateau_the_rate_falls_and_training_goes_on_from_the_best(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "CHECKPOINT_EVERY", -1.0)
    losses = [3.0, 1.0, 2.0, 2.0, 2.0, 0.5, 2.0, 2.0, 0.25, 2.0, 2.0, 0.125, *[2.0] * 4, 9.0]
    one = told(losses, patience=2)
    one.schedule = "plateau"
    loop.fit(one, 1, str(tmp_path), CPU)
    # Stalls after epochs 4, 8, 11, 14 and 16; the fifth ends training.
    assert [row["val_task"] for row in one.history] == losses[:16]
    rates = np.array([row["learning_rate"] for row in one.history]) / one.learning_rate
    np.testing.assert_allclose(rates, [1] * 4 + [0.3] * 4 + [0.09] * 3 + [0.027] * 3 + [0.0081] * 2)
    assert torch.equal(weights(one), one.seen[11])
    moved = (one.seen[4] - one.seen[1]).abs().max(), (one.seen[3] - one.seen[1]).abs().max()
    assert moved[0] < moved[1]  # one epoch at less of the rate, from the best weights
    again = told(losses, patience=2)
    again.schedule = "plateau"
    loop.fit(again, 1, str(tmp_path), CPU)
    assert again.history == one.history and torch.equal(weights(again), weights(one))


def test_two_drops_in_vain_end_training(tmp_path):
    losses = [3.0, 1.0, *[2.0] * 6, 0.5]
    one = told(losses, patience=2)
    one.schedule = "plateau"
    loop.fit(one, 1, str(tmp_path), CPU)
    assert [row["val_task"] for row in one.history] == losses[:8]
    assert torch.equal(weights(one), one.seen[1])
