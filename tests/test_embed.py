"""The embedding cache: right vectors, whole files, shards found again after a kill."""

import json
import re

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import tiny
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from histopair import encoders, images
from histopair.encoders import embed
from histopair.errors import InputError
from histopair.files import tables
from histopair.jobs.idle import Idle

SETTINGS = {
    "batch_size": 5,
    "precision": "float32",
    "storage": "float16",
    "shard_size": 8,
    "decoding": "cpu",
}
ABOUT = {"rule": "embed_images", "code": "abc"}
NO_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
DEVICES = ["cpu", pytest.param("cuda", marks=NO_GPU)]


def run(tmp_path, settings=SETTINGS, name="out"):
    labels = tmp_path / "data" / "labels.parquet"
    if not labels.exists():
        tiny.dataset(tmp_path / "data")
    entry = tiny.vit_entry(tmp_path / "vit")
    out = tmp_path / f"{name}.parquet"
    shards = str(tmp_path / "shards")
    embed.embed_images(
        str(labels), str(tmp_path / "data"), entry, settings, shards, str(out), dict(ABOUT)
    )
    return out


def rows(shard):
    return pq.read_metadata(shard).num_rows


def one_by_one(tmp_path):
    encoder = encoders.load(tiny.vit_entry(tmp_path / "vit"))
    paths = tables.read(tmp_path / "data" / "labels.parquet")["path"]
    with torch.inference_mode():
        return torch.cat(
            [
                encoder.image(encoder.preprocess(images.load(tmp_path / "data", p))[None])
                for p in paths
            ]
        ).numpy()


def test_vectors_are_those_of_the_encoder_one_image_at_a_time(tmp_path):
    out = run(tmp_path)
    np.testing.assert_allclose(tables.matrix(out), one_by_one(tmp_path), atol=2e-3)
    assert list(tables.read(out)["image_id"]) == [f"i{i}" for i in range(24)]


@pytest.mark.parametrize(
    "change",
    [
        lambda tile: tile.write_bytes((tile.parent / "8.png").read_bytes()),
        lambda tile: tile.write_bytes(tile.read_bytes()[:90]),
        lambda tile: tile.unlink(),
    ],
    ids=["another", "cut short", "gone"],
)
def test_an_image_that_changed_after_cleaning_has_no_vector(tmp_path, change):
    tiny.dataset(tmp_path / "data")
    tile = tmp_path / "data/images/9.png"
    kept = tile.read_bytes()
    change(tile)
    with pytest.raises(InputError, match=r"9\.png: it is no longer the image that cleaning read"):
        run(tmp_path)
    tile.write_bytes(kept)
    np.testing.assert_allclose(tables.matrix(run(tmp_path)), one_by_one(tmp_path), atol=2e-3)


def test_vectors_of_other_versions_of_a_library_are_no_shards_of_this_one(tmp_path, monkeypatch):
    run(tmp_path)
    before = {path.name for path in (tmp_path / "shards").iterdir()}
    monkeypatch.setattr(embed.jobs, "versions", lambda names: {"timm": "9"})
    run(tmp_path)
    assert not before & {path.name for path in (tmp_path / "shards").iterdir()}


def swap_words(folder):
    file = folder / "tokenizer.json"
    content = json.loads(file.read_text())
    words = content["model"]["vocab"]
    words["tumour"], words["no"] = words["no"], words["tumour"]
    file.write_text(json.dumps(content))


def change_config(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"layer_norm_eps": 1.0}))


@pytest.mark.parametrize("change", [swap_words, change_config])
def test_other_words_or_another_config_of_the_same_weights_find_no_shards(tmp_path, change):
    entry = tiny.bert_entry(tmp_path / "bert")
    table = pd.DataFrame({"key": list("ab"), "text": ["tumour colon", "no colon"]})

    def vectors(shards):
        out = str(tmp_path / "out.parquet")
        shards = str(tmp_path / shards)
        embed.embed_texts(table, ["key"], "text", entry, SETTINGS, shards, out, {**ABOUT})
        return tables.matrix(out)

    before = vectors("kept")
    change(tmp_path / "bert")
    after = vectors("kept")
    np.testing.assert_array_equal(after, vectors("new"))
    assert not np.allclose(after, before)


def test_an_encoder_is_described_by_its_files_and_not_by_how_it_was_trained(tmp_path):
    entry = tiny.vit_entry(tmp_path / "vit")
    before = encoders.description(entry)
    (tmp_path / "vit" / "histopair.json").write_text("{}")
    assert encoders.description(entry) == before
    (tmp_path / "vit").rename(tmp_path / "moved")
    moved = entry | {"model": f"local-dir:{tmp_path / 'moved'}"}
    assert encoders.description(moved) == before


