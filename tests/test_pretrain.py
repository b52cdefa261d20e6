"""Encoders that are trained here: what a classifier starts from."""

import pytest
import tiny
import torch

from histopair import encoders
from histopair.errors import InputError
from histopair.training import pretrain
from histopair.training.pretrain import classifier

SIZES = {"img_size": 32, "patch_size": 16, "embed_dim": 24, "num_heads": 2}


def classifier_run(folder, towers, depth):
    labels = tiny.dataset(folder / "data")
    method = {"kind": "classifier", "architecture": "vit_tiny_patch16_224", "epochs": 1}
    method |= {"model": SIZES | {"depth": depth}, "batch_size": 8, "learning_rate": 0.001}
    method |= {"optimizer": "adamw", "weight_decay": 0.0, "clip": 1.0, "schedule": "constant"}
    method |= {"precision": "float32"}
    device = torch.device("cpu")
    artifacts = {"labels": str(labels)}
    return pretrain.Pretraining(artifacts, str(folder / "data"), method, 0, device, 100, towers)


def test_a_classifier_starts_from_a_backbone_and_moves_away_from_it(tmp_path):
    entry = tiny.vit_entry(tmp_path / "vit", depth=2)
    start = encoders.load(entry).image.state_dict()
    (stage,) = classifier.build(classifier_run(tmp_path, {"image": entry}, depth=2))
    assert all(torch.equal(stage.model.state_dict()[name], start[name]) for name in start)
    run = classifier_run(tmp_path, {"image": entry}, depth=2)
    pretrain.execute(run, str(tmp_path / "resume"), str(tmp_path / "out"), {})
    trained = encoders.load(entry | {"model": f"local-dir:{tmp_path / 'out'}"}).image.state_dict()
    assert trained.keys() == start.keys()
    moved = [(trained[name] - start[name]).abs().max() for name in start]
    assert 0 < max(moved) < 0.1


def test_without_a_backbone_a_classifier_starts_from_chance(tmp_path):
    entry = tiny.vit_entry(tmp_path / "vit", depth=2)
    start = encoders.load(entry).image.state_dict()
    (stage,) = classifier.build(classifier_run(tmp_path, {}, depth=2))
    name = "blocks.0.attn.qkv.weight"
    assert not torch.allclose(stage.model.state_dict()[name], start[name])


@pytest.mark.parametrize("depth", [1, 3])
def test_a_backbone_of_another_depth_is_refused(tmp_path, depth):
    entry = tiny.vit_entry(tmp_path / "vit", depth=2)
    with pytest.raises(InputError, match="encoder vit: it starts an encoder of another architec"):
        list(classifier.build(classifier_run(tmp_path, {"image": entry}, depth)))
