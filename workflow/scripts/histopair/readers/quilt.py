"""Quilt-1M: image-caption pairs with up to three pathology labels each."""

import ast
import hashlib
import os
import re

from histopair import readers
from histopair.files import audit, missing, paths, sheets

LOOKUP = "quilt_1M_lookup.csv"
IMAGES = "images"
QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""")
FRAME = re.compile(r"\[[\s,]*(?:(?:None|null|nan|NaN)\b[\s,]*)*\]")  # a list without its texts
CONTROL = re.compile("[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f]")
UNIT = "video"
REQUIRED = ["caption", "image_path", "corrected_text", "pathology"]


def inputs(entry: dict) -> list[str]:
    """The lookup table and the folder of images."""
    return [os.path.join(entry["root"], LOOKUP), os.path.join(entry["root"], IMAGES)]


def read(entry: dict):
    """Read the rows that have a caption, an image path and a corrected text.

    The caption is the column that the entry's `caption` names ("corrected_text" by default). The
    group is the video: the image's file name before "_image_", or all of it. Rows of the same image
    and caption become one sample with all their labels. Raises InputError for a missing column and
    for a path outside the folder of images.
    """
    table = os.path.join(entry["root"], LOOKUP)
    frame = sheets.read(table, REQUIRED, any_case=False, texts=REQUIRED)
    rows = frame.attrs["audit"]
    frame, incomplete = _complete(frame)
    written = paths.relative(frame.image_path, table, frame.row, below=IMAGES)
    frame["path"], renamed = paths.on_disk(written, entry["root"], LOOKUP)
    frame, unparsed = _labelled(frame, readers.declared(entry))
    frame["caption"] = frame[entry.get("caption", "corrected_text")].str.strip()
    frame, cleaned = _printable(frame)
    frame, merged = _merged(frame)
    frame["image_id"] = frame.path
    frame["sample_id"] = [
        f"{path}:{hashlib.sha256(caption.encode()).hexdigest()[:12]}"
        for path, caption in zip(frame.path, frame.caption, strict=True)
    ]
    files = frame.path.str.replace(r"^.*/", "", regex=True)
    frame["group"] = files.str.replace(r"_image_.*", "", regex=True)
    frame["split"] = None
    frame = frame.drop(columns=["image_path", "corrected_text", "pathology"])
    frame.attrs = {"task": "multi", "classes": None, "class_names": {}}
    rows += incomplete + renamed + unparsed + cleaned + merged
    return frame, rows + paths.unnamed(entry["root"], frame.path, IMAGES)


def _complete(frame):
    """Drop rows with missing data, as the multi-label paper does; one audit row per column."""
    rows = []
    for column in ("caption", "image_path", "corrected_text"):
        empty = frame[column].isna() | (frame[column].str.strip() == "")
        rows += audit.of_rows("read", "dropped", LOOKUP, frame.row[empty], f"no {column}")
        frame = frame[~empty]
    return frame.reset_index(drop=True), rows


def _labelled(frame, values):
    """Parse the labels, equal texts once; rows that do not parse are dropped."""
    texts = frame.pathology.fillna("[]")
    parsed = {text: _parse(text) for text in texts.unique()}
    frame["labels"] = [parsed[text] for text in texts]
    bad = frame.labels.isna()
    kept = frame[~bad].reset_index(drop=True)
    kept["labels"], rows = missing.without_items(kept.labels, values, LOOKUP)
    reason = "pathology is not a list such as \"['Renal', 'Pulmonary']\""
    first = next(iter(texts[bad]), "")[:80]
    return kept, rows + audit.of_rows("read", "dropped", LOOKUP, frame.row[bad], reason, first)


def _parse(text: str) -> list[str] | None:
    """The items of a list of texts as Python, JSON or numpy write it; None for anything else.

    Stripped, without 'Unknown', missing ones and repeats. numpy puts no commas between items, so
    `ast.literal_eval` of the whole list would join them into one.
    """
    if not FRAME.fullmatch(QUOTED.sub("", text.strip())):
        return None
    try:
        items = [ast.literal_eval(quoted) for quoted in QUOTED.findall(text)]
        # JSON escapes rare characters as pairs of surrogates; this joins them.
        items = [item.encode("utf-16", "surrogatepass").decode("utf-16") for item in items]
    except (ValueError, SyntaxError):  # half an escape, half a pair
        return None
    items = [" ".join(CONTROL.sub("", item).split()) for item in items]
    return list(dict.fromkeys(item for item in items if item and item.lower() != "unknown"))


def _printable(frame):
    """Captions without control characters, which break tokenisers and pages."""
    cleaned = frame.caption.str.replace(CONTROL, "", regex=True)
    changed = frame.row[cleaned != frame.caption]
    reason = "control characters removed from the caption"
    rows = audit.of_rows("read", "kept", LOOKUP, changed, reason)
    return frame.assign(caption=cleaned), rows


def _merged(frame):
    """One row per image and caption, with the labels of all its rows in their order."""
    import pandas as pd

    repeated = frame.duplicated(["path", "caption"], keep=False)
    if not repeated.any():
        return frame, []
    twins = frame[repeated]
    united = twins.groupby(["path", "caption"], sort=False).labels.agg(
        lambda lists: list(dict.fromkeys(label for labels in lists for label in labels))
    )
    first = twins.drop_duplicates(["path", "caption"]).copy()
    first["labels"] = united.to_list()
    extra = len(twins) - len(first)
    where = audit.at(LOOKUP, twins.row[twins.duplicated(["path", "caption"])].tolist())
    reason = "same image and caption as an earlier row; labels united"
    rows = [audit.row("deduplicate", "merged", where, reason, len(twins), len(first), extra)]
    return pd.concat([frame[~repeated], first]).sort_values("row").reset_index(drop=True), rows
