"""Which text each sample is paired with in training."""

import numpy as np
import pandas as pd

from histopair.corpora import report_text
from histopair.files import tables


def of_run(run) -> tuple[np.ndarray, np.ndarray]:
    """`texts_of` the samples of a run, by its method's parameters."""
    method, artifacts = run.method, run.artifacts
    ids, reports, pairs = run.samples["image_id"], artifacts["reports"], artifacts.get("pairs")
    return texts_of(ids, method["pairing"], method["rank"], run.seed, reports, pairs)


def texts_of(
    image_ids: pd.Series, pairing: str, rank: int, seed: int, reports: str, pairs: str | None
) -> tuple[np.ndarray, np.ndarray]:
    """The rows of the corpus in use, and for each of n images which of them it has, (n,).

    pairing "random": any text of the corpus with equal chance, drawn by `seed`; otherwise the text
    at `rank` (from 1) of the table `pairs`. `reports` are chunks, or their embeddings, of the
    retriever that reads them. Raises InputError for an image without that report, and for a report
    that the corpus does not have.
    """
    corpus = tables.read(reports, ["report_id", "chunk"])
    if pairing == "random":
        chosen = np.random.default_rng(seed).integers(len(corpus), size=len(image_ids))
    else:
        chosen = _rows_of_pairs(image_ids, rank, corpus, pairs)
    return np.unique(chosen, return_inverse=True)


def without_words(text: str, share: float, draw: np.random.Generator) -> str:
    """The text without that share of its words, drawn with equal chance; one word stays."""
    words = report_text.with_blanks(text)
    left = max(1, len(words) - round(share * len(words)))
    return "".join(words[i] for i in sorted(draw.permutation(len(words))[:left])).strip()


def _rows_of_pairs(image_ids: pd.Series, rank: int, corpus: pd.DataFrame, pairs: str) -> np.ndarray:
    table = tables.read(pairs, ["image_id", "rank", "report_id", "chunk"])
    table = table[table["rank"] == rank]
    problem = f"image {{}} has no report at rank {rank}"
    remedy = f"Set retrieval.k to {rank} or more; the corpus needs as many reports"
    position = tables.positions(image_ids, table["image_id"], pairs, problem, remedy)
    wanted = pd.MultiIndex.from_frame(table[["report_id", "chunk"]].iloc[position]).to_series()
    problem = "report and chunk {} are not in the corpus"
    remedy = "Rerun the pairing: it is of another corpus"
    return tables.positions(wanted, pd.MultiIndex.from_frame(corpus), pairs, problem, remedy)
