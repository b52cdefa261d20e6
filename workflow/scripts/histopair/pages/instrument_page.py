"""The page on the instrument: how often claims hold on simulated studies, and how often wrongly."""

import pandas as pd

from histopair.files import tables
from histopair.pages import style
from histopair.pages.templates import render

FALSE = 0.025  # of studies without a gain, at most


def write(table: pd.DataFrame, output) -> None:
    """Write the table of `instrument.tabulate` as csv, svg and html. output: a path of each."""
    nulls, power = table[table["gain"] == 0], table[table["gain"] > 0]
    plot = curves(table)
    page = render(
        "instrument.html.j2",
        nulls=nulls.to_dict("records"),
        power=power.to_dict("records"),
        most=FALSE,
        plot=plot,
    )
    tables.write_text(output.table, table.to_csv(index=False, float_format="%.6g"))
    tables.write_text(output.svg, plot)
    tables.write_text(output.html, page)


def curves(table: pd.DataFrame) -> str:
    """SVG of the share of claims that hold over the true gain, a colour for each world."""
    keys = ["groups", "seeds", "seed_share", "together"]
    worlds = [part for _, part in table.groupby(keys, sort=False) if (part["gain"] > 0).any()]
    figure, ((axes,),) = style.panels(1, 1, 7.4, 3.6)
    for place, (part, colour) in enumerate(zip(worlds, style.PALETTE, strict=False)):
        part, first = part.sort_values("gain"), part.iloc[0]
        shift = 0.0004 * (place - (len(worlds) - 1) / 2)
        together = f", {first['together']:.0%} with groups" if first["together"] else ""
        axes.plot(part["gain"], part["expected"], color=colour, lw=1.2)
        axes.vlines(part["gain"] + shift, part["low"], part["high"], color=colour, lw=1.6)
        label = f"{first['seeds']:.0f} seeds{together}"
        axes.plot(part["gain"] + shift, part["share"], "o", color=colour, ms=4, label=label)
    axes.axhline(FALSE, color=style.CHANCE, lw=0.8, ls=(0, (4, 3)))
    axes.set_xlabel("true gain")
    axes.set_ylabel("share of studies whose claim holds")
    figure.legend(loc="outside right upper", handlelength=1)
    return style.svg(figure)
