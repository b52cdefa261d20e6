"""Files that are there and not read are counted; paths in another spelling are found; no
permission, a lock and a dangling link are one line each."""

import os
import shutil
import subprocess
import sys
import tempfile
import unicodedata
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from histopair import readers
from histopair.datasets import labels
from histopair.errors import InputError
from histopair.files import hdf5, paths, tables
from histopair.images import features
from histopair.readers.cohort import clinical


def _touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")


def _tiles(root: Path, *names: str) -> None:
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (number, number * 7 % 256, 0)).save(root / name)


def _read(name: str, root: Path, **entry):
    frame, rows = readers.find(name).read({"root": str(root), **entry})
    return frame, sorted((row["action"], row["reason"], row["count"]) for row in rows)


def _cleaned(root: Path, **entry):
    out = [str(root.parent / f"{part}.parquet") for part in "laqf"]
    labels.clean({"root": str(root), "max_quarantined": 0.05, **entry}, "d", *out, {"code": "x"})
    return tables.read(out[0]), tables.read(out[1])


# class folders


def test_only_images_right_in_a_class_folder_are_samples_and_all_else_is_counted(tmp_path):
    _touch(tmp_path, "x/1.png", "y/2.TIF")
    _touch(tmp_path, ".ipynb_checkpoints/1.png", "__MACOSX/x/._1.png", "x/.DS_Store", "x/._1.png")
    _touch(tmp_path, "x/Thumbs.db", "@eaDir/x.png", "lost+found/a", ".git/HEAD")
    _touch(tmp_path, "x/p1/3.png", "x/p1/deep/4.png", "y/2.svs", "y/no-ending", "y/notes.txt")
    _touch(tmp_path, "5.png", "labels.csv", "README")
    (tmp_path / "empty").mkdir()
    (tmp_path / "x" / "6.png").symlink_to(tmp_path / "nowhere.png")
    frame, told = _read("class_folders", tmp_path)
    assert frame.path.tolist() == ["x/1.png", "y/2.TIF"]
    assert told == [
        ("dropped", "hidden, or the system's own", 8),
        ("dropped", "not an image", 3),
        ("unread", "a link that leads nowhere", 1),
        ("unread", "beside the class folders, not in one", 1),
        ("unread", "in a folder within a class folder", 2),
        ("unread", "it has no ending, unlike an image", 1),
        ("unread", "its ending .svs is not that of an image", 1),
        ("warned", "an empty folder, not a class", 0),
    ]


def test_images_in_folders_that_the_dataset_does_not_name_are_counted(tmp_path):
    _touch(tmp_path, "NCT-CRC-HE-100K/TUM/a.tif", "CRC-VAL-HE-7K/TUM/b.tif", "NONORM/TUM/c.tif")
    frame, told = _read("nct_crc", tmp_path)
    assert len(frame) == 2
    assert told == [("dropped", "in a folder that the dataset does not name", 1)]


def test_too_many_unread_images_stop_the_run_and_the_audit_stays(tmp_path):
    names = [f"{label}/{i}.png" for label in "xy" for i in range(8)]
    _tiles(tmp_path / "d", *names, "x/p/1.png", "y/p/2.png")
    with pytest.raises(InputError) as error:
        _cleaned(tmp_path / "d", reader="class_folders")
    assert str(error.value).startswith(
        f"d ({tmp_path}/d): 2 of 18 images are there but not read, more than the allowed share of "
        "0.05: x/p/1.png, y/p/2.png (in a folder within a class folder). "
    )
    assert str(error.value).endswith(f" What was found until then: {tmp_path}/a.parquet")
    assert tables.read(tmp_path / "a.parquet")["count"].tolist() == [2]
    frame, audit = _cleaned(tmp_path / "d", reader="class_folders", max_quarantined=0.2)
    assert len(frame) == 16
    assert "unread" in set(audit.action)


def test_a_hidden_folder_is_no_class(tmp_path):
    names = [f"{label}/{i}.png" for label in "xy" for i in range(8)]
    _tiles(tmp_path / "d", *names, ".ipynb_checkpoints/0-checkpoint.png")
    frame, _ = _cleaned(tmp_path / "d", reader="class_folders")
    assert set(frame.labels.map(tuple)) == {("x",), ("y",)}


