"""The phantom: equal seeds, equal bytes; labels, texts and formats follow from the truth."""

import hashlib

import h5py
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from histopair.files import tables
from histopair.phantom import (
    attributes,
    formats,
    grammar,
    phrases,
    quilt,
    stain,
    synthetic,
    tcga,
    tiles,
)
from histopair.phantom.entities import ATTRIBUTES, CATALOGUE, WORLDS

PCAM = dict(train=20, val=4, test=6, pixels=96, microns_per_pixel=1.0, label_noise=0.1)
BACH = dict(per_class=2, width=64, height=48, microns_per_pixel=2.0, label_noise=0.0)
CRC = dict(train_per_class=2, test_per_class=1, pixels=64, microns_per_pixel=1.0, label_noise=0.5)
QUILT = dict(rows=60, images=24, videos=8, pixels=48, microns_per_pixel=2.0, label_noise=0.05)
CAPTIONS = dict(pairs=20, pixels=48)
TCGA = dict(colon=27, breast=30, other=12, damage=0.02)
SYNTHETIC = dict(colon=60, breast=20, errors=0.2)


def make(root):
    formats.pcam(root / "pcam", root / "truth/pcam.parquet", PCAM, 1, {})
    photos = root / "bach/ICIAR2018_BACH_Challenge/Photos"
    formats.bach(photos, root / "truth/bach.parquet", BACH, 1, {})
    crc = root / "nct-crc"
    train, test = crc / "NCT-CRC-HE-100K", crc / "CRC-VAL-HE-7K"
    formats.nct_crc(train, test, root / "truth/nct-crc.parquet", CRC, 1, {})
    quilt.quilt(root / "quilt-1m", root / "truth/quilt-1m.parquet", QUILT, 1, {})
    quilt.captions(root / "captions", root / "truth/captions.parquet", CAPTIONS, 1, {})
    tcga.tcga(root / "tcga", root / "truth/tcga.parquet", TCGA, 1, {})
    reports = root / "synthetic/reports.csv"
    synthetic.synthetic(reports, root / "truth/synthetic.parquet", SYNTHETIC, 1, {})
    return root


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make(tmp_path_factory.mktemp("world"))


def truth(world, name):
    return tables.read(world / f"truth/{name}.parquet")


def digests(root):
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def sampled(entity, n, seed=0):
    rng = attributes.generator(seed, entity)
    return attributes.sample([entity] * n, attributes.patients(n, "p", rng), rng)


def test_the_same_seed_makes_the_same_bytes(world, tmp_path):
    assert digests(make(tmp_path)) == digests(world)


def test_no_patient_is_in_two_datasets_or_in_two_splits(world):
    names = ["pcam", "bach", "nct-crc", "quilt-1m", "captions", "tcga", "synthetic"]
    groups = [set(truth(world, name)["group"]) for name in names]
    assert sum(map(len, groups)) == len(set.union(*groups))
    for name in ("pcam", "nct-crc"):
        assert truth(world, name).groupby("group")["split"].nunique().max() == 1


def test_every_truth_has_the_same_attributes_in_range(world):
    for name in ("pcam", "bach", "nct-crc", "quilt-1m", "captions", "tcga", "synthetic"):
        table = truth(world, name)
        assert set(ATTRIBUTES) <= set(table)
        assert table[["nuclear_grade", "mitoses"]].isin(range(4)).all(axis=None)
        shares = table[["necrosis", "lymphocytes", "stroma", "mucin", "fat"]]
        assert ((shares >= 0) & (shares <= 1)).all(axis=None)


def test_labels_follow_from_attributes_by_the_stated_rules(world):
    for name in ("pcam", "bach", "nct-crc"):
        table = truth(world, name)
        assert (attributes.label(name, table) == table["label"]).all()
    for row in truth(world, "quilt-1m").to_dict("records"):
        assert list(row["labels"]) == quilt.labels(row)
        assert len(row["labels"]) == 3


