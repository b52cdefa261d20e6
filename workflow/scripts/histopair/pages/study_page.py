"""The files of a study: its tables, its plot, and a page of its own."""

import json
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from histopair.evaluation import metrics, orders, significance, study_tables
from histopair.files import tables
from histopair.pages import risks
from histopair.pages.study_figures import (
    curves_plot,
    external_plot,
    reliability_plot,
    study_plot,
)
from histopair.pages.templates import render

# Columns of names. Read as numbers or as missing, a site 02 is 2, and a class None is left out.
NAMES = ("study", "dataset", "encoder", "method", "own_encoder", "reference", "class", "values")
NAMES += ("lower", "upper", "claim", "better", "worse", "random", "external", "site", "seeds")
NAMES += ("patient", "counts", "vision", "text", "what")
WORDS = {"claims": ["paper"]}  # the same of one table; elsewhere it holds numbers
OF_CELL = ("n_groups", "unit", "same_groups", "near_samples", "synthetic")  # one value for a cell


def write_study(runs: list[dict], labels: dict, name: str, study: dict, output) -> None:
    """Write one study: each table of `study_tables.TABLES`, the plot `svg` and the page `html`.

    runs, labels and study as for `study_tables.tabulate`; study also has `title` and may have
    `description`. output: an attribute with the path of each.
    """
    frames = study_tables.tabulate(runs, labels, name, study)
    heading = title(name, study, frames["table"])
    draw = curves_plot if len(frames["curves"]) else study_plot
    plot = draw(frames, study["metric"], heading)
    page = render("study.html.j2", study=context(name, study, labels, frames, plot))
    for table, frame in frames.items():
        tables.write_text(getattr(output, table), frame.to_csv(index=False, float_format="%.6g"))
    tables.write_text(output.svg, plot)
    tables.write_text(output.html, page)


def read_study(name: str, study: dict, labels: dict, folder: str | Path) -> dict:
    """The same context of a study from its files in `folder`, for the page."""
    frames = {
        table: read_table(Path(folder, study_tables.file(name, table)), WORDS.get(table, ()))
        for table in study_tables.TABLES
    }
    plot = Path(folder, f"{name}.svg").read_text(encoding="utf-8")
    return context(name, study, labels, frames, plot)


def read_table(path: str | Path, words: Iterable[str] = ()) -> pd.DataFrame:
    """A table of a study or an analysis from its csv, with NAMES and `words` as they stand."""
    texts = dict.fromkeys((*NAMES, *words), str)
    return pd.read_csv(path, dtype=texts, keep_default_na=False, na_values=[""])


def title(name: str, study: dict, table: pd.DataFrame) -> str:
    """The study's title, marked if all its data are synthetic."""
    words = study.get("title") or name
    if len(table) and table["synthetic"].all():
        return f"{words} — phantom (synthetic)"
    return words


def context(
    name: str, study: dict, labels: dict, frames: dict[str, pd.DataFrame], plot: str
) -> dict:
    """What the templates show of a study: one block per dataset and encoder.

    labels: labels parquet of each dataset. frames: the tables of `study_tables.TABLES`.
    """
    frames = {table: plain(frame) for table, frame in frames.items()}
    table = frames["table"]
    return {
        "name": name,
        "title": study.get("title") or name,
        "full_title": title(name, study, table),
        "description": study.get("description", ""),
        "metric": study["metric"],
        "reference": study.get("reference"),
        "synthetic": bool(len(table) and table["synthetic"].all()),
        "blocks": _blocks(study, labels, frames),
        "gates": frames["gate"].to_dict("records"),
        "curves": _curves(frames["curves"], study["metric"]),
        "claims": _claims(frames["claims"]),
        "tests": frames["tests"].to_dict("records"),
        "everything": significance.EVERYTHING,
        "leak": _leak(frames["leak"]),
        "external": _external(frames["external"], study["metric"]),
        "sites": _sites(frames["sites"]),
        "notes": [note for note in dict.fromkeys(table["paper_note"]) if note],
        "plot": plot,
    }


def _blocks(study: dict, labels: dict, frames: dict[str, pd.DataFrame]) -> list[dict]:
    """A block for each dataset and encoder of the study's tables."""
    table, blocks = frames["table"], []
    for dataset, encoder in dict.fromkeys(zip(table["dataset"], table["encoder"], strict=True)):
        cell = {
            part: frame[(frame["dataset"] == dataset) & (frame["encoder"] == encoder)]
            for part, frame in frames.items()
        }
        head = {
            "dataset": dataset,
            "encoder": encoder,
            "papers_data": study.get("papers_data", {}).get(dataset, {}),
            "different": _different(study.get("different", {}).get(dataset, {})),
            "survival": risks.context(cell, labels[dataset]),
        }
        blocks.append(head | _block(cell, study["metric"]))
    return blocks


