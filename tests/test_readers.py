"""Readers give every format's samples as the data has them, and name what is wrong with it."""

import re

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from histopair import readers
from histopair.errors import InputError

COLUMNS = ["sample_id", "image_id", "path", "group", "split", "labels", "caption", "row"]
QUILT_HEADING = "Unnamed: 0,caption,image_path,subset,split,pathology,corrected_text\n"


def _read(name: str, **entry):
    frame, rows = readers.find(name).read(entry)
    assert set(COLUMNS) <= set(frame)
    assert set(frame.attrs) == {"task", "classes", "class_names"}
    return frame, rows


def _said(name: str, **entry) -> str:
    with pytest.raises(InputError) as error:
        readers.find(name).read(entry)
    assert "\n" not in str(error.value)
    return str(error.value)


def _told(rows: list[dict]) -> list[tuple]:
    return [(row["action"], row["subject"], row["reason"], row["count"]) for row in rows]


def test_unknown_reader_is_answered_with_those_there_are():
    with pytest.raises(InputError) as error:
        readers.find("tabel")
    assert str(error.value) == (
        "config: there is no reader 'tabel'. "
        "Use bach, breakhis, class_folders, cohort, nct_crc, path_pattern, pcam, quilt, table, tcga"
    )


# table


def _table(folder, text: str, name: str = "labels.csv", **entry) -> dict:
    (folder / name).write_bytes(text.encode())
    return {"root": str(folder), **entry}


def test_table_reads_path_label_group_and_split(tmp_path):
    text = "path,label,group,split\na.png,x,p1,train\nb.png,y,p2,test\n"
    frame, rows = _read("table", **_table(tmp_path, text))
    assert frame.path.tolist() == frame.sample_id.tolist() == ["a.png", "b.png"]
    assert frame.labels.tolist() == [["x"], ["y"]]
    assert frame.group.tolist() == ["p1", "p2"]
    assert frame.split.tolist() == ["train", "test"]
    assert frame.row.tolist() == [2, 3]
    assert frame.attrs["task"] == "single"
    assert rows == []


def test_table_forgives_spelling_that_has_one_meaning(tmp_path):
    text = "\ufeff Path ,LABEL,Split\r\n./in//a.png, x ,Training\r\nin\\b.png,y,VALID\r\n"
    text += f"{tmp_path}/c.png,y,test\r\n\r\n"
    frame, rows = _read("table", **_table(tmp_path, text))
    assert frame.path.tolist() == ["in/a.png", "in/b.png", "c.png"]
    assert frame.labels.tolist() == [["x"], ["y"], ["y"]]
    assert frame.split.tolist() == ["train", "val", "test"]
    renamed = [(row["before"], row["after"]) for row in rows]
    assert renamed == [("Training", "train"), ("VALID", "val")]


@pytest.mark.parametrize("mark", [";", "\t"])
def test_table_may_be_separated_as_spreadsheets_do(tmp_path, mark):
    frame, _ = _read("table", **_table(tmp_path, f"path{mark}label\na.png{mark}x\n"))
    assert frame.labels.tolist() == [["x"]]


def test_table_keeps_labels_that_look_like_numbers(tmp_path):
    frame, _ = _read("table", **_table(tmp_path, "path,label\na.png,01\nb.png,1e3\n"))
    assert frame.labels.tolist() == [["01"], ["1e3"]]


@pytest.mark.parametrize(("heading", "entry"), [("labels", {}), ("label", {"multi": True})])
def test_table_splits_several_labels(tmp_path, heading, entry):
    text = f"path,{heading}\na.png,x; y;x\nb.png,\nc.png,y\n"
    frame, _ = _read("table", **_table(tmp_path, text, **entry))
    assert frame.labels.tolist() == [["x", "y"], [], ["y"]]
    assert frame.attrs["task"] == "multi"


@pytest.mark.parametrize(
    ("heading", "cell"),
    [("labels", "x|y"), ("labels", "x； y"), ("labels", "['x', 'y']"), ("label", "x;y")],
)
def test_labels_that_are_joined_by_another_mark_are_refused(tmp_path, heading, cell):
    text = f'path,{heading}\na.png,x\nb.png,y\nc.png,"{cell}"\n'
    with pytest.raises(InputError, match=re.escape(f"row 4: the cell {cell!r} joins labels")):
        _read("table", **_table(tmp_path, text))


