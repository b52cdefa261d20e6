"""Rows of Quilt-1M that nobody has seen: read rightly, dropped and audited, or one clear line."""

import csv

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from histopair import readers
from histopair.datasets import image_checks, labels
from histopair.errors import InputError
from histopair.files import tables

HEADING = ["", "caption", "image_path", "pathology", "corrected_text"]
quilt = readers.find("quilt")


def _write(folder, rows, heading=HEADING, newline="\n", encoding="utf-8") -> dict:
    with open(folder / "quilt_1M_lookup.csv", "w", newline="", encoding=encoding) as file:
        csv.writer(file, lineterminator=newline, quoting=csv.QUOTE_ALL).writerows([heading, *rows])
    return {"root": str(folder)}


def _row(pathology="['Bone']", path="v_image_1.jpg", text="text") -> list:
    return [0, "caption", path, pathology, text]


LISTS = {
    """["Head 'n' Neck", 'Bone']""": ["Head 'n' Neck", "Bone"],
    r"""["the \"other\"", 'it\'s']""": ['the "other"', "it's"],
    '["Renal", null, "Bone"]': ["Renal", "Bone"],
    "['Renal' 'Soft tissue'\n 'Bone']": ["Renal", "Soft tissue", "Bone"],
    "['Renal', nan, None]": ["Renal"],
    "  [ 'A ' ,]": ["A"],
    "['Nävus', '病理', '\\u00e9']": ["Nävus", "病理", "é"],
    "['Bone', 'Bone ', 'bone', 'Unknown', 'unknown', '']": ["Bone", "bone"],
    "['A','B','C','D','E']": ["A", "B", "C", "D", "E"],
    "['a, b] [c']": ["a, b] [c"],
    "['two\\n  lines\\x00']": ["two lines"],
    "[]": [],
    "['Unknown']": [],
    "[" + "'A'," * 20000 + "]": ["A"],
}
NO_LISTS = [
    "['Renal', 'Bone'", "'Renal', 'Bone']", "Renal", "'Renal'", "{'A': 1}", "{'A'}",
    "('A', 'B')", "[['A'], 'B']", "[1, 2]", "[b'A']", "[f'{1}']", "['A' + 'B']", "['\\ud800']",
    "['\\x']", "['A'] * 9", "[" * 5000 + "]" * 5000, "array(['A'], dtype=object)", "[__import__]",
]  # fmt: skip


@pytest.mark.parametrize("text", LISTS, ids=lambda text: text[:20])
def test_lists_are_read_in_every_spelling(text):
    assert quilt._parse(text) == LISTS[text]


@pytest.mark.parametrize("text", NO_LISTS, ids=lambda text: text[:20])
def test_what_is_no_list_of_texts_is_dropped_and_counted(text, tmp_path):
    frame, rows = quilt.read(_write(tmp_path, [_row(text), _row(path="b.jpg")]))
    assert frame.path.tolist() == ["images/b.jpg"]
    assert [(row["action"], row["count"]) for row in rows] == [("dropped", 1)]


@given(st.lists(st.text(max_size=8), max_size=5))
def test_a_list_as_python_or_json_writes_it_is_read_as_it_was(items):
    import json

    expected = quilt._parse(str(items))
    assert quilt._parse(json.dumps(items)) == expected
    assert quilt._parse(json.dumps(items, ensure_ascii=False)) == expected
    simple = [item for item in items if item.isprintable() and item == " ".join(item.split())]
    kept = [item for item in simple if item and item.lower() != "unknown"]
    assert [item for item in expected if item in kept] == list(dict.fromkeys(kept))


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_line_ends_and_byte_order_marks_do_not_matter(tmp_path, newline, encoding):
    frame, rows = quilt.read(_write(tmp_path, [_row()], newline=newline, encoding=encoding))
    assert frame.caption.tolist() == ["text"] and rows == []


def test_columns_may_be_missing_or_more_and_in_any_order(tmp_path):
    entry = _write(tmp_path, [["t", "['A']", "x", "a.jpg", "c"]],
                   ["corrected_text", "pathology", "more", "image_path", "caption"])  # fmt: skip
    assert quilt.read(entry)[0].labels.tolist() == [["A"]]


@pytest.mark.parametrize(
    "path", ["/abs/a.jpg", "../a.jpg", "a/../../a.jpg", "C:\\a.jpg", "a\0.jpg"]
)
def test_paths_that_lead_outside_stop_with_one_line_and_the_row(tmp_path, path):
    with pytest.raises(InputError) as error:
        quilt.read(_write(tmp_path, [_row(), _row(path=path)]))
    assert f"row 3: the path {path!r} lies outside" in str(error.value)
    assert "\n" not in str(error.value)


def test_captions_of_any_length_keep_their_text_without_control_characters(tmp_path):
    texts = ["x" * 200_000, "two\nlines", "nul\0 and \x1b[31m", "\u202eturned \U0001f600"]
    rows = [_row(path=f"{i}.jpg", text=text) for i, text in enumerate(texts)]
    frame, audit = quilt.read(_write(tmp_path, rows))
    assert frame.caption.tolist() == [texts[0], texts[1], "nul and [31m", texts[3]]
    assert [(row["reason"], row["count"]) for row in audit] == [
        ("control characters removed from the caption", 1)
    ]


cells = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["", "nan", "['A']", "['A' 'B']", "a.jpg", "../x", "a\0b", "v_image_1.jpg"]),
)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.lists(cells, min_size=5, max_size=5), max_size=6))
def test_any_rows_are_read_or_dropped_with_a_count_or_stopped_with_one_line(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("quilt")
    rows = [[cell.encode("utf-8", "ignore").decode() for cell in row] for row in rows]
    try:
        frame, audit = quilt.read(_write(folder, rows))
    except InputError as error:
        said = str(error)
    else:
        said = ""
        lost = sum(row["count"] for row in audit if row["action"] in ("dropped", "merged"))
        assert len(frame) + lost == len(rows)
    assert "\n" not in said


def test_hostile_rows_go_through_cleaning_whole(tmp_path):
    (tmp_path / "images").mkdir()
    rows = []
    for i in range(30):
        Image.new("RGB", (8, 8), (i, 0, 0)).save(tmp_path / "images" / f"v{i}_image_1.png")
        text = "x" * 100_001 if i == 3 else f"a {i} \0 <script>"
        rows.append(_row(str([["A", "B", "=C"][i % 3], "病理"]), f"v{i}_image_1.png", text))
    rows += [_row(path="gone.png"), _row(path="x" * 300 + ".png"), _row(path="line\nend.png")]
    entry = _write(tmp_path, rows) | {"reader": "quilt", "max_quarantined": 0.2, "split": {}}
    paths = [str(tmp_path / f"{part}.parquet") for part in "laqf"]
    labels.clean(entry, "hostile", *paths, {"code": "x"}, shards=str(tmp_path / "shards"))
    assert len(tables.read(paths[0])) == 30
    assert sorted(tables.read(paths[2]).row) == [32, 33, 34]
    again = list(
        image_checks.check_all(tmp_path, ["images/" + "x" * 300 + ".png"], shards=tmp_path / "s")
    )
    assert again[0].reason.startswith("unreadable (File name too long")
