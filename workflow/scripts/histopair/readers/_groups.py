"""Patients for formats that name none: a csv beside the images gives each image its group."""

import os

from histopair.errors import InputError
from histopair.files import folding, paths, sheets

NAME = "groups.csv"
COLUMNS = ["path", "group"]


def inputs(entry: dict, of_phantom: bool = False) -> list[str]:
    """The csv, if the entry names one or the root holds one.

    of_phantom: whether the phantom writes it; then it counts before it exists.
    """
    path = os.path.normpath(os.path.join(entry["root"], entry.get("groups", NAME)))
    by_rule = of_phantom and path.replace(os.sep, "/").startswith("results/phantom/")
    return [path] if "groups" in entry or by_rule or os.path.exists(path) else []


def check(entry: dict) -> None:
    """Raise InputError if the csv lacks a column."""
    for table in inputs(entry):
        sheets.require(table, COLUMNS)


def join(frame, entry: dict):
    """The samples with their groups; unchanged if there is no csv.

    A row names an image by its path below the root or, if no other image has it, by its file name;
    case, Unicode form, dashes and a missing ending make no difference where it is the only one.
    Raises InputError for an empty cell, a group that was rounded (1.23E+16), a path that fits no
    image or several, an image listed twice, and images without a row.
    """
    for table in inputs(entry):
        frame["group"] = _groups(frame.path, table, entry["root"])
    return frame


def _groups(images, table: str, root: str):
    """The group of each image, in their order."""
    import pandas as pd

    listed = sheets.read(table, COLUMNS)
    for column in COLUMNS:
        sheets.require_filled(listed, column, table)
    sheets.require_exact(listed, ["group"], table)
    listed["path"] = paths.relative(listed.path, table, listed.row, root=root)
    listed["place"] = _places(images, listed, table)
    _none_twice(listed, table)
    named = pd.Series(listed.group.str.strip().to_numpy(), listed.place)
    groups = named.reindex(range(len(images)))
    missing = images[groups.isna().to_numpy()]
    if len(missing):
        problem = f"{len(missing)} of {len(images)} images have no row, such as "
        remedy = "Add them; give an image that belongs with no other a group of its own"
        raise InputError(table, f"{problem}'{missing.iloc[0]}'", remedy)
    return groups.to_numpy(object)


def _places(images, listed, table: str):
    """The position of the image that each row means."""
    import pandas as pd

    names = images.str.rsplit("/", n=1).str[-1]
    by_path = pd.Series(range(len(images)), images)
    by_name = pd.Series(range(len(images)), names)
    by_name = by_name[~by_name.index.duplicated(keep=False)]
    place = listed.path.map(by_path)
    place = place.where(place.notna(), listed.path.map(by_name))
    for known in (by_path, by_name):
        place = place.where(place.notna(), _alike(listed.path[place.isna()], known))
    several = place.isna() & listed.path.isin(names)
    _refuse(table, listed, several, "several images are called {!r}", "Write its folders too")
    remedy = f"Correct it or remove the row; an image's path looks like '{images.iloc[0]}'"
    _refuse(table, listed, place.isna(), "no image of the dataset has the path {!r}", remedy)
    return place.astype(int)


def _alike(written, known):
    """The place of each path that means just one of those `known`, as `paths.on_disk` has it."""
    import pandas as pd

    if written.empty:
        return written.astype(float)
    whole = known.index.map(folding.plain)
    stems = whole.map(lambda name: os.path.splitext(name)[0] if paths.is_image(name) else name)
    plain = pd.concat([known.set_axis(whole), known.set_axis(stems)[stems != whole]])
    return written.map(folding.plain).map(plain[~plain.index.duplicated(keep=False)])


def _none_twice(listed, table: str) -> None:
    """Raise InputError for the first image that two rows name."""
    pair = sheets.twins(listed, listed.place).iloc[:2]
    if len(pair):
        groups = pair.group.str.strip().unique()
        two = f"is in two groups, {' and '.join(map(repr, groups))}"
        problem = f"{pair.path.iloc[0]!r} {two if len(groups) > 1 else 'is listed twice'}"
        raise InputError(table, problem, "Keep one of the rows", " and ".join(map(str, pair.row)))


def _refuse(table: str, listed, bad, problem: str, remedy: str) -> None:
    """Raise InputError for the first bad row; `problem` has {!r} for its path."""
    if bad.any():
        row = listed[bad].iloc[0]
        raise InputError(table, problem.format(row.path), remedy, row.row)