def test_class_folders_of_two_spellings_are_one_class(tmp_path):
    composed, split = (unicodedata.normalize(form, "nävus") for form in ("NFC", "NFD"))
    names = [f"a/{composed}/{i}.png" for i in range(8)] + [f"b/{split}/{i}.png" for i in range(4)]
    _tiles(tmp_path / "d", *names, *(f"a/other/{i}.png" for i in range(8)))
    frame, audit = _cleaned(tmp_path / "d", reader="class_folders", folders=["a", "b"])
    assert frame.labels.str[0].value_counts().to_dict() == {composed: 12, "other": 8}
    merged = audit[audit.action == "merged"]
    assert merged[["before", "after", "count"]].to_numpy().tolist() == [[split, composed, 4]]


def test_a_split_that_no_reader_knows_is_one_line(tmp_path):
    _touch(tmp_path, "a/x/1.png")
    with pytest.raises(InputError, match="the split 'holdout' of `folders` is unknown"):
        _read("class_folders", tmp_path, folders={"a": "holdout"})
    frame, _ = _read("class_folders", tmp_path, folders={"a": "Validation"})
    assert frame.split.tolist() == ["val"]


FILES = st.sampled_from(
    [
        "1.png",
        "2.tif",
        "notes.txt",
        ".DS_Store",
        "Thumbs.db",
        "a.svs",
        "none",
        "\udcff.png",
        "é.png",
    ]
)
FOLDERS = st.sampled_from(["", "x", "y", "x/p", ".git", "__MACOSX/x", "y/.hidden", "x/p/q"])


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.sets(st.tuples(FOLDERS, FILES), max_size=12), st.sets(FOLDERS, max_size=3), st.booleans())
def test_any_tree_is_samples_and_counted_files_or_one_line(tmp_path_factory, files, empty, link):
    root = tmp_path_factory.mktemp("tree") / "d"
    root.mkdir()
    _touch(root, *(f"{folder}/{name}".lstrip("/") for folder, name in files))
    for folder in empty:
        (root / folder).mkdir(parents=True, exist_ok=True)
    if link:
        (root / "dangling.png").symlink_to(root / "nowhere")
    said = ""
    try:
        frame, told = _read("class_folders", root)
    except InputError as error:
        said = str(error)
    if said:
        assert "\n" not in said and "there is no image" in said
        return
    assert len(frame) + sum(count for *_, count in told) == len(files) + link
    assert set(frame.labels.str[0]) <= {"x", "y"}


@pytest.mark.parametrize("reader", ["class_folders", "breakhis"])
def test_images_below_a_folder_whose_name_is_not_utf_8_are_counted(tmp_path, reader):
    below, name = ("", "1.png")
    if reader == "breakhis":
        below, name = f"{BREAKHIS}/", "SOB_B_TA-14-4659-40-001.png"
    _touch(tmp_path, f"{below}x/{name}", f"{below}y\udcff/{name}")
    frame, told = _read(reader, tmp_path)
    assert frame.path.tolist() == [f"{below}x/{name}"]
    assert [(action, count) for action, *_, count in told] == [("unread", 1)]


# links to folders

BREAKHIS = "BreaKHis_v1/histology_slides/breast"
LINKED = {  # by reader: a folder of images, a folder that is a link, images below it
    "class_folders": ("x", "y", ""),
    "path_pattern": ("h1/x", "h2", "/y"),
    "breakhis": (f"{BREAKHIS}/TA", f"{BREAKHIS}/DC", ""),
}


def _linked(reader: str, root: Path, target: Path) -> tuple[dict, Path]:
    """An entry of the reader, for two folders of ten images, and the one that is a link."""
    plain, link, below = LINKED[reader]
    for kind, place in (("TA", root / plain), ("DC", Path(f"{target}{below}"))):
        _tiles(place, *(f"SOB_B_{kind}-14-4659-40-00{n}.png" for n in range(10)))
    (root / link).symlink_to(target)
    return {"root": str(root), "pattern": "(?P<group>[^/]+)/(?P<label>[^/]+)/.*"}, root / link


@pytest.mark.parametrize("reader", LINKED)
def test_a_folder_linked_from_outside_the_root_stops_the_run(tmp_path, reader):
    entry, link = _linked(reader, tmp_path / "root", tmp_path / "disk")
    with pytest.raises(InputError) as error:
        readers.find(reader).read(entry)
    assert str(error.value) == (
        f"{link}: it leads outside {tmp_path}/root, to {tmp_path}/disk. "
        "Put the folder itself there, or name a folder that contains both"
    )