@pytest.mark.parametrize("entry", [{"classes": ["x, y", "x", "y"]}, {}])
def test_a_mark_within_a_label_is_part_of_it(tmp_path, entry):
    cell = "x, y" if entry else "x, z"
    text = f'path,labels\na.png,x;y\nb.png,"{cell}; x"\n'
    assert _read("table", **_table(tmp_path, text, **entry))[0].labels[1] == [cell, "x"]


def test_groups_are_given_for_all_rows_or_for_none(tmp_path):
    text = "path,label,group\na.png,x,p1\nb.png,y,\nc.png,x,NA\n"
    assert _said("table", **_table(tmp_path, text)) == (
        f"{tmp_path}/labels.csv, row 3: 2 of 3 rows have no group, this one first. Fill the "
        "column; give an image that belongs with no other a group of its own"
    )


def test_table_takes_other_column_names_from_the_config(tmp_path):
    entry = _table(tmp_path, "file,diagnosis\na.png,x\n", "my.csv", table="my.csv")
    frame, _ = _read("table", **entry, columns={"path": "file", "label": "diagnosis"})
    assert frame.labels.tolist() == [["x"]]


def test_table_takes_class_names_from_label_name(tmp_path):
    text = "path,label,label_name\na.png,x,an x\nb.png,y,a y\nc.png,y,two y\n"
    assert _read("table", **_table(tmp_path, text))[0].attrs["class_names"] == {"x": "an x"}


def test_table_drops_exact_repeats_and_says_so(tmp_path):
    frame, rows = _read("table", **_table(tmp_path, "path,label\na.png,x\n./a.png,x\nb.png,x\n"))
    assert frame.path.tolist() == ["a.png", "b.png"]
    expected = ("dropped", "labels.csv, row 3", "exact repeat of an earlier row", 1)
    assert _told(rows) == [expected]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty. Give it a heading and at least one row"),
        ("path,label\n", "it has a heading but no rows. Give it at least one row"),
        (
            "file,label\na.png,x\n",
            "there is no column 'path'; the columns found are 'file', 'label'. "
            "Rename a column, or give its name in the config",
        ),
        (
            "path,label\na.png,x,y\nb.png,x,y\n",
            "it has 3 cells, the heading has 2 (line 2). Quote cells that contain the separator",
        ),
        (
            "path,label\na.png,x\nb.png,x,y\n",
            "it has 3 cells, the heading has 2 (line 3). Quote cells that contain the separator",
        ),
        (
            "path,class\na.png,x\n",
            "there is no column 'label' (or 'labels', for several per image), or it is empty. "
            "Add it, or give its name in the config",
        ),
    ],
)
def test_table_that_cannot_be_read_says_why(tmp_path, text, message):
    said = _said("table", **_table(tmp_path, text))
    assert re.fullmatch(rf"{tmp_path}/labels.csv(, row \d)?: {re.escape(message)}", said)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            ["a.png,x,p,train", "b.png,x,p,holdout"],
            "row 3: the split 'holdout' is unknown. Use train, val or test",
        ),
        (
            ["a.png,x,p,train", "b.png,x,p,"],
            "row 3: the cell 'split' is empty. Fill it or remove the row",
        ),
        ([",x,p,train"], "row 2: the cell 'path' is empty. Fill it or remove the row"),
        (
            ["a.png,x,p,train", "b.png,x,p,train", "a.png,y,p,train"],
            "row 2 and 4: 'a.png' is listed twice with different labels: 'x' and 'y'. "
            "Keep one of the rows",
        ),
        (
            ["a.png,x,p,train", "a.png,x,p,test"],
            "row 2 and 3: 'a.png' is listed twice with different split: 'train' and 'test'. "
            "Keep one of the rows",
        ),
        *(
            (
                ["a.png,x,p,train", f"{path},x,p,train"],
                f"row 3: the path {path!r} lies outside the dataset's folder. "
                "Write it relative to that folder",
            )
            for path in ("../b.png", "in/../../b.png", "/etc/b.png", "C:/b.png", "..")
        ),
    ],
)
def test_table_names_the_row_that_is_wrong(tmp_path, lines, message):
    text = "\n".join(["path,label,group,split", *lines]) + "\n"
    assert _said("table", **_table(tmp_path, text)) == f"{tmp_path}/labels.csv, {message}"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("rows", [0, 200_000])
