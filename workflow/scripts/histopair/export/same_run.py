"""Whether a model that was built from a run's weights predicts what the run did."""

import numpy as np

from histopair.errors import InputError
from histopair.files import tables

SAMPLES = 8  # of the test split, on which a model is checked
# Largest difference to the run, which may have read float16 embeddings or computed in bfloat16.
PROBABILITIES = 0.05


def some(run):
    """A few test samples, spread over the split."""
    test = run.samples[run.samples["split"] == "test"]
    return test.iloc[np.unique(np.linspace(0, len(test) - 1, SAMPLES).astype(int))]


def check(probabilities: np.ndarray, samples, predictions: str) -> float:
    """The largest difference of probabilities (n, C) of some samples to those of the run.

    Raises InputError if it is too large: the model is not the run's.
    """
    ids = tables.read(predictions, ["sample_id"])["sample_id"]
    rows = ids.reset_index().set_index("sample_id").loc[samples["sample_id"], "index"]
    scores = tables.matrix(predictions, "scores")[rows.to_numpy()]
    difference = float(np.abs(probabilities - scores).max())
    if not difference <= PROBABILITIES:
        problem = f"the model's probabilities differ by {difference:.2g} from those of the run"
        raise InputError(predictions, problem, "Run it again, and use its model after that")
    return difference