@pytest.mark.parametrize("reader", LINKED)
def test_a_folder_linked_within_the_root_is_read(tmp_path, reader):
    entry, _ = _linked(reader, tmp_path / "root", tmp_path / "root" / ".pool")
    frame, _ = readers.find(reader).read(entry)
    assert frame.labels.str[0].value_counts().tolist() == [10, 10]
    assert not frame.path.str.contains(".pool", regex=False).any()


def test_links_that_lead_back_or_are_hidden_are_not_followed(tmp_path):
    _touch(tmp_path, "d/a/1.png", "d/b/2.png", "e/3.png")
    for link, target in (("a/up", ".."), ("a/b", "../b"), ("b/a", "../a"), (".e", "../e")):
        (tmp_path / "d" / link).symlink_to(target)
    expected = ["a/1.png", "a/b/2.png", "b/2.png", "b/a/1.png"]
    assert paths.files_below(str(tmp_path / "d")) == expected
    assert paths.files_below(str(tmp_path / "d"), all_of_them=False) == ["a/1.png", "b/2.png"]


def test_a_linked_folder_of_reports_is_named(tmp_path):
    for name in ("mine/a.txt", "disk/b.txt"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("a report")
    (tmp_path / "mine" / "more").symlink_to(tmp_path / "disk")
    with pytest.raises(InputError, match=rf"mine/more: it leads outside {tmp_path}/mine, to "):
        readers.find("tcga").read({"table": str(tmp_path / "mine")})


# paths in tables


def _table(root: Path, *rows: str, heading: str = "path,label") -> Path:
    root.mkdir(exist_ok=True)
    (root / "labels.csv").write_text("\n".join([heading, *rows]) + "\n")
    return root


def test_a_path_written_in_another_way_than_its_files_name_is_found(tmp_path):
    composed, split = (unicodedata.normalize(form, "é.png") for form in ("NFC", "NFD"))
    root = _table(tmp_path / "d", f"s/{composed},x", "S/B.PNG,y", "s/f38a,x", "s/a\u2013b.png,y")
    _touch(root, f"s/{split}", "s/b.png", "s/f38a.tif", "s/a-b.png")
    frame, told = _read("table", root)
    assert frame.path.tolist() == [f"s/{split}", "s/b.png", "s/f38a.tif", "s/a-b.png"]
    reason = "the path is not written like its file's name"
    assert told == [("renamed", reason, 4)]


def test_a_path_that_could_be_two_files_or_none_stays_as_it_is(tmp_path):
    root = _table(tmp_path / "d", "A.png,x", "gone.png,y", "a.png,x", "b,y")
    _touch(root, "a.png", "a.PNG", "b.png", "b.tif")
    frame, told = _read("table", root)
    assert frame.path.tolist() == ["A.png", "gone.png", "a.png", "b"]
    assert told == [("warned", "no row of the table names these images", 3)]


def test_one_file_under_two_spellings_is_one_sample(tmp_path):
    root = _table(tmp_path / "d", "a.png,x", "A.PNG,x")
    _touch(root, "a.png")
    frame, told = _read("table", root)
    assert frame.path.tolist() == ["a.png"]
    assert ("dropped", "exact repeat of an earlier row", 1) in told


def test_images_that_no_row_names_are_counted_and_do_not_stop_the_run(tmp_path):
    root = _table(tmp_path / "d", *(f"{i}.png,{'xy'[i % 2]}" for i in range(20)))
    _tiles(root, *(f"{i}.png" for i in range(20)), "more/1.png", "2b.png", ".hidden/3.png")
    frame, audit = _cleaned(root, reader="table")
    assert len(frame) == 20
    told = audit[audit.reason == "no row of the table names these images"]
    assert told[["subject", "count"]].to_numpy().tolist() == [["2b.png, more/1.png", 2]]


# permissions, locks, links


@pytest.fixture
def unprivileged():
    """A folder that all may enter, and what a user without privileges is told there."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    superuser = os.geteuid() == 0

    def told(reading) -> str:
        with pytest.raises(InputError) as error:
            allowed(reading)
        return str(error.value)

    def allowed(reading):
        if superuser:
            os.seteuid(65534)
        try:
            return reading()
        finally:
            if superuser:
                os.seteuid(0)

    yield folder, told, allowed
    shutil.rmtree(folder)


FORBIDDEN = {
    "a table": ("labels.csv", lambda root: _read("table", root)),
    "a class folder": ("x", lambda root: _read("class_folders", root)),
    "reports": (
        "labels.csv",
        lambda root: readers.find("tcga").read({"table": f"{root}/labels.csv"}),
    ),
    "a clinical table": ("labels.csv", lambda root: clinical.read(f"{root}/labels.csv")),
    "an array": ("a.h5", lambda root: hdf5.opened(root / "a.h5", "", "")),
    "a folder of features": ("x", lambda root: features.files(root / "x")),
}


@pytest.mark.parametrize(("name", "reading"), FORBIDDEN.values(), ids=FORBIDDEN)
def test_what_may_not_be_read_is_one_line(unprivileged, name, reading):
    folder, told, _ = unprivileged
    root = _table(folder / "d", "1.png,x")
    _touch(root, "x/1.png", "y/2.png")
    h5py.File(root / "a.h5", "w").close()
    (root / name).chmod(0)
    expected = f"{root / name}: there is no permission to read it. "
    assert told(lambda: reading(root)) == f"{expected}Ask its owner, or run chmod u+rX on it"


def test_a_folder_that_may_be_listed_but_not_entered_is_one_line(unprivileged):
    folder, told, _ = unprivileged
    _touch(folder, "x/1.png", "y/2.png")
    (folder / "x").chmod(0o444)
    said = told(lambda: _read("class_folders", folder))
    assert said.startswith(f"{folder}/x/1.png: there is no permission to read it. ")


def test_a_system_folder_that_may_not_be_read_does_not_matter(unprivileged):
    folder, _, allowed = unprivileged
    _touch(folder, "lost+found/1", "x/1.png", "y/2.png")
    (folder / "lost+found").chmod(0)
    frame, _ = allowed(lambda: _read("class_folders", folder))
    assert len(frame) == 2


def test_a_locked_array_is_called_locked(tmp_path):
    h5py.File(tmp_path / "a.h5", "w").close()
    code = "import h5py, sys; f = h5py.File(sys.argv[1], 'a'); print(1, flush=True); input()"
    command = [sys.executable, "-c", code, str(tmp_path / "a.h5")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        try:
            with pytest.raises(InputError, match="it is locked: another program writes to it"):
                hdf5.opened(tmp_path / "a.h5", "", "")
        finally:
            other.kill()


def test_a_short_an_absent_and_a_packed_array_are_told_apart(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = np.arange(10_000)
    content = (tmp_path / "a.h5").read_bytes()
    (tmp_path / "short.h5").write_bytes(content[: len(content) // 2])
    (tmp_path / "text.h5").write_text("text")
    (tmp_path / "packed.h5.gz").write_bytes(b"")
    told = {
        "short": "it is cut short: it has fewer bytes than its head says. Again",
        "text": "it is not an HDF5 file. Again",
        "packed": f"there is no such file. Unpack {tmp_path}/packed.h5.gz",
        "gone": "there is no such file. Get it",
    }
    for name, said in told.items():
        with pytest.raises(InputError) as error:
            hdf5.opened(tmp_path / f"{name}.h5", "Get it", "Again")
        assert str(error.value) == f"{tmp_path}/{name}.h5: {said}"


def test_kaggles_form_of_pcam_is_told_how_to_be_read(tmp_path):
    _touch(tmp_path, "train/f38a.tif", "train/0b71.tif")
    (tmp_path / "train_labels.csv").write_text("id,label\nf38a,0\n0b71,1\n")
    with pytest.raises(InputError, match=r"reader: table.*columns: \{path: id\}"):
        readers.find("pcam").inputs({"root": str(tmp_path)})
    frame, _ = _read(
        "table", tmp_path / "train", table="../train_labels.csv", columns={"path": "id"}
    )
    assert frame.path.tolist() == ["f38a.tif", "0b71.tif"]
    assert frame.labels.tolist() == [["0"], ["1"]]


def test_a_link_to_features_that_leads_nowhere_is_named(tmp_path):
    (tmp_path / "a.h5").symlink_to(tmp_path / "nowhere.h5")
    with pytest.raises(InputError, match="the link leads nowhere"):
        features.files(tmp_path)


def test_hidden_files_are_no_features(tmp_path):
    _touch(tmp_path, "a.h5", "._a.h5", "b.H5", "c.pt", "more/d.h5")
    assert list(features.files(tmp_path)) == ["a", "b"]
    assert features.others(tmp_path) == ["._a.h5", "c.pt", "more/d.h5"]


def test_paths_keep_what_is_written_where_the_folder_is_not_there():
    written = pd.Series(["a.png", "b/c.png"])
    assert paths.on_disk(written, "nowhere", "t.csv")[0].tolist() == ["a.png", "b/c.png"]
