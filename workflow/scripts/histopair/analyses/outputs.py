"""The files of a study's analyses: a table and a figure each, and one page of all."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from histopair.analyses.repetition_counts import counts
from histopair.files import tables
from histopair.pages.study_page import plain, read_table, title
from histopair.pages.templates import render


def write(
    table: pd.DataFrame,
    draw: Callable[[pd.DataFrame], str],
    name: str,
    synthetic: list[str],
    output,
) -> None:
    """Write an analysis's table, with columns `study` and `synthetic`, and its figure.

    output: attributes `table` (csv) and `svg`.
    """
    table = table.assign(study=name, synthetic=table["dataset"].isin(synthetic))
    table = table[["study", *table.columns.drop("study")]]
    tables.write_text(output.table, table.to_csv(index=False, float_format="%.6g"))
    tables.write_text(output.svg, draw(table))


def write_page(name: str, study: dict, files: dict[str, tuple[str, str]], output: str) -> None:
    """Write the page of a study's analyses, given the csv and svg of each by its name."""
    frames = {analysis: read_table(csv) for analysis, (csv, _) in files.items()}
    first = next(iter(frames.values()))
    parts = {
        analysis: {
            "rows": plain(frame).to_dict("records"),
            "plot": Path(files[analysis][1]).read_text(encoding="utf-8"),
            "counts": plain(counts(frame)).to_dict("records") if analysis == "repetitions" else (),
        }
        for analysis, frame in frames.items()
    }
    shown = {
        "name": name,
        "title": study.get("title") or name,
        "full_title": title(name, study, first),
        "description": study.get("description", ""),
        "synthetic": bool(len(first) and first["synthetic"].all()),
    }
    tables.write_text(output, render("analyses.html.j2", study=shown, parts=parts))
