"""Tables in every ordinary form are read; what can be read in two ways stops with its line."""

import csv
import io

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histopair.errors import InputError
from histopair.files import folding, missing, sheets


def _read(folder, text: str | bytes, required=("path", "label"), optional=("group",), **options):
    path = folder / "t.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    frame = sheets.read(path, required, optional, **options)
    told = [
        (row["action"], row["subject"], row["before"], row["count"]) for row in frame.attrs["audit"]
    ]
    rows = frame.astype(object).where(frame.notna(), None)
    return rows.to_numpy().tolist(), told


def _said(folder, text: str | bytes, **options) -> str:
    with pytest.raises(InputError) as error:
        _read(folder, text, **options)
    assert "\n" not in str(error.value)
    return str(error.value).removeprefix(f"{folder}/t.csv")


FORMS = {
    "comma": "path,label\na.png,x y\n",
    "semicolon": "path;label\na.png;x y\n",
    "tab": "path\tlabel\na.png\tx y\n",
    "bar": "path|label\na.png|x y\n",
    "blanks": 'path   label\n  a.png  "x y"  \n',
    "sep line": "sep=;\r\npath;label\r\na.png;x y\r\n",
    "sep line in quotes": '"sep=;"\r\npath;label\r\na.png;x y\r\n',
    "heading in quotes with a comma": '"path";"label";"note, if any"\n"a.png";"x y";"a, b"\n',
    "heading in quotes with semicolons": '"a;b;c",path,label\n1,a.png,x y\n',
    "blanks after commas": 'path, label\na.png, "x y"\n',
    "line ends of an old Macintosh": "path,label\ra.png,x y\r",
    "byte order mark": "\ufeffpath,label\na.png,x y\n",
    "odd heading": "Path\u200b,\u00a0LABEL \na.png,x y\n",
    "blank lines first": "\n  \npath,label\na.png,x y\n",
}


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "utf-16-be"])
def test_every_ordinary_form_is_read(tmp_path, text, encoding):
    if encoding.endswith("e"):
        text = text.lstrip("\ufeff\n ")
    rows, told = _read(tmp_path, text.encode(encoding))
    assert rows == [["a.png", "x y", None, 2]]
    assert told == []


def test_cells_of_several_lines_are_one_cell_and_rows_are_numbered_as_in_a_spreadsheet(tmp_path):
    text = 'path,label\n1,"line, with ""quotes""\n\nand 2,\nmore"\n\n3,x\n'
    rows, told = _read(tmp_path, text, texts=("label",))
    assert rows == [["1", 'line, with "quotes"\n\nand 2,\nmore', None, 2], ["3", "x", None, 4]]
    assert told == []


SWALLOWED = {
    "never closed": ('1.png,x\n2.png,"y\n3.png,x\n', "line 3"),
    "closed within a cell": ('1.png,"x\n2.png,"y\n3.png,x\n', "line 2"),
    "a word in quotes": ('1.png,x\n2.png,"big" one\n', "line 3"),
    "closed at the end of another row": (
        '1.png,"x\n2.png,y\n3.png,x"\n4.png,x\n',
        "line 2 .* 2 more rows",
    ),
    "after cells of several lines": (
        '1.png,"x,\n,\n"\n2.png,"x\n3.png,y"\n',
        "line 5 .* 1 more rows",
    ),
}


@pytest.mark.parametrize(("rows", "said"), SWALLOWED.values(), ids=SWALLOWED)
@pytest.mark.parametrize("texts", [(), ("label",)])
def test_rows_within_a_stray_quote_stop_with_the_line(tmp_path, rows, said, texts):
    import re

    assert re.search(f"in {said}", _said(tmp_path, "path,label\n" + rows, texts=texts))


