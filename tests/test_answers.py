"""Readers' answers: no line is lost, none is a formula, and a killed writer harms no other."""

import csv
import hashlib
import json
import multiprocessing
import os
import re

import pandas as pd
import pytest

from histopair.errors import InputError
from histopair.export import fingerprint
from histopair.files import answers, sheets
from histopair.files.answers import Answer

IMAGE = "a" * 64
BEFORE = {"Tumour": 0.8123456789, "Stroma": 0.1}


def answer(**changed) -> Answer:
    whole = {
        "reader": "Ada",
        "model": "crc/uni/probe/0",
        "fingerprint": "b" * 64,
        "image": IMAGE,
        "file": "tile.png",
        "before": BEFORE,
        "accepted": ["Tumour"],
    }
    return Answer(**whole | changed)


def test_an_answer_is_kept_as_it_was_given(tmp_path):
    path = tmp_path / "new" / "answers.csv"
    full = answer(
        removed=["Stroma"], added=["Übergang; Ünklar"], region="0,10,224,224", note="Of J. Doe"
    )
    assert answers.append(path, full) is None
    assert answers.append(path, answer(reader="Bob", accepted=["Stroma"])) is None
    frame = answers.read(path)
    assert frame.columns.to_list() == [*answers.COLUMNS, "row"]
    first, second = frame.to_dict("records")
    assert (first["reader"], second["reader"], first["row"]) == ("Ada", "Bob", 2)
    assert first["before"] == {"Tumour": 0.812346, "Stroma": 0.1}
    assert first["accepted"] == ["Tumour"] and second["accepted"] == ["Stroma"]
    assert first["removed"] == ["Stroma"] and first["added"] == ["Übergang; Ünklar"]
    assert first["region"] == "0,10,224,224" and second["region"] == second["note"] == ""
    assert first["note"] == hashlib.sha256(b"Of J. Doe").hexdigest()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", first["time"])
    assert b"Doe" not in path.read_bytes()
    assert len(pd.read_csv(path)) == 2
    assert len(sheets.read(path, answers.COLUMNS)) == 2


HOSTILE = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1+1", "\r\n=1+1", "a;=cmd|' /C calc'!A0", "x; -1"]
HOSTILE += [
    'a","=1+1',
    "<script>alert(1)</script>",
    "a\0b",
    "\ud800",
    "None",
    "NA",
    "-",
    "n" * 9999,
]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_cell_is_a_formula_or_breaks_the_table(tmp_path, text):
    path = tmp_path / "answers.csv"
    answers.append(path, answer(reader=text, file=text, note=text, added=[text]))
    answers.append(path, answer())
    content = path.read_text()
    assert content.count("\n") == 3
    for separator in ",;\t":
        for row in csv.reader(content.splitlines(), delimiter=separator):
            assert not [cell for cell in row if cell.lstrip().startswith(("=", "+", "-", "@"))]
    frame = answers.read(path)
    assert len(frame) == 2 and frame.reader[0] and len(frame.reader[0]) <= 101
    if text.isprintable() and len(text) < 100 and ";" not in text:
        assert frame.reader[0] == frame.file[0] == text and frame.added[0] == [text]


@pytest.mark.parametrize(
    ("changed", "problem"),
    {
        "no reader": ({"reader": " \u200b"}, "it has no reader"),
        "no hash": ({"image": "tile.png"}, "its image is no sha256"),
        "no region": ({"region": "1,2,0,4"}, "is no x,y,width,height"),
        "nothing said": ({"accepted": []}, "it says nothing"),
        "both at once": ({"removed": ["Tumour"]}, "it names a finding twice"),
        "never shown": ({"removed": ["Mucus"]}, "removes what the model did not find"),
        "added again": ({"accepted": [], "added": ["Stroma"]}, "it adds what the model found"),
        "not a number": ({"before": {"Tumour": float("nan")}}, "a probability is no number"),
    }.values(),
)
def test_an_answer_that_contradicts_itself_is_refused(tmp_path, changed, problem):
    with pytest.raises(InputError, match=problem):
        answers.append(tmp_path / "answers.csv", answer(**changed))
    assert not (tmp_path / "answers.csv").exists()


def _append_many(path, reader, barrier, count):
    barrier.wait()
    for number in range(count):
        answers.append(path, answer(reader=reader, file=f"{number}.png", added=["x" * 5000]))