def _claims(rows: pd.DataFrame) -> list[dict]:
    """A claim with its cells, in the order of the config."""
    keys = ["claim", "paper", "better", "worse", "metric", "expect"]
    rows = rows.assign(paper=[text or "" for text in rows["paper"]])  # groupby makes None a NaN
    return [
        dict(zip(keys, key, strict=True)) | {"cells": part.to_dict("records")}
        for key, part in rows.groupby(keys, sort=False)
    ]


def _curves(rows: pd.DataFrame, metric: str) -> list[dict]:
    """A dataset in one column: the rows of its methods' curves."""
    keys = ["dataset", "encoder"]
    return [
        dict(zip(keys, key, strict=True)) | {"rows": part.to_dict("records")}
        for key, part in rows[rows["metric"] == metric].groupby(keys, sort=False)
    ]


def _leak(rows: pd.DataFrame) -> list[dict]:
    """A pair of splits in one column: its rows by metric."""
    keys = ["random", "dataset", "encoder"]
    return [
        dict(zip(keys, key, strict=True)) | {"metrics": _records_by(part, "metric")}
        for key, part in rows.groupby(keys, sort=False)
    ]


def _external(rows: pd.DataFrame, metric: str) -> list[dict]:
    """An external dataset for models of one cell: its rows, and what is the same in them all."""
    keys = ["external", "dataset", "encoder"]
    return [
        {name: part[name].iloc[0] for name in (*keys, "n_test", *OF_CELL)}
        | {"rows": part.to_dict("records"), "plot": external_plot(part, metric)}
        for _, part in rows[rows["metric"] == metric].groupby(keys, sort=False)
    ]


def _sites(rows: pd.DataFrame) -> list[dict]:
    """A test split with sites: a row for each, with its values by method."""
    keys = ["dataset", "external", "encoder"]
    return [
        dict(zip(keys, key, strict=True))
        | {
            "rows": [
                of_site.iloc[0].to_dict() | {"by_method": of_site.to_dict("records")}
                for _, of_site in part.groupby("site", sort=False)
            ]
        }
        for key, part in rows.assign(external=[name or "" for name in rows["external"]]).groupby(
            keys, sort=False
        )
    ]


def _block(cell: dict[str, pd.DataFrame], metric: str) -> dict:
    rows, steps, bins = cell["table"], cell["order"], cell["reliability"]
    units = rows["unit"].iloc[0].split(" or ")
    return {
        "synthetic": bool(rows["synthetic"].any()),
        "n_test": int(rows["n_test"].iloc[0]),
        "n_groups": int(rows["n_groups"].iloc[0]),
        "unit": rows["unit"].iloc[0],
        "units": " or ".join(f"{unit}s" for unit in units),
        "lone": "image" in units,
        "top": _top(cell["classes"], rows),
        "rows": rows[rows["metric"] == metric].to_dict("records"),
        "metrics": list(dict.fromkeys(rows["metric"])),
        "paper": bool(rows["paper"].notna().any()),
        "all": _records_by(rows, "method"),
        "steps": steps.to_dict("records"),
        "overall": orders.overall(list(steps["verdict"])) if len(steps) else None,
        "classes": _by_class(cell["classes"]),
        "calibration": cell["calibration"].to_dict("records"),
        "reliability": reliability_plot(bins) if len(bins) else None,
    }


def _different(methods: dict[str, dict]) -> dict[str, str]:
    """By method, its parameters that are different on a dataset, in words."""
    return {
        method: ", ".join(f"{key} {json.dumps(value)}" for key, value in changed.items())
        for method, changed in methods.items()
    }


def _top(classes: pd.DataFrame, rows: pd.DataFrame) -> int | None:
    """How many classes a multi-label decision names, if there are too few for three."""
    top = metrics.top(classes["class"].nunique())
    return top if top < metrics.TOP and "top3_f1_micro" in set(rows["metric"]) else None


def _records_by(rows: pd.DataFrame, column: str) -> dict[str, list[dict]]:
    return {value: part.to_dict("records") for value, part in rows.groupby(column, sort=False)}


def _by_class(rows: pd.DataFrame) -> list[dict]:
    """A row per class, the most frequent first: its support and its values by method."""
    classes = [
        {"class": label, "support": part["support"].iloc[0], "by_method": part.to_dict("records")}
        for label, part in rows.groupby("class", sort=False)
    ]
    return sorted(classes, key=lambda row: -row["support"])


def plain(table: pd.DataFrame) -> pd.DataFrame:
    """Python values, with None for a number that does not exist, as the templates expect."""
    return table.astype(object).where(table.notna(), None)
