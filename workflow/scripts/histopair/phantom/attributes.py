"""Latent attributes of virtual patients, their tiles and reports; labels; their true similarity.

Every table here has the columns entities.ATTRIBUTES: organ, tissue, behaviour, architecture
(strings); nuclear_grade, mitoses (int8, 0 to 3); necrosis, lymphocytes, stroma, mucin, fat
(float32 fractions of the area, 0 to 1). Two more columns, `group` and `entity`, name the
patient and the entity.
"""

import zlib

import numpy as np
import pandas as pd

from histopair.phantom.entities import CATALOGUE, CATEGORIES, FRACTIONS, ORDINALS

WEIGHTS = {
    "organ": 1.0,
    "tissue": 3.0,
    "behaviour": 3.0,
    "architecture": 1.0,
    "nuclear_grade": 1.0,
    "mitoses": 0.5,
    **dict.fromkeys(FRACTIONS, 0.5),
}


def generator(seed: int, *names: object) -> np.random.Generator:
    """A separate random generator for each (seed, names), so that no stream depends on another."""
    return np.random.default_rng([seed, *(zlib.crc32(str(name).encode()) for name in names)])


def patients(n: int, prefix: str, rng: np.random.Generator) -> pd.DataFrame:
    """n virtual patients: `group` (prefix and number) and the latents that their tiles share.

    grade is uniform in [0, 3); immune, dying, mucinous and fibrotic are uniform in [0, 1]. A
    patient's necrosis and mitoses lean on grade, as they do in tumours.
    """
    grade = rng.uniform(0, 3, n)
    table = pd.DataFrame({"group": [f"{prefix}{i:04d}" for i in range(n)], "grade": grade})
    for name in ("immune", "mucinous", "fibrotic", "fatty"):
        table[name] = rng.uniform(0, 1, n)
    table["dying"] = 0.5 * grade / 3 + 0.5 * rng.uniform(0, 1, n)
    table["dividing"] = 0.7 * grade / 3 + 0.3 * rng.uniform(0, 1, n)
    return table


LATENT = {
    "nuclear_grade": "grade",
    "mitoses": "dividing",
    "necrosis": "dying",
    "lymphocytes": "immune",
    "stroma": "fibrotic",
    "mucin": "mucinous",
    "fat": "fatty",
}


