"""Whether images and their retrieved reports agree in what is known of both, against chance.

Chance is the agreement of the same images with reports drawn at random from the corpus.
"""

import re

import numpy as np
import pandas as pd

from histopair.errors import InputError

# Columns of the truth that are not attributes: names, and what follows from the attributes.
KEYS = ("path", "report_id", "group", "entity", "label", "clean_label", "given", "split", "score")


def class_agreement(
    labels: pd.Series, places: np.ndarray, fits: dict[str, np.ndarray]
) -> dict | None:
    """Share of the images whose retrieved text is of the image's class, against chance.

    labels: list of labels of each of n images; places: (n,) which of the m texts each has; fits:
    for each class that texts can have, booleans (m,). An image of several classes agrees with a
    text of any of them; images of no such class are left out. None if no image is left.
    """
    classes = labels.map(lambda names: tuple(label for label in names if label in fits))
    kept = classes.map(len).to_numpy() > 0
    if not kept.any():
        return None
    table = pd.DataFrame({"classes": classes[kept], "place": np.asarray(places)[kept]})
    any_of = {
        names: np.logical_or.reduce([fits[label] for label in names])
        for names in table["classes"].unique()
    }
    pairs = zip(table["classes"], table["place"], strict=True)
    table["observed"] = [any_of[names][place] for names, place in pairs]
    table["chance"] = table["classes"].map({names: fit.mean() for names, fit in any_of.items()})
    by_class = {
        label: _shares(table[[label in names for names in table["classes"]]])
        for label in sorted(set(table["classes"].explode()))
    }
    return _shares(table) | {"by_class": by_class}


def by_pattern(match: dict[str, str], texts: pd.Series) -> dict[str, np.ndarray]:
    """For each class, which of m texts contain its regular expression, case ignored: (m,).

    Raises InputError for a pattern that does not compile.
    """
    fits = {}
    for label, pattern in sorted(match.items()):
        try:
            compiled = re.compile(pattern, re.IGNORECASE)
        except re.error as error:
            problem = f"match of class {label} is not a regular expression: {error}"
            raise InputError("config", problem, "Correct the pattern") from error
        fits[label] = np.array([compiled.search(text) is not None for text in texts])
    return fits


def classified(
    report_truth: pd.DataFrame | None, image_truth: pd.DataFrame | None
) -> pd.DataFrame | None:
    """The truth of the reports with their `label`: their own, or that of images of their entity.

    A report whose entity no image has is of no class. None if neither is known.
    """
    if report_truth is None or "label" in report_truth:
        return report_truth
    columns = set() if image_truth is None else set(image_truth)
    if "entity" not in report_truth or not {"entity", "label"} <= columns:
        return None
    label = image_truth.drop_duplicates("entity").set_index("entity")["label"]
    return report_truth.assign(label=report_truth["entity"].map(label))


def by_truth(corpus: list[str], report_truth: pd.DataFrame) -> dict[str, np.ndarray]:
    """For each true `label` which of the corpus's reports have it: booleans (reports,)."""
    label = report_truth.set_index("report_id")["label"].reindex(corpus).to_numpy()
    return {name: label == name for name in pd.unique(label) if isinstance(name, str)}


def attribute_agreement(
    images: pd.DataFrame, corpus: list[str], image_truth: pd.DataFrame, report_truth: pd.DataFrame
) -> dict[str, dict]:
    """Per shared attribute, how alike an image and its rank-1 report are, against chance.

    images: path and report_id; image_truth has `path`, report_truth `report_id`; attributes are
    the columns that both have, except KEYS. Text and booleans: 1 if equal; numbers:
    1 - |a - b| / range over both tables. Images or reports without a value are left out.
    """
    tiles = images[["path", "report_id"]].merge(image_truth, on="path", suffixes=("", "_true"))
    texts = report_truth[report_truth["report_id"].isin(corpus)].set_index("report_id")
    shared = [name for name in image_truth if name in texts and name not in KEYS]
    likeness = {}
    for name in shared:
        a, b = tiles[name], tiles["report_id"].map(texts[name])
        both = a.notna() & b.notna()
        if both.any():
            observed, chance = _alike(a[both], b[both], texts[name].dropna())
            likeness[name] = {"observed": float(observed), "chance": float(chance)}
    return likeness


def _alike(a: pd.Series, b: pd.Series, pool: pd.Series) -> tuple[float, float]:
    if not (_is_number(a) and _is_number(pool)):
        shares = pool.value_counts(normalize=True)
        return (a == b).mean(), a.map(shares).astype(float).fillna(0).mean()
    a, b, pool = a.to_numpy(float), b.to_numpy(float), np.sort(pool.to_numpy(float))
    width = max(a.max(), pool.max()) - min(a.min(), pool.min()) or 1.0
    return 1 - np.abs(a - b).mean() / width, 1 - mean_distance(a, pool) / width


def mean_distance(a: np.ndarray, pool: np.ndarray) -> float:
    """Mean of |a_i - pool_j| over all i and j; `pool` is sorted."""
    below = np.searchsorted(pool, a)
    sums = np.concatenate([[0.0], np.cumsum(pool)])
    distances = a * (2 * below - len(pool)) + sums[-1] - 2 * sums[below]
    return float(distances.mean() / len(pool))


def _is_number(values: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)


def _shares(table: pd.DataFrame) -> dict:
    observed, chance = float(table["observed"].mean()), float(table["chance"].mean())
    return {"observed": observed, "chance": chance, "images": len(table)}
