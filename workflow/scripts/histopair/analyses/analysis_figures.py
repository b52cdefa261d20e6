"""The figures of the analyses; each function returns SVG text."""

import numpy as np
import pandas as pd
from matplotlib.ticker import LogLocator, NullLocator

from histopair.analyses.complementarity import CELLS
from histopair.analyses.tradeoff import EXPORTED, front
from histopair.evaluation import metrics
from histopair.pages import style
from histopair.pages.style import CHANCE, INK, MARKERS, MUTED, PALETTE

COSTS = {
    "gflops": "GFLOPs of one image",
    "latency_ms": "latency of one image in ms",
    "parameters": "parameters",
}
# Vision right in blue, text alone in orange; neither in grey.
CELL_COLOURS = dict(zip(CELLS, (PALETTE[0], PALETTE[5], PALETTE[1], "#C9D1D8"), strict=True))

# Up to nine tissues side by side: the palette and three more that differ from it.
CLASS_COLOURS = (*PALETTE, "#1F2A33", "#A6761D", "#8CC63F")


def complementarity(table: pd.DataFrame) -> str:
    """Shares of the test samples by which method is right, one bar per dataset and encoder."""
    cells = list(table.groupby(["dataset", "encoder"], sort=False))
    figure, ((axes,),) = style.panels(1, 1, 7.6, 0.95 + 0.42 * len(cells))
    for place, (_, rows) in enumerate(cells):
        left = 0.0
        for row in rows.itertuples():
            label = row.cell if place == 0 else None
            colour = CELL_COLOURS[row.cell]
            axes.barh(place, row.share, 0.62, left=left, color=colour, label=label)
            if row.share >= 0.04:
                middle = left + row.share / 2
                text = f"{100 * row.share:.0f}%"
                axes.text(middle, place, text, ha="center", va="center", fontsize=8, color=INK)
            left += row.share
    names = [f"{dataset}{_badge(rows)} · {encoder}" for (dataset, encoder), rows in cells]
    axes.set_yticks(range(len(cells)), names)
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.set_ylim(len(cells) - 0.5, -0.5)
    axes.set_xlim(0, 1)
    axes.set_xlabel("share of test samples, by which of the two is right")
    axes.grid(False)
    figure.legend(loc="outside upper left", ncols=4, handlelength=1.0)
    return style.svg(figure)


def pareto(table: pd.DataFrame) -> str:
    """A metric against each of COSTS, a row of panels per dataset.

    Filled marks are models as exported; no other exported model beats those on the line. Hollow
    ones pay for adapters left in, or for prompts in each pass. A mark's shape shows its encoder,
    the method's own if it has one.
    """
    named = table["own_encoder"]
    table = table.assign(shape=named.where(named != "", table["encoder"]))
    datasets = list(table.groupby("dataset", sort=False))
    colour = style.colours(list(dict.fromkeys(table["method"])))
    shapes = dict(zip(dict.fromkeys(table["shape"]), MARKERS * 9, strict=False))
    height = 0.6 + 2.4 * len(datasets)
    figure, axes = style.panels(len(datasets), len(COSTS), 9.6, height, sharey="row")
    for row, (dataset, part) in zip(axes, datasets, strict=True):
        for panel, (cost, label) in zip(row, COSTS.items(), strict=True):
            _tradeoff(panel, part, cost, colour, shapes)
            panel.set_xlabel(label)
        row[0].set_title(f"{dataset}{_badge(part)}")
        row[0].set_ylabel(metrics.METRICS[part["metric"].iloc[0]].title)
    _keys(figure, axes[0][0], colour, shapes)
    return style.svg(figure)


def _tradeoff(panel, rows: pd.DataFrame, cost: str, colour: dict, shapes: dict) -> None:
    for row in rows.itertuples():
        exported = row.variant == EXPORTED
        drawn = {"color": colour[row.method], "marker": shapes[row.shape], "ls": ""}
        face = colour[row.method] if exported else "white"
        panel.plot(getattr(row, cost), row.value, mfc=face, ms=6.5, mew=1.4, zorder=3, **drawn)
    as_exported = rows[rows["variant"] == EXPORTED]
    costs, values = (as_exported[name].to_numpy(float) for name in (cost, "value"))
    chosen = as_exported.iloc[front(costs, metrics.sign(rows["metric"].iloc[0]) * values)]
    panel.plot(chosen[cost], chosen["value"], color=CHANCE, lw=1, ls=(0, (4, 3)))
    panel.set_xscale("log")
    panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    panel.xaxis.set_major_formatter(lambda value, _: f"{value:g}" if value < 1e5 else _big(value))
    panel.xaxis.set_minor_locator(NullLocator())
    panel.margins(0.12)


