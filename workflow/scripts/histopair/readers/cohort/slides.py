"""Which slides belong to which patient, by the csv or by their names."""

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from histopair.errors import InputError
from histopair.files import audit, folding
from histopair.images import features

BOUNDARIES = "-_. "
# Of slides and of what tools write for them; after another dot the name goes on: "12.1".
ENDINGS = (".svs", ".tif", ".tiff", ".ndpi", ".mrxs", ".scn", ".bif", ".czi", ".dcm", ".svslide")
ENDINGS += (".vms", ".vmu", ".vsi", ".qptiff", ".isyntax", ".sdpc", ".kfb", ".tmap", ".zarr")
ENDINGS += (".jp2", ".jpg", ".jpeg", ".png", ".h5", ".hdf5", ".pt")


def of_patients(
    rows: pd.DataFrame, csv: str, folders: list[str]
) -> tuple[pd.DataFrame, list[dict]]:
    """patient, time, event, slides and patches of each patient that has both, and audit rows.

    rows: what `clinical.read` gives for the csv; folders: of features, of which the first says what
    slides and patches there are. If no patient has a slide, the table is empty and attrs["nothing"]
    is the InputError that says so.
    """
    folder = folders[0]
    files = features.files(folder)
    notes = rows.attrs["audit"] + _others(folder)
    patients, dropped = _with_follow_up(rows, csv)
    notes += dropped
    slides, renamed = _slides_of(rows, files, csv, folder)
    table, dropped = _with_slides(patients, slides, csv)
    notes += renamed + dropped + _unused(files, slides, folder)
    if table.empty:
        table.attrs = {"nothing": _strangers(patients, files, csv, folder)}
        return table, notes
    notes += _measure(table, folders)
    table.attrs = {}
    return table, notes


def _strangers(patients: pd.DataFrame, files: dict[str, Path], csv: str, folder: str) -> InputError:
    """The error that no slide belongs to any patient, with an example name of each."""
    if patients.empty:
        return InputError(csv, "no patient has a time and an event", "Check its columns")
    patient, slide = patients["patient"].iloc[0], next(iter(files.values())).name
    return InputError(
        csv,
        f"no patient has a slide in {folder}: a patient is called {patient!r}, a slide {slide!r}",
        "Begin slides' names with the patient's (P1-a.h5), or give the csv a column `slide`",
    )


def _others(folder: str) -> list[dict]:
    """The audit row of files in the folder that are not features."""
    left = features.others(folder)
    reason = "not an h5 file of the folder itself"
    row = audit.row("read", "dropped", audit.listed(left, 3), reason, count=len(left))
    return [row] if left else []


def _with_follow_up(rows: pd.DataFrame, path: str) -> tuple[pd.DataFrame, list[dict]]:
    patients = rows.drop_duplicates("patient").sort_values("patient", kind="stable")
    unknown = patients["time"].isna()
    name, reason = Path(path).name, "the patient has neither time nor event"
    notes = audit.of_rows("clean", "dropped", name, patients.loc[unknown, "row"], reason)
    return patients[~unknown].drop(columns="slide").reset_index(drop=True), notes


def _slides_of(
    rows: pd.DataFrame, files: dict[str, Path], csv: str, folder: str
) -> tuple[dict[str, list[str]], list[dict]]:
    """Patient -> its slides, as the csv says, or else those whose names begin with the patient's.

    Patients without follow-up keep theirs: no other patient has them. And audit rows of slides that
    the csv does not write like their file's name.
    """
    if rows["slide"].isna().all():
        return _by_prefix(list(rows["patient"].unique()), list(files)), []
    alike = _one_of_each(files)
    renamed: dict[str, str] = {}
    slides: dict[str, list[str]] = {}
    owner: dict[str, str] = {}
    named = rows.dropna(subset=["slide"])
    for patient, slide, row in named[["patient", "slide", "row"]].itertuples(index=False):
        names = (slide, _without_ending(slide))
        name = next((each for each in names if each in files), None)
        if name is None:
            meant = (alike.get(folding.plain(each)) for each in names)
            name = renamed[slide] = next(filter(None, meant), None)
        if name is None:
            problem = f"{folder} has no features of slide {slide!r}; it has, for example, "
            problem += repr(next(iter(files.values())).name)
            raise InputError(csv, problem, "Extract them, or remove the row", row)
        if owner.setdefault(name, patient) != patient:
            problem = f"slide {slide!r} belongs to {owner[name]!r} and to {patient!r}"
            raise InputError(csv, problem, "Keep one of them", row)
        slides.setdefault(patient, []).append(name)
    slides = {patient: sorted(set(names)) for patient, names in slides.items()}
    if not renamed:
        return slides, []
    reason = "the slide is not written like its file's name"
    shown = [audit.listed(list(names), 3) for names in (renamed, renamed.values())]
    where = Path(csv).name
    return slides, [audit.row("read", "renamed", where, reason, *shown, len(renamed))]