NO_TABLES = {
    "too many cells": ("path,label\na,b\n\na,b,c\n", ", row 4: it has 3 cells, the heading has 2"),
    "too few cells": ("path,label\na,b\nc\n", ", row 3: it has 1 cell, the heading has 2"),
    "empty": (b"", ": the file is empty"),
    "blank lines": (b"\xef\xbb\xbf\n \n", ": the file is empty"),
    "zeros": (b"\0" * 99, ": the file is empty"),
    "no rows": ("path,label\n\n,\n", ": it has a heading but no rows"),
    "bytes": (b"\x01\x02\0\x03\n", ": it is not a text file"),
    "a workbook": (
        b"PK\x03\x04\x14\0\x06",
        ": it is an Excel workbook or a zip archive. Save it as csv",
    ),
    "an old workbook": (b"\xd0\xcf\x11\xe0\xa1", ": it is an Excel workbook. Save it as csv"),
    "packed": (b"\x1f\x8b\x08\0", ": it is compressed. Unpack it"),
    "a web page": ("<!DOCTYPE html><html>", ": it is a web page. Download the file itself"),
    "an LFS pointer": (
        "version https://git-lfs.github.com/spec/v1\n",
        ": it is a pointer of Git LFS",
    ),
    "Latin-1": (
        "path,label\na,é\n".encode("latin-1"),
        ", row 2: it is not UTF-8 text (byte 0xe9 in line 2)",
    ),
    "half of UTF-16": ("path,label\na,b\n".encode("utf-16")[:-1], ": it is not UTF-16 text"),
    "two labels": (
        "path,label,label\na,b,c\n",
        ": the columns 'label', 'label' are hard to tell apart",
    ),
    "two cases": (
        "path,LABEL,Label\na,b,c\n",
        ": the columns 'LABEL', 'Label' are hard to tell apart",
    ),
    "no label": (
        "path,group\na,b\n",
        ": there is no column 'label'; the columns found are 'path', 'group'",
    ),
}


@pytest.mark.parametrize(("text", "said"), NO_TABLES.values(), ids=NO_TABLES)
def test_what_is_no_table_is_one_line(tmp_path, text, said):
    assert _said(tmp_path, text).startswith(said)


def test_a_column_that_the_config_names_must_be_there(tmp_path):
    said = _said(tmp_path, "path,label,case\na,b,c\n", columns={"group": "patient"})
    assert said.startswith(
        ": there is no column 'patient'; the columns found are 'path', 'label', 'case'"
    )


def test_a_name_that_nothing_reads_is_refused(tmp_path):
    said = _said(tmp_path, "path,label,case\na,b,c\n", columns={"patient": "case"})
    assert said.startswith(": `columns` gives a name for 'patient', which is not read; ")


def test_a_column_given_to_one_name_is_not_also_the_other_of_that_name(tmp_path):
    options = {"optional": ["group", "id"], "columns": {"path": "id"}}
    rows, _ = _read(tmp_path, "id,label\na,x\n", **options)
    assert rows == [["a", "x", None, None, 2]]


MISSING = ["NA", "N/A", "n/a", "nan", "NaN", "null", "NULL", "None", "none", "-", "--", "'--"]
MISSING += ["#N/A", "<NA>", " NA ", "N\u200bA", "\u2013"]
EMPTY = ["", "   ", "\u00a0", "\u200b", '""']


@pytest.mark.parametrize("word", MISSING + EMPTY)
def test_a_word_for_a_missing_value_is_missing_and_counted(tmp_path, word):
    rows, told = _read(tmp_path, f"path,label\na,{word}\nb,x\n", texts=("label",))
    assert rows == [["a", None, None, 2], ["b", "x", None, 3]]
    counted = [] if word in EMPTY else [("warned", "t.csv, column 'label'", folding.tidy(word), 1)]
    assert told == counted


def test_a_word_that_is_a_value_of_its_column_stays(tmp_path):
    text = "path,label,group\na,None,None\nb,none,p\nc,NA,q\n"
    rows, _ = _read(tmp_path, text, values={"label": ["None"]})
    assert [row[:3] for row in rows] == [["a", "None", None], ["b", "none", "p"], ["c", None, "q"]]


@pytest.mark.parametrize("text", ["no", "0", "none seen", "not", "nab", "n", "unknown", "+"])
def test_other_words_are_values(text):
    assert not missing.word(text)


def test_rows_without_any_value_are_left_out_and_counted(tmp_path):
    rows, told = _read(tmp_path, "path,label\na,x\n,\n , \nb,y\n")
    assert [row[3] for row in rows] == [2, 5]
    assert told == [("dropped", "t.csv", None, 2)]


def test_a_heading_may_begin_with_a_hash(tmp_path):
    rows, _ = _read(tmp_path, "#,path,label\n#1,a,x\n#2,b,y\n")
    assert [row[:2] for row in rows] == [["a", "x"], ["b", "y"]]


