"""One vector per bag in the space of the retrieval CLIP, so that reports can be retrieved.

The published text does not say how a bag is paired. Here a bag stands for the mean of its patches'
unit vectors: its inner product with a report is the mean cosine of its patches to that report
(CLIP-IT Eq. 1, averaged over the bag), so that one patient gets one report.
"""

import numpy as np
import pyarrow as pa

from histopair import jobs
from histopair.files import tables
from histopair.images import features


def embed(labels: str, folder: str, out: str, about: dict) -> None:
    """Write image_id (the bag), path (the same), embedding, as `embed_images` does for images.

    Raises InputError if the folder of features lacks a slide.
    """
    table = tables.read(labels, ["image_id", "slides"])
    paths = features.of_bags(table["slides"], folder)
    each = jobs.progress(paths, len(paths), "bags", "pooling", size=lambda _: 1)
    means = np.stack([tables.unit(features.bag(slides)).mean(0) for slides in each])
    names = pa.array(table["image_id"], pa.string())
    rows = pa.table({"image_id": names, "path": names, "embedding": tables.vectors(means)})
    tables.write(out, rows, about)
