"""The standing check names what was changed by hand in the tables of studies."""

import pandas as pd
import pytest
from tampering import assert_named, csv_cell, csv_table

TAMPERED = {  # the check, the file, how it is changed, words of the disagreement
    "a mean": (
        "means",
        "studies/clip-it.csv",
        csv_cell("mean", lambda x: x + 1e-3),
        "mean",
    ),
    "a deviation": (
        "means",
        "studies/frozen.csv",
        csv_cell("std", lambda x: x + 1e-3, lambda row: row["metric"] == "macro_auc"),
        "std",
    ),
    "a number of groups": (
        "means",
        "studies/multi-label.csv",
        csv_cell("n_groups", lambda n: n + 1),
        "n_groups",
    ),
    "values of no run": (
        "means",
        "studies/frozen.csv",
        csv_cell("values", lambda _: "0.5;0.6"),
        "no run in",
    ),
    "an interval": (
        "intervals",
        "studies/multi-label.csv",
        csv_cell("low", lambda x: x - 0.3, lambda row: row["metric"] == "hamming"),
        "low",
    ),
    "an interval a little wider": (
        "intervals",
        "studies/multi-label.csv",
        csv_cell("high", lambda x: x + 1e-3, lambda row: row["metric"] == "macro_ap"),
        "of the other numbers",
    ),
    "an interval that is not there": (
        "intervals",
        "studies/multi-label.csv",
        csv_cell("low", lambda _: 0.1, lambda row: row["metric"] == "ece"),
        "low",
    ),
    "a share of seeds": (
        "intervals",
        "studies/frozen.csv",
        csv_cell("seed_share", lambda x: x + 0.3, lambda row: row["seed_share"] < 0.5),
        "seed_share",
    ),
    "a p of a difference": (
        "intervals",
        "studies/clip-it.csv",
        csv_cell("difference_p", lambda p: 1.01 * p, lambda row: row["difference_p"] < 0.9),
        "of the other numbers",
    ),
    "a unit": (
        "units",
        "studies/multi-label.claims.csv",
        csv_cell("unit", lambda _: "image"),
        "unit",
    ),
    "runs that have not converged": (
        "means",
        "studies/frozen.csv",
        csv_cell("not_converged", lambda n: 0),
        "not_converged",
    ),
    "a loss on validation": (
        "below_probes",
        "studies/clip-it.csv",
        csv_cell("val_loss", lambda loss: loss + 0.01),
        "val_loss",
    ),
    "a probe that a method is said to be below": (
        "below_probes",
        "studies/clip-it.csv",
        csv_cell("below_probe", lambda _: "lora", lambda row: row["method"] == "linear-probe"),
        "below_probe",
    ),
    "a claim on runs that have not converged": (
        "verdicts",
        "studies/multi-label.claims.csv",
        csv_cell("not_converged", lambda _: ""),
        "not converged",
    ),
    "a verdict on a step": (
        "verdicts",
        "studies/clip-it.order.csv",
        csv_cell("verdict", lambda v: "supported" if v != "supported" else "contradicted"),
        "verdict",
    ),
    "a verdict on a claim": (
        "verdicts",
        "studies/multi-label.claims.csv",
        csv_cell("verdict", lambda v: "holds" if v != "holds" else "contradicted"),
        "verdict",
    ),
    "what a random split is worth": (
        "leaks",
        "studies/multi-label.leak.csv",
        csv_cell("by_row", lambda x: x + 0.01),
        "by_row",
    ),
    "the interval of what a random split is worth": (
        "leaks",
        "studies/multi-label.leak.csv",
        csv_cell("high", lambda x: x + 0.1, lambda row: row["metric"] == "macro_auc"),
        "high",
    ),
    "an area of a class": (
        "classes",
        "studies/clip-it.classes.csv",
        csv_cell("auc", lambda x: x + 0.01),
        "auc",
    ),
    "a recall": (
        "classes",
        "studies/clip-it.classes.csv",
        csv_cell("recall", lambda x: x + 0.01),
        "recall",
    ),
    "a calibration error": (
        "calibrations",
        "studies/clip-it.calibration.csv",
        csv_cell("ece", lambda x: x + 0.01),
        "ece",
    ),
    "a corrected p": (
        "tests",
        "studies/clip-it.tests.csv",
        csv_cell("p_holm", lambda p: p / 2),
        "p_holm",
    ),
    "a p": (
        "tests",
        "studies/clip-it.tests.csv",
        csv_cell("p", lambda p: p / 2 + 0.3),
        " p",
    ),
    "a p of the models as they are": (
        "tests",
        "studies/clip-it.tests.csv",
        csv_cell("p_groups", lambda p: p / 2 + 0.4),
        "p_groups",
    ),
    "an effect": (
        "tests",
        "studies/clip-it.tests.csv",
        csv_cell("effect_groups", lambda x: 2 * x + 1),
        "effect_groups",
    ),
    "a p of cells that are not combined": (
        "tests",
        "studies/multi-label.tests.csv",
        csv_table(
            lambda table: pd.concat([table, table.iloc[:1].assign(dataset="*", encoder="*")])
        ),
        "combined",
    ),
    "what is reached elsewhere": (
        "elsewhere",
        "studies/external.external.csv",
        csv_cell("mean", lambda x: x + 0.01),
        "mean",
    ),
    "a calibration elsewhere": (
        "elsewhere",
        "studies/external.external.csv",
        csv_cell("ece_outside", lambda x: x + 0.01),
        "ece_outside",
    ),
    "a loss elsewhere": (
        "elsewhere",
        "studies/external.external.csv",
        csv_cell("nll_outside", lambda x: x + 0.01),
        "nll_outside",
    ),
    "an interval of what is lost": (
        "elsewhere",
        "studies/external.external.csv",
        csv_cell("difference_high", lambda x: x + 0.5),
        "difference high",
    ),
    "a site's metric": (
        "sites",
        "studies/external.sites.csv",
        csv_cell("mean", lambda x: x + 0.01),
        "mean",
    ),
}


@pytest.mark.parametrize("kind, name, change, words", TAMPERED.values(), ids=TAMPERED)
def test_what_is_changed_by_hand_is_named(finished_run, kind, name, change, words):
    assert_named(finished_run / "results", kind, name, change, words)
