"""The command `predict`: ranked findings of an image, or of a folder of images, on the terminal."""

import argparse
import csv
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from histopair import images
from histopair.errors import InputError
from histopair.export import read, terminal
from histopair.export.findings import USE, ranked
from histopair.files import paths
from histopair.jobs import say

OK, SOME_FAILED, NOTHING = 0, 1, 2  # exit status
NOTE = "Give a note with --note, or a csv of notes with --notes"


def main(arguments: list[str]) -> int:
    """Predict as the command line says, and return the exit status.

    0: all predicted; 1: some images of the folder failed, each named on stderr; 2: none predicted.
    """
    options = _options(arguments)
    try:
        if options.csv:
            _require_writable(options.csv)
        model = read.load(options.export)
        cases = list(_cases(options, model))
        _say_what_is_cut(model, cases)
        results = []
        for case in cases:
            results.append(result := _predict(model, case, options))
            if not options.json and "error" not in result:
                say(terminal.block(result), end="")
        _write(options, model, results)
    except InputError as error:
        say(f"histopair: {terminal.plain(str(error))}", stream=sys.stderr)
        return NOTHING
    failed = [result for result in results if "error" in result]
    if failed and options.folder:
        say(f"histopair: {len(failed)} of {len(results)} images failed", stream=sys.stderr)
    return OK if not failed else SOME_FAILED if len(failed) < len(results) else NOTHING


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="histopair predict",
        description="Ranked findings of a histology image, from a model of results/exports.",
        epilog=USE,
    )
    parser.add_argument("export", type=Path, help="a folder of results/exports")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--image", type=Path, help="one image")
    what.add_argument("--folder", type=Path, help="all images of a folder and its subfolders")
    parser.add_argument("--note", help="a text on the image, for models that read one")
    parser.add_argument("--notes", type=Path, help="csv of path and note, for a folder's images")
    parser.add_argument("--top", type=int, default=5, help="findings shown per image (default 5)")
    parser.add_argument("--csv", type=Path, help="write every finding of every image to this file")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--max-pixels", type=int, default=images.MAX_PIXELS, help="largest image")
    options = parser.parse_args(arguments)
    if options.top < 1:
        parser.error("--top starts at 1")
    if options.notes and not options.folder:
        parser.error("--notes goes with --folder; one image takes --note")
    return options


def _cases(options, model: read.Exported) -> Iterator[dict]:
    """Name, root and path of each image, and its note."""
    wants_note, wants_image = "text" in model.reads, "image" in model.reads
    if (options.note is not None or options.notes) and not wants_note:
        place = "--note" if options.notes is None else options.notes
        problem = "this model reads images alone, so a note would change nothing"
        raise InputError(place, problem, "Leave it out")
    if options.note is not None and not options.note.strip():
        raise InputError("--note", "the note is empty", "Write what is known of the image")
    if not wants_image:
        if options.image or options.folder or options.note is None:
            raise InputError("--note", "this model reads only a note", "Give --note and no image")
        yield {"name": "note", "note": options.note}
        return
    if options.image is not None:
        if wants_note and options.note is None:
            raise InputError("--note", "this model reads an image and a note", NOTE)
        real = Path(os.path.realpath(options.image))  # a link that is named itself may lead away
        place = {"root": real.parent, "path": real.name}
        name = paths.printable(str(options.image))
        yield {"name": name, "note": options.note, **place}
    elif options.folder is not None:
        names = images_below(options.folder)
        notes = _notes(options.notes, options.folder, names) if options.notes else {}
        for path in names:
            note = notes.get(path, options.note)
            name = paths.printable(path)
            yield {"name": name, "note": note, "root": options.folder, "path": path}
    else:
        raise InputError("predict", "there is nothing to predict", "Give --image or --folder")


def images_below(folder: Path) -> list[str]:
    """Sorted paths of the images below a folder, by their endings; hidden ones are left out.

    Links are followed as readers of datasets follow them: InputError for one out of the folder.
    """
    if not folder.is_dir():
        raise InputError(folder, "there is no such folder", "Correct the path")
    Image.init()
    files = paths.files_below(str(folder))
    shown = (name for name in files if not any(map(paths.hidden, name.split("/"))))
    names = [name for name in shown if Path(name).suffix.lower() in Image.EXTENSION]
    if not names:
        raise InputError(folder, "there is no image in it", "Give a folder of .png, .jpg, .tif ...")
    return names


