"""The command `predict`: what it prints, and one clear line for everything that is wrong."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file
from test_export import exported  # noqa: F401
from test_methods import world  # noqa: F401

from histopair.export import predict, read

ROOT = Path(__file__).parents[1]


@pytest.fixture
def image_model(exported):  # noqa: F811
    return str(exported("linear_head")[0])


@pytest.fixture
def note_model(exported):  # noqa: F811
    return str(exported("fusion_frozen")[0])


@pytest.fixture
def tiles(tmp_path):
    folder = tmp_path / "tiles"
    (folder / "sub").mkdir(parents=True)
    for name, value in (("a.png", 30), ("b.jpg", 200), ("sub/c.tif", 120)):
        Image.fromarray(np.full((40, 44, 3), value, np.uint8)).save(folder / name)
    return folder


def said(capsys) -> str:
    """The one line on stderr."""
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def test_an_image_gets_ranked_findings(image_model, tiles, capsys):
    assert predict.main([image_model, "--image", str(tiles / "a.png")]) == 0
    out = capsys.readouterr().out
    assert "not for diagnosis" in out and "a.png" in out
    assert len([line for line in out.splitlines() if " %" in line]) == 2


def test_where_nobody_reads_on_it_ends_quietly_and_writes_all_findings(
    image_model, tiles, tmp_path
):
    """As in `predict ... | head -1`: the pipe is closed before the first line is written."""
    there, here = os.pipe()
    os.close(there)
    command = [sys.executable, str(ROOT / "workflow" / "commands"), "predict", image_model]
    command += ["--folder", str(tiles), "--csv", str(tmp_path / "all.csv")]
    with os.fdopen(here, "w") as pipe:
        done = subprocess.run(command, stdout=pipe, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert len((tmp_path / "all.csv").read_text().splitlines()) == 1 + 3 * 2


def test_json_holds_the_models_own_probabilities(image_model, tiles, capsys):
    predict.main([image_model, "--image", str(tiles / "a.png"), "--json"])
    found = json.loads(capsys.readouterr().out)
    model = read.load(image_model)
    values = model.probabilities(model.pixels(Image.open(tiles / "a.png"))[None], None)[0]
    findings = found["results"][0]["findings"]
    assert [one["probability"] for one in findings] == sorted(values.tolist(), reverse=True)
    assert found["model"]["temperature"] == model.config["temperature"]
    assert found["results"][0]["image"].endswith("a.png")


def test_a_note_changes_what_a_model_of_both_says(note_model, tiles, capsys):
    found = []
    for note in ("tumour", "normal colon"):
        arguments = [note_model, "--image", str(tiles / "a.png"), "--note", note, "--json"]
        assert predict.main(arguments) == 0
        found.append(json.loads(capsys.readouterr().out)["results"][0]["findings"])
    assert found[0] != found[1]


def test_notes_that_are_cut_are_told_once_with_what_is_kept(note_model, tiles, capsys):
    """The tower reads 24 tokens, its marks of start and end among them: 22 words."""
    notes = {"a.png": "colon " * 60, "b.jpg": "colon " * 21, "sub/c.tif": "tumour " * 60}
    rows = [f"{path},{note}" for path, note in notes.items()]
    (tiles / "notes.csv").write_text("\n".join(["path,note", *rows]))
    arguments = [note_model, "--folder", str(tiles), "--notes", str(tiles / "notes.csv")]
    assert predict.main(arguments) == 0
    found = said(capsys)
    assert "note of 'a.png' and 1 more: the model reads the first 24 tokens" in found
    assert predict.main([note_model, "--folder", str(tiles), "--note", notes["b.jpg"]]) == 0
    assert capsys.readouterr().err == ""


def test_a_folder_with_notes_and_a_csv_of_findings(note_model, tiles, tmp_path, capsys):
    notes, out = tmp_path / "notes.csv", tmp_path / "out.csv"
    notes.write_text("path,note\na.png,tumour\nb.jpg,normal\nsub/c.tif,colon\n")
    arguments = ["--folder", str(tiles), "--notes", str(notes), "--csv", str(out), "--top", "1"]
    assert predict.main([note_model, *arguments]) == 0
    assert capsys.readouterr().out.count(" %") == 3
    rows = list(csv.DictReader(out.open()))
    assert [row["image"] for row in rows] == ["a.png"] * 2 + ["b.jpg"] * 2 + ["sub/c.tif"] * 2
    assert float(rows[0]["probability"]) >= float(rows[1]["probability"])


def test_no_cell_of_the_csv_is_a_formula(image_model, tiles, tmp_path, capsys):
    (tiles / "a.png").rename(tiles / "=cmd.png")
    folder, out = tmp_path / "export", tmp_path / "out.csv"
    shutil.copytree(image_model, folder)
    labels = json.loads((folder / "labels.json").read_text())
    labels[0] |= {"label": "+1", "name": "@SUM(A1)"}
    (folder / "labels.json").write_text(json.dumps(labels))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"classes": ["+1", "c1"]}))
    assert predict.main([str(folder), "--folder", str(tiles), "--csv", str(out)]) == 0
    rows = list(csv.reader(out.open()))
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@"))]
    assert ["'=cmd.png", "'+1", "'@SUM(A1)"] in [[row[0], *row[2:4]] for row in rows]


def test_a_bad_file_is_reported_and_the_others_are_predicted(image_model, tiles, capsys):
    (tiles / "b.jpg").write_bytes((tiles / "b.jpg").read_bytes()[:200])
    assert predict.main([image_model, "--folder", str(tiles)]) == 1
    captured = capsys.readouterr()
    assert captured.err.splitlines()[0].startswith("histopair: b.jpg: unreadable")
    assert captured.err.splitlines()[1] == "histopair: 1 of 3 images failed"
    assert captured.out.count(" %") == 4


def test_links_are_followed_within_the_folder_and_named_where_they_leave_it(
    image_model, tiles, tmp_path, capsys
):
    (tiles / "more").symlink_to("sub")
    assert predict.main([image_model, "--folder", str(tiles), "--json"]) == 0
    found = [row["image"] for row in json.loads(capsys.readouterr().out)["results"]]
    assert found == ["a.png", "b.jpg", "more/c.tif", "sub/c.tif"]
    (tmp_path / "away").mkdir()
    shutil.copy(tiles / "a.png", tmp_path / "away" / "d.png")
    (tiles / "away").symlink_to(tmp_path / "away")
    assert predict.main([image_model, "--folder", str(tiles)]) == 2
    assert f"leads outside {tiles}, to {tmp_path / 'away'}" in said(capsys)


def test_a_link_to_an_image_that_is_named_itself_is_followed(image_model, tiles, tmp_path, capsys):
    (tmp_path / "link.png").symlink_to(tiles / "a.png")
    assert predict.main([image_model, "--image", str(tmp_path / "link.png")]) == 0
    assert "link.png" in capsys.readouterr().out


def test_a_strip_is_refused_in_one_line(image_model, tiles, capsys):
    Image.new("RGB", (1, 100_000)).save(tiles / "a.png")
    assert predict.main([image_model, "--image", str(tiles / "a.png")]) == 2
    assert said(capsys) == (
        f"histopair: {tiles / 'a.png'}: 1 x 100000 pixels are too narrow a strip. "
        "Cut it into tiles of sides of 1:20 at most"
    )


def test_when_nothing_could_be_predicted_the_status_says_so(image_model, tiles, capsys):
    for name in ("a.png", "b.jpg", "sub/c.tif"):
        (tiles / name).write_text("no image")
    assert predict.main([image_model, "--folder", str(tiles)]) == 2


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--image", "{tiles}/no.png"], "no.png: there is no such file"),
        (["--image", "{tiles}/x.txt"], "x.txt: unreadable (not an image"),
        (["--image", "{tiles}/a.png", "--max-pixels", "9"], "above the limit of 9. Cut it into"),
        (["--image", "{tiles}/a.png", "--note", "x"], "this model reads images alone"),
        (["--folder", "{tiles}/no"], "there is no such folder"),
        (["--folder", "{tiles}/empty"], "there is no image in it"),
        ([], "there is nothing to predict"),
        (["--image", "{tiles}/a.png", "--csv", "{tiles}/no/x.csv"], "it cannot be written"),
    ],
)
def test_bad_input_is_one_clear_line(image_model, tiles, capsys, arguments, message):
    (tiles / "x.txt").write_text("no image")
    (tiles / "empty").mkdir()
    status = predict.main([image_model, *(text.format(tiles=tiles) for text in arguments)])
    assert status == 2
    line = said(capsys)
    assert line.startswith("histopair: ") and message in line


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--image", "{tiles}/a.png"], "reads an image and a note"),
        (["--image", "{tiles}/a.png", "--note", "  "], "the note is empty"),
        (
            ["--folder", "{tiles}", "--notes", "{tiles}/unknown.csv"],
            "row 2: 'z.png' is not an image of",
        ),
        (["--folder", "{tiles}", "--notes", "{tiles}/outside.csv"], "lies outside"),
        (["--folder", "{tiles}", "--notes", "{tiles}/twice.csv"], "row 3: 'a.png' is twice"),
        (["--folder", "{tiles}", "--notes", "{tiles}/empty.csv"], "row 2: the note is empty"),
        (["--folder", "{tiles}", "--notes", "{tiles}/columns.csv"], "there is no column 'note'"),
        (["--folder", "{tiles}", "--notes", "{tiles}/no.csv"], "there is no such file"),
    ],
)
def test_bad_notes_are_one_clear_line(note_model, tiles, capsys, arguments, message):
    (tiles / "unknown.csv").write_text("path,note\nz.png,x\n")
    (tiles / "outside.csv").write_text("path,note\n../a.png,x\n")
    (tiles / "twice.csv").write_text("path,note\na.png,x\na.png,y\n")
    (tiles / "empty.csv").write_text("path,note\na.png, \n")
    (tiles / "columns.csv").write_text("path,text\na.png,x\n")
    status = predict.main([note_model, *(text.format(tiles=tiles) for text in arguments)])
    assert status == 2
    assert message in said(capsys)


def test_images_without_a_note_are_reported_and_the_others_are_predicted(note_model, tiles, capsys):
    (tiles / "notes.csv").write_text("path,note\na.png,tumour\n")
    status = predict.main([note_model, "--folder", str(tiles), "--notes", str(tiles / "notes.csv")])
    captured = capsys.readouterr()
    assert status == 1
    assert "b.jpg: this model reads a note, and there is none" in captured.err
    assert "a.png" in captured.out


def test_a_broken_export_is_one_clear_line(image_model, tiles, tmp_path, capsys):
    folder = tmp_path / "export"
    shutil.copytree(image_model, folder)
    (folder / "model.safetensors").write_bytes(b"broken")
    assert predict.main([str(folder), "--image", str(tiles / "a.png")]) == 2
    assert "model.safetensors: it does not fit config.json" in said(capsys)


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_a_model_that_gives_no_number_is_one_clear_line(note_model, tiles, tmp_path, capsys, more):
    folder = shutil.copytree(note_model, tmp_path / "export")
    file = folder / "model.safetensors"
    state, mark = load_file(file), json.loads((folder / "config.json").read_text())["weights"]
    save_file(
        {name: np.full_like(one, np.nan) for name, one in state.items()}, file, {"weights": mark}
    )
    arguments = [str(folder), "--image", str(tiles / "a.png"), "--note", "tumour", *more]
    assert predict.main(arguments) == 2
    assert "export: it gives no number for this. Export another run" in said(capsys)
    arguments = [str(folder), "--folder", str(tiles), "--note", "tumour", *more]
    assert predict.main(arguments) == 2
    assert "histopair: a.png: " in capsys.readouterr().err


def test_a_csv_that_cannot_be_written_is_told_before_anything_is_predicted(
    image_model, tiles, tmp_path, capsys
):
    for out in (tmp_path, tmp_path / "no" / "x.csv", tiles / "a.png" / "x.csv"):
        assert predict.main([image_model, "--folder", str(tiles), "--csv", str(out)]) == 2
        captured = capsys.readouterr()
        assert captured.out == "" and f"{out}: it cannot be written" in captured.err


def test_names_cannot_steer_the_terminal(image_model, tiles, capsys):
    (tiles / "a.png").rename(tiles / "a\x1b[31m.png")
    (tiles / "b.jpg").write_text("no image")
    (tiles / "b.jpg").rename(tiles / "b\x1b[31m.jpg")
    predict.main([image_model, "--folder", str(tiles)])
    captured = capsys.readouterr()
    assert "\x1b" not in captured.out + captured.err and "[31m.jpg: unreadable" in captured.err


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.parametrize("more", [[], ["--json"]])
def test_names_of_any_letters_are_shown_and_written(image_model, tiles, tmp_path, encoding, more):
    """Names that are not UTF-8, and terminals that do not have all letters."""
    (tiles / "a.png").rename(tiles / "ä.png")
    (tiles / "b.jpg").rename(os.fsdecode(os.fsencode(tiles) + b"/\xff.jpg"))
    command = [sys.executable, str(ROOT / "workflow" / "commands"), "predict", image_model]
    command += ["--folder", str(tiles), "--csv", str(tmp_path / "all.csv"), *more]
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    rows = list(csv.DictReader((tmp_path / "all.csv").open(encoding="utf-8")))
    assert {row["image"] for row in rows} == {"ä.png", r"\udcff.jpg", "sub/c.tif"}
