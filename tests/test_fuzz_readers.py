"""Any input ends in samples whose audit accounts for every row, or in one line."""

import csv
import io

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histopair import readers
from histopair.corpora import organs
from histopair.errors import InputError
from histopair.images import features
from histopair.readers.cohort import clinical

VALID = {
    "table": [
        ["path", "label", "group", "split", "caption", "id"],
        ["a.png", "x", "p1", "train", "a gland", "1"],
        ["b.png", "y", "p2", "test", "stroma, seen", "2"],
    ],
    "labels": [["path", "labels", "group"], ["a.png", "x; y", "1"], ["b.png", "y;NA", "1.0"]],
    "quilt": [
        ["caption", "image_path", "corrected_text", "pathology"],
        ["a", "v_image_1.jpg", "b", "['Bone', 'Renal']"],
        ["c", "w_image_1.jpg", "d", "[]"],
    ],
    "tcga": [["id", "text"], ["P1.x", "Colon, adenoma"], ["P2.y", "two\nlines, and more"]],
    "types": [["patient_id", "cancer_type"], ["P1", "COAD"], ["P2", "BRCA"]],
    "clinical": [
        ["patient", "time", "event", "slide"],
        ["P1", "12.5", "1:DECEASED", "P1-a"],
        ["P2", "3,5", "0", "P2-a.h5"],
    ],
}
READ = {
    "table": lambda folder: readers.find("table").read({"root": folder, "table": "t.csv"}),
    "labels": lambda folder: readers.find("table").read({"root": folder, "table": "t.csv"}),
    "quilt": lambda folder: readers.find("quilt").read({"root": folder}),
    "tcga": lambda folder: readers.find("tcga").read({"table": f"{folder}/t.csv"}),
    "types": lambda folder: (organs._by_patient(f"{folder}/t.csv"), None),
    "clinical": lambda folder: ((frame := clinical.read(f"{folder}/t.csv")), frame.attrs["audit"]),
}
NAME = {"quilt": "quilt_1M_lookup.csv"}
ODD = ["", " ", "NA", "None", "'--", "1", "1.0", "01", "p1", "P1 ", "x\u200b", "\u00a0", "..", "/x"]
ODD += ["a.png", "A.PNG", "a\0b", "-1", "inf", "1_0", "1:LIVING", "['A', 'nan']", "[", ";", "=1+1"]
cells = st.sampled_from(ODD) | st.text(st.characters(exclude_categories=["Cs"]), max_size=6)


def _outcome(name: str, folder, content: bytes):
    """(frame, audit rows), or the line."""
    (folder / NAME.get(name, "t.csv")).write_bytes(content)
    try:
        return READ[name](str(folder))
    except InputError as error:
        return str(error)


def _accounted(outcome, rows: int) -> bool:
    """Whether it is one line, or each row is a sample or counted in the audit."""
    if isinstance(outcome, str):
        return "\n" not in outcome
    frame, audit = outcome
    if audit is None:
        return True
    lost = (row for row in audit if row["action"] == "dropped" or row["step"] == "deduplicate")
    return len(frame) + sum(row["count"] for row in lost) == rows


@pytest.mark.parametrize("name", VALID)
@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.data())
def test_any_cells_of_a_valid_table_are_accounted_for(name, tmp_path_factory, data):
    table = [list(row) for row in VALID[name]]
    table += [table[1 + index] for index in data.draw(st.lists(st.integers(0, 1), max_size=2))]
    places = st.tuples(st.integers(1, len(table) - 1), st.integers(0, len(table[0]) - 1), cells)
    for row, column, cell in data.draw(st.lists(places, max_size=5)):
        table[row] = [*table[row][:column], cell, *table[row][column + 1 :]]
    text = io.StringIO()
    mark = data.draw(st.sampled_from(",;\t|"))
    csv.writer(text, delimiter=mark, quoting=csv.QUOTE_ALL).writerows(table)
    outcome = _outcome(name, tmp_path_factory.mktemp("cells"), text.getvalue().encode())
    assert _accounted(outcome, len(table) - 1), outcome


@pytest.mark.parametrize("name", VALID)
@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.data())
def test_any_bytes_in_a_valid_table_are_samples_or_one_line(name, tmp_path_factory, data):
    text = io.StringIO()
    csv.writer(text).writerows(VALID[name])
    content = bytearray(text.getvalue().encode())
    bits = st.sampled_from([b'"', b"\n", b",", b";", b"\r", b"\0", b"\xff", b"\xef\xbb\xbf", b""])
    for place, new in data.draw(
        st.lists(st.tuples(st.integers(0, len(content)), bits), min_size=1, max_size=4)
    ):
        content[place : place + len(new or b" ")] = new
    outcome = _outcome(name, tmp_path_factory.mktemp("bytes"), bytes(content))
    assert "\n" not in outcome if isinstance(outcome, str) else len(outcome[0])


def test_valid_tables_are_read(tmp_path):
    for name, table in VALID.items():
        text = io.StringIO()
        csv.writer(text).writerows(table)
        outcome = _outcome(name, tmp_path, text.getvalue().encode())
        assert not isinstance(outcome, str), outcome
        assert len(outcome[0]) == 2


ARRAYS = st.sampled_from(
    [
        np.zeros((4, 3), np.float32),
        np.zeros((1, 4, 3), np.float16),
        np.zeros((0, 3), np.float32),
        np.full((2, 2), np.nan),
        np.zeros(3),
        np.array(1.0),
        np.array([[b"a"]]),
        np.zeros((2, 2), complex),
        None,
    ]
)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(ARRAYS, ARRAYS, st.none() | st.integers(0, 3000))
def test_any_features_are_a_size_or_one_line(tmp_path_factory, values, coords, cut):
    path = tmp_path_factory.mktemp("h5") / "a.h5"
    with h5py.File(path, "w") as file:
        for name, array in (("features", values), ("coords", coords)):
            if array is not None:
                file[name] = array
    if cut is not None:
        path.write_bytes(path.read_bytes()[:cut])
    said = ""
    try:
        patches, width = features.size(path)
        assert patches > 0 < width
        assert features.read(path).shape == (patches, width)
    except InputError as error:
        said = str(error)
    assert "\n" not in said


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.sampled_from("xy"), ARRAYS), max_size=3), st.none() | st.binary())
def test_any_arrays_of_pcam_are_samples_or_one_line(tmp_path_factory, odd, meta):
    folder = tmp_path_factory.mktemp("pcam")
    arrays = {"x": np.zeros((4, 2, 2, 3), np.uint8), "y": np.array([0, 1, 1, 0], np.uint8)}
    for split in ("train", "valid", "test"):
        for part, array in {**arrays, **(dict(odd) if split == "valid" else {})}.items():
            path = folder / f"camelyonpatch_level_2_split_{split}_{part}.h5"
            with h5py.File(path, "w") as file:
                if array is not None:
                    file[part] = array
    if meta is not None:
        (folder / "camelyonpatch_level_2_split_test_meta.csv").write_bytes(b"wsi\n" + meta)
    said = ""
    try:
        frame, _ = readers.find("pcam").read({"root": str(folder)})
        assert len(frame) == 12
    except InputError as error:
        said = str(error)
    assert "\n" not in said
