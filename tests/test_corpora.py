"""Reports in any form that people have them: csv, parquet, JSON, lines and folders of text."""

import json

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histopair import readers
from histopair.errors import InputError

ROWS = [
    {"id": "P1.a", "text": "Colon, adenoma", "note": None},
    {"id": "P2.b", "text": "Rectum", "note": 3},
]


def _written(folder, form: str, rows: list[dict]):
    """The rows as a table of one form, or a folder of texts."""
    path = folder / f"reports.{form}"
    if form == "csv":
        pd.DataFrame(rows).to_csv(path, index=False)
    elif form == "parquet":
        pd.DataFrame(rows).to_parquet(path)
    elif form == "json":
        path.write_text(json.dumps(rows))
    elif form == "jsonl":
        path.write_text("\n".join(map(json.dumps, rows)) + "\n\n")
    else:
        path.mkdir()
        for row in rows:
            (path / f"{row['id']}.txt").write_text(row["text"])
    return path


def _read(path, **entry):
    entry = {"table": str(path), **entry}
    readers.find("tcga").check(entry)
    return readers.find("tcga").read(entry)


def _said(path, **entry) -> str:
    with pytest.raises(InputError) as error:
        _read(path, **entry)
    assert "\n" not in str(error.value)
    return str(error.value).replace(f"{path.parent}/", "")


@pytest.mark.parametrize("form", ["csv", "parquet", "json", "jsonl", "folder"])
def test_each_form_gives_the_same_reports(tmp_path, form):
    frame, audit = _read(_written(tmp_path, form, ROWS))
    assert frame[["report_id", "group", "text"]].to_numpy().tolist() == [
        ["P1.a", "P1.a", "Colon, adenoma"],
        ["P2.b", "P2.b", "Rectum"],
    ]
    assert audit == []


def test_lines_are_named_by_file_and_line_and_blank_ones_are_counted(tmp_path):
    (tmp_path / "v1.2.txt").write_text("Colon, adenoma\n\nRectum; NA\nNA\n")
    frame, audit = _read(tmp_path / "v1.2.txt")
    assert frame.report_id.tolist() == ["v1.2:1", "v1.2:3", "v1.2:4"]
    assert frame.group.tolist() == frame.report_id.tolist()
    assert frame.text.fillna("").tolist() == ["Colon, adenoma", "Rectum; NA", ""]
    assert {row["reason"]: row["count"] for row in audit} == {
        "the row is empty": 1,
        "a word for a missing value": 1,
        "no column of ids: file and row name each report": 3,
    }


def test_a_txt_with_a_heading_is_still_a_table(tmp_path):
    (tmp_path / "r.txt").write_text("case\tbody\n7\tColon, adenoma\n")
    frame, _ = _read(tmp_path / "r.txt", id="case", text="body")
    assert frame[["report_id", "text"]].to_numpy().tolist() == [["7", "Colon, adenoma"]]


def test_a_table_without_ids_is_numbered_unless_patients_must_be_known(tmp_path):
    (tmp_path / "c.csv").write_text("caption,slide\nOne gland,S1\nTwo glands,S1\n")
    frame, audit = _read(tmp_path / "c.csv", text="caption")
    assert frame[["report_id", "group"]].to_numpy().tolist() == [["c:2", "c:2"], ["c:3", "c:3"]]
    assert [row["count"] for row in audit] == [2]
    frame, _ = _read(tmp_path / "c.csv", text="caption", group="slide")
    assert frame.group.tolist() == ["S1", "S1"]
    (tmp_path / "types.csv").write_text("patient_id,cancer_type\nS1,COAD\n")
    types = str(tmp_path / "types.csv")
    assert _said(tmp_path / "c.csv", text="caption", cancer_types=types) == (
        "c.csv: it names no patient, and cancer types are those of patients. "
        "Give its column `id` or `group`"
    )


def test_an_id_that_the_first_record_lacks_is_still_the_id(tmp_path):
    cases = [{"text": "One gland"}, {"id": "P1", "text": "Two glands"}]
    frame, audit = _read(_written(tmp_path, "json", cases))
    assert frame[["report_id", "group"]].to_numpy().tolist() == [["P1", "P1"]]
    assert [(row["action"], row["reason"], row["count"]) for row in audit] == [
        ("dropped", "no id", 1)
    ]


