"""How good a pairing is: hubness, similarity, and agreement with what is known."""

from collections import Counter
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from histopair.errors import InputError, require_classes
from histopair.files import tables
from histopair.retrieval import agreement

EDGES = np.round(np.arange(-1, 1.0001, 0.01), 2)  # of the similarity histogram
CURVE = 200  # points kept of the usage curve
DRAWS = 20  # random pairings behind the figures expected by chance


def write_quality(
    pairs: str | Path,
    labels: str | Path,
    chunks: str | Path,
    output: str | Path,
    match: dict[str, str] | None = None,
    image_truth: str | Path | None = None,
    report_truth: str | Path | None = None,
) -> None:
    """Write quality.json for one pairing; `chunks` are the corpus as its retriever reads it.

    match: for each class a regular expression (case is ignored) that a report of that class
    contains; if the reports have a true `label`, that decides. Truth tables: see `agreement`.
    Facts about search and correction are copied from the pairs. Memory grows with the number of
    images, not with k. Raises InputError for a class in `match` that the labels do not have, and
    for paired reports that are not in the corpus.
    """
    require_classes("match", match or (), tables.about(labels)["classes"])
    first, occurrences = read_pairs(pairs)
    corpus = tables.read(chunks, ["report_id"])["report_id"].drop_duplicates().tolist()
    unknown = sorted(set(first["report_id"]) - set(corpus))
    if unknown:
        problem = f"{len(unknown)} paired reports are not in {chunks}, such as {unknown[0]}"
        raise InputError(pairs, problem, "Delete the pairs and rerun")
    quality = hubness(first["report_id"].value_counts().to_numpy(), len(corpus))
    quality["skewness"] = skewness(list(occurrences.values()), len(corpus))
    quality["similarity"] = similarity(first["similarity"].to_numpy())
    about = tables.about(pairs)
    quality |= {key: about.get(key) for key in ("search", "correction")}
    quality["margin"] = spread(first["margin"].to_numpy())
    images = labelled_images(labels).merge(first, on="image_id")
    truths = [tables.read(path) if path else None for path in (image_truth, report_truth)]
    quality |= agreements(images, corpus, chunks, match, *truths)
    tables.write_json(output, quality)


def agreements(
    images: pd.DataFrame,
    corpus: list[str],
    chunks: str | Path,
    match: dict[str, str] | None,
    image_truth: pd.DataFrame | None,
    report_truth: pd.DataFrame | None,
) -> dict:
    """class_agreement of the whole report, text_agreement of the retrieved chunk, which methods
    read, and attribute_agreement; each is None if nothing is known of it.
    """
    of_report = images["report_id"].map({report: i for i, report in enumerate(corpus)})
    results = {"class_agreement": None, "text_agreement": None, "attribute_agreement": None}
    if match:
        texts = tables.read(chunks, ["report_id", "chunk", "text"])
        whole = texts.groupby("report_id", sort=False)["text"].agg(" ".join).reindex(corpus)
        rows = pd.MultiIndex.from_frame(texts[["report_id", "chunk"]])
        of_chunk = rows.get_indexer(pd.MultiIndex.from_frame(images[["report_id", "chunk"]]))
        fits = agreement.by_pattern(match, texts["text"])
        results["text_agreement"] = agreement.class_agreement(images["labels"], of_chunk, fits)
        fits = agreement.by_pattern(match, whole)
        results["class_agreement"] = agreement.class_agreement(images["labels"], of_report, fits)
    classified = agreement.classified(report_truth, image_truth)
    if classified is not None:
        fits = agreement.by_truth(corpus, classified)
        results["class_agreement"] = agreement.class_agreement(images["labels"], of_report, fits)
    if image_truth is not None and report_truth is not None:
        truths = image_truth, report_truth
        results["attribute_agreement"] = agreement.attribute_agreement(images, corpus, *truths)
    return results


