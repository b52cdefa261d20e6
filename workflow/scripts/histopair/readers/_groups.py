"""Patients for formats that name none: a csv beside the images gives each image its group."""

import os

NAME = "groups.csv"
COLUMNS = ["path", "group"]


def inputs(entry: dict, made: bool = False) -> list[str]:
    """The csv, where the entry names one, or it lies in the root.

    made: whether the phantom writes it; then it counts before it exists.
    """
    path = os.path.normpath(os.path.join(entry["root"], entry.get("groups", NAME)))
    by_rule = made and path.replace(os.sep, "/").startswith("results/phantom/")
    return [path] if "groups" in entry or by_rule or os.path.exists(path) else []


def check(entry: dict) -> None:
    """Raise InputError where the csv lacks a column."""
    from histopair.files import sheets

    for table in inputs(entry):
        sheets.require(table, COLUMNS)


def join(frame, entry: dict):
    """The samples with their groups; as they are where there is no csv.

    A row names an image by its path below the root or, where no other image has it, by its file
    name. Raises InputError for an empty cell, a path that fits no image or several, an image listed
    twice, and images without a row.
    """
    for table in inputs(entry):
        frame["group"] = _groups(frame.path, table, entry["root"])
    return frame


def _groups(images, table: str, root: str):
    """The group of each image, in their order."""
    import pandas as pd

    from histopair.files import paths, sheets

    listed = sheets.read(table, COLUMNS)
    for column in COLUMNS:
        empty = listed[column].fillna("").str.strip() == ""
        _refuse(table, listed, empty, f"the cell '{column}' is empty", "Fill it or remove the row")
    listed["path"] = paths.relative(listed.path, table, listed.row, root=root)
    listed["place"] = _places(images, listed, table)
    _none_twice(listed, table)
    found = pd.Series(listed.group.str.strip().to_numpy(), listed.place).reindex(range(len(images)))
    _all_there(images, found, table)
    return found.to_numpy(object)


def _places(images, listed, table: str):
    """Which image each row means: its position."""
    import pandas as pd

    names = images.str.rsplit("/", n=1).str[-1]
    places = pd.Series(range(len(images)))
    by_path = pd.Series(places.to_numpy(), images)
    by_name = pd.Series(places.to_numpy(), names)[lambda found: ~found.index.duplicated(keep=False)]
    place = listed.path.map(by_path)
    place = place.where(place.notna(), listed.path.map(by_name))
    several = place.isna() & listed.path.isin(names)
    _refuse(table, listed, several, "several images are called {!r}", "Write its folders, too")
    remedy = f"Correct it or remove the row; an image's path looks like '{images.iloc[0]}'"
    _refuse(table, listed, place.isna(), "no image of the dataset has the path {!r}", remedy)
    return place.astype(int)


def _none_twice(listed, table: str) -> None:
    """Raise InputError for the first image of two rows."""
    from histopair.errors import InputError

    double = listed.place.duplicated(keep=False)
    if not double.any():
        return
    pair = listed[listed.place == listed.place[double].iloc[0]].iloc[:2]
    groups = pair.group.str.strip().unique()
    told = f"is in two groups, {' and '.join(map(repr, groups))}"
    problem = f"{pair.path.iloc[0]!r} {told if len(groups) > 1 else 'is listed twice'}"
    raise InputError(table, problem, "Keep one of the rows", " and ".join(map(str, pair.row)))


def _all_there(images, found, table: str) -> None:
    from histopair.errors import InputError

    missing = images[found.isna().to_numpy()]
    if len(missing):
        raise InputError(
            table,
            f"{len(missing)} of {len(images)} images have no row, such as '{missing.iloc[0]}'",
            "Add them; give an image that stands alone a group of its own",
        )


def _refuse(table: str, listed, bad, problem: str, remedy: str) -> None:
    """Raise InputError for the first bad row; `problem` has {!r} where its path is named."""
    from histopair.errors import InputError

    if bad.any():
        row = listed[bad].iloc[0]
        raise InputError(table, problem.format(row.path), remedy, row.row)
