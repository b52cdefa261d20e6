"""Groups of formats without patients come from a csv beside the images, or a line says why not."""

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from histopair import readers
from histopair.errors import InputError
from histopair.files import tables
from histopair.phantom import formats

PHOTOS = "ICIAR2018_BACH_Challenge/Photos"
TILES = ["a/1.png", "a/2.png", "b/1.png", "b/3.png"]


def tiles(root, listed: str | None = None, name: str = "groups.csv", **entry) -> dict:
    """Class folders a and b with two images each, and a csv of groups."""
    for path in TILES:
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).touch()
    if listed is not None:
        (root / name).write_text(listed)
    return {"root": str(root), **entry}


def groups(entry: dict, reader: str = "class_folders") -> dict:
    frame, _ = readers.find(reader).read(entry)
    return dict(zip(frame.path, frame.group, strict=True))


def test_each_image_gets_the_group_of_its_row_in_any_order(tmp_path):
    entry = tiles(tmp_path, "group,path\nq,b/3.png\np,a/1.png\np,./b/1.png\n q ,a\\2.png\n")
    assert groups(entry) == {"a/1.png": "p", "a/2.png": "q", "b/1.png": "p", "b/3.png": "q"}


def test_a_file_name_is_enough_where_it_is_unique(tmp_path):
    entry = tiles(tmp_path, "path,group\na/1.png,p\n2.png,p\nb/1.png,q\n3.png,q\n")
    assert list(groups(entry).values()) == ["p", "p", "q", "q"]


@pytest.mark.parametrize("written", ["e\u0301-1.png", "A/\u00c9\u20131.PNG", "a/\u00e9-1"])
def test_a_path_that_is_written_otherwise_means_the_one_image_like_it(tmp_path, written):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/\u00e9-1.png").touch()
    (tmp_path / "a/2.png").touch()
    (tmp_path / "groups.csv").write_text(f"path,group\n{written},p\na/2.png,q\n")
    assert list(groups({"root": str(tmp_path)}).values()) == ["q", "p"]


def test_without_the_csv_no_group_is_known_and_nothing_is_watched(tmp_path):
    entry = tiles(tmp_path)
    assert set(groups(entry).values()) == {None}
    assert readers.find("class_folders").inputs(entry) == [str(tmp_path)]


def test_a_csv_of_another_name_is_taken_by_the_key_and_must_be_there(tmp_path):
    entry = tiles(tmp_path, "path,group\na/1.png,p\na/2.png,p\nb/1.png,q\nb/3.png,q\n", "my.csv")
    assert set(groups(entry).values()) == {None}
    named = entry | {"groups": "my.csv"}
    assert list(groups(named).values()) == ["p", "p", "q", "q"]
    assert readers.find("class_folders").inputs(named) == [str(tmp_path), f"{tmp_path}/my.csv"]
    with pytest.raises(InputError, match=r"your\.csv: there is no such file"):
        groups(entry | {"groups": "your.csv"})


ALL = "a/1.png,p\na/2.png,p\nb/1.png,q\nb/3.png,q\n"


@pytest.mark.parametrize(
    ("listed", "message"),
    [
        ("path,patient\n", "there is no column 'group'; the columns found are 'path', 'patient'"),
        (
            "path,group\na/1.png,p\nb/1.png,q\n",
            "2 of 4 images have no row, such as 'a/2.png'. "
            "Add them; give an image that belongs with no other a group of its own",
        ),
        (
            f"path,group\n{ALL}a/9.png,p\n",
            "row 6: no image of the dataset has the path 'a/9.png'. "
            "Correct it or remove the row; an image's path looks like 'a/1.png'",
        ),
        (
            f"path,group\n{ALL}a/1.png,q\n",
            "row 2 and 6: 'a/1.png' is in two groups, 'p' and 'q'. Keep one of the rows",
        ),
        (
            f"path,group\n{ALL}./a/1.png,p\n",
            "row 2 and 6: 'a/1.png' is listed twice. Keep one of the rows",
        ),
        ("path,group\n1.png,p\n", "row 2: several images are called '1.png'. Write its folders"),
        ("path,group\na/1.png, \n", "row 2: the cell 'group' is empty. Fill it or remove the row"),
        (
            "path,group\na/1.png,1\na/2.png,1.23E+16\n",
            "row 3: the group '1.23E+16' is a number that a program rounded. Save this column as",
        ),
        ("path,group\n,p\n", "row 2: the cell 'path' is empty. Fill it or remove the row"),
        ("path,group\n../a/1.png,p\n", "row 2: the path '../a/1.png' lies outside the dataset's"),
    ],
)
def test_a_csv_that_is_not_clear_is_refused_in_one_line(tmp_path, listed, message):
    with pytest.raises(InputError) as error:
        groups(tiles(tmp_path, listed))
    assert str(error.value).startswith(f"{tmp_path}/groups.csv")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@given(
    listed=st.binary(max_size=60)
    | st.text(alphabet='ab/1.png,\n"; \t', max_size=80).map(str.encode)
)
def test_any_csv_ends_in_groups_of_all_images_or_in_one_line(tmp_path_factory, listed):
    root = tmp_path_factory.mktemp("tiles")
    entry = tiles(root)
    (root / "groups.csv").write_bytes(b"path,group\n" + listed)
    try:
        found = groups(entry)
    except InputError as error:
        found = {str(error): "\n" not in str(error)}
    assert all(found.values())


