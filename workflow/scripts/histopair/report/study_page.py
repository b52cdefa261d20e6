"""The four files of a study: table, order verdicts, plot, and a page of their own."""

import pandas as pd

from histopair import orders, studies, tables
from histopair.report.study_figures import study_plot
from histopair.report.templates import render


def write_study(runs: list[dict], labels: dict, name: str, study: dict, output) -> None:
    """Write output.csv, output.order, output.svg and output.html for one study.

    runs, labels and study as for `studies.tabulate`; study also has `title` and may have
    `description`.
    """
    table, order = studies.tabulate(runs, labels, name, study)
    plot = study_plot(table, study["metric"], title(name, study, table))
    page = render("study.html.j2", study=view(name, study, table, order, plot))
    for path, text in (
        (output.csv, table.to_csv(index=False, float_format="%.6f")),
        (output.order, order.to_csv(index=False, float_format="%.6f")),
        (output.svg, plot),
        (output.html, page),
    ):
        tables.write_text(path, text)


def read_study(name: str, study: dict, csv, order, svg) -> dict:
    """The same view of a study from its files, for the report page."""
    kept = {"values": str}
    table = pd.read_csv(csv, dtype=kept)
    with open(svg, encoding="utf-8") as plot:
        return view(name, study, table, pd.read_csv(order), plot.read())


def title(name: str, study: dict, table: pd.DataFrame) -> str:
    """The study's title, saying so if what it shows is synthetic."""
    words = study.get("title") or name
    if len(table) and table["synthetic"].all():
        return f"{words} — phantom (synthetic)"
    return words


def view(name: str, study: dict, table: pd.DataFrame, order: pd.DataFrame, plot: str) -> dict:
    """What the templates show of a study: one block per dataset and encoder."""
    table, order = plain(table), plain(order)
    blocks = []
    for key, rows in table.groupby(["dataset", "encoder"], sort=False):
        steps = order[(order["dataset"] == key[0]) & (order["encoder"] == key[1])]
        blocks.append(_block(key, rows, steps, study))
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
        "plot": plot,
    }


def _block(key: tuple[str, str], rows: pd.DataFrame, steps: pd.DataFrame, study: dict) -> dict:
    primary = rows[rows["metric"] == study["metric"]]
    by_method = {
        method: part.to_dict("records") for method, part in rows.groupby("method", sort=False)
    }
    return {
        "dataset": key[0],
        "encoder": key[1],
        "synthetic": bool(rows["synthetic"].any()),
        "n_test": int(rows["n_test"].iloc[0]),
        "n_groups": int(rows["n_groups"].iloc[0]),
        "rows": primary.to_dict("records"),
        "metrics": list(dict.fromkeys(rows["metric"])),
        "all": by_method,
        "steps": steps.to_dict("records"),
        "overall": orders.overall(list(steps["verdict"])) if len(steps) else None,
    }


def plain(table: pd.DataFrame) -> pd.DataFrame:
    """Python values, with None where a number does not exist, as the templates expect."""
    return table.astype(object).where(table.notna(), None)
