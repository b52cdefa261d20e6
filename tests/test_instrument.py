"""The instrument: false verdicts are as rare as stated, and power is what seeds needed assume."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import workflow
from histopair.evaluation import claims, instrument
from histopair.evaluation.instrument import World
from histopair.pages import instrument_page

REPETITIONS = 300


def verdicts(world, gain, seed=0):
    random = np.random.default_rng(seed)
    return [
        claims.rows(world.cell(gain, random), instrument.STUDY)[0]["verdict"]
        for _ in range(REPETITIONS)
    ]


def unlikely(count, share):
    """One-sided probabilities of at least and of at most so many."""
    return min(
        stats.binom.sf(count - 1, REPETITIONS, share), stats.binom.cdf(count, REPETITIONS, share)
    )


@pytest.mark.parametrize("world", [World(10, 3, 0.9), World(50, 3, 0.5), World(50, 10, 0.9, 0.5)])
def test_without_a_gain_claims_hold_in_one_of_forty_studies_at_most(world):
    seen = verdicts(world, 0.0)
    for wrong in ("holds", "contradicted"):
        assert stats.binom.sf(seen.count(wrong) - 1, REPETITIONS, 0.025) > 1e-3


@pytest.mark.parametrize(
    ("world", "gain"),
    [(World(50, 3, 0.5), 0.03), (World(10, 3, 0.9), 0.05), (World(50, 10, 0.1), 0.02)],
)
def test_a_gain_is_seen_as_often_as_seeds_needed_assume(world, gain):
    assert unlikely(verdicts(world, gain).count("holds"), world.expected(gain)) > 1e-3


@pytest.mark.parametrize("together", [0.0, 0.5])
def test_the_gain_and_its_spread_are_those_stated(together):
    random = np.random.default_rng(0)
    cells = [World(20, 4, 0.3, together).cell(0.02, random)["methods"] for _ in range(3000)]
    gains = np.array([cell["one"]["accuracy"][0] - cell["other"]["accuracy"][0] for cell in cells])
    assert gains.mean() == pytest.approx(0.02, abs=4 * 0.01 / np.sqrt(3000))
    assert gains.mean(1).std() == pytest.approx(instrument.ERROR, rel=0.05)
    of_seeds = gains.var(axis=1, ddof=1).mean() / 4
    assert of_seeds == pytest.approx(0.3 * instrument.ERROR**2, rel=0.05)


def test_the_interval_of_a_count_is_clopper_and_pearsons():
    row = instrument.counted(1, 40)
    assert (row["holds"], row["share"]) == (1, 0.025)
    assert row["low"] == pytest.approx(stats.beta.ppf(0.025, 1, 40))
    assert row["high"] == pytest.approx(stats.beta.ppf(0.975, 2, 39))


def test_the_page_says_what_the_table_counts(tmp_path):
    table = instrument.tabulate(4)
    output = SimpleNamespace(**{end: tmp_path / end for end in ("table", "svg", "html")})
    instrument_page.write(table, output)
    stored, page = pd.read_csv(output.table), output.html.read_text()
    assert list(stored["holds"]) == list(table["holds"])
    assert page.count("<tr><td") == len(table) and "at most 2.5%" in " ".join(page.split())
    assert "Share of claims that hold" in page


def test_the_docs_name_the_columns_of_the_table():
    text = " ".join((workflow.ROOT / "docs/artifacts.md").read_text(encoding="utf-8").split())
    assert ", ".join(instrument.COLUMNS) in text
