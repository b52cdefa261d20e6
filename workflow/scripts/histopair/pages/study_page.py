"""The files of a study: its tables, its plot, and a page of its own."""

import json
from pathlib import Path

import pandas as pd

from histopair.evaluation import metrics, orders, significance, study_tables
from histopair.files import tables
from histopair.pages import risks
from histopair.pages.study_figures import reliability_plot, study_plot
from histopair.pages.templates import render


def write_study(runs: list[dict], labels: dict, name: str, study: dict, output) -> None:
    """Write one study: each table of `study_tables.TABLES`, the plot `svg` and the page `html`.

    runs, labels and study as for `study_tables.tabulate`; study also has `title` and may have
    `description`. output: an attribute with the path of each.
    """
    made = study_tables.tabulate(runs, labels, name, study)
    plot = study_plot(made["table"], study["metric"], title(name, study, made["table"]))
    page = render("study.html.j2", study=context(name, study, made, plot))
    for table, frame in made.items():
        tables.write_text(getattr(output, table), frame.to_csv(index=False, float_format="%.6g"))
    tables.write_text(output.svg, plot)
    tables.write_text(output.html, page)


def read_study(name: str, study: dict, folder: str | Path) -> dict:
    """The same context of a study from its files in `folder`, for the page."""
    kept = {"values": str}
    made = {
        table: pd.read_csv(Path(folder, study_tables.file(name, table)), dtype=kept)
        for table in study_tables.TABLES
    }
    return context(name, study, made, Path(folder, f"{name}.svg").read_text(encoding="utf-8"))


def title(name: str, study: dict, table: pd.DataFrame) -> str:
    """The study's title, saying so if what it shows is synthetic."""
    words = study.get("title") or name
    if len(table) and table["synthetic"].all():
        return f"{words} — phantom (synthetic)"
    return words


def context(name: str, study: dict, made: dict[str, pd.DataFrame], plot: str) -> dict:
    """What the templates show of a study: one block per dataset and encoder.

    made: the tables of `study_tables.TABLES`.
    """
    made = {table: plain(frame) for table, frame in made.items()}
    table = made["table"]
    blocks = []
    for key in dict.fromkeys(zip(table["dataset"], table["encoder"], strict=True)):
        own = {
            part: frame[(frame["dataset"] == key[0]) & (frame["encoder"] == key[1])]
            for part, frame in made.items()
        }
        theirs = study.get("papers_data", {}).get(key[0], {})
        block = {"dataset": key[0], "encoder": key[1], "papers_data": theirs}
        block["different"] = _different(study.get("different", {}).get(key[0], {}))
        blocks.append(block | _block(own, study))
    return {
        "name": name,
        "title": study.get("title") or name,
        "full_title": title(name, study, table),
        "description": study.get("description", ""),
        "metric": study["metric"],
        "reference": study.get("reference"),
        "order": list(study.get("order", ())),
        "synthetic": bool(len(table) and table["synthetic"].all()),
        "blocks": blocks,
        "claims": _claims(made["claims"]),
        "tests": made["tests"].to_dict("records"),
        "everything": significance.EVERYTHING,
        "leak": _leak(made["leak"]),
        "notes": _notes(table),
        "plot": plot,
    }


def _claims(rows: pd.DataFrame) -> list[dict]:
    """A claim with its cells, in the order of the config."""
    said = ["claim", "paper", "better", "worse", "metric", "expect"]
    rows = rows.assign(paper=[text or "" for text in rows["paper"]])  # groupby makes None a NaN
    return [
        dict(zip(said, key, strict=True)) | {"cells": part.to_dict("records")}
        for key, part in rows.groupby(said, sort=False)
    ]


def _leak(rows: pd.DataFrame) -> list[dict]:
    """A pair of splits in one column: its rows by metric."""
    pairs = ["random", "dataset", "encoder"]
    return [
        dict(zip(pairs, key, strict=True))
        | {"metrics": {m: p.to_dict("records") for m, p in part.groupby("metric", sort=False)}}
        for key, part in rows.groupby(pairs, sort=False)
    ]


def _notes(rows: pd.DataFrame) -> list[str]:
    """What is to be said of the paper's numbers, once each."""
    return [note for note in dict.fromkeys(rows["paper_note"]) if note]


def _block(own: dict[str, pd.DataFrame], study: dict) -> dict:
    rows, steps = own["table"], own["order"]
    return {
        "synthetic": bool(rows["synthetic"].any()),
        "n_test": int(rows["n_test"].iloc[0]),
        "n_groups": int(rows["n_groups"].iloc[0]),
        "unit": rows["unit"].iloc[0],
        "units": units(rows["unit"].iloc[0]),
        "lone": "image" in rows["unit"].iloc[0].split(" or "),
        "top": _top(own["classes"], rows),
        "rows": rows[rows["metric"] == study["metric"]].to_dict("records"),
        "metrics": list(dict.fromkeys(rows["metric"])),
        "paper": bool(rows["paper"].notna().any()),
        "all": _by_method(rows),
        "steps": steps.to_dict("records"),
        "overall": orders.overall(list(steps["verdict"])) if len(steps) else None,
        "classes": _by_class(own["classes"]),
        "calibration": own["calibration"].to_dict("records"),
        "survival": risks.context(own["folds"], own["patients"], own["hazards"]),
        "reliability": reliability_plot(own["reliability"]) if len(own["reliability"]) else None,
    }


def _different(methods: dict[str, dict]) -> dict[str, str]:
    """By method, its parameters that are different on a dataset, in words."""
    return {
        method: ", ".join(f"{key} {json.dumps(value)}" for key, value in own.items())
        for method, own in methods.items()
    }


def units(unit: str) -> str:
    """The plural: "patients", "patients or images"."""
    return " or ".join(f"{part}s" for part in unit.split(" or "))


def _top(classes: pd.DataFrame, rows: pd.DataFrame) -> int | None:
    """How many classes a multi-label decision names, where there are too few for three."""
    named = metrics.top(classes["class"].nunique())
    return named if named < metrics.TOP and "top3_f1_micro" in set(rows["metric"]) else None


def _by_method(rows: pd.DataFrame) -> dict[str, list[dict]]:
    return {method: part.to_dict("records") for method, part in rows.groupby("method", sort=False)}


def _by_class(rows: pd.DataFrame) -> list[dict]:
    """A row per class, the most frequent first: its support and its values by method."""
    found = [
        {"class": label, "support": part["support"].iloc[0], "by_method": part.to_dict("records")}
        for label, part in rows.groupby("class", sort=False)
    ]
    return sorted(found, key=lambda row: -row["support"])


def plain(table: pd.DataFrame) -> pd.DataFrame:
    """Python values, with None where a number does not exist, as the templates expect."""
    return table.astype(object).where(table.notna(), None)
