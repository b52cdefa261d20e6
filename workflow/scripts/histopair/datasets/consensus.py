"""Which answers of readers become a dataset's amendments: those on which the readers agree."""

import io
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from histopair.datasets import amendments
from histopair.datasets.splits import TEST
from histopair.errors import InputError, nearest
from histopair.files import answers, folding, sheets, tables


class Rule(NamedTuple):
    """Which readers count (None: all), and how many of them must say the same of an image."""

    by: Sequence[str] | None = None
    agree: int = 1


ALL_AGREE = Rule()


def accept(
    files: Sequence[str], labels: str, output: str, rule: Rule = ALL_AGREE
) -> tuple[str, list[str]]:
    """Write the csv `output` of amendments from csvs of answers; (what was done, what was not).

    labels: the labels parquet of the dataset. Of a reader's answers about an image the last counts.
    Answers that cannot be applied are not, and have a line each: those about an image that the
    dataset does not have, or about a region of it; with labels that are not the dataset's; and
    readers who differ, unless `rule` decides. Raises InputError for a file that cannot be read, a
    reader in `rule` who gave no answer, and if `output` has amendments that would be lost.
    """
    samples, about = tables.read(labels), tables.about(labels)
    if of := about.get("params", {}).get("entry", {}).get("of"):
        problem = f"it splits the samples of {of}, and an image's labels are those of {of}"
        raise InputError(labels, problem, f"Give --dataset {of}")
    given = _given(files, rule)
    sound, left = _sound(given, samples, about)
    rows, contested = _agreed(sound, about["task"], rule)
    table = pd.DataFrame(rows, columns=amendments.COLUMNS)
    paths = samples.drop_duplicates("sha256").set_index("sha256").path
    table = table.assign(path=table.sha256.map(paths)).sort_values("path", kind="stable")
    _write(table, output, set(given.image))
    return _summary(table, samples, given, about["task"], output), left + contested


def _given(files: Sequence[str], rule: Rule) -> pd.DataFrame:
    """The last answer of each reader about each image, with the `place` in its file."""
    frames = [answers.read(file) for file in files]
    places = [
        f"{file}, row {row}" for file, frame in zip(files, frames, strict=True) for row in frame.row
    ]
    given = pd.concat(frames, ignore_index=True).assign(place=places)
    given = given.assign(who=given.reader.map(folding.plain))
    by = {folding.plain(reader): reader for reader in rule.by or ()}
    for who, reader in by.items():
        if who not in set(given.who):
            readers = sorted(set(given.reader))
            problem = f"there is no answer by {reader!r}{nearest(reader, readers)}"
            raise InputError(files[0], problem, f"The readers are {', '.join(readers)}")
    if by:
        given = given[given.who.isin(list(by))]
    given = given.sort_values("time", kind="stable")
    return given.drop_duplicates(["who", "image", "region"], keep="last").sort_index()


def _sound(given: pd.DataFrame, samples: pd.DataFrame, about: dict) -> tuple[list, list[str]]:
    """The answers that can be applied, and a line for each other."""
    published = _published(samples).groupby(samples.sha256).agg(list)
    task, sound, left = about["task"], [], []
    for row in given.itertuples():
        findings, removed = _statement(row, task)
        problem = amendments.problem(findings, removed, about["classes"], task)
        if row.image not in published:
            problem = f"the dataset has no image with the bytes of '{row.file}'"
        elif row.region:
            problem = f"it is about a region of '{row.file}', and labels are of a whole image"
        elif not all(
            amendments.amended(labels, findings, removed, task) for labels in published[row.image]
        ):
            problem = problem or "it leaves the image no label"
        if problem:
            left.append(f"{row.place}: {problem}")
        else:
            sound.append(row)
    return sound, left


def _published(samples: pd.DataFrame) -> pd.Series:
    """The labels of samples without amendments."""
    return samples.get("published", samples.labels).map(list)


