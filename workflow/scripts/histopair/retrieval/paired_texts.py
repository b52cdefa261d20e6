"""Which text each sample is paired with in training."""

import numpy as np
import pandas as pd

from histopair.corpora import report_text
from histopair.errors import InputError
from histopair.files import tables
from histopair.phantom import truth


def of_run(run) -> tuple[np.ndarray, np.ndarray]:
    """`texts_of` the samples of a run, by its method's parameters."""
    method, artifacts = run.method, run.artifacts
    if method["pairing"] == "label":
        run.require_exclusive()
    reports, pairs = artifacts["reports"], artifacts.get("pairs")
    wrong = method.get("wrong_pairs", 0.0)
    return texts_of(run.samples, method["pairing"], method["rank"], run.seed, reports, pairs, wrong)


def texts_of(
    samples: pd.DataFrame,
    pairing: str,
    rank: int,
    seed: int,
    reports: str,
    pairs: str | None,
    wrong: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """The rows of the corpus in use, and for each of n samples which of them it has, (n,).

    samples: image_id, and for "label" labels. pairing "random": any text of the corpus with equal
    chance; "label": any whose true class is the sample's label, by the reports' truth `pairs`;
    otherwise the text at `rank` (from 1) of the table `pairs`. Of the samples the share `wrong` has
    any text of the corpus instead. What is drawn at random is drawn by `seed` and `rank`. `reports`
    are chunks, or their embeddings, of the retriever that reads them.
    Raises InputError for an image without that report, for a report that the corpus does not have,
    for a class without reports, and for a share `wrong` that is less than half a sample.
    """
    corpus = tables.read(reports, ["report_id", "chunk"])
    draw = np.random.default_rng(seed if rank == 1 else [seed, rank])
    if pairing == "random":
        chosen = draw.integers(len(corpus), size=len(samples))
    elif pairing == "label":
        chosen = _rows_of_class(samples["labels"].str[0], corpus, pairs, draw)
    else:
        chosen = _rows_of_pairs(samples["image_id"], rank, corpus, pairs)
    if wrong:
        mistaken = draw.permutation(len(samples))[: _number(wrong, len(samples))]
        chosen[mistaken] = draw.integers(len(corpus), size=len(mistaken))
    return np.unique(chosen, return_inverse=True)


def _number(share: float, samples: int) -> int:
    """How many of the samples a share above 0 is; 0 would be the method without it, unsaid."""
    if number := round(share * samples):
        return number
    problem = f"a share of {share} is none of {samples} samples"
    raise InputError(
        "wrong_pairs", problem, f"Set it to {1 / samples:.2g} or more, or leave it out"
    )


def without_words(text: str, share: float, draw: np.random.Generator) -> str:
    """The text without that share of its words, drawn with equal chance; one word stays."""
    words = report_text.with_blanks(text)
    left = max(1, len(words) - round(share * len(words)))
    return "".join(words[i] for i in sorted(draw.permutation(len(words))[:left])).strip()


def _rows_of_class(
    labels: pd.Series, corpus: pd.DataFrame, report_truth: str, draw: np.random.Generator
) -> np.ndarray:
    """For each label a row of the corpus, drawn from those of its class."""
    of_report = truth.of(corpus["report_id"], "report_id", report_truth)
    if "label" not in of_report:
        problem, remedy = "it does not say the class of a report", "Choose another pairing"
        raise InputError(report_truth, problem, remedy)
    chosen, classes = np.empty(len(labels), int), of_report["label"].to_numpy()
    for name in sorted(labels.unique()):
        rows, same = (labels == name).to_numpy(), np.flatnonzero(classes == name)
        if not len(same):
            problem = f"no report of it is of class {name!r}"
            raise InputError(report_truth, problem, "Choose a corpus with reports of each class")
        chosen[rows] = draw.choice(same, rows.sum())
    return chosen


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