def test_the_file_says_what_it_holds(tmp_path):
    about = tables.about(run(tmp_path))
    assert about["normalised"] is False and about["encoder"]["name"] == "vit" and about["weights"]
    field = pq.read_schema(tmp_path / "out.parquet").field("embedding").type
    assert str(field.value_type) == "halffloat" and field.list_size == 24


def test_normalised_loading_gives_unit_vectors(tmp_path):
    unit = tables.matrix(run(tmp_path), normalise=True)
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1, atol=1e-6)


def test_a_killed_job_computes_no_finished_shard_again_and_ends_with_the_same_bytes(
    tmp_path, monkeypatch
):
    whole = run(tmp_path, name="whole").read_bytes()
    for shard in (tmp_path / "shards").glob("*"):
        shard.unlink()
    real, seen = embed._forward, []

    class Killed(BaseException):
        pass

    def killed_in_the_third_shard(tower, batch):
        seen.append(len(batch))
        if sum(seen) > 16:
            raise Killed
        return real(tower, batch)

    monkeypatch.setattr(embed, "_forward", killed_in_the_third_shard)
    with pytest.raises(Killed):
        run(tmp_path)
    assert not (tmp_path / "out.parquet").exists()
    finished = sum(map(rows, (tmp_path / "shards").glob("[!u.]*")))
    assert 0 < finished < 24
    done = []
    monkeypatch.setattr(embed, "_forward", lambda t, b: done.append(len(b)) or real(t, b))
    assert run(tmp_path).read_bytes() == whole
    assert sum(done) == 24 - finished


def test_a_damaged_shard_is_computed_again(tmp_path, monkeypatch):
    whole = run(tmp_path).read_bytes()
    shard = min((tmp_path / "shards").iterdir())
    damaged = rows(shard)
    shard.write_bytes(shard.read_bytes()[:-8] + bytes(8))
    real, done = embed._forward, []
    monkeypatch.setattr(embed, "_forward", lambda t, b: done.append(len(b)) or real(t, b))
    assert run(tmp_path).read_bytes() == whole
    assert sum(done) == damaged < 24


def test_shards_of_other_settings_or_images_are_not_taken(tmp_path, monkeypatch):
    run(tmp_path)
    real, done = embed._forward, []
    monkeypatch.setattr(embed, "_forward", lambda t, b: done.append(len(b)) or real(t, b))
    run(tmp_path)
    assert sum(done) == 0
    run(tmp_path, {**SETTINGS, "storage": "float32"})
    assert sum(done) == 24


def test_texts_sorted_by_length_come_back_in_their_order(tmp_path):
    entry = tiny.clip_entry(tmp_path / "clip")
    reports = tiny.reports(tmp_path)
    out = tmp_path / "texts.parquet"
    embed.embed_texts(
        str(reports),
        ["report_id", "chunk"],
        "text",
        entry,
        SETTINGS,
        str(tmp_path / "s"),
        str(out),
        dict(ABOUT),
    )
    encoder = encoders.load(entry)
    texts = list(tables.read(reports)["text"])
    with torch.inference_mode():
        expected = torch.cat([encoder.text(encoder.tokenize([text])) for text in texts])
    np.testing.assert_allclose(tables.matrix(out), expected.numpy(), atol=2e-3)
    assert list(tables.read(out)["chunk"]) == [0, 1] * 4


def test_texts_longer_than_the_tower_reads_are_counted(tmp_path, capfd):
    entry = tiny.clip_entry(tmp_path / "clip")  # reads 24 tokens, of which two are start and end
    fit, long = "no " * 22, "no " * 23
    table = pd.DataFrame({"key": list("abcd"), "text": [fit, long, long, "colon"]})
    out = str(tmp_path / "out.parquet")
    embed.embed_texts(table, ["key"], "text", entry, SETTINGS, str(tmp_path / "s"), out, {**ABOUT})
    about = tables.about(out)
    assert (about["texts"], about["cut"], about["context"]) == (4, 2, 24)
    assert (
        "clip: 2 of 4 texts are longer than the 24 tokens that it reads" in capfd.readouterr().out
    )


def test_nothing_to_embed_is_an_error(tmp_path):
    labels = tiny.dataset(tmp_path / "data")
    with pytest.raises(InputError, match="nothing to embed"):
        embed.embed_texts(
            str(labels),
            ["sample_id"],
            "caption",
            tiny.clip_entry(tmp_path / "clip"),
            SETTINGS,
            str(tmp_path / "s"),
            str(tmp_path / "c.parquet"),
            dict(ABOUT),
        )


