"""The doctor of a config: files of datasets and encoders, and how public data were fetched."""

import hashlib
import json
from pathlib import Path

import doctor_folder
import pytest
import tiny
from doctor_folder import config, ran, tiles, write
from safetensors.torch import load_file, save_file

from histopair.datasets import sources
from histopair.doctor import data_rows, receipts
from histopair.doctor.rows import LOOK, MISSING, OK, WRONG

place = doctor_folder.place
filled = doctor_folder.filled


@pytest.mark.parametrize(
    ("change", "check", "words"),
    [
        (
            lambda place: (place / "tiles/labels.csv").write_text("file,label\n0.png,a\n"),
            "dataset mine",
            "path",
        ),
        (
            lambda place: (place / "tiles/labels.csv").write_bytes(b"\x00\xff"),
            "dataset mine",
            "labels.csv",
        ),
        (
            lambda place: [(place / "tiles" / f"{i}.png").unlink() for i in range(6)],
            "dataset mine",
            "6 of 12 images",
        ),
        (
            lambda place: [(place / f"tiles/{i}.png").write_bytes(b"x") for i in range(12)],
            "dataset mine",
            "8 of 8 images tried cannot be read",
        ),
        (
            lambda place: (place / "vit/model.safetensors").unlink(),
            "encoder vit",
            "holds no weights",
        ),
        (lambda place: (place / "vit/config.json").write_text("{"), "encoder vit", "config.json"),
    ],
    ids=["column", "no text", "images", "no image", "no weights", "no json"],
)
def test_a_fault_of_a_file_is_its_red_row_and_the_others_stay(filled, capsys, change, check, words):
    change(filled)
    status, text = ran(capsys)
    red = [line for line in text.splitlines() if "  missing  " in line or "  wrong  " in line]
    assert status == 1 and len(red) == 1 and red[0].startswith(check) and words in red[0]
    assert "disk" in text and "licences" in text and "failed (" not in text
    other = {"dataset mine": "encoder vit", "encoder vit": "dataset mine"}[check]
    assert any(line.startswith(other) and "  ok  " in line for line in text.splitlines())


def test_a_weight_by_another_name_is_red(filled, capsys):
    file = filled / "vit/model.safetensors"
    state = load_file(file)
    state["blocks.0.attn.other.weight"] = state.pop("blocks.0.attn.qkv.weight")
    save_file(state, file, {"format": "pt"})
    status, text = ran(capsys)
    assert status == 1 and "blocks.0.attn.qkv.weight" in text and "vit" in text


def test_a_method_that_needs_a_tower_which_an_encoder_lacks_is_red(filled, capsys):
    changed = config(methods={"zero": {"recipe": "zero_shot"}})
    changed["studies"]["one"]["methods"] = ["zero"]
    write(changed)
    status, text = ran(capsys)
    assert status == 1 and "(timm) has no text tower" in " ".join(text.split())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"classes": ["a", "c"]}, "'b'"),
        ({"class_names": {"a": "tumour", "bb": "normal"}}, "'bb' is no class"),
        ({"split": {"test": 0.5, "val": 0.45}}, "no sample falls into train"),
        ({"split": {"sites": ["north", "south"]}}, "column `site`"),
        ({"labels_map": "map.csv"}, "map.csv"),
    ],
    ids=["classes", "class names", "split", "sites", "mapping"],
)
def test_what_cleaning_would_refuse_of_labels_is_red(place, capsys, changes, words):
    tiles(place / "tiles", count=4)
    tiny.vit_entry(place / "vit")
    write(config(datasets={"mine": {"reader": "table", "root": "tiles", **changes}}))
    status, text = ran(capsys)
    red = [line for line in text.splitlines() if "  missing  " in line or "  wrong  " in line]
    assert status == 1 and len(red) == 1 and red[0].startswith("dataset mine") and words in red[0]


@pytest.mark.parametrize(("by", "shown"), [("group", True), ("row", False)])
def test_tiles_without_patients_are_to_be_looked_at_unless_the_split_ignores_them(
    filled, capsys, by, shown
):
    table = filled / "tiles/labels.csv"
    lines = table.read_text().splitlines()
    table.write_text("\n".join(line.rpartition(",")[0] for line in lines))
    entry = config()["datasets"]["mine"] | {"split": {"by": by}}
    write(config(datasets={"mine": entry}))
    status, text = ran(capsys)
    assert status == 0 and ("12 samples name no patient" in text) == shown


def test_one_image_that_does_not_open_is_to_be_looked_at(filled, capsys):
    (filled / "tiles/0.png").write_bytes(b"no image")
    status, text = ran(capsys)
    assert status == 0 and "1 of 8 images tried cannot be read: 0.png" in text


