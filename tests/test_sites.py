"""Sites are read, kept, and held out one at a time."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from histopair.datasets import labels, resplit
from histopair.errors import InputError
from histopair.files import tables
from histopair.pages import datasets
from histopair.plan import load

SITES = ["north", "east", "south"]
PARTS = ("labels", "audit", "quarantine", "frequencies")


def _entry(folder, sites=SITES, heading="path,label,group,site", split=None) -> dict:
    """Twelve tiles of each site, two of each patient and of classes a and b."""
    folder.mkdir()
    rows = [heading]
    for number in range(12 * len(sites)):
        site = sites[number // 12]
        rows.append(
            f"t{number}.png,{'ab'[number % 2]},TCGA-A{number // 12}-{number // 2:04},{site}"
        )
        pixels = np.full((4, 4, 3), number + 2, np.uint8)
        Image.fromarray(pixels).save(folder / f"t{number}.png")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    return {"reader": "table", "root": str(folder), "split": split or {}}


def _files(folder, name):
    return [str(folder / f"{name}.{part}.parquet") for part in PARTS]


def _clean(folder, entry) -> tuple[pd.DataFrame, pd.DataFrame]:
    out = _files(folder, "mine")
    labels.clean(entry, "mine", *out, {})
    return tables.read(out[0]), tables.read(out[1])


def test_a_site_is_kept_with_one_spelling(tmp_path):
    clean, rows = _clean(tmp_path, _entry(tmp_path / "t", ["North", "north", "south"]))
    assert sorted(clean.groupby("site").size()) == [12, 24]
    assert "site" in set(rows.subject[rows.action == "merged"])


def test_without_sites_there_is_no_column(tmp_path):
    clean, _ = _clean(tmp_path, _entry(tmp_path / "t", ["", "", ""]))
    assert "site" not in clean


def test_the_site_of_a_tcga_barcode(tmp_path):
    entry = _entry(tmp_path / "t", heading="path,label,group,none") | {"site": "tcga"}
    clean, _ = _clean(tmp_path, entry)
    assert clean.groupby("site").size().to_dict() == {"A0": 12, "A1": 12, "A2": 12}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"sites": ["north", "", "south"]}, "12 samples have no site"),
        ({"split": {"sites": ["north", "east"]}}, "'south' is not named"),
        ({"split": {"sites": [*SITES, "west"]}}, "'west' has no sample"),
        ({"sites": ["", ""], "split": {"sites": SITES}}, "its samples have none"),
    ],
)
def test_wrong_sites_are_told(tmp_path, changed, said):
    with pytest.raises(InputError, match=said):
        _clean(tmp_path, _entry(tmp_path / "t", **changed))


def test_what_is_no_barcode_is_told(tmp_path):
    entry = _entry(tmp_path / "t", heading="path,label,none,site") | {"site": "tcga"}
    with pytest.raises(InputError, match=r"'t0.png' is no TCGA barcode"):
        _clean(tmp_path, entry)


def test_each_site_is_the_test_part_once(tmp_path):
    split = {"sites": SITES, "val": 0.25, "seed": 0}
    clean, _ = _clean(tmp_path, _entry(tmp_path / "t", split=split))
    assert (clean.split == "test").all()
    assert clean.groupby("fold").site.unique().map(list).to_dict() == {
        fold: [site] for fold, site in enumerate(SITES, 1)
    }
    out, source = _files(tmp_path, "fold"), _files(tmp_path, "mine")
    entry = {"of": "mine", "split": split | {"fold": 2}}
    resplit.resplit(source[0], source[3], entry, "mine-fold-2", *out, {})
    held_out = tables.read(out[0])
    assert set(held_out.site[held_out.split == "test"]) == {"east"}
    rest = held_out[held_out.split != "test"]
    assert set(rest.site) == {"north", "south"}
    assert (rest.groupby("group").split.nunique() == 1).all()
    assert (rest.split == "val").sum() == 6


def test_a_patient_at_two_sites_is_warned_of(tmp_path):
    entry = _entry(tmp_path / "t", split={"sites": SITES})
    table = tmp_path / "t" / "labels.csv"
    table.write_text(table.read_text().replace("t12.png,a,TCGA-A1-0006", "t12.png,a,TCGA-A0-0000"))
    _, rows = _clean(tmp_path, entry)
    warned = rows[(rows.action == "warned") & (rows.subject == "site")]
    assert warned["count"].tolist() == [1]


def test_all_samples_may_be_test(tmp_path):
    clean, rows = _clean(tmp_path, _entry(tmp_path / "t", split={"by": "test"}))
    assert (clean.split == "test").all()
    assert not (rows.action == "warned").any()


def _config(**split) -> dict:
    images = {"reader": "table", "root": "tests"}
    encoder = {"library": "timm", "model": "vit_tiny_patch16_224"}
    return {
        "datasets": {"mine": images | {"split": split}},
        "encoders": {"vit": encoder},
        "methods": {"probe": {"recipe": "linear_probe"}},
        "studies": {"s": {"datasets": ["mine"], "encoders": ["vit"], "methods": ["probe"]}},
    }


def test_a_fold_for_each_site():
    config = load.load(_config(sites=SITES))
    names = [name for name in config["datasets"] if name.startswith("mine-fold")]
    assert names == ["mine-fold-1", "mine-fold-2", "mine-fold-3"]


@pytest.mark.parametrize(
    ("split", "said"),
    [
        ({"sites": SITES, "folds": 3}, "folds and sites cannot be combined"),
        ({"sites": SITES, "by": "test"}, "sites and by: test cannot be combined"),
        ({"folds": 3, "by": "row"}, "folds and by: row cannot be combined"),
        ({"folds": 3, "by": "val-row"}, "folds and by: val-row cannot be combined"),
        ({"folds": 3, "duplicates": "group"}, "folds and duplicates: group cannot be combined"),
        ({"by": "row", "duplicates": "group"}, "'by: row' keeps no group together"),
        ({"by": "test"}, "all samples of 'mine' are test"),
    ],
)
def test_splits_that_do_not_fit(split, said):
    with pytest.raises(InputError, match=said) as told:
        load.load(_config(**split))
    assert str(told.value).count(said) == 1


@pytest.mark.parametrize(
    ("split", "words"),
    [
        ({}, "split as published"),
        ({"folds": 2}, "split by group"),
        ({"folds": 2, "fold": 1}, "split by group"),
        ({"sites": SITES}, "split by site"),
    ],
)
def test_a_page_does_not_call_folds_published(split, words):
    assert datasets._in_words(split, ["train", "val", "test"]) == words