def test_an_image_tower_is_asked_for_images(tmp_path):
    labels = tiny.dataset(tmp_path / "data")
    with pytest.raises(InputError, match="gives it no image tower"):
        embed.embed_images(
            str(labels),
            str(tmp_path),
            tiny.bert_entry(tmp_path / "bert"),
            SETTINGS,
            str(tmp_path / "s"),
            str(tmp_path / "e.parquet"),
            dict(ABOUT),
        )


def test_prompts_are_class_names_in_templates(tmp_path):
    from histopair.encoders import prompts

    labels = tiny.dataset(tmp_path / "data")
    table = prompts.of_classes(str(labels), ["A pathology image of {}", "{}."])
    assert list(table["prompt"]) == [
        "A pathology image of c0",
        "c0.",
        "A pathology image of c1",
        "c1.",
    ]


def stored(tmp_path, parts: list) -> np.ndarray:
    """The file of shards, one for each of `parts` (n, d) in turn."""
    waiting = [np.asarray(part, np.float32) for part in parts]
    n = sum(map(len, waiting))
    items = pd.DataFrame({"image_id": [f"i{i}" for i in range(n)], "sha256": "x"})
    settings = {"shard_size": len(waiting[0]), "storage": "float16"}
    out = tmp_path / "e.parquet"
    compute = lambda part: waiting.pop(0)  # noqa: E731
    folder = str(tmp_path / "shards")
    embed._embed(items, ["image_id"], "sha256", compute, [], settings, folder, str(out), {})
    return tables.matrix(out)


@pytest.mark.parametrize("vector", [[1e5, 1.0], [1.0, 1e-9], [3e-8, 1e-8], [7e4, 1e-9]])
def test_vectors_beyond_float16_are_kept_in_float32_and_a_line_says_so(tmp_path, capsys, vector):
    first, last = np.array([[1.0, 2.0]]), np.array([vector])
    found = stored(tmp_path, [first, last])
    np.testing.assert_array_equal(found, np.concatenate([first, last]).astype(np.float32))
    assert "do not fit into float16" in capsys.readouterr().out


def test_a_number_lost_among_others_is_no_reason_for_more_room(tmp_path):
    vectors = np.random.default_rng(0).normal(size=(50, 8))
    vectors[3, 2] = 1e-9
    assert stored(tmp_path, [vectors]).dtype == np.float16


@settings(max_examples=60, deadline=None)
@given(
    arrays(
        np.float32,
        st.tuples(st.integers(1, 6), st.integers(1, 5)),
        elements=st.floats(-1.0, 1.0, width=32).map(lambda x: np.float32(x)),
    ),
    st.integers(-30, 30),
)
def test_what_is_stored_is_the_vector_to_a_thousandth(array, power):
    scaled = array * np.float32(2.0**power)
    found = tables.narrowed(scaled, "float16").astype(np.float64)
    error = np.linalg.norm(found - scaled, axis=1)
    assert (error <= 1e-3 * np.linalg.norm(scaled.astype(np.float64), axis=1)).all()


def test_the_file_says_how_images_were_read(tmp_path):
    assert "Resize(size=" in tables.about(run(tmp_path))["pixels"]


def test_the_log_says_how_fast_it_was_and_how_long_the_device_waited(tmp_path, capfd):
    run(tmp_path)
    line = r"\d+\.\d images/s in all; cpu waited for images \d+\.\d% of the time\n"
    assert re.search(line, capfd.readouterr().out)
    run(tmp_path)
    assert "no images to compute: all shards are there" in capfd.readouterr().out


@pytest.mark.parametrize("device", DEVICES)
def test_a_batch_too_large_for_the_memory_is_halved(device):
    sizes = []

    def tower(batch):
        sizes.append(len(batch))
        if len(batch) > 2:
            raise torch.cuda.OutOfMemoryError
        return batch * 2

    batches = [torch.arange(7, device=device)[:, None]]
    vectors = embed._features(tower, batches, Idle(torch.device(device)))
    assert vectors[:, 0].tolist() == [0, 2, 4, 6, 8, 10, 12] and max(sizes) == 7


def test_the_way_of_decoding_names_the_shards(tmp_path, monkeypatch):
    run(tmp_path)
    assert tables.about(tmp_path / "out.parquet")["decoding"] == "torchvision"
    real, done = embed._forward, []
    monkeypatch.setattr(embed, "_forward", lambda t, b: done.append(len(b)) or real(t, b))
    monkeypatch.setattr(embed.pixels, "way", lambda *_: "another")
    run(tmp_path)
    assert sum(done) == 24
