"""Finished runs on other datasets: what they reach there, and what is lost on the way."""

from pathlib import Path

from histopair.datasets.splits import TEST
from histopair.evaluation import cells, two_way
from histopair.evaluation.metrics import mean_known
from histopair.files import tables

COLUMNS = ["external", "method", "own_encoder", "metric", "mean", "low", "high", "seed_share"]
COLUMNS += ["inside", "difference", "difference_low", "difference_high", "difference_p"]
COLUMNS += ["difference_seed_share", "temperature", "ece_inside", "ece_outside"]
COLUMNS += ["nll_inside", "nll_outside", "seeds"]
SHARED = ("same_groups", "near_samples")  # with the data that models were trained on
COLUMNS += ["n_test", "n_groups", "unit", *SHARED]


def gather(
    runs: list[dict], labels: dict[str, str | Path], shared: list[str | Path]
) -> dict[tuple[str, str, str], dict]:
    """The cells of external evaluation by (dataset, external, column), as `cells.evaluate`.

    runs: as for `cells.gather`, with the `external` dataset that `predictions` are of. labels: also
    of external datasets. shared: the tables of what external datasets share with others; a cell has
    `same_groups`, how many of its groups are also called so where the models were trained, and
    `near_samples`, how many of its samples have an image that looks like one of there.
    """
    same, members = _shared(shared), {}
    for run in runs:
        key = run["dataset"], run["external"], run.get("column", run["encoder"])
        members.setdefault(key, []).append(run)
    return {
        key: cells.evaluate(of_cell, labels[key[1]]) | same.get(key[:2], dict.fromkeys(SHARED))
        for key, of_cell in members.items()
    }


def rows(gathered: dict, study: dict) -> list[dict]:
    """One row per method and metric of each external dataset that models of a cell are scored on.

    study: `outside`, as `gather` returns it. `inside` is the mean on the own test split; the
    difference is outside less inside, of the same trainings on independent groups. Calibration
    errors (`ece`) and losses (`nll`, nats) are those at each run's own temperature, means of seeds.
    Of several sites errors can cancel, where a model is too sure at one and too modest at another;
    losses cannot.
    """
    return [
        {"dataset": dataset, "encoder": column, "external": external, "method": method}
        | _row(gathered[dataset, column], cell, method, metric)
        for (dataset, external, column), cell in study.get("outside", {}).items()
        for method in cell["methods"]
        for metric in cell["methods"][method]
    ]


def _row(inside: dict, outside: dict, method: str, metric: str) -> dict:
    ours, theirs = (cell["methods"][method][metric] for cell in (outside, inside))
    mean = two_way.of_mean(*ours, outside["n_groups"])
    groups = outside["n_groups"], inside["n_groups"]
    gap = two_way.of_same_runs(ours, theirs, groups)
    fitted = [_calibration(cell, method) for cell in (inside, outside)]
    return {
        "own_encoder": outside["own_encoder"][method],
        "metric": metric,
        "mean": ours[0].mean(),
        **{name: mean[name] for name in ("low", "high", "seed_share")},
        "inside": theirs[0].mean(),
        "difference": ours[0].mean() - theirs[0].mean(),
        **{f"difference_{name}": gap[name] for name in ("low", "high", "p", "seed_share")},
        "temperature": mean_known([run["temperature"] for run in fitted[0]]),
        **{
            f"{name}_{side}": mean_known([run["splits"][TEST]["after"][name] for run in runs])
            for name in ("ece", "nll")
            for side, runs in zip(("inside", "outside"), fitted, strict=True)
        },
        "seeds": ";".join(str(run["seed"]) for run in outside["runs"][method]),
        **{name: outside[name] for name in ("n_test", "n_groups", "unit", *SHARED)},
    }


def _calibration(cell: dict, method: str) -> list[dict]:
    """The calibration of each seed that has one."""
    judged = [run["metrics"]["calibration"] for run in cell["runs"][method]]
    return [calibration for calibration in judged if calibration]


def _shared(paths: list[str | Path]) -> dict[tuple[str, str], dict[str, int]]:
    """SHARED: groups and samples of external datasets that a dataset's train and val give away.

    An image that looks like one of train and one of val counts once.
    """
    counts = {}
    for path in paths:
        external, dataset = Path(path).parent.name, Path(path).name.removesuffix(".leaks.parquet")
        table = tables.read(path)
        groups = table["group_a"][table["kind"] == "group"].nunique()
        images = table[table["kind"] != "group"].drop_duplicates("sample_a")
        found = int(groups), int(images["samples"].sum())
        counts[dataset, external] = dict(zip(SHARED, found, strict=True))
    return counts