def _notes(file: Path, folder: Path, names: list[str]) -> dict[str, str]:
    """Notes by image. Raises InputError for rows of other files, files named twice, empty notes."""
    from histopair.files import sheets

    table = sheets.read(file, ["path", "note"], texts=["path", "note"])
    for column in ("path", "note"):
        empty = table[column].isna() | (table[column].str.strip() == "")
        if empty.any():
            row = table["row"][empty.idxmax()]
            raise InputError(file, f"the {column} is empty", "Fill it or remove the row", row)
    table["path"] = paths.relative(table["path"], str(file), table["row"], root=str(folder))
    for wrong, problem in (
        (~table["path"].isin(names), f"is not an image of {folder}"),
        (table["path"].duplicated(), "is twice in this table"),
    ):
        if wrong.any():
            path, row = table["path"][wrong.idxmax()], table["row"][wrong.idxmax()]
            raise InputError(file, f"{path!r} {problem}", "Correct or remove the row", row)
    return dict(zip(table["path"], table["note"], strict=True))


def _say_what_is_cut(model: read.Exported, cases: list[dict]) -> None:
    """One line on stderr for all notes that fill what the model reads."""
    notes = {case["note"]: case["name"] for case in reversed(cases) if case["note"]}
    rooms = {name: room for note, name in notes.items() if (room := model.room(note))}
    if rooms:
        name, room = list(rooms.items())[-1]
        others = f" and {len(rooms) - 1} more" if len(rooms) > 1 else ""
        line = f"the model reads the first {room} tokens of a note and cuts the rest"
        say(f"histopair: note of {name!r}{others}: {line}", stream=sys.stderr)


def _predict(model: read.Exported, case: dict, options) -> dict:
    """Ranked findings of a case, or the error of one in a folder that cannot be read."""
    try:
        pixels = None
        if "path" in case:
            pixels = model.pixels(_load(case, options.max_pixels))[None]
        if "text" in model.reads and not case["note"]:
            raise InputError(case["name"], "this model reads a note, and there is none", NOTE)
        notes = [case["note"]] if "text" in model.reads else None
        findings = ranked(model.probabilities(pixels, notes)[0], model.labels)
    except InputError as error:
        if not options.folder:
            raise
        line = terminal.plain(str(error))
        line = line if error.where == case["name"] else f"{terminal.plain(case['name'])}: {line}"
        say(f"histopair: {line}", stream=sys.stderr)
        return {"image": case["name"], "error": line}
    shown = findings[: options.top]
    return {"image": case["name"], "findings": findings if options.csv else shown, "shown": shown}


def _load(case: dict, max_pixels: int) -> Image.Image:
    try:
        return images.load(case["root"], case["path"], max_pixels)
    except images.Unreadable as error:
        remedy = "Give a whole image file, such as .png, .jpg or .tif"
        if "above the limit" in error.reason:
            remedy = "Cut it into tiles, or raise --max-pixels"
        elif "too narrow" in error.reason:
            remedy = error.remedy
        raise InputError(case["name"], error.reason, remedy) from error


def _write(options, model: read.Exported, results: list[dict]) -> None:
    if options.csv:
        _write_csv(options.csv, results)
    for result in results:
        result["findings"] = result.pop("shown", [])
    if options.json:
        about = {key: model.config[key] for key in ("run", "task", "temperature", "calibrated")}
        content = {"model": about, "results": results}
        escaped = "utf" not in (sys.stdout.encoding or "").lower()
        say(json.dumps(content, indent=1, ensure_ascii=escaped))
    elif any(result["findings"] for result in results):
        say(terminal.footer(model.config))


def _require_writable(file: Path) -> None:
    """Raise InputError before anything is predicted that could not be kept."""
    there = file.exists()
    fits = not file.is_dir() if there else file.parent.is_dir()
    if not fits or not os.access(file if there else file.parent, os.W_OK):
        raise InputError(file, "it cannot be written", "Choose another")


def _write_csv(file: Path, results: list[dict]) -> None:
    from histopair.files import sheets

    try:
        with open(file, "w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow(["image", "rank", "label", "name", "probability"])
            for result in results:
                for finding in result.get("findings", []):
                    cells = [result["image"], *(finding[key] for key in ("rank", "label", "name"))]
                    cells.append(f"{finding['probability']:.6f}")
                    writer.writerow(map(sheets.guarded, cells))
    except OSError as error:
        problem = f"it cannot be written ({error.strerror})"
        raise InputError(file, problem, "Choose another") from error
