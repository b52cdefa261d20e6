"""The truth of tiles and reports, by their names."""

import pandas as pd

from histopair.files import tables


def of(keys: pd.Series, column: str, truth: str) -> pd.DataFrame:
    """The row of each of n keys in the truth's `column`, by which it is indexed.

    Raises InputError for a key that the truth does not know.
    """
    table = tables.read(truth).set_index(column)
    remedy = "Make the truth and the dataset by the same run of the phantom"
    return table.iloc[tables.positions(keys, table.index, truth, "it does not know {}", remedy)]