def test_table_that_is_no_text_says_in_which_row_and_line(tmp_path, rows, end):
    lines = ["path,label", '"a\n""b\n.png",x', *["c.png,y"] * rows, "d.png,Adénome", "e.png,x"]
    (tmp_path / "labels.csv").write_bytes(end.join(lines).encode("latin-1"))
    assert _said("table", root=str(tmp_path)) == (
        f"{tmp_path}/labels.csv, row {rows + 3}: it is not UTF-8 text (byte 0xe9 in line "
        f"{rows + 5}). Save it as UTF-8"
    )


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig"])
def test_table_of_a_spreadsheets_unicode_text_is_read(tmp_path, encoding):
    (tmp_path / "labels.csv").write_text("path\tlabel\na.png\tbösartig\n", encoding=encoding)
    assert _read("table", root=str(tmp_path))[0].labels.tolist() == [["bösartig"]]


def test_absent_table_says_so(tmp_path):
    assert _said("table", root=str(tmp_path)) == (
        f"{tmp_path}/labels.csv: there is no such file. Correct the path"
    )


@given(
    st.lists(
        st.tuples(
            st.text("ab/. \\", min_size=1, max_size=8).filter(str.strip),
            st.text(min_size=1, max_size=5),
        ),
        min_size=1,
        max_size=10,
    )
)
def test_no_table_leads_outside_its_root(tmp_path_factory, rows):
    import csv

    folder = tmp_path_factory.mktemp("table")
    with open(folder / "labels.csv", "w", newline="", encoding="utf-8", errors="ignore") as file:
        csv.writer(file).writerows([("path", "label"), *rows])
    try:
        frame, _ = readers.find("table").read({"root": str(folder)})
    except InputError:
        return
    assert not frame.path.str.startswith(("/", "../")).any()
    assert not frame.path.isin(["..", "."]).any()
    assert frame.path.is_unique


# class folders, BACH, NCT-CRC


def _touch(root, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"")


def test_class_folders_are_read_sorted_with_their_splits(tmp_path):
    _touch(tmp_path, "tr/b/2.PNG", "tr/b/1.png", "tr/a/3.tif", "te/a/4.jpg", "tr/a/Thumbs.db")
    folders = {"tr": "train", "te": "test"}
    frame, rows = _read("class_folders", root=str(tmp_path), folders=folders)
    assert frame.path.tolist() == ["tr/a/3.tif", "tr/b/1.png", "tr/b/2.PNG", "te/a/4.jpg"]
    assert frame.labels.tolist() == [["a"], ["b"], ["b"], ["a"]]
    assert frame.split.tolist() == ["train", "train", "train", "test"]
    assert _told(rows) == [("dropped", "tr/a/Thumbs.db", "hidden, or the system's own", 1)]


def test_class_folders_default_to_the_root(tmp_path):
    _touch(tmp_path, "a/1.png")
    frame, _ = _read("class_folders", root=str(tmp_path))
    assert frame.path.tolist() == ["a/1.png"]
    assert frame.split.tolist() == [None]


def test_folder_without_images_says_what_was_expected(tmp_path):
    (tmp_path / "a").mkdir()
    assert _said("class_folders", root=str(tmp_path)) == (
        f"{tmp_path}: there is no image (.tif, .tiff, .png, .jpg, .jpeg, .bmp, .webp, .gif) "
        "in its class folders. Expected is <folder>/<class>/<image>"
    )


def test_bach_has_four_fixed_classes_and_no_official_split(tmp_path):
    photos = "ICIAR2018_BACH_Challenge/Photos"
    _touch(tmp_path, f"{photos}/InSitu/is001.tif", f"{photos}/Normal/n001.tif")
    frame, rows = _read("bach", root=str(tmp_path))
    assert frame.labels.tolist() == [["InSitu"], ["Normal"]]
    assert frame.attrs["classes"] == ["Benign", "InSitu", "Invasive", "Normal"]
    assert frame.attrs["class_names"]["InSitu"] == "in situ carcinoma"
    assert frame.split.isna().all()
    assert rows == []