def _agreed(sound: Iterable, task: str, rule: Rule) -> tuple[list[dict], list[str]]:
    """An amendment for each image on which enough readers agree; a line for each other image."""
    by_image: dict[str, dict] = {}
    for row in sound:
        by_image.setdefault(row.image, {}).setdefault(_statement(row, task), []).append(row)
    rows, left = [], []
    for image, statements in by_image.items():
        enough = [one for one, readers in statements.items() if len(readers) >= rule.agree]
        if len(enough) == 1 and (len(statements) == 1 or rule.agree > 1):
            rows.append(_row(image, enough[0], statements[enough[0]]))
        else:
            left.append(_contested(statements, rule))
    return rows, left


def _statement(row, task: str) -> tuple[tuple, tuple]:
    """What an answer says there is, and what there is not, which one label says already."""
    removed = row.removed if task == "multi" else []
    return tuple(sorted({*row.accepted, *row.added})), tuple(sorted(removed))


def _row(image: str, statement: tuple, readers: list) -> dict:
    findings, removed = statement
    return {
        "sha256": image,
        "labels": answers.as_cell(findings),
        "removed": answers.as_cell(removed),
        "reader": sheets.guarded(" and ".join(sorted(row.reader for row in readers))),
        "time": max(row.time for row in readers),
    }


def _contested(statements: dict, rule: Rule) -> str:
    """Who says what of an image that is not amended, and what to do."""
    names = [
        f"{row.reader} says {' and '.join(findings) or 'nothing'}"
        + (f" and not {' or '.join(removed)}" if removed else "")
        for (findings, removed), readers in statements.items()
        for row in readers
    ]
    first = next(iter(statements.values()))[0]
    what = "readers differ" if len(statements) > 1 else f"fewer than {rule.agree} readers"
    remedy = f". {_deciding(statements)}, --by NAME one of them" if len(statements) > 1 else ""
    return f"{first.place}: {what} on '{first.file}': {'; '.join(names)}{remedy}"


def _deciding(statements: dict) -> str:
    """How several readers could decide between two or more statements."""
    most, next_most = sorted(map(len, statements.values()), reverse=True)[:2]
    if most == next_most:
        return "One more reader lets a majority decide"
    return f"--agree {max(2, next_most + 1)} lets the majority decide"


def _write(table: pd.DataFrame, output: str, answered: set[str]) -> None:
    """Write the amendments, if they are others; InputError if some would be lost."""
    if Path(output).exists():
        lost = set(amendments.read(output).sha256) - answered
        if lost:
            problem = f"it amends {len(lost)} images of which these answers say nothing"
            raise InputError(output, problem, "Give their answers, too, or move the file away")
    text = io.StringIO()
    table.assign(path=table.path.map(sheets.guarded)).to_csv(text, index=False)
    same = Path(output).exists() and Path(output).read_text(encoding="utf-8") == text.getvalue()
    if len(table) and not same:
        tables.write_text(output, text.getvalue())


def _summary(table, samples: pd.DataFrame, given: pd.DataFrame, task: str, output: str) -> str:
    """How many images are amended or confirmed, and how many of them are test."""
    if table.empty:
        old = " and no amendment in it holds: remove it" if Path(output).exists() else ""
        return f"{output}: no answer can be applied{old}"
    first = samples.assign(labels=_published(samples)).drop_duplicates("sha256")
    first, count = first.set_index("sha256"), Counter()
    for row in table.itertuples():
        published = first.labels[row.sha256]
        parts = answers.parsed(row.labels), answers.parsed(row.removed)
        same = amendments.amended(published, *parts, task) == published
        count["confirmed" if same else "amended"] += 1
        count["test"] += not same and first.split[row.sha256] == TEST
    only = (given.removed.str.len() + given.added.str.len() == 0).sum()
    text = f"{output}: {count['amended']} images amended, {count['confirmed']} confirmed; "
    text += f"{only} of {len(given)} answers only accept what the model found"
    if count["test"]:
        text += f"\n{count['test']} of the amended are test: their labels stay as published unless "
        text += "`amended_splits` names test"
    return text
