"""Multi-label results by how the samples were split: by group against at random."""

import pandas as pd

from histopair.datasets import splits
from histopair.pages import plots
from histopair.pages.study_page import plain

METRICS = ("label_accuracy_1", "label_accuracy_2", "label_accuracy_3")


def context(name: str, table: pd.DataFrame, config: dict) -> dict | None:
    """Label accuracies of a study, its datasets side by side; None for single-label studies."""
    table = plain(table[table["metric"].isin(METRICS)])
    if table.empty:
        return None
    datasets = list(dict.fromkeys(table["dataset"]))
    styles = {dataset: f"{dataset} ({split_words(dataset, config)})" for dataset in datasets}
    cells = table.groupby(["encoder", "method"], sort=False)
    rows = [_row(key, part, datasets) for key, part in cells]
    encoders = list(table.groupby("encoder", sort=False))
    return {
        "study": name,
        "datasets": styles,
        "rows": rows,
        "plots": [(encoder, plots.label_accuracies(rows, styles)) for encoder, rows in encoders],
    }


def split_words(dataset: str, config: dict) -> str:
    """How a dataset was split, in words."""
    return splits.BY[(config["datasets"][dataset].get("split") or {}).get("by", "group")]


def _row(key: tuple[str, str], rows: pd.DataFrame, datasets: list[str]) -> dict:
    values = rows.set_index(["dataset", "metric"]).to_dict("index")
    return {
        "encoder": key[0],
        "method": key[1],
        "cells": [[values.get((dataset, metric)) for metric in METRICS] for dataset in datasets],
    }
