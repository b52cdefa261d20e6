"""What a method's cost buys: the costs of a study beside a metric of its runs (CLIP-IT, Fig. 3)."""

import numpy as np
import pandas as pd

from histopair.files import tables

EXPORTED = "as exported"  # a model's variant in costs.parquet


def with_quality(costs: pd.DataFrame, members: list[dict], metric: str) -> pd.DataFrame:
    """The costs once for each dataset, with the mean of a metric over the test split's seeds.

    members: dicts of dataset, column, method and the path `metrics`. `overhead` is a latency's
    change against the first row of its encoder.
    """
    first = costs.groupby("encoder")["latency_ms"].transform("first")
    costs = costs.assign(overhead=costs["latency_ms"] / first - 1)
    values = pd.DataFrame(
        {
            "dataset": run["dataset"],
            "encoder": run["column"],
            "method": run["method"],
            "metric": metric,
            "value": tables.read_json(run["metrics"])["splits"]["test"][metric],
        }
        for run in members
    )
    keys = ["dataset", "encoder", "method", "metric"]
    means = values.groupby(keys, sort=False, as_index=False)["value"].mean()
    parts = [
        costs.merge(part, on=["encoder", "method"])
        for _, part in means.groupby("dataset", sort=False)
    ]
    return pd.concat(parts, ignore_index=True)


def front(costs: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Numbers of the points that no other beats in both, cheapest first; higher is better."""
    order = np.lexsort((-values, costs))
    best = np.maximum.accumulate(np.concatenate([[-np.inf], values[order]]))[:-1]
    return order[values[order] > best]