def test_a_resplit_that_cannot_be_made_is_red_beside_its_dataset(filled, capsys):
    changed = config()
    changed["datasets"]["by-site"] = {"of": "mine", "split": {"sites": ["north", "south"]}}
    changed["studies"]["one"]["datasets"] = ["mine", "by-site"]
    write(changed)
    status, text = ran(capsys)
    red = [line for line in text.splitlines() if "  wrong  " in line]
    assert status == 1 and len(red) == 1 and red[0].startswith("dataset by-site")
    assert "2 classes; split: test 2, train 8, val 2" in text


def test_a_path_that_no_rule_makes_is_to_be_looked_at(place, capsys):
    tiny.vit_entry(place / "vit")
    write(config(datasets={"mine": {"reader": "table", "root": "results/phantoms/x"}}))
    status, text = ran(capsys)
    assert status == 0
    assert "no rule of histopair makes results/phantoms/x/labels.csv" in text


def test_images_that_cleaning_left_out_are_not_counted(place):
    labels = tiny.dataset(place / "made", n=24, captions=True)
    target = place / "results/labels/mine.parquet"
    target.parent.mkdir(parents=True)
    labels.rename(target)
    sizes = data_rows.Sizes(images={"mine": 99, "other": 7})
    assert list(data_rows.cleaned(["mine", "other"], sizes)) == []
    assert sizes.images == {"mine": 24, "other": 7} and sizes.captions == {"mine": 2}


@pytest.mark.parametrize(
    ("organ", "state", "words", "texts"),
    [
        (None, OK, "3 reports", 3),
        (["colon", "rectum"], OK, "2 of 3 reports", 2),
        (["kolon"], WRONG, "is of kolon; the organs found are colon (2), breast (1)", None),
    ],
)
def test_a_corpus_counts_the_reports_of_its_organs(place, organ, state, words, texts):
    table = ["id,text,organ", "a,Tubular adenoma.,colon", "b,Normal mucosa.,colon"]
    Path("reports.csv").write_text("\n".join([*table, "c,Ductal carcinoma.,breast", ""]))
    entry = {"reader": "tcga", "table": "reports.csv", "organ_column": "organ"}
    entry |= {} if organ is None else {"organ": organ}
    sizes = data_rows.Sizes()
    (row,) = data_rows.rows({"corpora": {"c": entry}, "studies": {}}, [], ["c"], sizes)
    assert (row.state, words in row.finding) == (state, True)
    assert sizes.texts.get("c") == texts


def fetched(folder: Path, monkeypatch, unpacked: dict | None = None, **changes) -> dict:
    """A source `toy` with a file a.csv, fetched before; and the config that reads it."""
    source = {"page": "p", "licence": "MIT", "title": "t", "citation": "c", "files": []}
    monkeypatch.setattr(sources, "read", lambda: {"toy": source})
    folder.mkdir(parents=True)
    (folder / "a.csv").write_text("text\nNormal colon.\n")
    content = (folder / "a.csv").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    file = {"makes": "a.csv", "size": len(content), "sha256": digest, "verified": True}
    receipt = {"accepted": "MIT", "files": [file | {"unpacked": unpacked} | changes]}
    (folder / "receipt.json").write_text(json.dumps(receipt))
    return {"datasets": {}, "corpora": {"c": {"reader": "tcga", "table": "data/toy/a.csv"}}}


@pytest.mark.parametrize(
    ("changes", "state", "words"),
    [
        ({}, OK, "1 files as they were fetched, MIT"),
        ({"size": 3}, WRONG, "3 were fetched"),
        ({"sha256": "0"}, WRONG, "another content"),
        ({"makes": "b.csv"}, MISSING, "is not there any more"),
        ({"verified": False}, LOOK, "unverified, as no checksum is stated: a.csv"),
        ({"unpacked": {"files": 1, "bytes": 5}}, WRONG, "5 were unpacked"),
    ],
)
def test_public_data_are_compared_with_their_receipt(place, monkeypatch, changes, state, words):
    entry = fetched(place / "data" / "toy", monkeypatch, **changes)
    (row,) = receipts.rows(entry | {"accept": []}, [], ["c"])
    assert (row.state, row.check) == (state, "source toy") and words in row.finding


def test_public_data_that_are_not_there_ask_for_their_licence_or_for_the_command(place):
    entry = {"datasets": {"crc": {"reader": "nct_crc", "root": "data/nct-crc"}}, "corpora": {}}
    (refused,) = receipts.rows(entry | {"accept": []}, ["crc"], [])
    assert (refused.state, "not accepted" in refused.finding) == (MISSING, True)
    (allowed,) = receipts.rows(entry | {"accept": "CC-BY-4.0"}, ["crc"], [])
    assert (allowed.state, "is accepted" in allowed.finding) == (MISSING, True)
    assert allowed.remedy == "Run snakemake --cores 1 data_nct_crc --config accept=CC-BY-4.0"
    Path("data/nct-crc").mkdir(parents=True)
    (bare,) = receipts.rows(entry | {"accept": []}, ["crc"], [])
    assert (bare.state, "no receipt" in bare.finding) == (LOOK, True)
