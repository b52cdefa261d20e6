"""The files of a survival study: table, folds, verdicts, figures, and a page of their own."""

import pandas as pd

from histopair.files import tables
from histopair.report import survival_figures
from histopair.report.study_page import plain
from histopair.report.templates import render
from histopair.survival import evaluation, tabulate


def write_study(
    runs: list[dict], name: str, study: dict, cohort: dict, evidence: dict, output
) -> None:
    """Write output.csv, .folds, .claims, .svg, .curves and .html of one survival study.

    runs: dicts of method, seed and the paths `predictions` and `history`. study: methods,
    reference, claims, title, description; cohort: name and what the page tells of it. evidence:
    paths of patients and audit, and where there are any of truth, pairs and published.
    """
    predictions = tabulate.read(runs, evidence["truth"])
    unfinished = tabulate.not_converged(runs)
    scores, replicates = tabulate.evaluate(predictions)
    people = tables.read(evidence["patients"])
    sizes = {"n_patients": len(people), "n_events": int(people["event"].sum())}
    made = {"study": name, "cohort": cohort["name"], "synthetic": cohort["synthetic"]} | sizes
    table = tabulate.summarise(scores, replicates, study, evidence["published"], unfinished).assign(
        **made
    )
    claims = tabulate.verdicts(scores, replicates, study, unfinished)
    grouped = tabulate.groups(predictions)
    ranks = tabulate.log_ranks(grouped)
    first = grouped[grouped["seed"] == grouped.groupby("method")["seed"].transform("first")]
    p = ranks.drop_duplicates("method").set_index("method")["p"].to_dict()
    plots = {
        "scores": survival_figures.scores(table, _title(name, study, cohort)),
        "curves": survival_figures.curves(first, p, cohort["time_unit"]),
        "truth": _truth_plot(first),
    }
    view = {
        "name": name,
        "title": study.get("title") or name,
        "description": study.get("description", ""),
        "reference": study.get("reference"),
        "cohort": cohort | sizes | _facts(people, evidence),
        "rows": plain(table).to_dict("records"),
        "folds": _folds(scores, list(study["methods"])),
        "claims": plain(claims).to_dict("records"),
        "published": bool(evidence["published"]),
        "ranks": _ranks(ranks),
        "audit": plain(tables.read(evidence["audit"])).to_dict("records"),
        "metrics": list(evaluation.METRICS),
        "titles": evaluation.TITLES,
        "truth": tabulate.TRUTH,
        "plots": plots,
    }
    page = render("survival.html.j2", study=view)
    spread = scores[scores["method"] != tabulate.TRUTH]
    for path, text in (
        (output.csv, table.to_csv(index=False, float_format="%.6f")),
        (output.folds, spread.to_csv(index=False, float_format="%.6f")),
        (output.claims, claims.to_csv(index=False, float_format="%.6f")),
        (output.svg, plots["scores"]),
        (output.curves, plots["curves"]),
        (output.html, page),
    ):
        tables.write_text(path, text)


def _title(name: str, study: dict, cohort: dict) -> str:
    words = study.get("title") or name
    return f"{words} — phantom (synthetic)" if cohort["synthetic"] else words


def _facts(people: pd.DataFrame, evidence: dict) -> dict:
    """Numbers at the head of the page; of the pairing, where there is one, its spread too."""
    facts = {
        "folds": int(people["fold"].max()) + 1,
        "slides": int(people["slides"].map(len).sum()),
        "patches": int(people["patches"].sum()),
        "median_time": float(people["time"].median()),
    }
    if evidence["pairs"]:
        pairs = tables.read(evidence["pairs"], ["rank", "report_id"])
        used = pairs.loc[pairs["rank"] == 1, "report_id"]
        facts |= {"reports_used": used.nunique(), "most_used": int(used.value_counts().iloc[0])}
    if evidence["truth"]:
        facts["coefficients"] = tables.about(evidence["truth"])["coefficients"]
    return facts


def _folds(scores: pd.DataFrame, methods: list[str]) -> list[dict]:
    """Per fold the mean over seeds of each metric and method: the paper's Table 8."""
    own = scores[scores["method"].isin(methods) & scores["metric"].isin(evaluation.METRICS)]
    mean = own.groupby(["fold", "metric", "method"])["value"].mean()
    return [
        {
            "fold": int(fold) + 1,
            "cells": [
                {"method": method, "metric": metric, "value": float(mean[fold, metric, method])}
                for metric in evaluation.METRICS
                for method in methods
            ],
        }
        for fold in sorted(own["fold"].unique())
    ]


def _ranks(ranks: pd.DataFrame) -> list[dict]:
    """Per method the p of each seed's log-rank test."""
    return [
        {"method": method, "p": [float(value) for value in part["p"]]}
        for method, part in ranks.groupby("method", sort=False)
    ]


def _truth_plot(test: pd.DataFrame) -> str | None:
    if "log_hazard" not in test:
        return None
    return survival_figures.against_truth(test[test["method"] != tabulate.TRUTH])