def test_breakhis_tells_types_and_patients_by_file_names(tmp_path):
    folder = tmp_path / "BreaKHis_v1/histology_slides/breast"
    files = [
        "benign/SOB/tubular_adenoma/SOB_B_TA_14-4659/40X/SOB_B_TA-14-4659-40-001.png",
        "malignant/SOB/lobular_carcinoma/SOB_M_LC_14-13412/40X/SOB_M_LC-14-13412-40-001.png",
        "malignant/SOB/lobular_carcinoma/SOB_M_LC_14-13412/100X/SOB_M_LC-14-13412-100-001.png",
        "malignant/SOB/x.png",
        "README.txt",
    ]
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).touch()
    frame, rows = _read("breakhis", root=str(tmp_path), magnification=40)
    assert frame.labels.tolist() == [["TA"], ["LC"]]
    assert frame.group.tolist() == ["14-4659", "14-13412"]
    assert [(row["action"], row["reason"], row["count"]) for row in rows] == [
        ("dropped", "another magnification", 1),
        ("unread", "its name is not that of an image of BreakHis", 1),
        ("dropped", "not an image", 1),
    ]
    assert len(_read("breakhis", root=str(tmp_path))[0]) == 3
    with pytest.raises(InputError, match="there is no image such as SOB_B_TA-14-4659-200-001"):
        _read("breakhis", root=str(tmp_path), magnification=200)


# path_pattern

CLASS_AND_SLIDE = "(?P<label>[^/]+)/0/(?P<group>TCGA-..-....)[^/]*/.*|[^/]+/[1-5]/.*"


def test_a_pattern_reads_class_patient_split_and_site_from_paths(tmp_path):
    files = ["train/tumour/p1/a.png", "train/normal/p1/b.png", "valid/tumour/p2/a.png", "x.png"]
    _touch(tmp_path, *files, "train/notes.txt", "train/tumour/.hidden/c.png")
    pattern = "(?P<split>[^/]+)/(?P<label>[^/]+)/(?P<group>(?P<site>.).)/[^/]+"
    frame, rows = _read("path_pattern", root=str(tmp_path), pattern=pattern)
    assert frame.path.tolist() == [files[1], files[0], files[2]]
    assert frame.labels.tolist() == [["normal"], ["tumour"], ["tumour"]]
    assert frame.group.tolist() == ["p1", "p1", "p2"] and set(frame.site) == {"p"}
    assert frame.split.tolist() == ["train", "train", "val"]
    assert frame.attrs["task"] == "single" and frame.caption.isna().all()
    assert [(row["action"], row["reason"], row["count"]) for row in rows] == [
        ("unread", "its path does not fit `pattern`", 1),
        ("dropped", "not an image", 2),
    ]


def test_a_path_that_fits_without_a_label_is_left_out(tmp_path):
    _touch(tmp_path, "Colon/0/TCGA-AA-0001-01Z/1.jpg", "Colon/5/TCGA-AA-0001-01Z/1.jpg")
    frame, rows = _read("path_pattern", root=str(tmp_path), pattern=CLASS_AND_SLIDE)
    assert frame.labels.tolist() == [["Colon"]] and frame.group.tolist() == ["TCGA-AA-0001"]
    assert frame.split.isna().all() and "site" not in frame
    assert [(row["action"], row["count"]) for row in rows] == [("dropped", 1)]


def test_what_a_pattern_gives_only_some_images_or_wrongly_is_told(tmp_path):
    _touch(tmp_path, "train/a/1.png", "tuning/a/2.png")
    entry = {"root": str(tmp_path), "pattern": "(?P<split>[^/]+)/(?P<label>[^/]+)/.*"}
    line = _said("path_pattern", **entry)
    assert "tuning/a/2.png: the split 'tuning' is unknown" in line
    line = _said("path_pattern", root=str(tmp_path), pattern="(?P<split>train)?.*/(?P<label>a)/.*")
    assert "1 of 2 images have no split by `pattern`" in line
    line = _said("path_pattern", root=str(tmp_path), pattern="(?P<label>b)/.*")
    assert "there is no image whose path fits" in line and "2 files" in line


def test_nct_crc_keeps_its_official_test(tmp_path):
    _touch(tmp_path, "NCT-CRC-HE-100K/TUM/a.tif", "CRC-VAL-HE-7K/TUM/b.tif")
    frame, _ = _read("nct_crc", root=str(tmp_path))
    assert frame.split.tolist() == ["train", "test"]
    assert len(frame.attrs["classes"]) == 9


