"""Planning sees what the time stamps of given files and folders do not tell."""

import os
import shutil

import numpy as np
import pytest
import yaml
from PIL import Image

import workflow
from histopair.plan import encoders, given, kept

LABELS = "results/labels/{}.parquet".format
OLD = (1_000_000_000, 1_000_000_000)  # seconds: access, change


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder in which planning has not kept anything."""
    monkeypatch.chdir(tmp_path)
    kept.here.cache_clear()
    yield tmp_path
    kept.here.cache_clear()


def changes(edit, *paths) -> bool:
    before = given.state(paths)
    assert before == given.state(paths)
    edit()
    return given.state(paths) != before


def test_a_file_counts_by_its_bytes(folder):
    table = folder / "labels.csv"
    table.write_text("path,label\n")
    (folder / "older.csv").write_text("path,class\n")
    os.utime("older.csv", OLD)
    assert not changes(lambda: os.utime(table), "labels.csv")
    assert changes(lambda: os.replace("older.csv", table), "labels.csv")


def test_bytes_are_read_again_if_a_time_stamp_changed(folder, monkeypatch):
    monkeypatch.setattr(given, "SETTLED", 0)
    table = folder / "labels.csv"
    for text in ["one", "two", "one"]:
        table.write_text(text)
        state = given.state(["labels.csv"])
        monkeypatch.setattr(given, "checksum", lambda path: pytest.fail("it is read once"))
        assert given.state(["labels.csv"]) == state
        monkeypatch.undo()
        monkeypatch.chdir(folder)
        monkeypatch.setattr(given, "SETTLED", 0)


def test_a_large_file_counts_by_size_and_time_stamp(folder, monkeypatch):
    monkeypatch.setattr(given, "LARGE", 3)
    (folder / "pixels.h5").write_text("many")
    monkeypatch.setattr(given, "checksum", None)
    assert changes(lambda: os.utime("pixels.h5", OLD), "pixels.h5")


@pytest.mark.parametrize("deep", ["x/2.png", "x/y/2.PNG", "2.tif"])
def test_images_below_a_folder_count_by_their_names(folder, deep):
    (folder / "tiles/x/y").mkdir(parents=True)
    (folder / "tiles/x/1.png").touch()
    assert changes((folder / "tiles" / deep).touch, "tiles")
    assert changes((folder / "tiles/x/1.png").unlink, "tiles")


@pytest.mark.parametrize("other", ["x/notes.txt", ".2.png", ".cache/2.png", "results/2.png"])
def test_other_files_and_what_is_made_here_do_not_count(folder, other):
    (folder / "x").mkdir()
    (folder / "x/1.png").touch()

    def add():
        (folder / other).parent.mkdir(exist_ok=True)
        (folder / other).touch()

    assert not changes(add, ".")
    assert given.state(["results/phantom"]) is None


def test_features_that_are_extracted_anew_count(folder):
    (folder / "features").mkdir()
    for name in ["a.h5", "clinical.csv"]:
        (folder / "features" / name).write_text("some")
    assert changes(lambda: os.utime("features/a.h5", OLD), "features")
    assert not changes(lambda: os.utime("features/clinical.csv", OLD), "features")
    (folder / "features" / "b.hdf5").write_text("some")
    assert changes(lambda: os.utime("features/b.hdf5", OLD), "features")


def test_weights_in_a_folder_and_a_named_checkpoint_are_inputs(folder):
    (folder / "own/image").mkdir(parents=True)
    (folder / "own/.cache").mkdir()
    made = ["own/config.json", "own/image/model.safetensors", "own/model.safetensors"]
    for name in [*made, "own/.cache/of-the-hub", "vit.pt"]:
        (folder / name).touch()
    named = {"library": "timm", "model": "local-dir:own"}
    checkpoint = {"library": "open_clip", "model": "ViT-B-32", "pretrained": "vit.pt"}
    config = {"encoders": {"named": named, "checkpoint": checkpoint}}
    assert encoders.files_of(config, "named") == ["own", *made]
    assert encoders.files_of(config, "checkpoint") == ["vit.pt"]


@pytest.fixture(scope="module")
def cleaned(tmp_path_factory):
    """A folder of classes and a table of tiles, both cleaned."""
    folder = workflow.copy_to(tmp_path_factory.mktemp("given") / "workflow")
    for number in range(12):
        path = folder / f"tiles/{'ab'[number % 2]}/{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (16, 16, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(path)
    rows = [f"{'ab'[number % 2]}/{number}.png,{'ab'[number % 2]}" for number in range(13)]
    (folder / "tiles/labels.csv").write_text("\n".join(["path,label", *rows]) + "\n")
    datasets = {
        "classes": {"reader": "class_folders", "root": "tiles"},
        "named": {"reader": "table", "root": "tiles", "max_quarantined": 0.5},
    }
    small = yaml.safe_load((folder / workflow.CONFIG).read_text())
    (folder / "mine.yaml").write_text(
        yaml.safe_dump(small | {"datasets": small["datasets"] | datasets})
    )
    return workflow.finish(folder, LABELS("classes"), LABELS("named"), config="mine.yaml")


def replaced_by_an_older(folder):
    table = folder / "tiles/labels.csv"
    table.write_text(table.read_text().replace("9.png,b", "9.png,a"))
    os.utime(table, OLD)


@pytest.mark.parametrize(
    ("edit", "reruns"),
    [
        (lambda folder: None, []),
        (lambda folder: os.utime(folder / "tiles/labels.csv"), []),
        (
            lambda folder: shutil.copy(folder / "tiles/a/0.png", folder / "tiles/a/12.png"),
            ["classes", "named"],
        ),
        (
            lambda folder: shutil.move(folder / "tiles/a/0.png", folder / "tiles/b/0.png"),
            ["classes", "named"],
        ),
        (replaced_by_an_older, ["named"]),
    ],
    ids=["nothing", "a touch", "an image more", "an image moved", "an older table"],
)
def test_cleaning_reruns_by_what_it_reads(cleaned, tmp_path, edit, reruns):
    folder = tmp_path / "workflow"
    shutil.copytree(cleaned, folder, symlinks=True)
    edit(folder)
    jobs = workflow.planned(folder, LABELS("classes"), LABELS("named"), config="mine.yaml")
    assert set(jobs) == {LABELS(name) for name in reruns}
