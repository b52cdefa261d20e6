"""Figures of a study: methods with their 95% intervals, and reliability diagrams."""

import pandas as pd

from histopair.evaluation import metrics
from histopair.pages import style

COLUMNS = 3
DIAGRAMS = 5  # reliability diagrams in a row
# Before and after temperature scaling: colour of the line, and inside the marks.
STAGES = ((False, style.PALETTE[3], style.PALETTE[3]), (True, style.PALETTE[0], "white"))


def study_plot(frames: dict[str, pd.DataFrame], metric: str, title: str) -> str:
    """SVG of one metric of a study's table, one panel per dataset (and encoder, if several).

    frames: the study's tables. The reference method is marked with a hollow dot and a vertical
    line.
    """
    table = frames["table"][frames["table"]["metric"] == metric]
    methods = list(dict.fromkeys(table["method"]))
    cells = list(table.groupby(["dataset", "encoder"], sort=False))
    height = (0.45, 0.75 + 0.32 * len(methods))
    figure, panels = style.grid(len(cells), COLUMNS, (9.6, 0), height, sharey=True)
    for panel, ((dataset, encoder), cell) in zip(panels, cells, strict=True):
        dots(panel, cell.set_index("method"), methods, style.colours(methods))
        badge = "  [synthetic]" if cell["synthetic"].any() else ""
        panel.set_title(f"{dataset}{badge}\n{encoder}")
    figure.supxlabel(_axis(metric), fontsize=9)
    return _headed(figure, title)