def _by_prefix(patients: list[str], names: list[str]) -> dict[str, list[str]]:
    """The slides of each patient: a slide's name starts with the patient's, up to a boundary.

    Of several such patients, the longest name wins. Names are compared by `folding.plain`.
    """
    owners, slides = {folding.plain(patient): patient for patient in patients}, {}
    for name in names:
        plain = folding.plain(name)
        ends = [i for i, mark in enumerate(plain) if mark in BOUNDARIES]
        starts = [plain, *(plain[:end] for end in reversed(ends))]
        owner = next((owners[start] for start in starts if start in owners), None)
        if owner is not None:
            slides.setdefault(owner, []).append(name)
    return slides


def _without_ending(slide: str) -> str:
    """The name that a csv gives a slide, without folders and the ending of its file."""
    path = Path(slide)
    return path.stem if path.suffix.lower() in ENDINGS else path.name


def _one_of_each(files: dict[str, Path]) -> dict[str, str]:
    """Plain name -> name, for slides that share their plain name with no other."""
    plain = {name: folding.plain(name) for name in files}
    counts = Counter(plain.values())
    return {same: name for name, same in plain.items() if counts[same] == 1}


def _with_slides(
    patients: pd.DataFrame, slides: dict[str, list[str]], path: str
) -> tuple[pd.DataFrame, list[dict]]:
    bare = ~patients["patient"].isin(slides)
    named = audit.listed(patients.loc[bare, "patient"].tolist())
    name, reason = Path(path).name, f"the patients have no slide: {named}"
    notes = audit.of_rows("clean", "dropped", name, patients.loc[bare, "row"], reason)
    table = patients[~bare].drop(columns="row").reset_index(drop=True)
    table["event"] = table["event"].astype(bool)
    table["slides"] = [slides[patient] for patient in table["patient"]]
    return table, notes


def _unused(files: dict[str, Path], slides: dict[str, list[str]], folder: str) -> list[dict]:
    used = {name for names in slides.values() for name in names}
    left = [name for name in files if name not in used]
    if not left:
        return []
    reason = f"no patient of the clinical table has these slides: {audit.listed(left)}"
    return [audit.row("clean", "dropped", folder, reason, count=len(left))]


def _measure(table: pd.DataFrame, folders: list[str]) -> list[dict]:
    """Count the patches of the first folder; audit rows of the others that have other numbers."""
    first, *others = (_patches(features.of_bags(table["slides"], folder)) for folder in folders)
    table["patches"] = first
    notes = []
    for folder, patches in zip(folders[1:], others, strict=True):
        differ = table["patient"][patches != first].tolist()
        if differ:
            shown = audit.listed(differ, 3)
            reason = f"patients have another number of patches than in {folders[0]}: {shown}"
            notes.append(audit.row("read", "warned", folder, reason, count=len(differ)))
    return notes


def _patches(bags: list[list[Path]]) -> np.ndarray:
    """The patches of each bag, (n,); InputError if slides' features differ in width."""
    counts, width, first = [], None, None
    for files in bags:
        sizes = [features.size(file) for file in files]
        for file, (_, d) in zip(files, sizes, strict=True):
            if width is None:
                width, first = d, file
            elif d != width:
                problem = f"its features have {d} dimensions, those of {first} have {width}"
                raise InputError(file, problem, "Extract all slides with one encoder")
        counts.append(sum(n for n, _ in sizes))
    return np.array(counts, int)
