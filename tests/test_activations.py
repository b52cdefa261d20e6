"""Activations of frozen trunks: what a top takes by row, computed once or as it is needed."""

import numpy as np
import pandas as pd
import pytest
import tiny
import torch

from histopair import encoders, pixels, runs, tables
from histopair.errors import InputError

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


def make(world, encoder="clip", text=None, labels=None, **artifacts) -> runs.Run:
    return runs.Run(
        artifacts={"labels": labels or world["labels"], **artifacts},
        root=str(world["folder"] / "data"),
        encoder_entry=world[encoder],
        retriever_entry=None,
        method={"views": 8},
        seed=0,
        device=torch.device("cpu"),
        image_cache_mb=100,
        text_encoder_entry=world[text] if text else None,
    )


ROWS = torch.tensor([25, 3, 3, 14, 1])


@pytest.mark.parametrize("encoder", ["clip", "vit"])
def test_an_image_top_on_what_is_fetched_is_the_tower(world, encoder):
    run = make(world, encoder)
    top, width, fetch = run.tower("image", 2)
    whole = encoders.load(world[encoder])
    read = [
        pixels.read(run.root, run.samples["path"][row], whole.preprocess) for row in ROWS.tolist()
    ]
    features = top.eval()(*fetch(ROWS))
    assert features.shape == (5, width)
    torch.testing.assert_close(features, whole.image(torch.stack(read)), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("text", [None, "bert"])
def test_a_text_top_on_what_is_fetched_is_the_tower(world, text):
    run = make(world, text=text)
    top, width, fetch = run.tower("text", 1)
    whole = encoders.load(world[text or "clip"])
    features = top.eval()(*fetch(ROWS))
    expected = whole.text(whole.tokenize([run.samples["caption"][row] for row in ROWS.tolist()]))
    assert features.shape == (5, width)
    torch.testing.assert_close(features, expected, atol=1e-5, rtol=1e-5)


def test_views_are_the_eight_ways_a_tile_can_lie(world):
    run = make(world, "vit")
    _, _, fetch = run.tower("image", 1)
    whole = encoders.load(world["vit"])
    tile = pixels.read(run.root, run.samples["path"][0], whole.preprocess)
    from histopair.activations import turned

    tiles = [turned(tile, view) for view in range(8)]
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
    with pytest.raises(InputError, match=r"no caption of 'i5'.*choose another dataset"):
        make(world, labels=labels).tower("text", 1)


def test_a_tower_that_the_encoder_has_not_is_one_clear_line(world):
    with pytest.raises(InputError, match=r"encoder vit.*no text tower"):
        make(world, "vit").tower("text", 1)
