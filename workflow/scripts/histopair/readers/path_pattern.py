"""Single-label images whose paths say all: a regular expression names class, patient, split, site.

`pattern` must fit the whole path below `root`, with `/` between folders. A path that fits without a
label is left out on purpose: `(?P<label>[^/]+)/0/(?P<group>[^/]+)/.*|[^/]+/[1-5]/.*` reads the
folder 0 of each class and leaves out five others.
"""

import re
from collections.abc import Iterable

from histopair.errors import InputError
from histopair.files import audit, paths
from histopair.readers.table import SPLITS

COLUMNS = ("label", "group", "split", "site")
NO_FIT = "its path does not fit `pattern`"
WITHOUT = "its path fits `pattern` without a label"
NO_IMAGE = "not an image"
NOT_UTF8 = "its name is not UTF-8"


def inputs(entry: dict) -> list[str]:
    """The folder of images."""
    return [entry["root"]]


def read(entry: dict):
    """Read all images whose path gives a label.

    Raises InputError if there is none, for a folder linked from outside the root, a split that is
    not train, val or test, and for a split, group or site that only some images have.
    """
    import pandas as pd

    pattern, samples, left = re.compile(entry["pattern"]), [], {}
    for file in paths.files_below(entry["root"]):
        fits = pattern.fullmatch(file)
        reason = _reason(file, fits)
        if reason:
            left.setdefault(reason, []).append(file)
        else:
            samples.append({"path": file, **_columns(fits)})
    if not samples:
        lost = "".join(f"; {len(files)} files: {reason}" for reason, files in left.items())
        problem = f"there is no image whose path fits {entry['pattern']!r}{lost}"
        raise InputError(entry["root"], problem, "Correct `root` or `pattern`")
    frame = pd.DataFrame(samples)
    for name in COLUMNS[1:]:
        _require_all_or_none(frame, name)
    frame["split"] = [_split(*pair) for pair in zip(frame.split, frame.path, strict=True)]
    frame = frame.assign(labels=frame.label.map(lambda label: [label]), caption=None, row=None)
    frame = frame.assign(sample_id=frame.path, image_id=frame.path).drop(columns="label")
    if frame.site.isna().all():
        frame = frame.drop(columns="site")
    frame.attrs = {"task": "single", "classes": None, "class_names": {}}
    return frame, [_row(reason, files) for reason, files in sorted(left.items())]


def _columns(fits: re.Match) -> dict[str, str | None]:
    given = fits.groupdict()
    return {name: given.get(name) or None for name in COLUMNS}


def _reason(file: str, fits: re.Match | None) -> str | None:
    """Why a file is not a sample; None for one."""
    if not paths.is_image(file) or any(map(paths.hidden, file.split("/"))):
        return NO_IMAGE
    if paths.printable(file) != file:
        return NOT_UTF8
    if fits is None:
        return NO_FIT
    return None if fits.groupdict().get("label") else WITHOUT


def _require_all_or_none(frame, name: str) -> None:
    missing = frame[name].isna()
    if missing.any() and not missing.all():
        problem = f"{missing.sum()} of {len(frame)} images have no {name} by `pattern`"
        remedy = "Let it give one for all or for none"
        raise InputError(paths.printable(frame.path[missing.idxmax()]), problem, remedy)


def _split(written: str | None, path: str) -> str | None:
    if written is None or written.casefold() in SPLITS:
        return written and SPLITS[written.casefold()]
    remedy = "Let `pattern` give train, val or test"
    raise InputError(path, f"the split {written!r} is unknown", remedy)


def _row(reason: str, files: Iterable[str]) -> dict:
    action = "unread" if reason in (NO_FIT, NOT_UTF8) else "dropped"
    shown = audit.listed([*map(paths.printable, files)], 3)
    return audit.row("read", action, shown, reason, count=len(files))
