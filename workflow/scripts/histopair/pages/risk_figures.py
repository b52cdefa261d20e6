"""Figures of survival: curves of risk groups, and risks against the truth."""

import numpy as np
import pandas as pd
from sksurv.nonparametric import kaplan_meier_estimator

from histopair.pages import style
from histopair.pages.templates import probability

HIGH, LOW = style.PALETTE[3], style.PALETTE[0]
COLUMNS = 3


def curves(patients: pd.DataFrame, p: dict[str, float], unit: str) -> str:
    """SVG: Kaplan-Meier curves of patients of high and low risk, a panel per method.

    patients: method, time in `unit`, event, high of one seed; p: of the log-rank test, per method.
    """
    methods = list(dict.fromkeys(patients["method"]))
    figure, panels = _grid(len(methods), 2.3)
    for panel, method in zip(panels, methods, strict=True):
        rows = patients[patients["method"] == method]
        for high, colour in ((False, LOW), (True, HIGH)):
            _curve(panel, rows[rows["high"] == high], colour, "high risk" if high else "low risk")
        panel.set_title(f"{method}, p = {probability(p[method])}")
        panel.set_ylim(0, 1.03)
        panel.set_xlim(left=0)
        style.only_grid(panel, "y")
        panel.legend(loc="upper right", handlelength=1.2)
    figure.supxlabel(f"follow-up time in {unit}", fontsize=9)
    figure.supylabel("share alive", fontsize=9)
    return style.svg(figure)


def against_truth(test: pd.DataFrame) -> str:
    """SVG: predicted risk (standardised in its fold) against the true log-hazard, per method."""
    methods = list(dict.fromkeys(test["method"]))
    colours = style.colours(methods)
    figure, panels = _grid(len(methods), 2.2)
    for panel, method in zip(panels, methods, strict=True):
        rows = test[test["method"] == method]
        risk = rows.groupby("fold")["risk"].transform(lambda r: (r - r.mean()) / (r.std() or 1))
        panel.plot(rows["log_hazard"], risk, "o", ms=3, alpha=0.6, mew=0, color=colours[method])
        panel.set_title(method)
    figure.supxlabel("true log-hazard", fontsize=9)
    figure.supylabel("predicted risk", fontsize=9)
    return style.svg(figure)


def _grid(count: int, height: float) -> tuple:
    """A figure of `count` panels, with tick labels below the lowest of each column; its panels."""
    size = (0.3, 3.1), (0.4, height)
    figure, panels = style.grid(count, COLUMNS, *size, sharex=True, sharey=True)
    for panel in panels[-COLUMNS:]:
        panel.tick_params(labelbottom=True)
    return figure, panels


def _curve(panel, patients: pd.DataFrame, colour: str, label: str) -> None:
    """Survival as steps, with a mark at each censored patient."""
    if patients.empty:
        return
    event, time = patients["event"].to_numpy(bool), patients["time"].to_numpy(float)
    moments, share = kaplan_meier_estimator(event, time)
    moments, share = np.r_[0.0, moments], np.r_[1.0, share]
    label = f"{label} ({len(patients)})"
    panel.step(moments, share, where="post", color=colour, label=label)
    ended = np.unique(time[~event])
    at = share[np.searchsorted(moments, ended, side="right") - 1]
    panel.plot(ended, at, "|", color=colour, ms=5, mew=0.8)
