"""How often the claims of a repeated study hold: counted apart from trainings, which need torch."""

import math

import pandas as pd

from histopair.evaluation import instrument, orders

KEYS = ["dataset", "encoder", "claim", "better", "worse", "metric", "expect"]
NOTHING = {"repetitions": 0, "holds": 0, "share": math.nan, "low": math.nan, "high": math.nan}


def counts(table: pd.DataFrame) -> pd.DataFrame:
    """A row for each claim and cell of `repetitions.tabulate`: how often it holds.

    repetitions, holds, share, low, high: as `instrument.counted`, of those that are decided; beside
    them contradicted, not_decided, and the gain's mean and standard deviation over repetitions.
    """
    rows = [
        dict(zip(KEYS, key, strict=True)) | _counted(part)
        for key, part in table.groupby(KEYS, sort=False)
    ]
    return pd.DataFrame(rows)


def _counted(part: pd.DataFrame) -> dict:
    verdicts = list(part["verdict"])
    undecided = verdicts.count(orders.UNDECIDED)
    decided = len(verdicts) - undecided
    numbers = instrument.counted(verdicts.count("holds"), decided) if decided else NOTHING
    return numbers | {
        "contradicted": verdicts.count("contradicted"),
        "not_decided": undecided,
        "gain": part["gain"].mean(),
        "std": part["gain"].std(ddof=1),
    }