def sample(entities: list[str], people: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Attributes of one specimen per row of `people` (rows may repeat a patient), of `entities`.

    Each attribute lies in its entity's range at 0.65 of the patient's latent plus 0.35 of chance;
    grade is the patient's alone; ranges of [0, 0] stay exactly 0, so that no tissue shows what it
    cannot have.
    """
    facts = CATALOGUE.loc[entities].reset_index()
    table = facts[["organ", "tissue", "behaviour"]].copy()
    table["architecture"] = [rng.choice(options.split("|")) for options in facts["architecture"]]
    for name, latent in LATENT.items():
        low, high = facts[name].str.split("-", expand=True).astype(float).to_numpy().T
        share = people[latent].to_numpy() / (3 if latent == "grade" else 1)
        weight = 1.0 if name == "nuclear_grade" else 0.65
        share = weight * share + (1 - weight) * rng.uniform(0, 1, len(table))
        if name in ORDINALS:
            whole = np.floor(low + share * (high - low + 1))
            table[name] = np.clip(whole, low, high).astype(np.int8)
        else:
            table[name] = ((low + share * (high - low)) / 100).round(3).astype(np.float32)
    table.insert(0, "entity", entities)
    table.insert(0, "group", people["group"].to_numpy())
    return table


_CRC_TISSUE = {
    "adipose": "ADI",
    "background": "BACK",
    "necrosis": "DEB",
    "lymphoid": "LYM",
    "mucin": "MUC",
    "muscle": "MUS",
    "stroma": "STR",
}
_BACH_BEHAVIOUR = {
    "normal": "Normal",
    "benign": "Benign",
    "in-situ": "InSitu",
    "malignant": "Invasive",
}


def label(dataset: str, table: pd.DataFrame) -> np.ndarray:
    """The clean class of each row, tile or report, by the dataset's rule.

    nct-crc: the tissue, but epithelium is TUM if malignant and NORM otherwise. pcam: tumor if
    malignant, else normal. bach: the behaviour (Normal, Benign, InSitu, Invasive; none -> Normal).
    """
    if dataset == "nct-crc":
        epithelium = np.where(table["behaviour"] == "malignant", "TUM", "NORM")
        classes = table["tissue"].map(_CRC_TISSUE)
        return classes.fillna(pd.Series(epithelium, table.index)).to_numpy(object)
    if dataset == "pcam":
        return np.where(table["behaviour"] == "malignant", "tumor", "normal").astype(object)
    if dataset == "bach":
        return table["behaviour"].map(_BACH_BEHAVIOUR).fillna("Normal").to_numpy(object)
    raise ValueError(f"{dataset!r} has no class rule: choose nct-crc, pcam or bach")


def with_noise(
    labels: np.ndarray, classes: list[str], share: float, rng: np.random.Generator
) -> np.ndarray:
    """Replace a `share` of labels, rounded to a count, by another class drawn uniformly."""
    noisy = np.array(labels, object)
    for row in rng.choice(len(noisy), round(share * len(noisy)), replace=False):
        noisy[row] = rng.choice([name for name in classes if name != noisy[row]])
    return noisy


def agreement(a: pd.DataFrame, b: pd.DataFrame) -> np.ndarray:
    """Similarity in [0, 1] of every row of a to every row of b, shape (n, m), float32.

    A weighted mean (WEIGHTS) over attributes: categories agree or not; ordinals lose a third per
    step; fractions lose their absolute difference. 1 for equal rows; symmetric. Memory is a few
    times n x m x 4 bytes: pass blocks of a, or use `nearest`.
    """
    total = np.zeros((len(a), len(b)), np.float32)
    for name, weight in WEIGHTS.items():
        total += np.float32(weight / sum(WEIGHTS.values())) * _agree(name, a, b)
    return np.clip(total, 0, 1)


def attribute_agreement(name: str, a: pd.DataFrame, b: pd.DataFrame) -> np.ndarray:
    """Agreement in [0, 1] of one attribute, row by row of two tables of n rows, shape (n,)."""
    if name in CATEGORIES:
        return (a[name].to_numpy() == b[name].to_numpy()).astype(np.float32)
    span = 3 if name in ORDINALS else 1
    return 1 - np.abs(a[name].to_numpy(np.float32) - b[name].to_numpy(np.float32)) / span


def nearest(
    a: pd.DataFrame, b: pd.DataFrame, k: int = 1, block: int = 2048
) -> tuple[np.ndarray, np.ndarray]:
    """The k rows of b that agree most with each row of a: indices and agreements, both (n, k).

    Ties go to the earlier row of b. Works in blocks of a's rows.
    """
    indices, values = [], []
    for start in range(0, len(a), block):
        scores = agreement(a.iloc[start : start + block], b)
        order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        indices.append(order)
        values.append(np.take_along_axis(scores, order, axis=1))
    if not indices:
        return np.empty((0, k), np.int64), np.empty((0, k), np.float32)
    return np.concatenate(indices), np.concatenate(values)


def _agree(name: str, a: pd.DataFrame, b: pd.DataFrame) -> np.ndarray:
    if name in CATEGORIES:
        codes, _ = pd.factorize(np.concatenate([a[name], b[name]]))
        return (codes[: len(a), None] == codes[None, len(a) :]).astype(np.float32)
    span = 3 if name in ORDINALS else 1
    left, right = (t[name].to_numpy(np.float32) for t in (a, b))
    return 1 - np.abs(left[:, None] - right[None]) / span
