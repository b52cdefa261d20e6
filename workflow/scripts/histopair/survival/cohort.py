"""From a clinical csv and folders of patch features to one row per patient, with its fold."""

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from histopair.errors import InputError
from histopair.files import audit, folding, tables
from histopair.survival import clinical, features, folds

BOUNDARIES = "-_. "


def clean(entry: dict, out: dict[str, str], about: dict) -> None:
    """Write out["patients"] and out["audit"] of one cohort of the config.

    The table has one row per patient, sorted: patient, time, event, fold, slides (file names in
    the folder of features), patches. Patients without follow-up or without a slide, and slides
    without a patient, are dropped and audited. Raises InputError for what `clinical` and
    `features` refuse, slides of different widths, a slide that the csv names and the folder lacks,
    too few patients or events for the folds, and a fold beside which nothing can be validated on.
    """
    with audit.kept(out["audit"], about) as notes:
        table, width = _cleaned(entry, notes)
    about |= {"folds": entry["folds"], "events": int(table["event"].sum()), "width": width}
    tables.write(out["patients"], table, about)
    tables.write(out["audit"], audit.table(notes), about)


def _cleaned(entry: dict, notes: list[dict]) -> tuple[pd.DataFrame, int]:
    """The patients and the width of their features; fills the audit `notes`."""
    rows = clinical.read(entry["clinical"], entry.get("columns"))
    found = features.files(entry["features"])
    notes += rows.attrs["audit"] + _others(entry["features"])
    patients, dropped = _with_follow_up(rows, entry["clinical"])
    notes += dropped
    slides, renamed = _slides_of(patients, rows, found, entry)
    table, dropped = _with_slides(patients, slides, entry["clinical"])
    notes += renamed + dropped + _unused(found, slides, entry["features"])
    if table.empty:
        raise _strangers(patients, found, entry)
    width = _measure(table, found)
    _check(table, entry)
    time, event = table["time"].to_numpy(), table["event"].to_numpy(bool)
    table["fold"] = folds.stratified(time, event, entry["folds"], entry["seed"])
    _check_parts(table, entry)
    table.attrs = {}
    return table, width


def _strangers(patients: pd.DataFrame, found: dict[str, Path], entry: dict) -> InputError:
    """No slide belongs to any patient: shows one name of each side."""
    if patients.empty:
        problem, remedy = "no patient has a time and an event", "Check its columns"
        return InputError(entry["clinical"], problem, remedy)
    patient, slide = patients["patient"].iloc[0], next(iter(found.values())).name
    return InputError(
        entry["clinical"],
        f"no patient has a slide in {entry['features']}: a patient is called {patient!r}, a slide "
        f"{slide!r}",
        "Begin slides' names with the patient's (P1-a.h5), or give the csv a column `slide`",
    )


def _others(folder: str) -> list[dict]:
    """The audit row of files in the folder of features that are none."""
    left = features.others(folder)
    reason = "not an h5 file of the folder itself"
    row = audit.row("read", "dropped", audit.listed(left, 3), reason, count=len(left))
    return [row] if left else []


def slide_paths(patients: pd.DataFrame, folder: str) -> list[list[Path]]:
    """The feature files of each patient of the table in another folder of the same slides.

    Raises InputError for a slide that the folder lacks.
    """
    found = features.files(folder)
    for name in patients["slides"].explode():
        if name not in found:
            raise InputError(
                folder, f"there is no {name}.h5", "Extract the features of the same slides"
            )
    return [[found[name] for name in slides] for slides in patients["slides"]]


def _with_follow_up(rows: pd.DataFrame, path: str) -> tuple[pd.DataFrame, list[dict]]:
    patients = rows.drop_duplicates("patient").sort_values("patient", kind="stable")
    unknown = patients["time"].isna()
    notes = []
    if unknown.any():
        where = audit.at(Path(path).name, patients.loc[unknown, "row"].tolist())
        reason = "the patient has neither time nor event"
        notes = [audit.row("clean", "dropped", where, reason, count=unknown.sum())]
    return patients[~unknown].drop(columns="slide").reset_index(drop=True), notes


