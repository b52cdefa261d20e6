"""The style of every figure, and SVG that comes out bit for bit the same each time.

Colours are those of Okabe and Ito (2008), which readers with any common colour blindness can tell
apart. Their yellow is left out, as it is too pale for marks on white.
"""

import re
from io import StringIO

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.figure import Figure

PALETTE = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#5B4A9C")
MARKERS = "osD^vPX*"
INK, MUTED, FAINT, CHANCE = "#1F2A33", "#5C6B77", "#DCE2E7", "#8A97A3"
FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
STYLE = {
    "svg.hashsalt": "histopair",
    "svg.fonttype": "none",
    "text.parse_math": False,  # words from configs and data are not formulas
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.7,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
}
matplotlib.rcParams.update(STYLE)


def colours(names: list[str]) -> dict[str, str]:
    """A colour for each name, by its position in the list."""
    return {name: PALETTE[i % len(PALETTE)] for i, name in enumerate(names)}


def markers(names: list[str]) -> dict[str, str]:
    """A marker for each name: another one where `colours` start again."""
    return {name: MARKERS[i // len(PALETTE) % len(MARKERS)] for i, name in enumerate(names)}


def panels(rows: int, columns: int, width: float, height: float, **shared) -> tuple[Figure, list]:
    """A styled figure of `rows` x `columns` panels, in inches, and its axes as a list of rows."""
    return pyplot.subplots(
        rows, columns, figsize=(width, height), squeeze=False, layout="constrained", **shared
    )


def grid(
    count: int, most: int, width: tuple[float, float], height: tuple[float, float], **shared
) -> tuple[Figure, list]:
    """A styled figure of `count` panels, at most `most` in a row, and those panels.

    width, height: inches around all panels, and of each column or row.
    """
    columns = min(most, max(1, count))
    rows = -(-max(1, count) // columns)
    size = width[0] + width[1] * columns, height[0] + height[1] * rows
    figure, axes = panels(rows, columns, *size, **shared)
    flat = [panel for row in axes for panel in row]
    for panel in flat[count:]:
        panel.set_visible(False)
    return figure, flat[:count]


def svg(figure: Figure) -> str:
    """The figure as SVG text without dates, in the reader's own system font; closes the figure."""
    text = StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    pyplot.close(figure)
    return re.sub(r"'DejaVu Sans'[^;\"]*", FONTS, text.getvalue())


def inline(text: str, name: str, label: str) -> str:
    """SVG to put inside HTML: no prolog, ids made unique with `name`, read aloud as `label`.

    `name` is [a-z0-9-]+ and `label` must already be escaped for HTML.
    """
    text = text[text.index("<svg") :]
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r"url\(#", f"url(#{name}-", text)
    text = re.sub(r'href="#', f'href="#{name}-', text)
    return text.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)


def only_grid(axes: Axes, axis: str) -> None:
    """Keep the grid lines of one axis, "x" or "y"."""
    axes.grid(False)
    axes.grid(True, axis=axis)