def test_a_dash_beside_a_plus_is_a_value(tmp_path):
    rows, told = _read(tmp_path, "path,label\na,+\nb,-\nc,++\nd,NA\n")
    assert [row[1] for row in rows] == ["+", "-", "++", None]
    assert told == [("warned", "t.csv, column 'label'", "NA", 1)]


def test_cells_are_as_they_look_but_texts_as_they_are_written(tmp_path):
    text = "path,label\nae\u0301,x\u200b\nb, x\u00a0\n"
    rows, told = _read(tmp_path, text, texts=("path",))
    assert [row[:2] for row in rows] == [["ae\u0301", "x"], ["b", "x"]]
    assert told == [("renamed", "t.csv, column 'label'", r"'x\u200b', 'x\xa0'", 2)]


SAME = [
    ("1", "1.0", "01", " 1 ", "1\u200b", "１"),
    ("P1", "p1"),
    ("é", "e\u0301", "É"),
    ("a-b", "a\u2013b", "A\u2011B"),
]
OTHER = [
    ("1", "10", "-1", "1.5", "1e0"),
    ("12.1", "12.10"),
    ("1", "1,000", "2.000"),
    ("a b", "ab"),
    ("a_b", "a-b"),
    ("P01", "P1"),
]


@pytest.mark.parametrize("texts", SAME)
def test_spellings_of_one_thing_have_one_key(texts):
    assert len({folding.key(text) for text in texts}) == 1


@pytest.mark.parametrize("texts", OTHER)
def test_different_things_have_different_keys(texts):
    assert len({folding.key(text) for text in texts}) == len(texts)


@given(st.text(max_size=12))
def test_looks_and_keys_are_their_own(text):
    assert folding.tidy(folding.tidy(text)) == folding.tidy(text)
    assert folding.key(folding.tidy(text)) == folding.key(text)


def test_the_commonest_spelling_is_kept_and_the_others_are_counted():
    column = pd.Series(["p1", "P1", "P1", None, "7.0", "7"], dtype="str")
    united, rows = folding.united(column, "group")
    assert united.astype(object).where(united.notna(), None).tolist() == [
        "P1",
        "P1",
        "P1",
        None,
        "7",
        "7",
    ]
    [row] = rows
    assert (row["action"], row["before"], row["after"], row["count"]) == (
        "merged",
        "7.0, p1",
        "7, P1",
        2,
    )


def test_spellings_that_the_config_names_go_first_and_stay_apart():
    chosen = folding.spellings({"bone": 9, "Bone": 1, "X": 5, "x": 1}, ["Bone", "X", "x"])
    assert chosen == {"bone": "Bone", "Bone": "Bone", "X": "X", "x": "x"}


cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(st.lists(st.tuples(cells, cells), min_size=1, max_size=6), st.sampled_from(",;\t|"))
def test_what_csv_writes_is_read_whole(tmp_path_factory, rows, mark):
    """Or it stops because the rows could be read in two ways."""
    folder = tmp_path_factory.mktemp("written")
    text = io.StringIO()
    writer = csv.writer(text, delimiter=mark, quoting=csv.QUOTE_ALL)
    writer.writerows([("path", "label"), *rows])
    said = ""
    try:
        found, told = _read(folder, text.getvalue(), texts=("path", "label"))
    except InputError as error:
        said = str(error)
    if said:
        assert "more rows of the table" in said or "no rows" in said
        return
    empty = sum(count for action, *_, count in told if action == "dropped")
    assert len(found) + empty == len(rows)
    kept = [row for row in rows if any(cell.strip() for cell in row)]
    for (path, label, *_), (wrote_path, wrote_label) in zip(found, kept, strict=True):
        assert path in (wrote_path, None) and label in (wrote_label, None)
        assert path is not None or missing.word(wrote_path)
        assert label is not None or missing.word(wrote_label)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.binary(max_size=80) | st.text(' ,;\t|"\r\nab1\0\ufeffé', max_size=60).map(str.encode))
def test_any_bytes_are_rows_or_one_line(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("bytes")
    for start in (b"", b"path,label\n", "path;label\r\n".encode("utf-16")):
        try:
            rows, said = _read(folder, start + content)[0], ""
        except InputError as error:
            rows, said = [], str(error)
        assert bool(rows) != bool(said)
        assert "\n" not in said
