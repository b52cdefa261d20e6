"""The doctor estimates the disk, time and memory of a config from a trial of its encoders."""

from types import SimpleNamespace

import doctor_folder
import pytest
import torch
from doctor_folder import config, ran, tiles, write

from histopair.doctor import budget, trial, work
from histopair.doctor.rows import LATER, LOOK, OK, UNKNOWN, WRONG
from histopair.encoders import Encoder

place = doctor_folder.place
filled = doctor_folder.filled


def cache(**changes) -> work.Cache:
    facts = {"path": "p", "rule": "embed_images", "encoder": "vit", "of": "mine", "kind": "images"}
    return work.Cache(**facts | {"items": 1000} | changes)


SPEED = trial.Speed("cpu", 0.5, 0.25, 100, 60, {2: 50_000})
SETTINGS = {
    "embedding": {"storage": "float16"},
    "activations": {"storage": "float16", "budget_gb": 1, "cache": True},
    "encoders": {"vit": {}, "uni2": {"preset": "uni2-h"}},
}


def test_memory_of_a_training_is_weights_gradients_moments_and_what_torch_saves():
    """A linear layer saves its input and, for the square, its output."""

    class Tower(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(12, 5, bias=False)

        def forward(self, pixels):
            return self.layer(pixels.flatten(1))

    shrink = lambda tile: torch.ones(3, 2, 2)  # noqa: E731
    encoder = Encoder("toy", image=Tower(), preprocess=shrink, image_dim=5)
    measured = trial.training(encoder, "all")
    assert measured.fixed == 4 * 4 * 12 * 5
    assert measured.each == 4 * (12 + 5)
    assert measured.seconds > 0


def test_disk_is_two_copies_of_the_embeddings_and_the_activations(place):
    caches = [cache(), cache(kind="texts", rule="embed_texts", of="c")]
    caches.append(cache(rule="cache_activations", blocks=2, turns=8))
    sizes = [budget._bytes(SETTINGS, each, {"vit": SPEED}) for each in caches]
    assert sizes == [2 * 1000 * 100 * 2, 2 * 1000 * 60 * 2, 1000 * 8 * 50_000 * 2]
    (row,) = budget.disk_rows(SETTINGS, caches, {"vit": SPEED})
    assert row.state in (OK, LOOK, WRONG) and "0.801 GB" in row.finding


def test_disk_by_a_presets_width_and_what_cannot_be_counted(place):
    assert budget._bytes(SETTINGS, cache(encoder="uni2"), {}) == 2 * 1000 * 1536 * 2
    (row,) = budget.disk_rows(SETTINGS, [cache(), cache(encoder="uni2", items=None)], {})
    assert row.state == UNKNOWN and "2 of 2 are not counted" in row.finding


def test_disk_that_is_too_small_is_red_and_activations_above_their_budget_are_not(
    place, monkeypatch
):
    monkeypatch.setattr(budget.shutil, "disk_usage", lambda _: SimpleNamespace(free=10**5))
    large = cache(rule="cache_activations", blocks=2, items=10**6)
    above, disk = budget.disk_rows(SETTINGS, [cache(), large], {"vit": SPEED})
    assert (above.state, "above activations.budget_gb 1" in above.finding) == (LOOK, True)
    assert (disk.state, disk.remedy != "") == (WRONG, True)


def test_time_is_items_at_the_measured_speed():
    caches = [cache(), cache(of="other", items=200), cache(of="later", items=None)]
    (row,) = budget.time_rows(caches, {"vit": SPEED}, set())
    assert row.finding == (
        "1,200 images of 2 datasets (3 datasets in all): 10 min at 2.0 a second on cpu"
    )
    (row,) = budget.time_rows(caches[2:], {"vit": SPEED}, set())
    assert row.state == LATER
    (row,) = budget.time_rows(caches[:1], {}, set())
    assert row.state == UNKNOWN
    (row,) = budget.time_rows(caches[:1], {}, {"vit"})
    assert row.state == LATER


@pytest.mark.parametrize(("memory", "state"), [(None, OK), (10**9, OK), (3 * 10**8, WRONG)])
def test_a_gpu_that_a_training_does_not_fit_is_red(memory, state):
    learning = work.Learning("lora", "vit", "mine", "all", 32, 10, 2, 1000)
    measured = trial.Training("cpu", 10**8, 10**7, 0.1)
    (row,) = budget.training_rows([learning], {("vit", "all"): measured}, memory, set())
    assert row.state == state
    assert "2 runs train the whole tower: 0.42 GB at most for a batch of 32" in row.finding
    assert "33 min at most on cpu" in row.finding  # 0.1 s x 1,000 images x 10 epochs x 2


def test_an_encoder_without_weights_is_tried_as_architecture_and_named_an_estimate(place, capsys):
    tiles(place / "tiles")
    model = {"library": "timm", "model": "vit_tiny_patch16_224", "weights": "gone.pth"}
    model["pixels"] = {"size": 32}
    model["kwargs"] = {"img_size": 32, "embed_dim": 24, "depth": 1, "num_heads": 2}
    write(config(encoders={"vit": model}))
    status, text = ran(capsys)
    assert status == 1 and "there is no file 'gone.pth'" in text
    assert "estimates of its architecture, with random weights" in text
    assert "12 images of 1 dataset: " in text


def test_without_memory_there_is_no_trial(filled, capsys, monkeypatch):
    free = SimpleNamespace(available=10, total=10**11)
    monkeypatch.setattr("psutil.virtual_memory", lambda: free)
    status, text = ran(capsys)
    assert status == 0 and "too little free memory" in text and "no trial" in text