@pytest.mark.parametrize(
    ("entity", "crc", "pcam", "bach"),
    [
        ("colon-fat", "ADI", "normal", "Normal"),
        ("colon-mucosa", "NORM", "normal", "Normal"),
        ("colon-carcinoma", "TUM", "tumor", "Invasive"),
        ("breast-dcis", "NORM", "normal", "InSitu"),
        ("breast-adenoma", "NORM", "normal", "Benign"),
        ("colon-debris", "DEB", "normal", "Normal"),
    ],
)
def test_the_class_rules_on_known_entities(entity, crc, pcam, bach):
    table = sampled(entity, 1)
    told = [attributes.label(name, table)[0] for name in ("nct-crc", "pcam", "bach")]
    assert told == [crc, pcam, bach]


def test_the_stated_share_of_train_labels_is_wrong_and_no_test_label(world):
    for name, noise in (("pcam", 0.1), ("nct-crc", 0.5)):
        table = truth(world, name)
        wrong = table["label"] != table["given"]
        assert wrong[table["split"] == "train"].mean() == pytest.approx(noise)
        assert not wrong[table["split"] != "train"].any()


def test_reports_say_what_is_true_and_negate_what_is_absent():
    for entity in CATALOGUE.index:
        rng = attributes.generator(0, entity, "text")
        for row in sampled(entity, 5).to_dict("records"):
            text = grammar.report(row, [], rng)
            assert any(name.upper() in text for name in phrases.DIAGNOSIS[entity])
            assert any(shape in text for shape in phrases.ARCHITECTURE[row["architecture"]])
            micro = text.lower().split("microscopic description:")[1]
            for name, table in phrases.FINDINGS.items():
                said = {k for k in range(3) if any(p.lower() in micro for p in table[k])}
                assert grammar.level(name, row[name]) in said
            assert ("no evidence of necrosis" in micro) <= (row["necrosis"] < 0.04)
            assert 60 <= len(text.split()) <= 400


def test_captions_are_short_and_name_diagnosis_or_architecture():
    for entity in CATALOGUE.index:
        rng = attributes.generator(1, entity)
        row = sampled(entity, 1).iloc[0].to_dict()
        text = grammar.caption(row, rng).lower()
        names = phrases.DIAGNOSIS[entity] + phrases.ARCHITECTURE[row["architecture"]]
        assert any(name.lower() in text for name in names)
        assert 8 <= len(text.split()) <= 55


def test_pcam_is_six_arrays_and_three_tables_of_slides(world):
    for split, n in (("train", 20), ("valid", 4), ("test", 6)):
        stem = world / f"pcam/camelyonpatch_level_2_split_{split}"
        with h5py.File(f"{stem}_x.h5") as x, h5py.File(f"{stem}_y.h5") as y:
            assert (x["x"].shape, x["x"].dtype) == ((n, 96, 96, 3), np.uint8)
            assert y["y"].shape == (n, 1, 1, 1)
            meta = pd.read_csv(f"{stem}_meta.csv")
            assert (meta["tumor_patch"] == (y["y"][:].ravel() == 1)).all()
            assert meta["wsi"].notna().all()


def test_class_folders_hold_the_tiles_that_truth_names(world):
    for name in ("bach", "nct-crc"):
        table = truth(world, name)
        found = {str(p.relative_to(world / name)) for p in (world / name).rglob("*.tif")}
        assert set(table["path"]) == found
        assert all(
            f"/{given}/" in path for path, given in zip(table["path"], table["given"], strict=True)
        )
    with Image.open(world / "bach" / truth(world, "bach")["path"].iloc[0]) as image:
        assert (image.size, image.mode, image.format) == ((64, 48), "RGB", "TIFF")


def test_quilt_has_the_real_columns_and_its_dirt(world):
    lookup = pd.read_csv(world / "quilt-1m/quilt_1M_lookup.csv")
    assert list(lookup)[:7] == ["Unnamed: 0", *quilt.COLUMNS[:6]]
    assert lookup["caption"].isna().any() and lookup["corrected_text"].isna().any()
    assert lookup["image_path"].duplicated().any()
    assert lookup["pathology"].str.contains("Unknown").any()
    images = {path.name for path in (world / "quilt-1m/images").iterdir()}
    assert images == set(lookup["image_path"])
    broken = 0
    for name in images:
        try:
            Image.open(world / "quilt-1m/images" / name).load()
        except OSError:
            broken += 1
    assert broken == 1


