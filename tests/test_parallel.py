"""Two processes train one run to what one process makes of it, and go on after a kill."""

import os
import signal

import pytest
import torch
from torch import nn

from histopair.errors import InputError
from histopair.training import loop, one_run, parallel, processes

CPU = torch.device("cpu")


class Model(nn.Module):
    """Methods call their models' own methods, and leave parts of them unused."""

    def __init__(self, *between: nn.Module):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(5, 8), *between, nn.Tanh())
        self.head, self.rare, self.spare = nn.Linear(8, 3), nn.Linear(5, 1), nn.Linear(2, 2)
        # Some backbones have weights that are no contiguous memory, and masks.
        self.head.weight = nn.Parameter(self.head.weight.detach().t().contiguous().t())
        self.register_buffer("mask", torch.ones(3, dtype=torch.bool))

    def embed(self, x):
        return self.body(x)

    def forward(self, x):
        return self.head(self.embed(x))


def stage(*between, train=29, val=9, **settings) -> loop.Stage:
    """29 samples in batches of 8: the last has 5, and that of validation 1.

    One part of a batch in one process alone reaches the layer `rare`, and none reaches `spare`.
    """
    torch.manual_seed(3)
    x, y = torch.randn(50, 5), torch.randint(0, 3, (50,))

    def loss(model, batch):
        task = nn.functional.cross_entropy(model(batch["x"]), batch["y"])
        if (first := batch["rows"] == 0).any():
            task = task + model.rare(batch["x"][first]).sum() / len(first)
        return {"loss": task + model.embed(batch["x"]).square().mean(), "task": task}

    return loop.Stage(
        "main",
        Model(*between),
        torch.arange(train),
        torch.arange(train, train + val),
        lambda rows: {"rows": rows, "x": x[rows], "y": y[rows]},
        loss,
        scores=lambda model, batch: model(batch["x"]).double().softmax(1),
        **{"epochs": 3, "batch_size": 8, "learning_rate": 0.05, "weight_decay": 0.01} | settings,
    )


def trained(folder, count, make=stage, **settings) -> dict:
    """What each process has in the end: {"0": ..., "1": ...}."""

    def work():
        one = make(**settings)
        with torch.no_grad():
            one.model.head.weight += parallel.rank()  # all start as process 0 does
        loop.fit(one, 1, str(folder), CPU)
        made = {
            "drawn next": torch.rand(3),
            "weights": one.model.state_dict(),
            "scores": loop.predict(one, torch.arange(50), CPU),
            "few": loop.predict(one, torch.tensor([4]), CPU),
            "history": [[v for k, v in row.items() if k != "stage"] for row in one.history],
        }
        torch.save(made, folder / f"made{parallel.rank()}.pt")

    folder.mkdir(exist_ok=True)
    processes.launch(work, count)
    return {path.stem[-1]: torch.load(path, weights_only=True) for path in folder.glob("made*.pt")}


SETTINGS = {
    "plain": {},
    "clipped, in two parts": {"clip": 0.1, "accumulate": 2, "schedule": "cosine"},
    "a last batch for one process alone": {"batch_size": 3, "train": 10},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_two_processes_give_the_weights_and_predictions_of_one(tmp_path, name):
    one = trained(tmp_path / "one", 1, **SETTINGS[name])["0"]
    two = trained(tmp_path / "two", 2, **SETTINGS[name])
    assert set(two) == {"0", "1"}
    torch.testing.assert_close(two["0"], one, rtol=0, atol=1e-6)
    torch.testing.assert_close(two["1"], two["0"], rtol=0, atol=0)
    assert len(one["history"]) == 3
    start = stage().model.state_dict()
    assert torch.equal(one["weights"]["spare.weight"], start["spare.weight"])
    assert not torch.equal(one["weights"]["rare.weight"], start["rare.weight"])


def compared(**settings):
    """Its loss is no mean over samples, and what it drops out is the same in all processes."""
    one = stage(nn.Dropout(0.3), whole=True, **settings)

    def loss(model, batch):
        features = model.embed(batch["x"])
        same = batch["y"][:, None] == batch["y"]
        value = nn.functional.binary_cross_entropy_with_logits(
            model.head.bias[0] + features @ features.T, same.float()
        )
        return {"loss": value, "task": value + value.square()}

    one.loss = loss
    return one


def test_a_loss_that_compares_samples_sees_whole_batches(tmp_path):
    one = trained(tmp_path / "one", 1, compared)["0"]
    two = trained(tmp_path / "two", 2, compared)
    torch.testing.assert_close(two["1"], one, rtol=0, atol=1e-6)
    with pytest.raises(InputError, match=r"main stage: its loss compares.*Set accumulate to 1"):
        trained(tmp_path / "parts", 1, compared, accumulate=2)


def test_more_processes_than_samples_of_a_batch_all_take_part(tmp_path):
    settings = {"batch_size": 2, "train": 7, "epochs": 1}
    one = trained(tmp_path / "one", 1, **settings)["0"]
    three = trained(tmp_path / "three", 3, **settings)
    torch.testing.assert_close(three["2"], one, rtol=0, atol=1e-6)


def test_no_process_has_a_single_sample_of_a_batch(monkeypatch):
    monkeypatch.setattr(parallel, "count", lambda: 2)
    for size, sizes in ((3, [3]), (4, [2]), (7, [4]), (8, [2, 2])):
        pieces = loop._pieces(stage(accumulate=4), torch.arange(size))
        assert [len(own) for own, _ in pieces] == sizes


def noisy(**settings):
    return stage(nn.Dropout(0.3), nn.BatchNorm1d(8), **settings)


def test_killed_processes_resume_to_the_same_bits(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "CHECKPOINT_EVERY", -1.0)
    whole = trained(tmp_path / "whole", 2, noisy)
    torch.testing.assert_close(whole["1"], whole["0"], rtol=0, atol=0)

    def dying(**settings):
        one, calls = noisy(**settings), []
        real = one.loss

        def loss(model, batch):
            calls.append(1)
            if len(calls) == 9 and parallel.rank() == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(model, batch)

        one.loss = loss
        return one

    with pytest.raises(InputError, match=r"process 1 of 2 was ended by SIGKILL.*A rerun goes on"):
        trained(tmp_path / "cut", 2, dying)
    assert torch.load(tmp_path / "cut" / "main.pt", weights_only=True)["step"] > 0
    resumed = trained(tmp_path / "cut", 2, noisy)
    torch.testing.assert_close(resumed, whole, rtol=0, atol=0)


def test_one_process_writes(tmp_path, monkeypatch):
    """Process 1 leaves before the artifacts: with no paths to write to, it would fail."""
    monkeypatch.setattr(one_run, "_predictions", lambda run, stage: None)
    monkeypatch.setattr(parallel, "rank", lambda: 1)
    built = type("Method", (), {"build": lambda run: [stage(epochs=0)]})
    run = type("Run", (), {"recipe": built, "seed": 0})
    about = {}
    one_run.execute(run, str(tmp_path / "resume"), {}, about)
    assert about == {}
