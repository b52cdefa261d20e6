"""The oracle: each tile paired with the reports whose true attributes are most like its own."""

import numpy as np
import pyarrow as pa

from histopair.files import tables
from histopair.phantom import attributes, truth


def pair(
    labels: str, reports: str, dataset_truth: str, corpus_truth: str, k: int, out: str, about: dict
) -> None:
    """Write the k reports that agree most with each image: the columns of a retrieved pairing.

    `similarity` is the agreement of attributes in [0, 1]. `chunk` is 0, the report's first for
    every retriever, as the diagnosis is there. Raises InputError for an image or a corpus without
    truth.
    """
    images = tables.read(labels, ["image_id", "path"]).drop_duplicates("image_id")
    tiles = truth.of(images["path"], "path", dataset_truth)
    ids = tables.read(reports, ["report_id"])["report_id"].drop_duplicates().sort_values()
    patients = truth.of(ids, "report_id", corpus_truth)
    k = min(k, len(ids))
    indices, agreement = attributes.nearest(tiles, patients, k)
    chosen = ids.to_numpy(object)[indices.reshape(-1)]
    table = {
        "image_id": pa.array(np.repeat(images["image_id"].to_numpy(object), k), pa.string()),
        "rank": pa.array(np.tile(np.arange(1, k + 1, dtype=np.int32), len(images))),
        "report_id": pa.array(chosen, pa.string()),
        "chunk": pa.array(np.zeros(len(chosen), np.int32)),
        "similarity": pa.array(agreement.reshape(-1).astype(np.float32)),
    }
    tables.write(out, pa.table(table), about)
