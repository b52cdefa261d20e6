"""The page's figures except those of studies; each function returns SVG text."""

import numpy as np
import pandas as pd

from histopair.pages import style
from histopair.pages.style import CHANCE, INK, MUTED, PALETTE

PANELS = 4  # methods side by side


def chunk_lengths(tokens: dict[str, np.ndarray]) -> str:
    """Histogram of tokens per chunk, one outline per retriever."""
    figure, ((axes,),) = style.panels(1, 1, 4.6, 2.1)
    edges = np.histogram_bin_edges(np.concatenate(list(tokens.values())), bins=30)
    colours = style.colours(list(tokens))
    for encoder, counts in tokens.items():
        outline = {"color": colours[encoder], "label": encoder}
        axes.hist(counts, bins=edges, histtype="stepfilled", alpha=0.18, color=colours[encoder])
        axes.hist(counts, bins=edges, histtype="step", lw=1.5, **outline)
    style.only_grid(axes, "y")
    axes.set_xlabel("tokens in a chunk")
    axes.set_ylabel("chunks")
    figure.legend(loc="outside upper left", ncols=2, handlelength=1.2)
    return style.svg(figure)


def similarities(pairs: list[dict]) -> str:
    """Similarity of each image to its rank-1 report, one outline per pairing."""
    figure, ((axes,),) = style.panels(1, 1, 4.9, 2.7)
    for pair, colour in zip(pairs, PALETTE * len(pairs), strict=False):
        histogram = pair["quality"]["similarity"]["histogram"]
        counts, edges = np.array(histogram["counts"], float), histogram["edges"]
        axes.stairs(counts / counts.sum(), edges, color=colour, fill=True, alpha=0.18)
        label = f"{pair['dataset']} {pair['by']}"
        axes.stairs(counts / counts.sum(), edges, color=colour, lw=1.5, label=label)
    axes.set_xlabel("cosine similarity to the retrieved report")
    axes.set_ylabel("share of images")
    style.only_grid(axes, "y")
    figure.legend(loc="outside upper left", ncols=1, handlelength=1.2)
    return style.svg(figure)


def hubness(pairs: list[dict]) -> str:
    """Share of the images on the r most used reports, with the line of perfectly even use."""
    figure, ((axes,),) = style.panels(1, 1, 4.9, 2.7)
    for pair, colour in zip(pairs, PALETTE * len(pairs), strict=False):
        curve, reports = pair["quality"]["usage_curve"], pair["quality"]["reports"]
        ranks = [0, *curve["reports"], reports]
        dashes = (0, (4, 2)) if pair["encoder"] == "oracle" else "-"
        label = f"{pair['dataset']} {pair['by']}"
        shares = [0, *curve["images"], 1]
        axes.plot(np.array(ranks) / reports, shares, color=colour, ls=dashes, label=label)
    axes.plot([0, 1], [0, 1], color=CHANCE, lw=1, ls=(0, (1, 2)), label="even use")
    axes.set_xlabel("share of the corpus, most used reports first")
    axes.set_ylabel("share of images")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    figure.legend(loc="outside upper left", ncols=1, handlelength=1.8)
    return style.svg(figure)


def agreement(facts: dict[str, dict], title: str) -> str:
    """Observed agreement of image and report (dot) against chance (hollow), one row per fact."""
    figure, ((axes,),) = style.panels(1, 1, 4.9, 0.95 + 0.25 * len(facts))
    axes.set_title(title)
    for place, fact in enumerate(facts.values()):
        chance, observed = fact["chance"], fact["observed"]
        colour = PALETTE[0] if observed >= chance else PALETTE[3]
        axes.plot([chance, observed], [place] * 2, color=colour, lw=2, alpha=0.5)
        axes.plot(chance, place, "o", color=CHANCE, mfc="white", ms=5.5, mew=1.4)
        axes.plot(observed, place, "o", color=colour, ms=6)
    axes.set_yticks(range(len(facts)), [short(name.replace("_", " ")) for name in facts])
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.set_ylim(len(facts) - 0.4, -0.6)
    axes.set_xlim(-0.02, 1.02)
    style.only_grid(axes, "x")
    axes.set_xlabel("agreement (filled) against chance (hollow)")
    return style.svg(figure)


