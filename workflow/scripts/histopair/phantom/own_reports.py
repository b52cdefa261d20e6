"""A report of each tile of the grades by its own attributes: text that must help.

Paired by truth, each tile has its own: nothing of a retriever is in between.
"""

from pathlib import Path

import pandas as pd

from histopair.files import tables
from histopair.phantom import attributes, grades


def write(path: str, truth: str, own_truth: str, seed: int, about: dict) -> None:
    """Write a csv of id, text and organ for the tiles of `truth`, and the reports' own truth.

    The id is the tile's path. own_truth: report_id, attributes and label.
    """
    table = tables.read(truth)
    rng = attributes.generator(seed, "grades", "own reports", "words")
    texts = [grades.text(row, grades.REPORTED, rng) for row in table.to_dict("records")]
    written = pd.DataFrame({"id": table["path"], "text": texts, "organ": "colon"})
    tables.write_text(Path(path), written.to_csv(index=False))
    tables.write(own_truth, table.rename(columns={"path": "report_id"}), about)