def test_two_processes_lose_no_line(tmp_path):
    path, count = tmp_path / "answers.csv", 60
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(2)
    writers = [
        context.Process(target=_append_many, args=(path, reader, barrier, count))
        for reader in ("Ada", "Bob")
    ]
    [writer.start() for writer in writers]
    [writer.join(60) for writer in writers]
    assert [writer.exitcode for writer in writers] == [0, 0]
    frame = answers.read(path)
    for reader in ("Ada", "Bob"):
        kept = frame.file[frame.reader == reader].to_list()
        assert kept == [f"{number}.png" for number in range(count)]


def test_wherever_a_writer_was_killed_the_next_answer_is_whole(tmp_path):
    path, damaged = tmp_path / "answers.csv", tmp_path / "answers.csv.damaged"
    answers.append(path, answer(reader="Ada"))
    answers.append(path, answer(reader="Bob", added=["Mucus", "Fat"]))
    content = path.read_bytes()
    ends = [place for place in range(len(content)) if content[place] == ord("\n")]
    whole = {0, *ends, *(end + 1 for end in ends)}  # a line may lack only its end
    near = {end + shift for end in ends for shift in (-3, -2, -1, 0, 1, 2)}
    for cut in sorted({*range(0, len(content), 29), *near} & {*range(len(content))}):
        path.write_bytes(content[:cut])
        damaged.unlink(missing_ok=True)
        if cut not in whole:
            with pytest.raises(InputError, match="its last line is not whole"):
                answers.read(path)
            assert answers.mend(path) and answers.mend(path) is None
            damaged.unlink()
            path.write_bytes(content[:cut])
        moved = answers.append(path, answer(reader="Eve"))
        kept = [name for name, end in zip(["Ada", "Bob"], ends[1:], strict=True) if cut >= end]
        assert answers.read(path).reader.to_list() == [*kept, "Eve"], cut
        assert (moved is None) == (cut in whole) == (not damaged.exists())
        if moved:
            start = content[:cut].rfind(b"\n") + 1
            assert damaged.read_bytes() == content[start:cut] + b"\n"


def test_a_mended_file_has_the_whole_answers(tmp_path):
    path = tmp_path / "answers.csv"
    assert answers.mend(path) is None and not path.exists()
    answers.append(path, answer(reader="Ada"))
    content = path.read_bytes()
    path.write_bytes(content + b"2026-11-26T19:00:00+00:00,Bob,cr")
    assert "was moved to" in answers.mend(path)
    assert path.read_bytes() == content
    assert answers.read(path).reader.to_list() == ["Ada"]


def test_another_table_is_left_alone(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("path,label\na.png,Tumour\n")
    with pytest.raises(InputError, match="it is no table of answers"):
        answers.append(path, answer())
    assert path.read_text() == "path,label\na.png,Tumour\n"


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "answers.csv"
    answers.append(path, answer())
    before, write = path.read_bytes(), os.write
    monkeypatch.setattr(os, "write", lambda file, content: write(file, content[:20]))
    with pytest.raises(InputError, match="no space"):
        answers.append(path, answer())
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("column", "cell", "problem"),
    [
        ("before", "[]", "the cell 'before' is not as the page writes it"),
        ("time", "30.11.2026 10:00", "the cell 'time' is not as the page writes it"),
        ("before", '{"Tumour": "high"}', "the cell 'before'"),
        ("removed", "Tumour", "the cell 'removed'"),
        ("added", "[1]", "the cell 'added'"),
        ("image", "tile.png", "the cell 'image'"),
        ("reader", "", "the cell 'reader' is empty"),
    ],
)
def test_a_cell_that_was_changed_by_hand_is_named(tmp_path, column, cell, problem):
    path = tmp_path / "answers.csv"
    answers.append(path, answer())
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    frame[column] = cell
    frame.to_csv(path, index=False)
    with pytest.raises(InputError, match=f"row 2: {problem}"):
        answers.read(path)


def test_the_fingerprint_is_that_of_what_decides_predictions(tmp_path):
    folders = [tmp_path / name for name in ("one", "same", "other")]
    for folder in folders:
        folder.mkdir()
        for name in fingerprint.FILES:
            (folder / name).write_text(json.dumps(name))
        (folder / "README.md").write_text(folder.name)
    (folders[2] / "model.safetensors").write_text("other weights")
    one, same, other = map(fingerprint.of_export, folders)
    assert one == same != other and re.fullmatch("[0-9a-f]{64}", one)
    with pytest.raises(InputError, match="there is no such file"):
        fingerprint.of_export(tmp_path)