def curves(history: pd.DataFrame, methods: list[str]) -> str:
    """Loss by epoch, a row of panels per stage: mean over seeds, lowest to highest shaded."""
    stages = list(dict.fromkeys(history["stage"]))
    figure, axes = style.panels(len(stages), 2, 9.6, 0.5 + 2.2 * len(stages), sharex="row")
    colour = style.colours(methods)
    for row, stage in zip(axes, stages, strict=True):
        part = history[history["stage"] == stage]
        for panel, split in zip(row, ("train", "val"), strict=True):
            name = f"{split}_task" if f"{split}_task" in part else f"{split}_loss"
            for method, rows in part.groupby("method", sort=False):
                _band(panel, rows, name, colour[method], method)
            panel.set_title(f"{stage} stage · {'training' if split == 'train' else 'validation'}")
            panel.set_xlabel("epoch")
            panel.xaxis.get_major_locator().set_params(integer=True)
        row[0].set_ylabel("classification loss")
    keys = {t: h for row in axes for h, t in zip(*row[1].get_legend_handles_labels(), strict=True)}
    figure.legend(keys.values(), keys.keys(), loc="outside upper left", ncols=6, handlelength=1.4)
    return style.svg(figure)


def _band(panel, rows: pd.DataFrame, column: str, colour: str, label: str) -> None:
    by_epoch = rows.groupby("epoch")[column].agg(["mean", "min", "max"]).dropna()
    if by_epoch.empty:
        return
    epochs = by_epoch.index.to_numpy() + 1
    panel.fill_between(epochs, by_epoch["min"], by_epoch["max"], color=colour, alpha=0.15, lw=0)
    marker = "o" if len(epochs) == 1 else None
    panel.plot(epochs, by_epoch["mean"], color=colour, label=label, marker=marker, ms=4)


def label_accuracies(table: pd.DataFrame, styles: dict[str, str]) -> str:
    """k-label accuracy for k = 1, 2, 3 with 95% intervals, one panel per method.

    table: rows of a study's table for the three metrics; styles: dataset -> its legend text.
    """
    methods = list(dict.fromkeys(table["method"]))
    width = (2.2, 2.4) if len(methods) <= PANELS else (9.6, 0)
    figure, panels = style.grid(len(methods), PANELS, width, (0.3, 2.2), sharey=True)
    colour = style.colours(list(styles))
    for panel, method in zip(panels, methods, strict=True):
        for i, (dataset, label) in enumerate(styles.items()):
            rows = table[(table["method"] == method) & (table["dataset"] == dataset)]
            shift = 0.09 * (i - (len(styles) - 1) / 2)
            line = {"marker": "s", "ls": (0, (4, 2))} if i else {"marker": "o", "ls": "-"}
            line |= {"color": colour[dataset], "label": label}
            _accuracies(panel, rows.sort_values("metric"), shift, line)
        panel.set_title(method)
        panel.set_xticks([1, 2, 3], ["≥ 1", "≥ 2", "3"])
    figure.supxlabel("true labels in the top 3", fontsize=9)
    figure.supylabel("share of test samples", fontsize=9)
    panels[0].set_ylim(0, 1.03)
    handles = panels[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside upper left", ncols=3, handlelength=2)
    return style.svg(figure)


def _accuracies(panel, rows: pd.DataFrame, shift: float, line: dict) -> None:
    k = np.arange(1, len(rows) + 1) + shift
    low, high, mean = (rows[name].to_numpy(float) for name in ("low", "high", "mean"))
    panel.vlines(k, low, high, color=line["color"], alpha=0.5, lw=2)
    panel.plot(k, mean, ms=5, **line)


def times(by_rule: pd.DataFrame) -> str:
    """Seconds by rule, summed over its jobs."""
    by_rule = by_rule.iloc[::-1]
    figure, ((axes,),) = style.panels(1, 1, 6.4, 0.6 + 0.23 * len(by_rule))
    axes.barh(range(len(by_rule)), by_rule["seconds"], 0.62, color=PALETTE[0])
    for place, row in enumerate(by_rule.itertuples()):
        text = f" {row.seconds:.0f} s in {row.jobs} job{'s' if row.jobs > 1 else ''}"
        axes.text(row.seconds, place, text, va="center", fontsize=8, color=MUTED)
    axes.set_yticks(range(len(by_rule)), by_rule["rule"])
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.margins(x=0.25)
    style.only_grid(axes, "x")
    axes.set_xlabel("seconds, summed over jobs")
    return style.svg(figure)


def short(text: str, characters: int = 34) -> str:
    """A label that fits beside a bar."""
    return text if len(text) <= characters else text[: characters - 1] + "…"
