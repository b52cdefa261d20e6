"""The phantom's TCGA-Reports: a report per patient, cancer types, and what scans do to text."""

import uuid
from pathlib import Path

import numpy as np
import pandas as pd

from histopair.files import tables
from histopair.phantom import attributes, grammar
from histopair.phantom.entities import CATALOGUE, WORLDS

CANCER_TYPE = {
    "skin": "SKCM",
    "lung": "LUAD",
    "kidney": "KIRC",
    "brain": "GBM",
    "thyroid": "THCA",
    "prostate": "PRAD",
    "uterus": "UCEC",
    "soft-tissue": "SARC",
    "bone": "SARC",
    "eye": "UVM",
    "mouth": "HNSC",
}


def tcga(folder: str, truth: str, size: dict, seed: int, about: dict) -> None:
    """Write TCGA_Reports.csv, patient_to_cancer_type.csv and the truth, keyed by report_id.

    size: colon, breast, other (reports), damage (share of words hurt by OCR). Colon patients are
    COAD or READ; breast patients are BRCA, about four in nine of their reports on axillary nodes.
    One report is badly scanned; one of `other` is empty and one is another's double. report_id is
    patient_filename.
    """
    rng = attributes.generator(seed, "tcga")
    table = _patients(size, seed, rng)
    texts = [_text(row, size["damage"], rng) for row in table.to_dict("records")]
    others = np.flatnonzero(table["part"] == "other")
    texts[0] = grammar.damage(texts[0], rng, share=0.4)
    if len(others) > 2:
        texts[others[0]] = ""
        texts[others[2]] = texts[others[1]]
    reports = pd.DataFrame({"patient_filename": table["report_id"], "text": texts})
    types = pd.DataFrame({"patient_id": table["group"], "cancer_type": table["cancer_type"]})
    for name, frame in (("TCGA_Reports.csv", reports), ("patient_to_cancer_type.csv", types)):
        tables.write_text(Path(folder) / name, frame.to_csv(index=False))
    tables.write(truth, table.drop(columns=["part", "cancer_type"]), about)


def _patients(size: dict, seed: int, rng: np.random.Generator) -> pd.DataFrame:
    """The attribute table of all reports: each entity of a part in turn, none missing."""
    breast = [
        *WORLDS["bach"],
        *WORLDS["bach"][:2],
        *WORLDS["pcam"],
        *["node-metastasis"] * 3,
        "node-lymphoid",
    ]
    other = [name for name in CATALOGUE.index if CATALOGUE.loc[name, "organ"] in CANCER_TYPE]
    choices = {"colon": WORLDS["nct-crc"], "breast": breast, "other": other}
    parts = [part for part in choices for _ in range(size[part])]
    entities = [
        choices[part][i % len(choices[part])] for part in choices for i in range(size[part])
    ]
    people = attributes.patients(len(parts), "", rng)
    people["group"] = _patient_ids(len(parts), rng)
    table = attributes.sample(entities, people, rng).assign(part=parts)
    colorectal = np.where(rng.random(len(table)) < 0.75, "COAD", "READ")
    table["cancer_type"] = [
        {"colon": c, "breast": "BRCA"}.get(part) or CANCER_TYPE[organ]
        for part, organ, c in zip(table["part"], table["organ"], colorectal, strict=True)
    ]
    ids = [
        f"{group}.{str(uuid.UUID(bytes=rng.bytes(16), version=4)).upper()}"
        for group in table["group"]
    ]
    table.insert(0, "report_id", ids)
    order = rng.permutation(len(table))
    return table.iloc[order].reset_index(drop=True)


def _patient_ids(n: int, rng) -> list[str]:
    letters = np.array(list("ABCDEFGHJKLMNPQRSTUVWXYZ0123456789"))
    return [
        f"TCGA-{''.join(rng.choice(letters, 2))}-{''.join(rng.choice(letters, 1))}{i:03X}"
        for i in range(n)
    ]


def _text(row: dict, damage: float, rng) -> str:
    """One report with up to two further specimens of the same organ, through the scanner."""
    same = [name for name in CATALOGUE.index if CATALOGUE.loc[name, "organ"] == row["organ"]]
    benign = [
        n
        for n in same
        if CATALOGUE.loc[n, "behaviour"] in ("normal", "benign") and n != row["entity"]
    ]
    count = min(len(benign), rng.integers(0, 3))
    others = [{"entity": name} for name in rng.permutation(benign)[:count]]
    return grammar.damage(grammar.report(row, others, rng), rng, damage)
