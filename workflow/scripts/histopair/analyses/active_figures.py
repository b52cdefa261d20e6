"""The figure of active learning: a metric over the labels asked, a curve for each order."""

import pandas as pd

from histopair.evaluation import metrics
from histopair.pages import style

KEYS = ["dataset", "encoder", "pool", "error"]


def curves(table: pd.DataFrame) -> str:
    """SVG with a panel for each pool and reader, with 95% intervals."""
    parts = list(table.groupby(KEYS, sort=False))
    orders = list(dict.fromkeys(table["order"]))
    colours = style.colours(orders)
    figure, panels = style.grid(len(parts), 2, (0.6, 3.6), (0.9, 2.5))
    for panel, ((dataset, encoder, pool, error), rows) in zip(panels, parts, strict=True):
        for order, curve in rows.groupby("order", sort=False):
            colour = colours[order]
            ends = (curve[end].astype(float) for end in ("low", "high"))  # None has no interval
            panel.fill_between(curve["labels"], *ends, color=colour, alpha=0.1)
            panel.plot(curve["labels"], curve["value"], color=colour, label=order, marker="o", ms=3)
        reader = "a reader who never errs" if error == 0 else f"a reader who errs in {error:.0%}"
        panel.set_title(f"{dataset} · {encoder}\n{pool} pool, {reader}", fontsize=8)
    panels[0].legend(fontsize=7, loc="lower right", handlelength=1.0)
    figure.supxlabel("labels asked", fontsize=9)
    figure.supylabel(metrics.METRICS[table["metric"].iloc[0]].title, fontsize=9)
    return style.svg(figure)
