"""Whether images and their retrieved reports agree in what is known of both, against chance.

Chance is what a report drawn at random from the corpus would give, for the same images.
"""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from histopair import tables
from histopair.errors import InputError

KEYS = ("path", "report_id", "group", "label", "clean_label", "split")  # of truth: no attributes


def class_agreement(
    images: pd.DataFrame,
    reports: str | Path,
    corpus: list[str],
    match: dict[str, str] | None,
    report_truth: pd.DataFrame | None,
) -> dict | None:
    """Share of the images whose rank-1 report is of the image's class, against chance.

    images: labels and report_id. A report is of a class where its true `label` says so or,
    without truth, where the class's regular expression in `match` is found in its text. Images
    without such a class are left out. None where neither is known.
    """
    fits = _reports_of_classes(reports, corpus, match, report_truth)
    images = images[images["labels"].map(lambda labels: any(label in fits for label in labels))]
    if not fits or images.empty:
        return None
    place = {report: i for i, report in enumerate(corpus)}
    columns = images["report_id"].map(place).to_numpy()
    table = pd.DataFrame({"label": images["labels"].map(tuple)})
    of_labels = {
        labels: np.logical_or.reduce([fits[label] for label in labels if label in fits])
        for labels in table["label"].unique()
    }
    fitting = [of_labels[labels] for labels in table["label"]]
    table["observed"] = [fit[column] for fit, column in zip(fitting, columns, strict=True)]
    table["chance"] = table["label"].map({k: fit.mean() for k, fit in of_labels.items()})
    by_class = {
        label: _agreement(table[table["label"].map(lambda labels, own=label: own in labels)])
        for label in sorted(fits)
    }
    by_class = {label: found for label, found in by_class.items() if found["images"]}
    source = "match" if report_truth is None or "label" not in report_truth else "truth"
    return _agreement(table) | {"by_class": by_class, "source": source}


def attribute_agreement(
    images: pd.DataFrame, corpus: list[str], image_truth: pd.DataFrame, report_truth: pd.DataFrame
) -> dict[str, dict]:
    """Per shared attribute, how alike an image and its rank-1 report are, against chance.

    images: path and report_id; image_truth has `path`, report_truth `report_id`; attributes are
    the columns that both have but KEYS. Text and booleans: 1 where equal; numbers:
    1 - |a - b| / range over both tables. Images or reports without a value are left out.
    """
    tiles = images[["path", "report_id"]].merge(image_truth, on="path", suffixes=("", "_true"))
    texts = report_truth[report_truth["report_id"].isin(corpus)].set_index("report_id")
    shared = [name for name in image_truth if name in texts and name not in KEYS]
    found = {}
    for name in shared:
        a, b = tiles[name], tiles["report_id"].map(texts[name])
        observed, chance = _alike(a, b, texts[name].dropna())
        if observed is not None:
            found[name] = {"observed": observed, "chance": chance}
    return found


def _alike(a: pd.Series, b: pd.Series, pool: pd.Series) -> tuple[float | None, float | None]:
    known = a.notna() & b.notna()
    a, b = a[known], b[known]
    if a.empty:
        return None, None
    if not (_is_number(a) and _is_number(pool)):
        shares = pool.value_counts(normalize=True)
        chance = a.map(shares).astype(float).fillna(0).mean()
        return float((a == b).mean()), float(chance)
    a, b, pool = a.to_numpy(float), b.to_numpy(float), np.sort(pool.to_numpy(float))
    width = max(a.max(), pool.max()) - min(a.min(), pool.min()) or 1.0
    return (
        float(1 - np.abs(a - b).mean() / width),
        float(1 - mean_distance(a, pool) / width),
    )


def mean_distance(a: np.ndarray, pool: np.ndarray) -> float:
    """Mean of |a_i - pool_j| over all i and j; `pool` is sorted."""
    below = np.searchsorted(pool, a)
    sums = np.concatenate([[0.0], np.cumsum(pool)])
    distances = a * (2 * below - len(pool)) + sums[-1] - 2 * sums[below]
    return float(distances.mean() / len(pool))


def _is_number(values: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)


def _reports_of_classes(reports, corpus, match, report_truth) -> dict[str, np.ndarray]:
    """For each class which of the corpus's reports are of it: booleans (reports,)."""
    if report_truth is not None and "label" in report_truth:
        label = report_truth.set_index("report_id")["label"].reindex(corpus).to_numpy()
        return {name: label == name for name in pd.unique(label) if isinstance(name, str)}
    if not match:
        return {}
    texts = tables.read(reports, ["report_id", "text"])
    texts = texts.groupby("report_id", sort=False)["text"].agg("\n".join).reindex(corpus)
    return {label: _found(pattern, texts, label) for label, pattern in sorted(match.items())}


def _found(pattern: str, texts: pd.Series, label: str) -> np.ndarray:
    try:
        compiled = re.compile(pattern, re.IGNORECASE)
    except re.error as error:
        problem = f"match of class {label} is no regular expression: {error}"
        raise InputError("config", problem, "Correct the pattern") from error
    return np.array([compiled.search(text) is not None for text in texts])


def _agreement(table: pd.DataFrame) -> dict:
    if table.empty:
        return {"observed": None, "chance": None, "images": 0}
    observed, chance = float(table["observed"].mean()), float(table["chance"].mean())
    return {"observed": observed, "chance": chance, "images": len(table)}