def test_several_columns_are_one_text_in_the_order_of_the_config(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text(
        "id,report,conclusion\na,Glands,Adenoma.\nb,NA,Adenoma\nc,Polyp,Polyp\nd,None,-\n"
    )
    frame, audit = _read(path, text=["conclusion", "report"])
    assert frame.text.fillna("").tolist() == ["Adenoma. Glands.", "Adenoma.", "Polyp.", ""]
    assert [row["subject"] for row in audit] == [
        "r.csv, column 'text conclusion'",
        "r.csv, column 'text report'",
    ]
    assert _said(path, text=["report", "summary"]) == (
        "r.csv: there is no column 'summary'; the columns found are 'id', 'report', 'conclusion'. "
        "Rename a column, or give its name in the config"
    )


def test_metadata_like_that_of_histai_is_a_corpus(tmp_path):
    """Keys as in its README: https://github.com/HistAI/HISTAI."""
    skin = {"specialization": "Skin", "diagnosis": "Benign neoplasm", "age": 37, "icd10": ["D22"]}
    cases = [
        skin
        | {"case_mapping": "histai/b2/case_1", "micro_protocol": None, "conclusion": "A nevus"},
        skin
        | {"case_mapping": "histai/b2/case_2", "micro_protocol": "Cells", "conclusion": "A wart."},
    ]
    path = _written(tmp_path, "json", cases)
    entry = {"id": "case_mapping", "text": ["micro_protocol", "conclusion"]}
    frame, _ = _read(path, **entry, organ_column="specialization")
    assert frame.text.tolist() == ["A nevus.", "Cells. A wart."]
    assert frame.organ_given.tolist() == ["Skin", "Skin"]
    assert frame.report_id.tolist() == ["histai/b2/case_1", "histai/b2/case_2"]


def test_captions_like_those_of_pathgen_are_a_corpus(tmp_path):
    """Keys as in its README: https://github.com/PathFoundation/PathGen-1.6M."""
    patch = {"wsi_id": "TCGA-AA-3844-01Z-00-DX1.u", "position": ["35136", "33344"], "file_id": "f"}
    path = _written(tmp_path, "json", [patch | {"caption": text} for text in ("One", "Two")])
    frame, _ = _read(path, text="caption", group="wsi_id")
    assert frame.group.unique().tolist() == ["TCGA-AA-3844-01Z-00-DX1.u"]
    assert frame.report_id.tolist() == ["reports:1", "reports:2"]


def test_a_folder_counts_what_is_no_text_and_keeps_empty_texts(tmp_path):
    folder = _written(tmp_path, "folder", ROWS)
    (folder / "b").mkdir()
    for name, text in {"b/P3.txt": "", ".hidden.txt": "x", "scan.pdf": "x"}.items():
        (folder / name).write_text(text)
    frame, audit = _read(folder)
    assert frame.report_id.tolist() == ["P1.a", "P2.b", "b/P3"]
    assert frame.text.fillna("").tolist()[2] == ""
    assert [(row["before"], row["subject"], row["count"]) for row in audit] == [
        (None, ".hidden.txt, scan.pdf", 2)
    ]
    (folder / "P1.a.txt").write_bytes(b"\xff\xe9")
    assert _said(folder).startswith("reports.folder/P1.a.txt, row 1: it is not UTF-8")


def test_each_text_of_a_folder_is_an_input_so_that_an_edit_is_seen(tmp_path):
    folder = _written(tmp_path, "folder", ROWS)
    (folder / "scan.pdf").touch()
    inputs = readers.find("tcga").inputs({"table": str(folder)})
    assert inputs == [str(folder), f"{folder}/P1.a.txt", f"{folder}/P2.b.txt"]
    (folder / "a{b}.txt").touch()
    with pytest.raises(InputError, match="its name has braces"):
        readers.find("tcga").inputs({"table": str(folder)})
    assert readers.find("tcga").inputs({"table": "a.csv", "cancer_types": "b.csv"}) == [
        "a.csv",
        "b.csv",
    ]


def test_values_are_texts_as_they_were_written(tmp_path):
    values = [7, 7.5, True, ["One", None, "Two"], float("nan"), "ok \ud800", 10**20]
    rows = [{"id": f"r{i}", "text": value} for i, value in enumerate(values)]
    frame, _ = _read(_written(tmp_path, "jsonl", rows))
    assert frame.text.fillna("").tolist() == [
        "7", "7.5", "True", "One\nTwo", "", "ok \ufffd\ufffd\ufffd", str(10**20),
    ]  # fmt: skip


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_ids_that_are_whole_decimal_numbers_read_as_whole_numbers(tmp_path, form):
    ids = [1.0, 2.0, 123456789012345.0, -0.0]
    rows = [{"id": name, "text": name, "patient": name + 1} for name in ids]
    frame, _ = _read(_written(tmp_path, form, rows))
    whole = ["1", "2", "123456789012345", "0"]
    assert frame.report_id.tolist() == frame.group.tolist() == frame.text.tolist() == whole
    frame, _ = _read(tmp_path / f"reports.{form}", group="patient")
    assert frame.group.tolist() == ["2", "3", "123456789012346", "1"]


@pytest.mark.parametrize("number", [1.23e16, float(2**53), 1.5, float("inf")])
@pytest.mark.parametrize("column", ["id", "group"])
def test_numbers_that_may_be_rounded_are_no_ids(tmp_path, number, column):
    rows = [{"id": 1.0, "group": 1.0, "text": "a"}, {"id": 2.0, "group": 2.0, "text": "b"}]
    rows[1][column] = number
    assert _said(_written(tmp_path, "parquet", rows)) == (
        f"reports.parquet, row 2: '{column}' is the decimal number {number}, which may be rounded. "
        "Store this column as text"
    )


@pytest.mark.parametrize("written", ["1.23E+16", "1,23e+16", "1E+17"])
def test_a_number_that_excel_rounded_is_no_id(tmp_path, written):
    rows = [{"id": "SD05E1", "text": "One"}, {"id": "12e5", "text": "Two"}]
    assert len(_read(_written(tmp_path, "csv", rows))[0]) == 2
    rows[1]["id"] = written
    assert _said(_written(tmp_path, "csv", rows)) == (
        f"reports.csv, row 3: the id '{written}' is a number that a program rounded. "
        "Save this column as text"
    )


@pytest.mark.parametrize(
    ("name", "content", "start"),
    [
        ("a.json", "<!doctype html><html>", "a.json: it is a web page"),
        ("a.json", '{"id": 1}', "a.json: it is JSON, but not a list"),
        ("a.json", '[{"id": 1}, 2]', "a.json, row 2: '2' is not an object"),
        ("a.json", '[{"id": 1}', "a.json: it is not JSON (Expecting ',' delimiter"),
        ("a.json", "[]", "a.json: it has no rows"),
        ("a.jsonl", '{"id": 1, "text": "a"}\n{"id"', "a.jsonl, row 2: it is not JSON"),
        ("a.jsonl", '{"id": 1, "text": {"a": 1}}', "a.jsonl, row 1: 'text' is a map, not a text"),
        ("a.jsonl", '{"id": 1}', "a.jsonl: there is no column 'text'"),
        ("a.jsonl", "[" * 100000, "a.jsonl, row 1: it is not JSON"),
        ("a.parquet", "id,text\n", "a.parquet: it is not a whole parquet file"),
        ("a.txt", "", "a.txt: the file is empty"),
        ("a.csv", "id,text\n", "a.csv: it has a heading but no rows"),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path, name, content, start):
    (tmp_path / name).write_text(content)
    assert _said(tmp_path / name).startswith(start)


def test_an_empty_folder_is_one_line(tmp_path):
    (tmp_path / "texts").mkdir()
    assert _said(tmp_path / "texts").startswith("texts: there is no .txt file in it")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
    | st.sampled_from(["NA", "P1.x", "7", "7.0", "\ud800", ""]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=3,
)  # fmt: skip
RECORDS = st.lists(
    st.fixed_dictionaries({}, optional={"id": VALUES, "text": VALUES, "note": VALUES}), max_size=5
)


def _accounted(path, count: int | None) -> bool:
    """Whether each of so many records is a report or counted in the audit, or one line says why."""
    try:
        frame, audit = _read(path)
    except InputError as error:
        return "\n" not in str(error)
    lost = (row["count"] for row in audit if row["action"] == "dropped")
    return count in (None, len(frame) + sum(lost))


@settings(max_examples=80, deadline=None, derandomize=True)
@given(RECORDS)
def test_any_records_are_accounted_for(tmp_path_factory, records):
    folder = tmp_path_factory.mktemp("records")
    for form in ("json", "jsonl"):
        assert _accounted(_written(folder, form, records), len(records))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.sampled_from(["json", "jsonl", "parquet", "txt"]), st.data())
def test_any_bytes_are_reports_or_one_line(tmp_path_factory, form, data):
    folder = tmp_path_factory.mktemp("bytes")
    if form == "txt":
        (folder / "reports.txt").write_text("Colon, adenoma\n\nRectum\n")
    else:
        _written(folder, form, ROWS)
    path = folder / f"reports.{form}"
    content = bytearray(path.read_bytes())
    bits = st.sampled_from([b'"', b"\n", b",", b"}", b"\0", b"\xff", b"\xef\xbb\xbf", b""])
    places = st.tuples(st.integers(0, len(content)), bits)
    for place, new in data.draw(st.lists(places, min_size=1, max_size=4)):
        content[place : place + len(new or b" ")] = new
    path.write_bytes(content)
    assert _accounted(path, None)
