"""Which samples of a split count as labelled where labels are few.

Of each class the first k are labelled, in an order that a seed draws: more labels add to fewer. The
order takes one sample of each group before a second, so labels come from as many patients as it
goes.
"""

import numpy as np
import pandas as pd

from histopair.datasets import grouping


def labelled(samples: pd.DataFrame, most: int, seed: int) -> np.ndarray:
    """Booleans (n,): whether a sample is among the first `most` of one of its classes.

    samples: sample_id, image_id, group and labels (lists) of one split. The order of rows does not
    matter. A class with fewer samples has them all.
    """
    return ranks(samples, seed) < most


def ranks(samples: pd.DataFrame, seed: int) -> np.ndarray:
    """The place (n,) of each sample in its class, from 0; of several classes the best."""
    order = np.argsort(samples["sample_id"].to_numpy(object), kind="stable")
    draw = np.empty(len(samples))
    draw[order] = np.random.default_rng(seed).random(len(samples))
    rows = pd.DataFrame(
        {
            "row": np.arange(len(samples)),
            "draw": draw,
            "group": grouping.numbers(samples["group"], samples["image_id"]),
            "label": samples["labels"].to_numpy(object),
        }
    )
    rows = rows.explode("label").sort_values("draw")
    rows["turn"] = rows.groupby(["label", "group"]).cumcount()
    rows = rows.sort_values(["turn", "draw"], kind="stable")
    rows["place"] = rows.groupby("label").cumcount()
    return rows.groupby("row")["place"].min().to_numpy()
