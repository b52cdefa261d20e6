"""What the page shows of training: loss by epoch, and how many parameters each method trains."""

import pandas as pd

from histopair.files import tables
from histopair.pages import distinct, plots

FOLD = r"^(fold \d+) "  # before the stages of joined runs


def context(runs: dict[str, list[dict]], results: str) -> list[dict]:
    """One block per dataset and encoder: curves of its methods, their size and best epoch.

    runs: dataset, encoder, method and seed of the runs of each study; shared ones appear once.
    """
    cells: dict[tuple, list[dict]] = {}
    for run in distinct(run for group in runs.values() for run in group):
        cells.setdefault((run["dataset"], run["encoder"]), []).append(run)
    return [_block(key, members, results) for key, members in cells.items()]


def _block(key: tuple[str, str], runs: list[dict], results: str) -> dict:
    histories, methods = [], {}
    for run in runs:
        folder = "{results}/runs/{dataset}/{encoder}/{method}/{seed}".format(results=results, **run)
        history = tables.read(f"{folder}/history.parquet")
        histories.append(history.assign(method=run["method"], seed=run["seed"]))
        about = tables.about(f"{folder}/predictions.parquet")
        method = methods.setdefault(run["method"], {"seeds": 0, "best": []})
        method["seeds"] += 1
        method["parameters"] = about.get("parameters", {})
        method["best"] += _best_epochs(history)
    together = pd.concat(histories, ignore_index=True)
    trained = together if len(together) and together["epoch"].notna().any() else None
    return {
        "dataset": key[0],
        "encoder": key[1],
        "methods": methods,
        "plot": plots.curves(trained, list(methods)) if trained is not None else None,
    }


def _best_epochs(history: pd.DataFrame) -> list[str]:
    """Which epoch of how many is the best of the stage that predicts; [] for an untrained run.

    Where folds are joined, that of each fold.
    """
    if "used" in history:
        history = history[history["used"].ne(False)]
    if history.empty:
        return []
    fold = history["stage"].astype(str).str.extract(FOLD, expand=False).fillna("")
    return [_best_epoch(part) for _, part in history.groupby(fold, sort=False)]


def _best_epoch(history: pd.DataFrame) -> str:
    stage = history[history["stage"] == history["stage"].iloc[-1]]
    loss = "val_task" if "val_task" in stage else "val_loss"  # the first is alike for all methods
    best = int(stage.loc[stage[loss].idxmin(), "epoch"]) + 1
    return f"{best} of {len(stage)}"