def _slides_of(
    patients: pd.DataFrame, rows: pd.DataFrame, found: dict[str, Path], entry: dict
) -> tuple[dict[str, list[str]], list[dict]]:
    """Patient -> its slides: as the csv says, or else by the patient's name before the slide's.

    And audit rows of slides that the csv writes in another way than their file.
    """
    if rows["slide"].isna().all():
        return _by_prefix(list(patients["patient"]), list(found)), []
    alike = _one_of_each(found)
    renamed: dict[str, str] = {}
    slides: dict[str, list[str]] = {}
    owner: dict[str, str] = {}
    named = rows.dropna(subset=["slide"])
    for patient, slide, row in named[["patient", "slide", "row"]].itertuples(index=False):
        names = (slide, Path(slide).stem)
        name = next((each for each in names if each in found), None)
        if name is None:
            known = (alike.get(folding.plain(each)) for each in names)
            name = renamed[slide] = next(filter(None, known), None)
        if name is None:
            problem = f"{entry['features']} has no features of slide {slide!r}, but of "
            problem += repr(next(iter(found.values())).name)
            raise InputError(entry["clinical"], problem, "Extract them, or remove the row", row)
        if owner.setdefault(name, patient) != patient:
            problem = f"slide {slide!r} belongs to {owner[name]!r} and to {patient!r}"
            raise InputError(entry["clinical"], problem, "Keep one of them", row)
        slides.setdefault(patient, []).append(name)
    slides = {patient: sorted(set(names)) for patient, names in slides.items()}
    if not renamed:
        return slides, []
    reason = "the slide is written in another way than its file's name"
    shown = [audit.listed(list(names), 3) for names in (renamed, renamed.values())]
    where = Path(entry["clinical"]).name
    return slides, [audit.row("read", "renamed", where, reason, *shown, len(renamed))]


def _by_prefix(patients: list[str], names: list[str]) -> dict[str, list[str]]:
    """A slide is of the patient with the longest name that it starts with, up to a boundary.

    Names are compared as `folding.plain` has them.
    """
    known, slides = {folding.plain(patient): patient for patient in patients}, {}
    for name in names:
        plain = folding.plain(name)
        ends = [i for i, mark in enumerate(plain) if mark in BOUNDARIES]
        starts = [plain, *(plain[:end] for end in reversed(ends))]
        owner = next((known[start] for start in starts if start in known), None)
        if owner is not None:
            slides.setdefault(owner, []).append(name)
    return slides


def _one_of_each(found: dict[str, Path]) -> dict[str, str]:
    """Plain name -> name, of slides whose plain name no other has."""
    plain = {name: folding.plain(name) for name in found}
    counts = Counter(plain.values())
    return {same: name for name, same in plain.items() if counts[same] == 1}


def _with_slides(
    patients: pd.DataFrame, slides: dict[str, list[str]], path: str
) -> tuple[pd.DataFrame, list[dict]]:
    bare = ~patients["patient"].isin(slides)
    notes = []
    if bare.any():
        named = audit.listed(patients.loc[bare, "patient"].tolist())
        reason = f"the patients have no slide: {named}"
        where = audit.at(Path(path).name, patients.loc[bare, "row"].tolist())
        notes = [audit.row("clean", "dropped", where, reason, count=bare.sum())]
    table = patients[~bare].drop(columns="row").reset_index(drop=True)
    table["event"] = table["event"].astype(bool)
    table["slides"] = [slides[patient] for patient in table["patient"]]
    return table, notes


def _unused(found: dict[str, Path], slides: dict[str, list[str]], folder: str) -> list[dict]:
    used = {name for names in slides.values() for name in names}
    left = [name for name in found if name not in used]
    if not left:
        return []
    reason = f"no patient of the clinical table has these slides: {audit.listed(left)}"
    return [audit.row("clean", "dropped", folder, reason, count=len(left))]


def _measure(table: pd.DataFrame, found: dict[str, Path]) -> int:
    """Count patches; the width of the features, which is that of all slides."""
    counts, width, first = [], None, None
    for names in table["slides"]:
        sizes = [features.size(found[name]) for name in names]
        for name, (_, d) in zip(names, sizes, strict=True):
            if width is None:
                width, first = d, found[name]
            elif d != width:
                raise InputError(
                    found[name],
                    f"its features have {d} dimensions, those of {first} have {width}",
                    "Extract all slides with one encoder",
                )
        counts.append(sum(n for n, _ in sizes))
    table["patches"] = np.array(counts, int)
    return width


def _check(table: pd.DataFrame, entry: dict) -> None:
    """Every fold needs events to learn from and to be tested on."""
    events, count = int(table["event"].sum()), entry["folds"]
    if min(events, len(table) - events) < 2 * count:
        raise InputError(
            entry["clinical"],
            f"{len(table)} patients with slides, {events} with an event, are too few for "
            f"{count} folds: each needs two patients with an event and two without",
            "Set the cohort's `folds` lower, or check its event column and its slides",
        )


def _check_parts(table: pd.DataFrame, entry: dict) -> None:
    """Training needs an event that can be compared, and so does the choice of the epoch."""
    fold, time, event = (table[name].to_numpy() for name in ("fold", "time", "event"))
    for test in range(entry["folds"]):
        try:
            folds.splits(fold, time, event, test, entry["val"], entry["seed"])
        except ValueError as error:
            problem = (
                f"beside fold {test}, no validation part leaves an event that can be compared with "
                f"a patient still at risk both in it and in what is trained on ({error})"
            )
            remedy = "Set the cohort's `seed` or `folds` otherwise, or find more patients"
            raise InputError(entry["clinical"], problem, remedy) from error