def test_missing_half_of_nct_crc_is_named(tmp_path):
    _touch(tmp_path, "NCT-CRC-HE-100K/TUM/a.tif")
    assert _said("nct_crc", root=str(tmp_path)) == (
        f"{tmp_path}/CRC-VAL-HE-7K: there is no such folder. Correct `root` or unpack the dataset"
    )


# PCAM


def _pcam(folder, n: int = 6, meta: bool = True) -> dict:
    for split in ("train", "valid", "test"):
        name = f"{folder}/camelyonpatch_level_2_split_{split}"
        with h5py.File(f"{name}_x.h5", "w") as file:
            file["x"] = np.zeros((n, 4, 4, 3), dtype=np.uint8)
        with h5py.File(f"{name}_y.h5", "w") as file:
            file["y"] = (np.arange(n) % 2).astype(np.uint8).reshape(n, 1, 1, 1)
        if meta:
            rows = "".join(f"{i},0,slide_{split}_{i // 2}\n" for i in range(n))
            with open(f"{name}_meta.csv", "w") as file:
                file.write(",tumor_patch,wsi\n" + rows)
    return {"root": str(folder)}


def test_pcam_has_official_splits_and_slides(tmp_path):
    frame, rows = _read("pcam", **_pcam(tmp_path))
    assert len(frame) == 18
    assert frame.split.value_counts().to_dict() == {"train": 6, "val": 6, "test": 6}
    assert frame.path[1] == "camelyonpatch_level_2_split_train_x.h5#1"
    assert frame.labels[:2].tolist() == [["normal"], ["tumor"]]
    assert frame.group[6:9].tolist() == ["slide_valid_0", "slide_valid_0", "slide_valid_1"]
    assert rows == []


def test_pcam_without_slides_has_no_groups(tmp_path):
    assert _read("pcam", **_pcam(tmp_path, meta=False))[0].group.isna().all()


def test_pcam_depends_on_slides_where_they_are_or_will_be(tmp_path):
    find = readers.find("pcam").inputs
    assert len(find(_pcam(tmp_path, meta=False))) == 6
    assert len(find(_pcam(tmp_path))) == 9
    assert len(find({"root": "results/phantom/pcam"})) == 9


def test_pcam_of_unequal_lengths_is_refused(tmp_path):
    entry = _pcam(tmp_path)
    path = f"{tmp_path}/camelyonpatch_level_2_split_valid_y.h5"
    with h5py.File(path, "w") as file:
        file["y"] = np.zeros((5, 1, 1, 1), dtype=np.uint8)
    assert _said("pcam", **entry) == f"{path}: it has 5 rows for 6 patches. Restore the file"


def test_damaged_array_is_named(tmp_path):
    entry = _pcam(tmp_path)
    path = tmp_path / "camelyonpatch_level_2_split_test_x.h5"
    path.write_bytes(b"no")
    assert _said("pcam", **entry) == (f"{path}: it is not an HDF5 file. Download it again")


# Quilt-1M


def _quilt(folder, *lines: str, heading: str = QUILT_HEADING, **entry) -> dict:
    (folder / "quilt_1M_lookup.csv").write_text(heading + "\n".join(lines) + "\n")
    return {"root": str(folder), **entry}


def test_quilt_parses_labels_and_groups_by_video(tmp_path):
    entry = _quilt(
        tmp_path,
        """0,raw,vid_a_image_1.jpg,quilt,train,"['Renal ', ' Unknown', 'Bone', 'Renal']",text""",
        "1,raw,pubmed.jpg,pubmed,train,,other",
    )
    frame, rows = _read("quilt", **entry)
    assert frame.labels.tolist() == [["Renal", "Bone"], []]
    assert frame.group.tolist() == ["vid_a", "pubmed.jpg"]
    assert frame.path.tolist() == ["images/vid_a_image_1.jpg", "images/pubmed.jpg"]
    assert frame.caption.tolist() == ["text", "other"]
    assert frame.split.isna().all()
    assert frame.attrs["task"] == "multi"
    assert rows == []


def test_quilt_caption_is_the_column_asked_for(tmp_path):
    entry = _quilt(tmp_path, "0,raw,a.jpg,quilt,train,['Bone'],text", caption="caption")
    assert _read("quilt", **entry)[0].caption.tolist() == ["raw"]