def _big(value: float) -> str:
    """Millions with their unit."""
    return f"{value / 1e6:g} M"


def _keys(figure, panel, colour: dict[str, str], shapes: dict[str, str]) -> None:
    """A legend of methods by colour and, where there are several, of encoders by shape."""
    for method, hue in colour.items():
        panel.plot([], [], "o", color=hue, label=method)
    for encoder, shape in shapes.items() if len(shapes) > 1 else ():
        panel.plot([], [], shape, color=MUTED, label=encoder)
    figure.legend(loc="outside upper left", ncols=5, handlelength=0.8)


def _badge(rows: pd.DataFrame) -> str:
    return " [synthetic]" if rows["synthetic"].any() else ""


def distillation(table: pd.DataFrame) -> str:
    """Cosine of the predicted text to the paired and to a shuffled one, for both teachers."""
    cells = list(table.groupby(["dataset", "encoder"], sort=False))
    methods = list(dict.fromkeys(table["method"]))
    height = 0.8 + len(cells) * (0.55 + 0.3 * len(methods))
    figure, axes = style.panels(len(cells), 3, 9.6, height, sharey=True, sharex="col")
    for row, ((dataset, encoder), cell) in zip(axes, cells, strict=True):
        for panel, teacher in zip(row, ("frozen", "trained"), strict=False):
            _against(panel, cell[cell["teacher"] == teacher], methods)
        _ranks(row[2], cell, methods)
        row[0].set_title(f"{dataset}{_badge(cell)} · {encoder}")
        row[0].set_yticks(range(len(methods)), methods)
        row[0].set_ylim(len(methods) - 0.5, -0.5)
    axes[-1][0].set_xlabel("frozen teacher: cosine to own text\n(filled) and to another (hollow)")
    axes[-1][1].set_xlabel("teacher as trained: the same")
    axes[-1][2].set_xlabel("effective rank of its texts, frozen\n(hollow) and as trained (filled)")
    return style.svg(figure)


def clouds(shown: list, pictures: list[np.ndarray], table: pd.DataFrame) -> str:
    """A t-SNE picture of each cloud, coloured by class, above measures in the original space."""
    figure, panels = style.grid(len(shown), 3, (9.6, 0), (0.5, 3.0))
    classes = list(dict.fromkeys(name for cloud in shown for name in cloud.classes))
    colour = dict(zip(classes, CLASS_COLOURS * (1 + len(classes) // 10), strict=False))
    for panel, cloud, points, row in zip(panels, shown, pictures, table.itertuples(), strict=True):
        for number in np.unique(cloud.numbers):
            x, y = points[cloud.numbers == number].T
            name = cloud.classes[number]
            panel.plot(x, y, "o", color=colour[name], ms=2.6, mew=0, alpha=0.8)
        panel.set_title(f"{row.method} · {row.dataset} · {row.encoder}\n{row.what}", fontsize=8)
        panel.set_xlabel(f"silhouette {_short(row.silhouette)}, 5-NN {_short(row.knn_accuracy)}")
        panel.set_xticks([])
        panel.set_yticks([])
        panel.grid(False)
    for name in classes:
        panels[0].plot([], [], "o", color=colour[name], ms=5, label=name)
    figure.legend(loc="outside upper left", ncols=6, handlelength=0.6)
    return style.svg(figure)


def _against(panel, rows: pd.DataFrame, methods: list[str]) -> None:
    for row in rows.itertuples():
        place = methods.index(row.method)
        panel.plot([row.shuffled, row.similarity], [place] * 2, color=PALETTE[0], lw=2, alpha=0.4)
        panel.plot(row.shuffled, place, "o", color=CHANCE, mfc="white", ms=5.5, mew=1.4)
        panel.plot(row.similarity, place, "o", color=PALETTE[0], ms=6)
    style.only_grid(panel, "x")
    panel.tick_params(axis="y", length=0, labelcolor=INK)


def _ranks(panel, rows: pd.DataFrame, methods: list[str]) -> None:
    for row in rows.itertuples():
        face = "white" if row.teacher == "frozen" else PALETTE[3]
        place = methods.index(row.method)
        drawn = {"color": PALETTE[3], "mfc": face, "ms": 6, "mew": 1.4, "ls": ""}
        panel.plot(row.rank, place, marker="D", **drawn)
    panel.set_xlim(left=0)
    style.only_grid(panel, "x")
    panel.tick_params(axis="y", length=0)


def _short(value: float) -> str:
    return "–" if pd.isna(value) else f"{value:.2f}"