def test_the_heading_is_looked_at_before_anything_runs(tmp_path):
    with pytest.raises(InputError, match="there is no column 'group'"):
        readers.find("class_folders").check(tiles(tmp_path, "path,patient\na/1.png,p\n"))


def test_arrays_take_groups_by_row_before_their_slides(tmp_path):
    listed = "path,group\n"
    for split in ("train", "valid", "test"):
        stem = f"camelyonpatch_level_2_split_{split}"
        with h5py.File(tmp_path / f"{stem}_x.h5", "w") as file:
            file["x"] = np.zeros((2, 4, 4, 3), np.uint8)
        with h5py.File(tmp_path / f"{stem}_y.h5", "w") as file:
            file["y"] = np.zeros((2, 1, 1, 1), np.uint8)
        (tmp_path / f"{stem}_meta.csv").write_text(f"wsi\n{split}-a\n{split}-b\n")
        listed += f"{stem}_x.h5#0,{split}\n{stem}_x.h5#1,{split}\n"
    entry = {"root": str(tmp_path)}
    assert list(groups(entry, "pcam").values())[:2] == ["train-a", "train-b"]
    (tmp_path / "groups.csv").write_text(listed)
    assert set(groups(entry, "pcam").values()) == {"train", "valid", "test"}


@pytest.mark.parametrize("reader", ["bach", "nct_crc"])
def test_the_phantoms_csv_counts_before_it_is_made(reader):
    root = "results/phantom/any"
    assert readers.find(reader).inputs({"root": root})[-1] == f"{root}/groups.csv"
    assert readers.find(reader).inputs({"root": "elsewhere"})[-1] != "elsewhere/groups.csv"


def test_the_phantoms_readers_give_the_patients_of_its_truth(tmp_path):
    size = {"pixels": 48, "microns_per_pixel": 2.0, "label_noise": 0.0}
    crc = tmp_path / "crc"
    parts = crc / "NCT-CRC-HE-100K", crc / "CRC-VAL-HE-7K"
    per_class = {"train_per_class": 2, "test_per_class": 1}
    formats.nct_crc(*parts, tmp_path / "crc.parquet", size | per_class, 1, {})
    photos = tmp_path / "bach" / PHOTOS
    of_bach = size | {"per_class": 3, "width": 48, "height": 48}
    formats.bach(photos, tmp_path / "bach.parquet", of_bach, 1, {})
    for reader, root in (("nct_crc", crc), ("bach", tmp_path / "bach")):
        truth = tables.read(tmp_path / f"{root.name}.parquet").set_index("path")["group"]
        assert groups({"root": str(root)}, reader) == truth.to_dict()
        assert truth.nunique() < len(truth)


def bach(root, per_class: int) -> dict:
    names = {"Benign": "b", "InSitu": "is", "Invasive": "iv", "Normal": "n"}
    for label, prefix in names.items():
        (root / PHOTOS / label).mkdir(parents=True)
        for number in range(1, per_class + 1):
            (root / PHOTOS / label / f"{prefix}{number:03d}.tif").touch()
    return {"root": str(root), "official": "eva"}


def test_bach_takes_the_split_that_eva_publishes(tmp_path):
    frame, _ = readers.find("bach").read(bach(tmp_path, 100))
    tested = frame[frame.split == "test"].labels.str[0].value_counts()
    assert tested.to_dict() == {"Benign": 18 + 30, "InSitu": 30, "Invasive": 18 + 13, "Normal": 23}
    assert (frame.split == "train").sum() == 268
    by_path = dict(zip(frame.path, frame.split, strict=True))
    assert by_path[f"{PHOTOS}/Benign/b041.tif"] == "train"
    assert by_path[f"{PHOTOS}/Benign/b042.tif"] == "test"
    assert by_path[f"{PHOTOS}/Normal/n100.tif"] == "train"


def test_the_split_of_eva_belongs_to_bach_alone(tmp_path):
    with pytest.raises(InputError) as error:
        readers.find("bach").read(bach(tmp_path, 2))
    assert str(error.value) == (
        f"{tmp_path}/{PHOTOS}: `official: eva` splits 100 photos per class; there are "
        "Benign 2, InSitu 2, Invasive 2, Normal 2. "
        "Restore BACH's 400 photos, or leave `official` out"
    )