def test_quilt_image_in_many_rows_is_one_image_of_many_samples(tmp_path):
    lines = [f"{i},raw,a_image_1.jpg,quilt,train,['Bone'],text {i}" for i in range(3)]
    frame, rows = _read("quilt", **_quilt(tmp_path, *lines))
    assert frame.image_id.nunique() == 1
    assert frame.sample_id.nunique() == 3
    assert rows == []


def test_quilt_rows_of_one_image_and_caption_are_merged_with_their_labels(tmp_path):
    entry = _quilt(
        tmp_path,
        "0,raw,a_image_1.jpg,quilt,train,['Bone'],text",
        "1,raw,b_image_1.jpg,quilt,train,['Renal'],text",
        """2,raw,a_image_1.jpg,quilt,train,"['Renal', 'Bone']",text""",
    )
    frame, rows = _read("quilt", **entry)
    assert frame.labels.tolist() == [["Bone", "Renal"], ["Renal"]]
    reason = "same image and caption as an earlier row; labels united"
    assert _told(rows) == [("merged", "quilt_1M_lookup.csv, row 4", reason, 1)]


def test_quilt_missing_data_is_removed_and_counted_by_column(tmp_path):
    entry = _quilt(
        tmp_path,
        "0,,a.jpg,quilt,train,['Bone'],text",
        "1,raw,,quilt,train,['Bone'],text",
        "2,raw,a.jpg,quilt,train,['Bone'],",
        "3,raw,a.jpg,quilt,train,['Bone'],text",
        "4,nan,b.jpg,quilt,train,['Bone'],text",
        "5,raw,b.jpg,quilt,train,Bone,text",
    )
    frame, rows = _read("quilt", **entry)
    assert frame.row.tolist() == [5]
    column = "quilt_1M_lookup.csv, column 'caption'"
    assert _told(rows) == [
        ("warned", column, "a word for a missing value", 1),
        ("dropped", "quilt_1M_lookup.csv, rows 2, 6", "no caption", 2),
        ("dropped", "quilt_1M_lookup.csv, row 3", "no image_path", 1),
        ("dropped", "quilt_1M_lookup.csv, row 4", "no corrected_text", 1),
        (
            "dropped",
            "quilt_1M_lookup.csv, row 7",
            "pathology is not a list such as \"['Renal', 'Pulmonary']\"",
            1,
        ),
    ]


def test_quilt_never_evaluates_what_it_reads(tmp_path):
    evil = f"__import__('pathlib').Path('{tmp_path}/evil').touch()"
    entry = _quilt(
        tmp_path,
        f'0,raw,a.jpg,quilt,train,"{evil}",text',
        f'1,raw,b.jpg,quilt,train,"[{evil}]",text',
        "2,raw,c.jpg,quilt,train,['Bone'],text",
    )
    assert len(_read("quilt", **entry)[0]) == 1
    assert not (tmp_path / "evil").exists()


def test_quilt_without_a_column_names_it_and_those_found(tmp_path):
    entry = _quilt(tmp_path, "a,b", heading="caption,image_path\n")
    assert _said("quilt", **entry) == (
        f"{tmp_path}/quilt_1M_lookup.csv: there is no column 'corrected_text', 'pathology'; "
        "the columns found are 'caption', 'image_path'. "
        "Rename a column, or give its name in the config"
    )


def test_quilt_path_outside_the_images_is_refused(tmp_path):
    entry = _quilt(tmp_path, "0,raw,../a.jpg,quilt,train,['Bone'],text")
    assert _said("quilt", **entry) == (
        f"{tmp_path}/quilt_1M_lookup.csv, row 2: the path '../a.jpg' lies outside the dataset's "
        "folder. Write it relative to that folder"
    )


@given(st.text(max_size=40))
def test_any_text_of_labels_is_a_list_or_dropped(text):
    labels = readers.find("quilt")._parse(text)
    assert labels is None or all(label == label.strip() != "" for label in labels)


# what Snakemake asks for


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("quilt", ["quilt_1M_lookup.csv", "images"]),
        ("bach", ["ICIAR2018_BACH_Challenge/Photos", "groups.csv"]),
        ("nct_crc", ["NCT-CRC-HE-100K", "CRC-VAL-HE-7K", "groups.csv"]),
        ("table", ["labels.csv"]),
    ],
)
def test_inputs_are_what_the_phantom_makes(name, expected):
    root = "results/phantom/world"
    found = readers.find(name).inputs({"root": root})
    assert found == [f"{root}/{path}" for path in expected]