def read_pairs(path: str | Path) -> tuple[pd.DataFrame, dict[str, int]]:
    """Rank 1 of each image (and its margin), and N_k of each report.

    margin: score (or else similarity) at rank 1 minus that at rank 2, NaN without a rank 2.
    N_k: in how many images' top-k lists a report is.
    """
    first, second, occurrences = [], [], Counter()
    file = tables.to_iterate(path)
    ranked_by = "score" if "score" in file.schema_arrow.names else "similarity"
    columns = ["image_id", "rank", "report_id", "chunk", *{"similarity": 0, ranked_by: 0}]
    for batch in file.iter_batches(columns=columns):
        table = batch.to_pandas()
        occurrences.update(table["report_id"].value_counts().to_dict())
        first.append(table[table["rank"] == 1].drop(columns="rank"))
        second.append(table.loc[table["rank"] == 2, ["image_id", ranked_by]])
    ranked = pd.concat(first, ignore_index=True)
    runner_up = pd.concat(second).set_index("image_id")[ranked_by]
    ranked["margin"] = ranked[ranked_by] - ranked["image_id"].map(runner_up)
    return ranked, occurrences


def labelled_images(labels: str | Path) -> pd.DataFrame:
    """One row per image: image_id, path, and the labels of all its samples."""
    samples = tables.read(labels, ["image_id", "path", "labels"])
    if samples["image_id"].is_unique:
        return samples
    by_image = samples.groupby("image_id", sort=False)
    joined = by_image["labels"].agg(lambda lists: sorted(set(chain.from_iterable(lists))))
    return by_image["path"].first().to_frame().assign(labels=joined).reset_index()


def hubness(uses: np.ndarray, reports: int) -> dict:
    """How unevenly the reports are used at rank 1.

    uses: how many images each used report is paired with. top10_share: share of the images on
    the ten most used reports; coverage: share of the reports used at all; gini: 0 if all reports
    are used alike, near 1 if one takes all images; usage_curve: share of the images on the r most
    used reports; expected: the same figures for random pairings.
    """
    uses = np.sort(uses)[::-1]
    images = int(uses.sum())
    random = np.random.default_rng(0).multinomial(images, np.full(reports, 1 / reports), DRAWS)
    shares = np.cumsum(uses) / images
    ranks = np.unique(np.geomspace(1, len(uses), CURVE).astype(int))
    return {
        "images": images,
        "reports": reports,
        "used": len(uses),
        "coverage": len(uses) / reports,
        "top10_share": float(uses[:10].sum() / images),
        "gini": gini(uses, reports),
        "usage_curve": {"reports": ranks.tolist(), "images": shares[ranks - 1].tolist()},
        "expected": {
            "coverage": float((random > 0).mean()),
            "top10_share": float(np.sort(random)[:, ::-1][:, :10].sum(1).mean() / images),
            "gini": float(np.mean([gini(uses, reports) for uses in random])),
        },
    }


def gini(uses: np.ndarray, reports: int) -> float:
    """Gini coefficient of the uses of `reports` reports; those not in `uses` have none.

    The mean absolute difference of two reports' uses over twice their mean (Gini 1912).
    """
    ranked = np.zeros(reports)
    ranked[reports - len(uses) :] = np.sort(uses)
    places = np.arange(1, reports + 1)
    return float((2 * places - reports - 1) @ ranked / (reports * ranked.sum()))


def skewness(occurrences: list[int], reports: int) -> float | None:
    """Skewness of N_k over all reports, unused ones as 0 (Radovanovic et al., JMLR 11, 2010).

    0 for even use, large if a few hubs are in most images' lists; None if all are equal.
    """
    counts = np.zeros(reports)
    counts[: len(occurrences)] = occurrences
    return float(stats.skew(counts)) if counts.std() > 0 else None


def similarity(values: np.ndarray) -> dict:
    """Mean, std and histogram of the similarities at rank 1, without empty outer bins."""
    counts, _ = np.histogram(np.clip(values, -1, 1), EDGES)
    filled = np.flatnonzero(counts)
    low, high = filled[0], filled[-1] + 1
    histogram = {"edges": EDGES[low : high + 1].tolist(), "counts": counts[low:high].tolist()}
    return spread(values) | {"histogram": histogram}


def spread(values: np.ndarray) -> dict:
    """Mean and standard deviation of the values that exist."""
    values = values[np.isfinite(values)].astype(float)
    if not len(values):
        return {"mean": None, "std": None}
    return {"mean": float(values.mean()), "std": float(values.std())}
