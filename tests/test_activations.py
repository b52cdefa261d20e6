"""Activations of frozen blocks: what the others take by row, computed once or in each step."""

import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import tiny
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from histopair import encoders
from histopair.encoders.activations import cache as activation_cache
from histopair.encoders.activations import split_towers
from histopair.encoders.activations.source import turned
from histopair.errors import InputError
from histopair.files import tables
from histopair.images import pixels
from histopair.training import adapted_images, one_run

CAPTIONS = ["tumour colon", "normal", "no tumour colon normal", "colon no"]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Two rows on each image but the last ones; captions of different lengths."""
    folder = tmp_path_factory.mktemp("world")
    labels = tiny.dataset(folder / "data", captions=True)
    table = tables.read(labels)
    again = table.iloc[:8].assign(sample_id=[f"again{i}" for i in range(8)])
    table = pd.concat([table, again], ignore_index=True)
    table["caption"] = [CAPTIONS[i % 4] for i in range(len(table))]
    tables.write(labels, table, tables.about(labels))
    entries = {
        "clip": tiny.clip_entry(folder / "clip", layers=3),
        "vit": tiny.vit_entry(folder / "vit", depth=3),
        "bert": tiny.bert_entry(folder / "bert", "cls", layers=3),
    }
    return {"folder": folder, "labels": str(labels), **entries}


def make(world, encoder="clip", text=None, labels=None, **artifacts) -> one_run.Run:
    return one_run.Run(
        artifacts={"labels": labels or world["labels"], **artifacts},
        root=str(world["folder"] / "data"),
        encoder_entry=world[encoder],
        retriever_entry=None,
        method={"augmentations": 8},
        seed=0,
        device=torch.device("cpu"),
        image_cache_mb=100,
        text_encoder_entry=world[text] if text else None,
    )


ROWS = torch.tensor([25, 3, 3, 14, 1])


@pytest.mark.parametrize("encoder", ["clip", "vit"])
def test_an_image_top_on_what_is_fetched_is_the_tower(world, encoder):
    run = make(world, encoder)
    trained, width, fetch = run.tower("image", 2)
    whole = encoders.load(world[encoder])
    read = [
        pixels.read(run.root, run.samples["path"][row], whole.preprocess) for row in ROWS.tolist()
    ]
    features = trained.eval()(*fetch(ROWS))
    assert features.shape == (5, width)
    torch.testing.assert_close(features, whole.image(torch.stack(read)), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("text", [None, "bert"])
def test_a_text_top_on_what_is_fetched_is_the_tower(world, text):
    run = make(world, text=text)
    trained, width, fetch = run.tower("text", 1)
    whole = encoders.load(world[text or "clip"])
    features = trained.eval()(*fetch(ROWS))
    expected = whole.text(whole.tokenize([run.samples["caption"][row] for row in ROWS.tolist()]))
    assert features.shape == (5, width)
    torch.testing.assert_close(features, expected, atol=1e-5, rtol=1e-5)


def test_views_are_the_eight_ways_a_tile_can_lie(world):
    run = make(world, "vit")
    _, _, fetch = run.tower("image", 1)
    whole = encoders.load(world["vit"])
    tile = pixels.read(run.root, run.samples["path"][0], whole.preprocess)
    tiles = [turned(tile, turn) for turn in range(8)]
    assert len({one.numpy().tobytes() for one in tiles}) == 8
    assert torch.equal(tiles[0], tile) and torch.equal(tiles[4], tile.flip(-1))
    (activations,) = fetch(torch.zeros(8, dtype=torch.long), torch.arange(8))
    (plain,) = fetch(torch.tensor([0]))
    torch.testing.assert_close(activations[:1], plain)
    assert not np.allclose(activations[1], plain[0])


def test_a_sample_without_caption_is_one_clear_line(world, tmp_path):
    table = tables.read(world["labels"])
    table.loc[5, "caption"] = None
    labels = str(tmp_path / "labels.parquet")
    tables.write(labels, table, tables.about(world["labels"]))
    with pytest.raises(InputError, match=r"'i5' has no caption.*choose another dataset"):
        make(world, labels=labels).tower("text", 1)


def test_a_tower_that_the_encoder_has_not_is_one_clear_line(world):
    with pytest.raises(InputError, match=r"encoder vit.*no text tower"):
        make(world, "vit").tower("text", 1)


SETTINGS = {"cache": True, "budget_gb": 1.0, "storage": "float16"}
KINDS = {"images": ("image", "image_activations"), "captions": ("text", "caption_activations")}


def cached(
    world, tmp_path, kind="images", encoder="clip", blocks=2, turns=1, labels=None, **changes
):
    """The folder of activations, and the names and times of the shards it was made of."""
    out, store = tmp_path / f"{kind}.{blocks}x{turns}", tmp_path / "shards"
    activation_cache.make(
        kind,
        labels or world["labels"],
        str(world["folder"] / "data"),
        world[encoder],
        blocks,
        turns,
        SETTINGS | changes,
        str(store),
        str(out),
        {"code": "abc"},
    )
    return str(out), {file.name: file.stat().st_mtime_ns for file in store.glob("*")}


@pytest.mark.parametrize(
    ("storage", "error"), [("float32", 0), ("float16", 1e-3), ("bfloat16", 1e-2)]
)
@pytest.mark.parametrize("kind", KINDS)
def test_the_cache_gives_what_the_trunk_does(world, tmp_path, kind, storage, error):
    what, artifact = KINDS[kind]
    out, _ = cached(world, tmp_path, kind, storage=storage)
    kept, computed = (
        make(world, **artifacts).tower(what, 2) for artifacts in ({artifact: out}, {})
    )
    for rows in (ROWS, torch.arange(32)):
        for ours, theirs in zip(kept[2](rows), computed[2](rows), strict=True):
            assert ours.shape == theirs.shape and ours.dtype == theirs.dtype
        ours, theirs = (trained.eval()(*fetch(rows)) for trained, _, fetch in (kept, computed))
        torch.testing.assert_close(ours, theirs, atol=max(error, 1e-5) * 3, rtol=error)


@pytest.mark.parametrize("blocks", [1, "all"])
def test_activations_for_another_number_of_blocks_are_not_read(world, tmp_path, blocks):
    out, _ = cached(world, tmp_path, blocks=2)
    trained, _, fetch = make(world, image_activations=out).tower("image", blocks)
    whole, _, pixels = make(world).tower("image", "all")
    features = trained.eval()(*fetch(ROWS))
    torch.testing.assert_close(features, whole.eval()(*pixels(ROWS)), atol=1e-5, rtol=1e-5)


def test_activations_of_other_frozen_weights_are_one_clear_line(world, tmp_path):
    out, _ = cached(world, tmp_path, encoder="vit")
    folder = shutil.copytree(world["vit"]["model"].removeprefix("local-dir:"), tmp_path / "vit")
    weights = load_file(folder / "model.safetensors")
    weights["blocks.0.mlp.fc1.bias"] += 0.01
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    other = world | {"vit": world["vit"] | {"model": f"local-dir:{folder}"}}
    with pytest.raises(InputError, match="other weights than the encoder has now"):
        make(other, "vit", image_activations=out).tower("image", 2)


def test_an_image_that_changed_after_cleaning_has_no_activations(world, tmp_path):
    shutil.copytree(world["folder"] / "data", tmp_path / "data")
    shutil.copy(tmp_path / "data/images/1.png", tmp_path / "data/images/0.png")
    with pytest.raises(InputError, match=r"0\.png: it is no longer the image that cleaning read"):
        cached(world | {"folder": tmp_path}, tmp_path / "out", encoder="vit")
    assert not list((tmp_path / "out").rglob("*.safetensors"))


def test_activations_of_other_pixels_are_not_read(world, tmp_path):
    """A tuning tries another normalisation than the one whose activations it was given."""
    out, _ = cached(world, tmp_path, blocks=2)

    def features(how, **artifacts):
        run = make(world, **artifacts)
        adapters = {"rank": 1, "alpha": 1, "targets": "all", "blocks": 2}
        run.method |= {"lora": adapters, "normalisation": how}
        trained, _, images = adapted_images.tower(run)
        return trained.eval()(images(ROWS))

    own, other = (features(how, image_activations=out) for how in ("own", "imagenet"))
    torch.testing.assert_close(other, features("imagenet"))
    assert not torch.allclose(own, other, atol=0.01)


def test_views_are_cached_together(world, tmp_path):
    out, _ = cached(world, tmp_path, encoder="vit", turns=8, storage="float32")
    kept, computed = (
        make(world, "vit", **artifacts).tower("image", 2)[2]
        for artifacts in ({"image_activations": out}, {})
    )
    rows, turns = torch.tensor([3, 0, 3, 30]), torch.tensor([7, 0, 2, 5])
    torch.testing.assert_close(kept(rows, turns), computed(rows, turns), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(kept(rows), computed(rows), atol=1e-5, rtol=1e-5)


def test_views_of_images_that_are_not_square_are_one_clear_line(world, tmp_path, monkeypatch):
    whole = encoders.load(world["vit"])
    whole.preprocess = lambda image: torch.zeros(3, 32, 48)
    monkeypatch.setattr(encoders, "load", lambda entry: whole)
    with pytest.raises(InputError, match=r"encoder vit: 8 augmentations turn.*48 x 32"):
        make(world, "vit").tower("image", 1)
    with pytest.raises(InputError, match=r"encoder vit: 2 augmentations turn"):
        cached(world, tmp_path, encoder="vit", turns=2)


def test_only_distinct_images_and_texts_are_stored(world, tmp_path):
    images, _ = cached(world, tmp_path / "a")
    texts, _ = cached(world, tmp_path / "b", "captions")
    assert tables.read_json(f"{images}/about.json")["items"] == 24  # of 32 rows
    assert tables.read_json(f"{texts}/about.json")["items"] == len(CAPTIONS)
    with safe_open(next(Path(texts).glob("*.safetensors")), "pt") as shard:
        lengths = [len(text.split()) + 2 for text in sorted(CAPTIONS, key=lambda t: len(t.split()))]
        assert shard.get_tensor("ends").diff().tolist() == lengths[1:]


def test_samples_of_no_split_are_kept_too_since_runs_and_views_know_them(world, tmp_path):
    table = tables.read(world["labels"])
    table.loc[5, "split"] = None
    labels = str(tmp_path / "labels.parquet")
    tables.write(labels, table, tables.about(world["labels"]))
    out, _ = cached(world, tmp_path, labels=labels)
    run = make(world, labels=labels, image_activations=out)
    assert len(run.tower("image", 2)[2](torch.tensor([5]))[0]) == 1


def test_finished_shards_are_found_again_and_a_rerun_writes_the_same(world, tmp_path, monkeypatch):
    monkeypatch.setattr(activation_cache, "SHARD_BYTES", 1500)
    out, before = cached(world, tmp_path)
    assert len(before) > 3
    content = {path.name: path.read_bytes() for path in Path(out).iterdir()}
    _, again = cached(world, tmp_path)
    assert again == before
    assert {path.name: path.read_bytes() for path in Path(out).iterdir()} == content
    lost = sorted(before)[0]
    (tmp_path / "shards" / lost).unlink()
    _, resumed = cached(world, tmp_path)
    assert set(resumed) == set(before)
    assert {name for name in before if resumed[name] != before[name]} == {lost}
    assert {path.name: path.read_bytes() for path in Path(out).iterdir()} == content


def test_other_labels_and_splits_compute_nothing_and_a_new_image_only_itself(
    world, tmp_path, monkeypatch
):
    table, about = tables.read(world["labels"]), tables.about(world["labels"])
    labels = str(tmp_path / "labels.parquet")
    tables.write(labels, table[table["image_id"] != "i7"], about)
    _, before = cached(world, tmp_path, labels=labels)
    changed = table[table["image_id"] != "i7"].sample(frac=1, random_state=0)
    changed["split"] = changed["split"].iloc[::-1].to_numpy()
    tables.write(labels, changed, about)
    _, after = cached(world, tmp_path, labels=labels)
    assert after == before
    tables.write(labels, table, about)
    out, after = cached(world, tmp_path, labels=labels)
    assert len(set(after) - set(before)) == 1 and before.items() <= after.items()
    assert tables.read(f"{out}/index.parquet")["shard"].value_counts().min() == 1


@pytest.mark.parametrize("change", ["weights", "preprocessing", "blocks", "storage", "turns"])
def test_what_changes_activations_makes_new_shards(world, tmp_path, change):
    entry = dict(world["vit"])
    _, before = cached(world | {"vit": entry}, tmp_path, encoder="vit")
    arguments = {
        "blocks": {"blocks": 1},
        "storage": {"storage": "bfloat16"},
        "turns": {"turns": 2},
    }
    if change == "weights":
        source = Path(entry["model"].removeprefix("local-dir:"))
        folder = Path(shutil.copytree(source, tmp_path / "vit"))
        weights = load_file(folder / "model.safetensors")
        weights["blocks.0.mlp.fc1.bias"] += 0.01
        save_file(weights, folder / "model.safetensors", {"format": "pt"})
        entry["model"] = f"local-dir:{folder}"
    elif change == "preprocessing":
        entry["pixels"] = {"mean": [0.4, 0.4, 0.4]}
    _, after = cached(world | {"vit": entry}, tmp_path, encoder="vit", **arguments.get(change, {}))
    assert not set(before) & set(after)


def test_weights_of_the_top_are_not_part_of_the_cache(world, tmp_path):
    _, before = cached(world, tmp_path, encoder="vit")
    folder = Path(world["vit"]["model"].removeprefix("local-dir:"))
    kept = (folder / "model.safetensors").read_bytes()
    weights = load_file(folder / "model.safetensors")
    weights["blocks.2.mlp.fc1.bias"] += 0.01
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    _, after = cached(world, tmp_path, encoder="vit")
    (folder / "model.safetensors").write_bytes(kept)
    assert after == before


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"cache": False}, "activations.cache is false"),
        ({"budget_gb": 1e-7}, r"GB are above activations.budget_gb = 1e-07"),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_without_a_cache_its_folder_says_why_and_the_trunk_runs(
    world, tmp_path, kind, settings, reason, capsys
):
    what, artifact = KINDS[kind]
    out, shards = cached(world, tmp_path, kind, **settings)
    assert [path.name for path in Path(out).iterdir()] == ["about.json"] and not shards
    assert re.search(reason, tables.read_json(f"{out}/about.json")["reason"])
    _, _, fetch = make(world, **{artifact: out}).tower(what, 2)
    _, _, computed = make(world).tower(what, 2)
    torch.testing.assert_close(fetch(ROWS), computed(ROWS))
    assert re.search(
        f"{kind}: the frozen blocks run in every step, because.*{reason}", capsys.readouterr().out
    )


def test_a_full_disk_turns_the_cache_off(world, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10))
    out, _ = cached(world, tmp_path)
    assert "the disk has no space" in tables.read_json(f"{out}/about.json")["reason"]


def test_numbers_that_the_storage_cannot_hold_are_one_clear_line(world, tmp_path, monkeypatch):
    whole = split_towers.Frozen.forward
    monkeypatch.setattr(
        split_towers.Frozen, "forward", lambda *x: tuple(1e6 * y for y in whole(*x))
    )
    with pytest.raises(InputError, match=r"do not fit into torch.float16.*bfloat16"):
        cached(world, tmp_path)


def test_a_sample_that_the_cache_has_not_is_one_clear_line(world, tmp_path):
    table, about = tables.read(world["labels"]), tables.about(world["labels"])
    labels = str(tmp_path / "labels.parquet")
    tables.write(labels, table[table["image_id"] != "i7"], about)
    out, _ = cached(world, tmp_path, labels=labels)
    with pytest.raises(InputError, match="it lacks samples"):
        make(world, image_activations=out).tower("image", 2)
