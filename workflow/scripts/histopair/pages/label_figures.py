"""Figures of labels: how frequent they are before and after cleaning, and which come together."""

import numpy as np
import pandas as pd
from matplotlib.patches import Rectangle

from histopair.pages import style
from histopair.pages.plots import short
from histopair.pages.style import FAINT, INK, MUTED, PALETTE

LABELS = 80  # rows in a frequency plot
CELLS = 40  # labels in a heat map
SHARES = ((0.5, "#08519c"), (0.25, "#3182bd"), (0.1, "#6baed6"), (0.02, "#bdd7e7"), (0, "#eff3ff"))
SPLIT_COLOURS = {"train": PALETTE[0], "val": PALETTE[5], "test": PALETTE[1]}


def frequencies(table: pd.DataFrame, became: dict[str, str | None], several: bool) -> str:
    """Samples per label: after cleaning, by split, above; before cleaning, below.

    `table` has label, raw, cleaned, train, val, test. Labels that cleaning removed come last, with
    what they `became` (None: dropped). several: whether a sample can have more than one label.
    """
    table = table.sort_values(["cleaned", "raw"], ascending=False, kind="stable").head(LABELS)
    figure, ((axes,),) = style.panels(1, 1, 7.4, 0.9 + 0.215 * len(table))
    places, left = np.arange(len(table)), np.zeros(len(table))
    for split, colour in SPLIT_COLOURS.items():
        axes.barh(places - 0.12, table[split], 0.46, left, color=colour, label=split)
        left = left + table[split].to_numpy()
    axes.barh(places + 0.26, table["raw"], 0.22, color="#B4BEC7", label="before cleaning")
    for place, row in zip(places, table.itertuples(), strict=True):
        longer = max(row.raw, row.cleaned)
        beside = {"xytext": (4, 0), "textcoords": "offset points", "va": "center"}
        axes.annotate(_counts(row, became), (longer, place), **beside, fontsize=7.5, color=MUTED)
    axes.set_yticks(places, [short(label) for label in table["label"]])
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.margins(x=0.22)
    style.only_grid(axes, "x")
    axes.set_ylim(len(table) - 0.4, -0.6)
    axes.set_xlim(left=0)
    axes.set_xlabel("samples with the label" if several else "samples")
    figure.legend(loc="outside upper left", ncols=4, handlelength=1, columnspacing=1.2)
    return style.svg(figure)


def _counts(row, became: dict[str, str | None]) -> str:
    if row.cleaned:
        return f"{row.cleaned:,}" + (f"  (before {row.raw:,})" if row.raw != row.cleaned else "")
    standard = became.get(row.label)
    return f"{row.raw:,} → {short(standard)}" if standard else f"{row.raw:,}, dropped"


def co_occurrence(counts: pd.DataFrame) -> str:
    """Heat map of the share of each row's samples that also have the column's label.

    `counts` (labels x labels) holds samples with both labels; its diagonal, samples with the label.
    """
    counts = counts.iloc[:CELLS, :CELLS]
    values, names = counts.to_numpy(float), [short(name, 24) for name in counts.columns]
    shares = values / np.maximum(values.diagonal()[:, None], 1)
    size = 1.9 + 0.2 * len(names)
    figure, ((axes,),) = style.panels(1, 1, max(4.2, size + 0.7), max(3.2, size))
    filled = [(i, j) for i, j in np.argwhere(shares > 0) if i != j]
    for i, j in filled:
        colour = next(colour for least, colour in SHARES if shares[i, j] >= least)
        axes.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, facecolor=colour, linewidth=0))
    for i in range(len(names)):
        axes.add_patch(Rectangle((i - 0.5, i - 0.5), 1, 1, facecolor=FAINT, linewidth=0))
    if len(names) <= CELLS // 2:
        for i, j in filled:
            ink = "white" if shares[i, j] >= 0.25 else INK
            text = f"{100 * shares[i, j]:.0f}"
            axes.text(j, i, text, ha="center", va="center", fontsize=6.5, color=ink)
    axes.set(xlim=(-0.5, len(names) - 0.5), ylim=(len(names) - 0.5, -0.5), aspect="equal")
    axes.set_xticks(range(len(names)), names, rotation=60, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(length=0, labelcolor=INK, labelsize=8)
    axes.grid(False)
    keys = [Rectangle((0, 0), 1, 1, facecolor=colour) for _, colour in SHARES]
    words = [f"≥ {least:.0%}" if least else "less" for least, _ in SHARES]
    figure.legend(keys, words, loc="outside upper left", ncols=5, handlelength=1, columnspacing=1.2)
    return style.svg(figure)
