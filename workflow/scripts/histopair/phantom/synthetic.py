"""Synthetic reports: a sentence or two from a template, as if prompted from class names.

A second, weaker grammar beside `grammar`: one name per entity, at most one finding, no words of the
microscope, and now and then the name of another tissue. It is the text source that the CLIP-IT
paper's Table 7 compares with real reports.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from histopair.files import tables
from histopair.phantom import attributes, grammar, phrases
from histopair.phantom.entities import CATALOGUE, WORLDS

TEMPLATES = (
    "A histopathology image of {organ} tissue showing {name}.",
    "This {organ} slide shows {name}.",
    "An example of {name} in the {organ}.",
    "The image is of {name}, taken from the {organ}.",
)
ENTITIES = {"colon": WORLDS["nct-crc"], "breast": WORLDS["bach"]}


def synthetic(path: str, truth: str, size: dict, seed: int, about: dict) -> None:
    """Write a csv of id, text and organ, and the truth, keyed by report_id.

    size: colon, breast (reports), errors (share of reports that name another entity of the organ;
    the truth keeps the one that was meant). Many texts are equal: cleaning keeps one of each.
    """
    rng = attributes.generator(seed, "synthetic")
    entities = [
        choices[i % len(choices)] for organ, choices in ENTITIES.items() for i in range(size[organ])
    ]
    people = attributes.patients(len(entities), "synthetic-", rng)
    table = attributes.sample(entities, people, rng)
    table.insert(0, "report_id", people["group"])
    texts = [sentence(row, size["errors"], rng) for row in table.to_dict("records")]
    organs = table["entity"].str.split("-").str[0]
    reports = pd.DataFrame({"id": table["report_id"], "text": texts, "organ": organs})
    tables.write_text(Path(path), reports.to_csv(index=False))
    tables.write(truth, table, about)


def sentence(row: dict, errors: float, rng: np.random.Generator) -> str:
    """One text of a row of attributes; every second one also names one finding."""
    entity = row["entity"]
    if rng.random() < errors:
        same = CATALOGUE.index[CATALOGUE["organ"] == row["organ"]]
        entity = rng.choice([name for name in same if name != entity])
    name, organ = phrases.DIAGNOSIS[entity][0], phrases.ORGAN[row["organ"]][0]
    text = TEMPLATES[rng.integers(len(TEMPLATES))].format(organ=organ, name=name)
    if rng.random() < 0.5:
        return text
    findings = sorted(grammar.findings(row, rng).items())
    return f"{text} There is {findings[rng.integers(len(findings))][1]}."
