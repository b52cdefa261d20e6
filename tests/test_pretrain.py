"""Encoders that are trained here: what a classifier starts from."""

import numpy as np
import pytest
import tiny
import torch
from PIL import Image

from histopair import encoders
from histopair.errors import InputError
from histopair.files import tables
from histopair.training import loop, pretrain
from histopair.training.pretrain import classifier
from histopair.training.staged import train

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


BERT = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
BERT |= {"intermediate_size": 32, "max_position_embeddings": 32}


def drawing_run(folder, kind, **settings):
    """An encoder whose batches are drawn: hidden words, or a text for each image of a class."""
    run = classifier_run(folder, {}, depth=1)
    labels = tiny.dataset(folder / "captioned", captions=True)
    captions = tables.read(labels)
    captions["caption"] = "no tumour of the colon, normal glands " + captions["sample_id"]
    tables.write(labels, captions, tables.about(labels))
    run.artifacts |= {"labels": str(labels), "reports": [str(tiny.reports(folder))]}
    run.root, run.method["epochs"] = str(folder / "captioned"), 4
    if kind == "masked_language":
        run.method |= {"vocabulary": 100, "model": BERT}
    else:
        run.towers = {
            "image": tiny.vit_entry(folder / "vit"),
            "text": tiny.bert_entry(folder / "b"),
        }
        match = {"c0": "normal", "c1": "tumour colon no $"}
        run.method |= {"match": match, "model": {"embed_dim": 8, "image_size": 32}}
    run.method |= {"kind": kind, "batch_size": 4} | settings
    return run


@pytest.mark.parametrize("kind", ["masked_language", "locked_clip"])
def test_the_same_weights_have_the_same_validation_loss_in_each_epoch(tmp_path, kind):
    _, history = train(drawing_run(tmp_path, kind, learning_rate=0.0), str(tmp_path / "resume"))
    assert len({row["val_task"] for row in history}) == 1
    assert len({row["train_task"] for row in history}) > 1


@pytest.mark.parametrize("kind", ["masked_language", "locked_clip"])
def test_an_encoder_whose_training_was_killed_ends_with_the_same_bits(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(loop, "CHECKPOINT_EVERY", -1.0)
    stage, whole = train(drawing_run(tmp_path, kind), str(tmp_path / "whole"))
    evaluate, left = loop.evaluate, [2]

    def killed(*arguments):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return evaluate(*arguments)

    with monkeypatch.context() as context:
        context.setattr(loop, "evaluate", killed)
        with pytest.raises(KeyboardInterrupt):
            train(drawing_run(tmp_path, kind), str(tmp_path / "cut"))
    resumed, history = train(drawing_run(tmp_path, kind), str(tmp_path / "cut"))
    assert history == whole
    ours, theirs = resumed.model.state_dict(), stage.model.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


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


@pytest.mark.parametrize("other", [{"num_heads": 3}, {"qk_norm": False, "act_layer": "relu"}])
def test_a_backbone_with_tensors_of_the_same_shapes_is_refused_too(tmp_path, other):
    entry = tiny.vit_entry(tmp_path / "vit", depth=2)
    run = classifier_run(tmp_path, {"image": entry}, depth=2)
    run.method["model"] |= other
    with pytest.raises(InputError, match=r"of another architecture: .* such as num_heads"):
        list(classifier.build(run))


def test_images_are_prepared_as_the_backbone_prepares_them(tmp_path):
    entry = tiny.vit_entry(tmp_path / "vit", depth=2)
    entry |= {"pixels": {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]}}
    run = classifier_run(tmp_path, {"image": entry}, depth=2)
    pretrain.execute(run, str(tmp_path / "resume"), str(tmp_path / "out"), {})
    made = {"name": "made", "library": "timm", "model": f"local-dir:{tmp_path / 'out'}"}
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8))
    theirs, ours = (encoders.load(one).preprocess(image) for one in (entry, made))
    assert torch.equal(ours, theirs)
