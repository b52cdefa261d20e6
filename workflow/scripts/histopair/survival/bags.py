"""One vector per patient in the space of the retrieval CLIP, so that reports can be retrieved.

The published text does not say how a bag is paired. Here a patient stands for the mean of its
patches' unit vectors: its inner product with a report is the mean cosine of its patches to that
report (CLIP-IT Eq. 1, averaged over the bag), so that one patient gets one report.
"""

import numpy as np
import pyarrow as pa

from histopair import jobs
from histopair.files import tables
from histopair.survival import cohort, features


def pool(patients: str, folder: str, out: str, about: dict) -> None:
    """Write image_id (the patient), path (again), embedding: a table that `retrieve.pair` reads.

    Raises InputError where the folder lacks a slide of the cohort.
    """
    table = tables.read(patients, ["patient", "slides"])
    paths = cohort.slide_paths(table, folder)
    bags = jobs.progress(paths, len(paths), "patients", "pooling", size=lambda _: 1)
    means = [mean([features.read(path) for path in slides]) for slides in bags]
    names = pa.array(table["patient"], pa.string())
    vectors = tables.vectors(np.stack(means))
    written = pa.table({"image_id": names, "path": names, "embedding": vectors})
    tables.write(out, written, about)


def mean(slides: list[np.ndarray]) -> np.ndarray:
    """Mean over all patches of the unit vectors of slides (n_i, d): (d,) float32."""
    return tables.unit(np.concatenate(slides)).mean(0)