def curves_plot(frames: dict[str, pd.DataFrame], metric: str, title: str) -> str:
    """SVG of one metric over the labels of a class, a panel per dataset and encoder.

    frames: the study's tables. A method's line has the 95% interval of each point; the reference is
    dashed.
    """
    curves = frames["curves"][frames["curves"]["metric"] == metric]
    table = frames["table"][frames["table"]["metric"] == metric]
    methods = list(dict.fromkeys(curves["method"]))
    colour, marker = style.colours(methods), style.markers(methods)
    cells = list(curves.groupby(["dataset", "encoder"], sort=False))
    size = (2.2, 4.2), (0.9, 3.1)
    figure, panels = style.grid(len(cells), 2, *size, sharey=True)
    for panel, ((dataset, encoder), rows) in zip(panels, cells, strict=True):
        of_cell = table[table["encoder"] == encoder]
        for place, row in enumerate(rows.itertuples()):
            looks = {"color": colour[row.method], "marker": marker[row.method]}
            _curve(panel, row, of_cell, looks, place - (len(rows) - 1) / 2)
        labels = [float(number) for number in rows["labels"].iloc[0].split(";")]
        panel.set_xscale("log")
        panel.set_xticks(labels, [f"{number:.0f}" for number in labels])
        panel.minorticks_off()
        badge = "  [synthetic]" if rows["synthetic"].any() else ""
        panel.set_title(f"{dataset}{badge}\n{encoder}")
    handles = panels[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside right center", handlelength=2.4)
    figure.supxlabel("labelled samples of each class", fontsize=9)
    figure.supylabel(_axis(metric), fontsize=9)
    return _headed(figure, title)


def external_plot(rows: pd.DataFrame, metric: str) -> str:
    """SVG of one metric on another dataset beside the own test split, a row per method.

    rows: of `external.rows`, one per method.
    """
    methods = list(rows["method"])
    colour = style.colours(methods)
    figure, (panel,) = style.grid(1, 1, (2.2, 4.2), (0.75, 0.32 * len(methods)))
    style.only_grid(panel, "x")
    for place, row in enumerate(rows.itertuples()):
        shade = colour[row.method]
        panel.plot([row.inside, row.mean], [place] * 2, color=shade, lw=0.8, ls=(0, (2, 2)))
        if row.low is not None:
            panel.plot([row.low, row.high], [place] * 2, color=shade, lw=2, alpha=0.55)
        panel.plot(row.inside, place, "o", color=shade, mfc="white", ms=6.5, mew=1.6)
        panel.plot(row.mean, place, "o", color=shade, ms=6.5, mew=1.6)
    _name_rows(panel, methods)
    panel.set_xlabel(metrics.METRICS[metric].title)
    return style.svg(figure)


def _name_rows(panel, methods: list[str]) -> None:
    panel.set_yticks(range(len(methods)), methods)
    panel.set_ylim(len(methods) - 0.4, -0.6)
    panel.tick_params(axis="y", length=0, labelcolor=style.INK)
    panel.spines["left"].set_visible(False)
    panel.locator_params(axis="x", nbins=5)


def _curve(panel, row, table: pd.DataFrame, looks: dict[str, str], shift: float) -> None:
    """One method's line; `shift` keeps the intervals of several methods side by side."""
    points = table[table["method"] == row.method].set_index("dataset").loc[row.versions.split(";")]
    labels = [float(number) * 1.02**shift for number in row.labels.split(";")]
    dashes = "--" if row.method == row.reference else "-"
    low, mean, high = (points[name].to_numpy(float) for name in ("low", "mean", "high"))
    panel.plot(labels, mean, ls=dashes, ms=4, label=row.method, **looks)
    panel.vlines(labels, low, high, color=looks["color"], alpha=0.45, lw=1.6)


def _axis(metric: str) -> str:
    better = "higher is better" if metrics.sign(metric) > 0 else "lower is better"
    return f"{metrics.METRICS[metric].title} on the test split ({better})"


def _headed(figure, title: str) -> str:
    """The figure with its title, which the style hides on pages that have their own."""
    heading = figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    heading.set_gid("heading")
    return style.svg(figure)


def dots(panel, cell: pd.DataFrame, methods: list[str], colour: dict[str, str]) -> None:
    """A row per method of a table indexed by method: mean, low, high, values, reference."""
    style.only_grid(panel, "x")
    for place, method in enumerate(methods):
        if method in cell.index:
            _mark(panel, cell.loc[method], place, colour[method])
    reference = cell["reference"].iloc[0]
    if reference in cell.index:
        panel.axvline(cell.loc[reference, "mean"], color=style.CHANCE, lw=0.8, ls=(0, (4, 3)))
    _name_rows(panel, methods)


def _mark(panel, row: pd.Series, place: int, colour: str) -> None:
    if pd.notna(row["low"]):
        panel.plot([row["low"], row["high"]], [place, place], color=colour, lw=2, alpha=0.55)
    seeds = [float(value) for value in row["values"].split(";")]
    if len(seeds) > 1:
        panel.plot(seeds, [place + 0.24] * len(seeds), "|", color=colour, ms=5, mew=1.1)
    face = "white" if row.name == row["reference"] else colour
    panel.plot(row["mean"], place, "o", color=colour, mfc=face, ms=6.5, mew=1.6)


def reliability_plot(bins: pd.DataFrame) -> str:
    """SVG of observed share against confidence, a panel per method, before and after scaling.

    bins: rows of `class_tables.bins`. A mark's area grows with the decisions in its bin.
    """
    methods = list(dict.fromkeys(bins["method"]))
    size = (0.35, 1.85), (0.35, 2.1)
    figure, panels = style.grid(len(methods), DIAGRAMS, *size, sharex=True, sharey=True)
    for panel, method in zip(panels, methods, strict=True):
        panel.plot([0, 1], [0, 1], color=style.CHANCE, lw=0.8, ls=(0, (4, 3)))
        for scaled, colour, face in STAGES:
            part = bins[(bins["method"] == method) & (bins["scaled"] == scaled)]
            names = ("confidence", "observed", "count")
            confidence, observed, count = (part[name].to_numpy(float) for name in names)
            area = 4 + 36 * (count / count.sum()) ** 0.5
            panel.plot(confidence, observed, color=colour, lw=1.1)
            panel.scatter(confidence, observed, area, face, edgecolors=colour, zorder=3)
        panel.set_title(method, fontsize=8.5)
        panel.set_aspect("equal")
        panel.set_xlim(-0.03, 1.03)
        panel.set_ylim(-0.03, 1.03)
        panel.set_xticks([0, 0.5, 1])
        panel.set_yticks([0, 0.5, 1])
    figure.supxlabel("predicted probability", fontsize=9)
    figure.supylabel("share that is true", fontsize=9)
    return style.svg(figure)
