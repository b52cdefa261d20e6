"""A study repeated: seeds and patients of its own each time, verdicts counted exactly."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from scipy import stats
from snakemake.iocontainers import Params

from histopair.analyses import outputs, repetition_figures, repetitions
from histopair.analyses.repetition_counts import counts
from histopair.files import tables
from histopair.plan import recipes

SCRIPT = str(Path(__file__).parents[1] / "workflow" / "scripts" / "repeat.py")
N, WIDTH = 480, 40
SETTINGS = {"epochs": 10, "batch_size": 32, "learning_rate": 0.01, "optimizer": "adam"}
SETTINGS |= {"weight_decay": 0.0, "clip": 1.0, "schedule": "constant", "precision": "float32"}


def vectors(folder, name, keys, matrix):
    """A file of embeddings by its keys."""
    table = pa.table(keys).append_column("embedding", tables.vectors(matrix.astype(np.float32)))
    tables.write(folder / name, table, {})
    return str(folder / name)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Three attributes decide the class. An image shows them faintly, its report names them."""
    folder, draw = tmp_path_factory.mktemp("repetitions"), np.random.default_rng(0)
    attributes = draw.normal(size=(N, 3))
    features = np.hstack([attributes, 3 * draw.normal(size=(N, WIDTH))])
    names = [f"i{number}" for number in range(N)]
    samples = {"sample_id": names, "image_id": names, "group": [f"g{n // 4}" for n in range(N)]}
    samples["split"] = np.repeat(["train", "val", "test"], [N // 2, N // 6, N // 3])
    samples["labels"] = [["a"] if total > 0 else ["b"] for total in attributes.sum(1)]
    about = {"task": "single", "classes": ["a", "b"], "labels_per_class": 8, "unit": "patient"}
    tables.write(folder / "labels", pd.DataFrame(samples), about)
    reports = {"report_id": [f"r{n}" for n in range(N)], "chunk": np.zeros(N, int)}
    tables.write(folder / "reports", pd.DataFrame(reports), {})
    pairs = pd.DataFrame({"image_id": names, "rank": 1, **reports})
    tables.write(folder / "pairs", pairs, {})
    artifacts = {name: str(folder / name) for name in ("labels", "reports", "pairs")}
    artifacts["image_embeddings"] = vectors(folder, "images", {"image_id": names}, features)
    artifacts["text_embeddings"] = vectors(folder, "texts", reports, attributes)
    methods = {
        "own": {"pairing": "oracle"},
        "random": {"pairing": "random"},
        "again": {"pairing": "random", "rank": 2},
    }
    return [_run(*method, seed, artifacts) for method in methods.items() for seed in (0, 1)]


def _run(name, method, seed, artifacts):
    method = SETTINGS | {"recipe": "distil_frozen", "regression": "ridge"} | method
    recipes.fill_parameters(method)
    spec = {"root": "", "encoder": {}, "retriever": {}, "text_encoder": None, "method": method}
    run = {"dataset": "d", "encoder": "e", "column": "e", "method": name, "seed": seed}
    return run | {"probes": [], "gate": None, "spec": spec, "artifacts": artifacts}


def claim(better, worse):
    return {"claim": better, "paper": "", "better": better, "worse": worse, "expect": "gain"}


STUDY = {"metric": "balanced_accuracy"}
STUDY["claims"] = [claim(better, "random") for better in ("own", "again")]


@pytest.fixture(scope="module")
def table(runs, tmp_path_factory):
    return repetitions.tabulate(
        runs, STUDY, 2, tmp_path_factory.mktemp("kept"), torch.device("cpu")
    )


def test_each_repetition_has_seeds_and_patients_of_its_own(table):
    assert list(table["repetition"]) == [1, 1, 2, 2]
    assert list(table["first_seed"]) == [2, 2, 4, 4]  # the study itself has 0 and 1
    sizes = table[["n_groups", "n_test", "n_seeds"]].drop_duplicates()
    assert sizes.to_numpy().tolist() == [[20, 80, 2]]
    assert table["gain"].nunique() == len(table)


def test_own_attributes_gain_in_all_repetitions_and_another_draw_of_chance_does_not(table):
    own, again = (table[table["claim"] == name] for name in ("own", "again"))
    assert own["gain"].min() > 0.05
    assert abs(again["gain"].mean()) < own["gain"].mean() / 2
    assert "holds" not in set(again["verdict"])


def test_a_repetition_comes_out_the_same_again_and_is_kept(runs, table, tmp_path):
    few = [run for run in runs if run["method"] != "own"]
    study = STUDY | {"claims": STUDY["claims"][1:]}
    once = repetitions.tabulate(few, study, 1, tmp_path, torch.device("cpu"))
    kept = repetitions.tabulate(few[:1], study, 1, tmp_path, None)  # trains nothing
    pd.testing.assert_frame_equal(kept, once)
    same = table[(table["repetition"] == 1) & (table["claim"] == "again")]
    pd.testing.assert_frame_equal(once, same.reset_index(drop=True), check_dtype=False)


def test_more_repetitions_go_on_behind_the_finished_ones(tmp_path, monkeypatch):
    judged = []
    monkeypatch.setattr(repetitions, "_judged", lambda *given: judged.append(given[2]) or [])
    monkeypatch.chdir(tmp_path)

    def repeat(times, code="x"):
        params = {"runs": [{"seed": 0}], "study": {}, "times": times, "code": code}
        job = SimpleNamespace(rule="repeat", threads=1, resources={}, input=[], log=["log.txt"])
        job.output, job.wildcards, job.params = ["made"], {}, Params(fromdict=params)
        runpy.run_path(SCRIPT, {"snakemake": job})

    repeat(2), repeat(3)
    assert judged == [1, 2, 3]
    repeat(3, code="y")
    assert judged[3:] == [1, 2, 3]


def test_a_part_of_the_test_groups_is_whole_groups_and_all_of_train():
    samples = pd.DataFrame({"split": ["train"] * 3 + ["test"] * 6, "image_id": list("abcdefghi")})
    samples["group"] = ["p", "p", "q", "r", "r", "s", "s", "t", "t"]
    draws = [repetitions.part_of_groups(samples, np.random.default_rng(n)) for n in range(30)]
    assert all(list(part["image_id"][:3]) == ["a", "b", "c"] and len(part) == 7 for part in draws)
    kept = {tuple(part["group"][part["split"] == "test"].unique()) for part in draws}
    assert kept == {("r", "s"), ("r", "t"), ("s", "t")}


def drawn(**verdicts):
    words = [word.replace("_", " ") for word, number in verdicts.items() for _ in range(number)]
    facts = {"dataset": "d", "encoder": "e", "claim": "c", "better": "x", "worse": "y"}
    facts |= {"metric": "accuracy", "expect": "gain", "n_test": 9, "n_groups": 3, "n_seeds": 2}
    table = pd.DataFrame({"repetition": range(1, len(words) + 1), "verdict": words})
    gains = np.linspace(-0.1, 0.1, len(words))
    return table.assign(gain=gains, low=gains - 0.05, high=gains + 0.05, **facts)


def test_verdicts_are_counted_among_those_that_are_decided():
    table = drawn(holds=2, not_resolved=35, contradicted=3, not_decided=4)
    [row] = counts(table).to_dict("records")
    numbers = [row[name] for name in ("holds", "repetitions", "contradicted", "not_decided")]
    assert numbers == [2, 40, 3, 4]
    assert row["low"] == pytest.approx(stats.beta.ppf(0.025, 2, 39))
    assert row["high"] == pytest.approx(stats.beta.ppf(0.975, 3, 38))
    [none] = counts(drawn(not_decided=4)).to_dict("records")
    assert none["not_decided"] == 4 and none["repetitions"] == 0 and np.isnan(none["share"])


def test_the_page_shows_the_counts(tmp_path):
    files = SimpleNamespace(table=tmp_path / "r.csv", svg=tmp_path / "r.svg")
    table = drawn(holds=1, not_resolved=39)
    table["n_test"] = [8] + [9] * 39  # halves of the groups are not of one size
    outputs.write(table, repetition_figures.intervals, "s", ["d"], files)
    page = tmp_path / "page.html"
    outputs.write_page("s", {"title": "Nulls"}, {"repetitions": (files.table, files.svg)}, page)
    words = " ".join(page.read_text().split())
    assert "1 of 40" in words and "2.5%" in words and "0.1% to 13.2%" in words
    assert "holds: 1 of 40" in words
    assert "8 to 9 test samples in 3 groups, 2 seeds" in words