def test_tcga_has_every_organ_an_empty_report_and_a_double(world):
    reports = pd.read_csv(world / "tcga/TCGA_Reports.csv", keep_default_na=False)
    types = pd.read_csv(world / "tcga/patient_to_cancer_type.csv")
    assert list(reports) == ["patient_filename", "text"]
    assert (reports["text"] == "").sum() == 1
    assert reports["text"].duplicated().sum() == 1
    assert set(reports["patient_filename"].str.split(".").str[0]) == set(types["patient_id"])
    assert {"COAD", "BRCA", "LUAD"} <= set(types["cancer_type"])
    table = truth(world, "tcga")
    assert set(table["report_id"]) == set(reports["patient_filename"])
    assert set(WORLDS["nct-crc"]) | set(WORLDS["bach"]) | set(WORLDS["pcam"]) <= set(
        table["entity"]
    )


def test_beer_lambert_no_stain_is_white_and_haematoxylin_is_dark_and_blue():
    slide = stain.sample(np.random.default_rng(0))
    amounts = np.array([[0.0, 0.5, 1.0]])
    clear, some, much = stain.to_rgb(amounts, np.zeros((1, 3)), slide)[0]
    assert clear == pytest.approx(slide.light, abs=1e-6)
    assert (some < clear).all() and (much < some).all()
    assert much[2] / much[0] > some[2] / some[0] > clear[2] / clear[0]
    pink = stain.to_rgb(np.zeros((1, 1)), np.ones((1, 1)), slide)[0, 0]
    assert pink[0] > pink[2] > pink[1]


def test_a_tile_shows_its_attributes():
    def mean(entity, **changed):
        row = sampled(entity, 1).iloc[0].to_dict() | changed
        slide = stain.sample(np.random.default_rng(0))
        image = tiles.render(row, slide, (96, 96), 1.0, np.random.default_rng(3))
        assert image.shape == (96, 96, 3) and image.dtype == np.uint8
        return image.mean()

    assert mean("colon-background") > mean("colon-fat") > mean("colon-stroma")
    assert mean("colon-stroma", lymphocytes=0.9) < mean("colon-stroma", lymphocytes=0.0)
    assert mean("breast-lobule", fat=0.7) > mean("breast-lobule", fat=0.0)


def test_every_entity_can_be_rendered():
    for entity in CATALOGUE.index:
        row = sampled(entity, 1).iloc[0]
        rng = np.random.default_rng(0)
        image = tiles.render(row.to_dict(), stain.sample(rng), (32, 40), 2.0, rng)
        assert image.shape == (32, 40, 3)


def test_agreement_is_symmetric_one_for_equal_rows_and_falls_with_difference():
    a = pd.concat([sampled(name, 2) for name in WORLDS["nct-crc"]], ignore_index=True)
    scores = attributes.agreement(a, a)
    assert np.diag(scores) == pytest.approx(1)
    assert scores == pytest.approx(scores.T)
    assert ((scores >= 0) & (scores <= 1)).all()
    b = a.assign(necrosis=(a["necrosis"] + 0.1).clip(0, 1).astype(np.float32))
    paired = np.diag(attributes.agreement(a, b))
    assert (paired[b["necrosis"] != a["necrosis"]] < 1).all()


def test_nearest_finds_in_blocks_what_agreement_ranks_first():
    a, b = sampled("colon-carcinoma", 7), sampled("colon-carcinoma", 9, seed=1)
    index, score = attributes.nearest(a, b, k=2, block=3)
    full = attributes.agreement(a, b)
    assert score[:, 0] == pytest.approx(full.max(axis=1))
    assert np.take_along_axis(full, index, 1) == pytest.approx(score)


def test_synthetic_reports_are_short_and_some_name_another_tissue(world):
    reports = pd.read_csv(world / "synthetic/reports.csv")
    table = truth(world, "synthetic").set_index("report_id")
    assert reports["text"].str.split().str.len().between(5, 30).all()
    assert reports["organ"].value_counts().to_dict() == {"colon": 60, "breast": 20}
    names = reports["id"].map(table["entity"]).map(lambda entity: phrases.DIAGNOSIS[entity][0])
    right = [name in text for name, text in zip(names, reports["text"], strict=True)]
    assert 0.6 < np.mean(right) < 0.95
    assert set(table["entity"]) >= set(WORLDS["nct-crc"])
