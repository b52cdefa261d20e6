"""The table of one export: each question, method and measure with its value and interval."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from histopair import images, jobs
from histopair.analyses.second_reads import intervals, pointing, readings, shifted
from histopair.errors import InputError
from histopair.evaluation import calibration, cells, tasks
from histopair.export import read
from histopair.export.second_read import conformal, trust
from histopair.files import tables
from histopair.images import pixels as decoded

MOST = 200  # test images that are looked at one by one, spread over the split
COLUMNS = ["question", "method", "measure", "value", "low", "high", "n", "n_groups"]


def tabulate(export: str, files: dict[str, str], root: str, truth: str | None) -> pd.DataFrame:
    """Rows of COLUMNS for an exported folder, from the test split of its run's dataset.

    files: `labels` and `predictions` of the run. truth: a phantom's parquet; if it has a column
    `mask`, files in the folder TRUTH-masks beside it say where each finding is, and saliency and
    words are held against them. Raises InputError for an export without `trust`.
    """
    exported = read.load(export)
    believed = trust.load(exported)
    if believed is None:
        raise InputError(export, "it says nothing about trust", "Export the run again")
    found = list(_coverage(exported, believed, files))
    samples = _samples(files["labels"])
    if "image" in exported.reads:
        found += _warnings(exported, believed, samples, root)
    masks = None if truth is None else _masks(truth, samples)
    if masks is not None:
        found += _truths(exported, samples.assign(mask=masks), root)
    return pd.DataFrame(found, columns=COLUMNS)


def _samples(labels: str) -> pd.DataFrame:
    """At most MOST samples of the test split, with the number of their group."""
    table = tables.read(labels)
    test = table[table["split"] == "test"].drop_duplicates("path").reset_index(drop=True)
    chosen = test.iloc[np.unique(np.linspace(0, len(test) - 1, MOST).astype(int))]
    return chosen.assign(number=cells.groups_of(labels, chosen["sample_id"]))


def _coverage(exported: read.Exported, believed: trust.Trust, files: dict) -> Iterator[dict]:
    """How often the sets hold the truth, and how large they are, on all test samples."""
    threshold, task = believed.settings["threshold"], tasks.of(exported.config["task"])
    if threshold is None:
        return
    split = cells.test_split(files["predictions"])
    scores = calibration.scale(split["scores"].astype(float), task, exported.config["temperature"])
    truth, chosen = np.asarray(split["truth"], bool), conformal.sets(scores, threshold)
    groups = cells.groups_of(files["labels"], split["ids"])
    about = {"question": "sets", "method": conformal.METHODS[exported.config["task"]]}
    stated = f"coverage, stated {believed.settings['coverage']:g}"
    yield about | {"measure": stated} | intervals.mean(conformal.covered(truth, chosen), groups)
    sizes = chosen.sum(1).astype(float)
    yield about | {"measure": "findings in a set"} | intervals.mean(sizes, groups)


def _warnings(exported: read.Exported, believed: trust.Trust, samples, root: str) -> list[dict]:
    """How well each warning tells shifted images from those of the test split."""
    side = _read(exported, samples.iloc[0], root).shape[1]
    shifts = {"as they are": None, **shifted.SHIFTS}
    values = {
        name: [_warned(exported, believed, row, root, side, shift) for row in _each(samples, name)]
        for name, shift in shifts.items()
    }
    tabled = {name: pd.DataFrame(of_shift) for name, of_shift in values.items()}
    groups, found = samples["number"].to_numpy(), []
    for shift, table in tabled.items():
        for warning in table:
            about = {"question": "warnings", "method": warning}
            limit, worth = believed.settings["limits"].get(warning), table[warning].to_numpy()
            if shift in shifted.SHIFTS:
                usual = tabled["as they are"][warning].to_numpy()
                measure = {"measure": f"AUC, {shift}"}
                found.append(about | measure | intervals.auc(usual, worth, groups))
            if limit is not None:
                warned = intervals.mean((worth > limit).astype(float), groups)
                found.append(about | {"measure": f"warned of, {shift}"} | warned)
    return found


def _each(samples: pd.DataFrame, name: str):
    rows_of = [row for _, row in samples.iterrows()]
    return jobs.progress(rows_of, len(rows_of), "images", name, size=lambda _: 1)


def _warned(exported, believed, row, root: str, side: int, shift) -> dict[str, float]:
    pixels = _read(exported, row, root, shift, side)
    notes = [row["caption"]] if "text" in exported.reads else None
    features = exported.answer(pixels[None], notes)[1]
    return believed.values(pixels, None if features is None else features[0])


def _read(exported: read.Exported, row, root: str, shift=None, side: int = 0) -> np.ndarray:
    image = images.load(root, row["path"], decoded.CHECKED)
    return exported.pixels(image if shift is None else shift(image, side))


def _masks(truth: str, samples: pd.DataFrame) -> list[str] | None:
    """The file of each sample's mask; None for a truth without them."""
    table = tables.read(truth)
    if "mask" not in table:
        return None
    folder, by_path = Path(truth).with_suffix(""), table.set_index("path")["mask"]
    return [f"{folder}-masks/{by_path[path]}" for path in samples["path"]]


def _truths(exported: read.Exported, samples: pd.DataFrame, root: str) -> Iterator[dict]:
    """Saliency and words against the truth of the phantom's lesions."""
    cases = [_case(exported, row, root) for _, row in samples.iterrows()]
    randomised, groups = pointing.randomise(exported, seed=0), samples["number"].to_numpy()
    questions = {"image": ("where", pointing), "text": ("words", readings)}
    for kind, (question, module) in questions.items():
        if kind not in exported.reads:
            continue
        one_by_one = jobs.progress(cases, len(cases), "images", question, size=lambda _: 1)
        table = pd.DataFrame(module.measured(exported, randomised, one_by_one))
        for (method, measure), part in table.groupby(["method", "measure"], sort=False):
            about = {"question": question, "method": method, "measure": measure}
            yield about | intervals.mean(part["value"].to_numpy(), groups[part["case"]])


def _case(exported: read.Exported, row: pd.Series, root: str) -> dict:
    """What `pointing` and `readings` take: a mask's value is 1 + the place of the lesion's name."""
    from histopair.phantom.lesions import LESIONS

    classes = exported.config["classes"]
    mask, findings = np.asarray(Image.open(row["mask"])), [classes.index(x) for x in row["labels"]]
    return {
        "pixels": _read(exported, row, root) if "image" in exported.reads else None,
        "note": row["caption"] if "text" in exported.reads else None,
        "findings": findings,
        "masks": {i: mask == 1 + LESIONS.index(classes[i]) for i in findings},
    }
