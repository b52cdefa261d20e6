"""A world in which it is open whether text helps: three grades of one carcinoma, by its attributes.

A tile's score adds up its architecture, nuclear grade and necrosis; thirds of the scores are the
classes. Texts name these attributes in many words, and never the class. An observer gives the
labels, and errs most near the thresholds. So a text can tell what the label does not.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from histopair.files import tables
from histopair.phantom import attributes, formats, grammar, phrases

ENTITY = "colon-carcinoma"
ARCHITECTURES = ("irregular-glands", "cribriform", "solid")
CLASSES = ("indolent", "usual", "aggressive")
MOST_NECROSIS = 0.5  # share of the area
REPORTED = [
    "sections show",
    "microscopic examination reveals",
    "the slides demonstrate",
    "there are",
]
OTHERS = {"stroma": 0.2, "mucin": 0.0, "fat": 0.0}  # the same in all tiles
PART_OF_PATIENT = 0.5  # of an attribute's place in its range; the rest is the tile's own


def tiles(folder: str, labels: str, truth: str, size: dict, seed: int, about: dict) -> None:
    """Write tiles, their table and the truth.

    size: train, val, test (tiles), tiles_per_patient, pixels, microns_per_pixel, noise (shares of
    wrong labels). labels: a csv of path, group, split, label (right), and for each share of noise
    label_NN, its percent: train and val are labelled by an observer who errs so often, test labels
    are right. truth: path, attributes, score, label.
    """
    parts = [_split(split, size, seed) for split in ("train", "val", "test")]
    table = pd.concat(parts, ignore_index=True)
    limits = _limits(parts[0])
    table["label"] = _classes(table["score"].to_numpy(), limits)
    for share in size["noise"]:
        observed = _observed(table, limits, share, seed)
        table[f"label_{round(100 * share)}"] = observed
    formats.write_pngs(folder, table, "grades", seed, size)
    table["path"] = f"{Path(folder).name}/" + table["path"]
    shown = [name for name in table if name.startswith("label")]
    listed = table[["path", "group", "split", *shown]]
    tables.write_text(labels, listed.to_csv(index=False))
    tables.write(
        truth,
        table.drop(columns=shown[1:]),
        about | {"limits": limits.tolist(), "decides": list(_LATENT)},
    )


def captions(folder: str, labels: str, size: dict, seed: int) -> None:
    """Write image-caption pairs of other patients, and their table.

    size: pairs, tiles_per_patient, pixels, microns_per_pixel. The table has path, group, caption,
    label (the architecture), attributes (the three that the caption names, as labels) and
    shuffled_attributes (those of any other caption).
    """
    table = _sample(size["pairs"], "captions", size, seed)
    rng = attributes.generator(seed, "grades", "captions", "words")
    table["caption"] = [text(row, phrases.OPENINGS, rng) for row in table.to_dict("records")]
    formats.write_pngs(folder, table, "grades-captions", seed, size)
    table["path"] = f"{Path(folder).name}/" + table["path"]
    table["label"], table["attributes"] = table["architecture"], _noted(table)
    shuffled = attributes.generator(seed, "grades", "captions", "shuffled")
    table["shuffled_attributes"] = shuffled.permutation(table["attributes"])
    listed = table[["path", "group", "label", "attributes", "shuffled_attributes", "caption"]]
    tables.write_text(labels, listed.to_csv(index=False))


def reports(path: str, truth: str, size: dict, seed: int, about: dict) -> None:
    """Write a csv of id and text, a report of each of size["reports"] patients, and the truth.

    truth: report_id, attributes, and the label that a tile with these would have.
    """
    table = _sample(size["reports"], "reports", size | {"tiles_per_patient": 1}, seed)
    rng = attributes.generator(seed, "grades", "reports", "words")
    texts = [text(row, REPORTED, rng) for row in table.to_dict("records")]
    written = pd.DataFrame({"id": table["group"], "text": texts, "organ": "colon"})
    tables.write_text(Path(path), written.to_csv(index=False))
    table["label"] = _classes(score(table), _limits(_split("train", size, seed)))
    tables.write(truth, table.rename(columns={"group": "report_id"}), about)


def text(row: dict, openings: list[str], rng: np.random.Generator) -> str:
    """Two sentences that name architecture, nuclear grade and necrosis, and one other finding."""
    findings = grammar.findings(row, rng)
    shape = rng.choice(phrases.ARCHITECTURE[row["architecture"]])
    other = findings[rng.choice(["lymphocytes", "mitoses", "stroma"])]
    rest = rng.permutation([findings["nuclear_grade"], findings["necrosis"], other])
    first = f"{rng.choice(openings)} {shape}, {rest[0]}"
    return f"{first[0].upper()}{first[1:]}. {rest[1][0].upper()}{rest[1][1:]}, {rest[2]}."


def _noted(table: pd.DataFrame) -> list[str]:
    """What someone who reads the captions could note of each tile, separated by semicolons."""
    rows = table[["architecture", "nuclear_grade", "necrosis"]].itertuples(index=False)
    amounts = ("no necrosis", "focal necrosis", "extensive necrosis")
    return [
        f"{shape};grade {grade};{amounts[grammar.level('necrosis', share)]}"
        for shape, grade, share in rows
    ]


def score(table: pd.DataFrame) -> np.ndarray:
    """From 0 to 3: architecture, nuclear grade and the root of necrosis, each from 0 to 1."""
    architecture = table["architecture"].map(ARCHITECTURES.index) / (len(ARCHITECTURES) - 1)
    nuclei = (table["nuclear_grade"] - 1) / 2
    necrosis = np.sqrt((table["necrosis"] / MOST_NECROSIS).clip(upper=1))
    return (architecture + nuclei + necrosis).to_numpy(float)


def _split(split: str, size: dict, seed: int) -> pd.DataFrame:
    table = _sample(size[split], split, size, seed).assign(split=split)
    table["path"] = f"{split}-" + table["path"]
    return table.assign(score=score(table))


def _sample(n: int, name: str, size: dict, seed: int) -> pd.DataFrame:
    """Attributes of n tiles of patients whose names no other part of the world has."""
    rng = attributes.generator(seed, "grades", name)
    people = attributes.patients(max(2, n // size["tiles_per_patient"]), f"grades-{name}-", rng)
    rows = people.iloc[np.arange(n) % len(people)].reset_index(drop=True)
    table = attributes.sample([ENTITY] * n, rows, rng)
    places = {name: _place(rows[latent], rng) for name, latent in _LATENT.items()}
    table["architecture"] = np.array(ARCHITECTURES)[_thirds(places["architecture"])]
    table["nuclear_grade"] = (1 + _thirds(places["nuclear_grade"])).astype(np.int8)
    # Mitoses go with the grade of the nuclei, as they do in tumours.
    table["mitoses"] = (table["nuclear_grade"] - rng.integers(0, 2, n)).astype(np.int8)
    table["necrosis"] = (MOST_NECROSIS * places["necrosis"] ** 2).astype(np.float32).round(3)
    table["path"] = [f"{number:05d}.png" for number in range(n)]
    return table.assign(**{key: np.float32(value) for key, value in OTHERS.items()})


_LATENT = {"architecture": "fibrotic", "nuclear_grade": "immune", "necrosis": "mucinous"}


def _place(latent: pd.Series, rng: np.random.Generator) -> np.ndarray:
    """Where in its range an attribute lies, in [0, 1]: partly by patient, partly by tile."""
    mixed = PART_OF_PATIENT * latent + (1 - PART_OF_PATIENT) * rng.uniform(0, 1, len(latent))
    return mixed.rank(pct=True, method="first").to_numpy() - 0.5 / len(mixed)


def _thirds(place: np.ndarray) -> np.ndarray:
    return np.clip((3 * place).astype(int), 0, 2)


def _limits(train: pd.DataFrame) -> np.ndarray:
    """The scores between the classes: thirds of the train tiles'."""
    return np.quantile(train["score"], [1 / 3, 2 / 3])


def _classes(scores: np.ndarray, limits: np.ndarray) -> np.ndarray:
    return np.array(CLASSES, object)[np.searchsorted(limits, scores, side="right")]


def _observed(table: pd.DataFrame, limits: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Labels of an observer whose reading of the score is normal around it.

    At its spread the stated share of the train labels is wrong. Test labels are right.
    """
    from scipy.optimize import brentq

    scores, right = table["score"].to_numpy(), table["label"].to_numpy()
    if not share:
        return right
    noise = attributes.generator(seed, "grades", "observer", share).normal(size=len(table))
    train, test = (table["split"].to_numpy() == split for split in ("train", "test"))

    def wrong(spread: float) -> float:
        read = _classes(scores + spread * noise, limits)
        return float((read != right)[train].mean()) - share

    spread = brentq(wrong, 0, 10, xtol=1e-3)
    return np.where(test, right, _classes(scores + spread * noise, limits))
