"""The figure of a study's repetitions: the gain of each, with its interval, coloured by verdict."""

import numpy as np
import pandas as pd

from histopair.pages import style

COLOURS = {
    "holds": style.PALETTE[2],
    "contradicted": style.PALETTE[3],
    "not resolved": style.CHANCE,
    "not decided": style.FAINT,
}


def intervals(table: pd.DataFrame) -> str:
    """SVG with a panel for each claim and cell, its repetitions from the least gain to the most."""
    keys = ["dataset", "encoder", "claim"]
    parts = list(table.groupby(keys, sort=False))
    figure, panels = style.grid(len(parts), 3, (0.6, 3.0), (0.8, 2.6), sharey=True)
    for panel, ((dataset, encoder, claim), rows) in zip(panels, parts, strict=True):
        rows, places = rows.sort_values("gain"), np.arange(len(rows))
        for verdict, colour in COLOURS.items():
            same = (rows["verdict"] == verdict).to_numpy()
            here = rows[same]
            label = f"{verdict}: {same.sum()} of {len(rows)}"
            ends = (here[end].astype(float) for end in ("low", "high"))  # None has no interval
            panel.vlines(places[same], *ends, color=colour, lw=1.4)
            panel.plot(places[same], here["gain"], "o", color=colour, ms=3, label=label)
        panel.axhline(0, color=style.INK, lw=0.8)
        panel.set_title(f"{claim}\n{dataset} · {encoder}", fontsize=8)
        panel.set_xticks([])
        panel.legend(fontsize=7, loc="upper left", handlelength=0.6)
    figure.supylabel("gain, with its 95% interval", fontsize=9)
    return style.svg(figure)
