"""Finished runs on other datasets: their own model and temperature, and nothing is trained."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from PIL import Image
from test_methods import METHODS, execute, make, world  # noqa: F401

from histopair.datasets import other_data, phash
from histopair.errors import InputError
from histopair.evaluation import by_site, calibration, external, reliability, tasks, two_way
from histopair.export import elsewhere
from histopair.files import tables
from histopair.plan import external as plan
from histopair.plan import load, recipes
from recompute import perceptual

# Cached embeddings of one tower and of both, pixels, tokens, and towers that are split.
TOWERS = ("linear_probe", "zero_shot", "fusion_frozen", "lora", "text_only", "cross_attention")
PREDICTED = {name: METHODS[name] for name in TOWERS}
PREDICTED["clip_it"] = METHODS["clip_it"] | {"lora": None}


def _labels(path, frame, classes=("a", "b"), task="single", **about):
    tables.write(path, frame, {"classes": list(classes), "task": task, **about})
    return str(path)


@pytest.fixture(params=PREDICTED)
def trained(request, world, tmp_path):  # noqa: F811
    """A finished run, with the artifacts that plan gives it, and its files."""
    settings = PREDICTED[request.param]
    files = execute(world, tmp_path, request.param, **settings)
    run = make(world, request.param, **settings)
    needs = set(recipes.needs(run.method))
    needs -= {"image_embeddings", "caption_embeddings"} if needs & plan.NOT_FROZEN else set()
    kept = {name: path for name, path in run.artifacts.items() if name in needs | {"labels"}}
    return replace(run, artifacts=kept), files


def _elsewhere(trained, tmp_path, change=lambda frame: frame, classes=None):
    """Predictions of the run on its own samples, all of them called another dataset's test."""
    run, files = trained
    labels = _labels(
        tmp_path / "outside.parquet",
        change(run.samples.assign(split="test")),
        classes or run.classes,
    )
    outside = replace(run, artifacts=run.artifacts | {"labels": labels})
    out = str(tmp_path / "there.parquet")
    elsewhere.predict(run, outside, files, out, {})
    return tables.read(out).set_index("sample_id"), tables.matrix(out, "scores"), tables.about(out)


def test_the_model_predicts_elsewhere_what_the_run_predicts(trained, tmp_path):
    run, files = trained
    table, scores, about = _elsewhere(trained, tmp_path, classes=run.classes[::-1])
    assert about["classes"] == run.classes  # by name, in whatever order the other dataset has them
    predicted = tables.read(files["predictions"])
    rows = table.index.get_indexer(predicted["sample_id"])
    assert np.abs(scores[rows] - tables.matrix(files["predictions"], "scores")).max() < 1e-4
    assert len(table) == len(run.samples) and set(table["split"]) == {"test"}


@pytest.mark.parametrize("trained", ["linear_probe"], indirect=True)
def test_weights_of_another_run_are_told(trained, tmp_path):
    _, files = trained
    scores = tables.matrix(files["predictions"], "scores")
    predicted = pa.table({"sample_id": tables.read(files["predictions"])["sample_id"]})
    turned = predicted.append_column("scores", tables.vectors(scores[:, ::-1] + 0.2))
    tables.write(files["predictions"], turned, tables.about(files["predictions"]))
    with pytest.raises(InputError, match="the model's probabilities differ"):
        _elsewhere(trained, tmp_path)


@pytest.mark.parametrize("trained", ["text_only"], indirect=True)
def test_a_sample_without_the_text_that_is_read_is_told(trained, tmp_path):
    with pytest.raises(InputError, match="1 samples of its test split have no caption"):
        _elsewhere(
            trained, tmp_path, lambda frame: frame.assign(caption=[None, *frame.caption[1:]])
        )


def _samples(ids, split, groups, shas=None):
    hashes = [f"{number:016x}" for number in np.random.default_rng(0).integers(0, 2**62, len(ids))]
    return pd.DataFrame(
        {
            "sample_id": list(ids),
            "sha256": list(shas or ids),
            "phash": hashes if shas is None else None,
            "group": list(groups),
            "split": list(split),
        }
    )


def _check(tmp_path, theirs, classes=("a", "b"), task="single"):
    ours = _samples("pqrs", ["train", "train", "val", "test"], "1234")
    paths = [
        _labels(tmp_path / "ours.parquet", ours.assign(phash=None)),
        _labels(tmp_path / "theirs.parquet", theirs.assign(phash=None), classes, task),
    ]
    out = str(tmp_path / "leaks.parquet")
    other_data.check(*paths, {"dataset": "ours", "external": "theirs"}, out, {})
    return tables.read(out)


def test_groups_of_the_same_name_are_counted(tmp_path):
    theirs = _samples("tuvw", ["test", "test", "test", "train"], ["1", "1", "4", "2"])
    rows = _check(tmp_path, theirs)
    # Group 4 is in the own test split, and group 2 is not tested: only 1 may have been seen.
    assert rows[["kind", "split_b", "group_a", "samples"]].values.tolist() == [
        ["group", "train", "1", 2]
    ]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"classes": ("b", "c", "d")}, "it alone has c, d; it lacks a"),
        ({"classes": ("a",)}, "it lacks b"),
        ({"task": "multi"}, "its task is multi, that of ours is single"),
    ],
)
def test_other_classes_and_tasks_are_told(tmp_path, changed, said):
    theirs = _samples("tu", ["test", "test"], "56")
    with pytest.raises(InputError, match=said):
        _check(tmp_path, theirs, **changed)


def test_images_that_were_trained_on_are_told(tmp_path):
    theirs = _samples("tuv", ["test"] * 3, "567", shas="qrs")  # q of train, r of val, s of test
    with pytest.raises(InputError, match="2 images of its test split are in the train or"):
        _check(tmp_path, theirs)


def test_images_that_look_like_trained_ones_are_counted_once(tmp_path):
    """One is near images of train and of val, and is in two samples; another near the own test."""
    ours = _samples("pqrs", ["train", "train", "val", "test"], "1234")
    theirs = _samples("tuvw", ["test"] * 4, "5678", shas=["t", "t", "v", "w"])
    hashes = "0f0f0f0f0f0f0f0e", "00000000000000fe", "aaaaaaaaaaaaaaaa"
    ours = ours.assign(phash=[hashes[0], hashes[1], hashes[0], hashes[2]])
    near = f"{int(hashes[0], 16) ^ 0b111100000:016x}"
    theirs = theirs.assign(phash=[near, near, hashes[2], None])
    paths = [_labels(tmp_path / f"{n}.parquet", f) for n, f in (("o", ours), ("t", theirs))]
    folder = tmp_path / "theirs"
    folder.mkdir()
    out = str(folder / "ours.leaks.parquet")
    other_data.check(*paths, {"dataset": "ours", "external": "theirs"}, out, {})
    assert external._shared([out]) == {("ours", "theirs"): {"same_groups": 0, "near_samples": 2}}
    seen = ours["phash"][ours["split"] != "test"]
    assert perceptual.near(theirs["phash"], seen).tolist() == [True, True, False, False]


def test_the_audit_sees_the_same_images_alike_however_turned():
    random = np.random.default_rng(0)
    images = [Image.fromarray(random.integers(0, 255, (8, 8), np.uint8)) for _ in range(30)]
    images = [image.resize((64, 64), Image.Resampling.BICUBIC) for image in images]
    turned = [image.transpose(way) for image, way in zip(images, Image.Transpose, strict=False)]
    ours, theirs = (pd.Series([phash.of(image) for image in part]) for part in (images, turned))
    expected = phash.nearest(phash.numbers(ours), phash.numbers(theirs))[0] >= 0
    assert expected.tolist() == perceptual.near(ours, theirs).tolist()
    assert expected.sum() == len(turned)


def test_a_temperature_is_applied_and_not_fitted():
    task, rng = tasks.of("single"), np.random.default_rng(0)
    truth = np.eye(2, dtype=bool)[rng.integers(0, 2, 50)]
    scores = rng.dirichlet([1, 1], 50)
    own = calibration.judge({"val": (truth, scores), "test": (truth, scores)}, task)
    fitted = own | {"temperature": 3.0}
    there = calibration.elsewhere({"test": (~truth, scores)}, task, fitted)
    assert there["temperature"] == 3.0
    assert there["splits"]["val"] == own["splits"]["val"]
    cooled = scores ** (1 / 3) / (scores ** (1 / 3)).sum(1, keepdims=True)
    expected = reliability.expected_error(reliability.bins(*task.confidences(~truth, cooled)))
    assert there["splits"]["test"]["after"]["ece"] == pytest.approx(expected)


def _cell(values, replicates, groups, errors, **more):
    runs = [
        {
            "seed": seed,
            "metrics": {
                "calibration": {
                    "temperature": 2.0 + seed,
                    "splits": {"test": {"after": {"ece": error, "nll": 2 * error}}},
                }
            },
        }
        for seed, error in enumerate(errors)
    ]
    return {
        "methods": {"m": {"accuracy": (np.array(values), replicates)}},
        "runs": {"m": runs},
        "own_encoder": {"m": ""},
        "n_groups": groups,
        "n_test": 40,
        "unit": "patient",
    } | more


def test_the_difference_pairs_seeds_and_leaves_groups_independent():
    noise = np.array([-0.01, 0.01])
    inside = _cell([0.8, 0.9], 0.85 + np.tile(noise, (2, 1)), 20, [0.1, 0.2])
    outside = _cell(
        [0.6, 0.7], 0.65 + np.tile(2 * noise, (2, 1)), 10, [0.3, 0.5], same_groups=3, near_samples=2
    )
    (row,) = external.rows({("d", "e"): inside}, {"outside": {("d", "x", "e"): outside}})
    assert (row["inside"], row["mean"], row["difference"]) == pytest.approx((0.85, 0.65, -0.2))
    assert (row["temperature"], row["ece_inside"], row["ece_outside"]) == (
        2.5,
        pytest.approx(0.15),
        0.4,
    )
    assert (row["nll_inside"], row["nll_outside"]) == (pytest.approx(0.3), 0.8)
    assert (row["seeds"], row["same_groups"], row["external"]) == ("0;1", 3, "x")
    assert row["near_samples"] == 2
    # Both seeds lose the same, so that only groups vary: var of each side, G / (G - 1).
    parts = [(0.02**2 * 10 / 9, 9), (0.01**2 * 20 / 19, 19)]
    expected = two_way.judge(-0.2, parts, [(0.0, 1)])
    assert row["difference_low"] == pytest.approx(expected["low"])
    assert row["difference_seed_share"] == pytest.approx(0)
    assert row["seed_share"] > 0.5  # the mean itself varies with its seeds


def test_the_metric_of_each_site(tmp_path):
    truth = np.eye(2, dtype=bool)[[0, 0, 1, 1, 0, 1]]
    right = np.array([1, 0, 1, 1, 0, 1], bool)
    scores = np.where(truth == right[:, None], 0.9, 0.1)
    samples = pd.DataFrame(
        {
            "sample_id": list("abcdef"),
            "image_id": list("abcdef"),
            "group": ["1", "1", "2", "2", "3", "3"],
            "site": ["n", "n", "n", "n", "s", "s"],
        }
    )
    labels = _labels(tmp_path / "labels.parquet", samples, unit="patient")
    member = {"truth": truth, "scores": scores, "metrics": {"classes": ["a", "b"]}}
    cell = {
        "task": "single",
        "ids": list("abcdef"),
        "methods": {"m": {"accuracy": None}},
        "runs": {"m": [member]},
    }
    study = {"metric": "accuracy", "labels": {"x": labels}, "outside": {("d", "x", "e"): cell}}
    north, south = by_site.rows({}, study)
    assert (north["site"], north["mean"], north["n"], north["n_groups"]) == ("n", 0.75, 4, 2)
    assert (south["site"], south["mean"], south["n"], south["n_groups"]) == ("s", 0.5, 2, 1)
    assert north["low"] is not None and south["low"] is None  # one patient tells of no other
    assert north["unit"] == "patient" and north["external"] == "x"


def _config(**study) -> dict:
    names = ("here", "there")
    datasets = {name: {"reader": "table", "root": "tests"} for name in names}
    datasets["again"] = {"of": "here", "split": {"seed": 1}}
    datasets["all"] = {"of": "there", "split": {"by": "test"}}
    datasets["folded"] = {"of": "here", "split": {"folds": 2}}
    compared = {"datasets": ["here"], "encoders": ["vit"], "methods": ["head", "lora"]}
    return {
        "datasets": datasets,
        "encoders": {"vit": {"library": "timm", "model": "vit_tiny_patch16_224"}},
        "methods": {
            "head": {"recipe": "linear_head"},
            "lora": {"recipe": "lora"},
            "prompts": {"recipe": "text_prompts"},
        },
        "studies": {"s": compared | {"seeds": [0, 1], "evaluate_on": ["all"]} | study},
    }


def test_each_run_is_scored_on_each_dataset_of_other_samples():
    config = load.load(_config(datasets=["here", "there"], evaluate_on=["all", "here"]))
    runs = plan.evaluated(config, SimpleNamespace(study="s"))
    assert {(run["dataset"], run["external"]) for run in runs} == {
        ("here", "all"),
        ("there", "here"),
    }
    assert len(runs) == 2 * 2 * 2


def test_a_frozen_tower_reads_embeddings_and_a_trained_one_pixels():
    config = load.load(_config())
    w = SimpleNamespace(dataset="here", external="all", encoder="vit", method="head", seed="0")
    head = plan.artifacts(config, w)
    assert head["outside_labels"] == "results/labels/all.parquet"
    assert head["outside_image_embeddings"] == "results/embeddings/vit/there.images.parquet"
    assert head["image_embeddings"] == "results/embeddings/vit/here.images.parquet"
    w.method = "lora"
    assert set(plan.artifacts(config, w)) == {"labels", "outside_labels"}


@pytest.mark.parametrize(
    ("study", "said"),
    [
        ({"evaluate_on": ["nowhere"]}, "evaluate_on: .*nowhere"),
        ({"evaluate_on": ["again"]}, "'again' has the samples of every dataset of the study"),
        ({"datasets": ["folded"]}, "'folded' is cross-validated .*'folded-fold-1'"),
        ({"methods": ["prompts"]}, "method 'prompts' cannot predict new images"),
        ({"datasets": ["all"], "evaluate_on": ["here"]}, "all samples of 'all' are test"),
    ],
)
def test_what_cannot_be_scored_elsewhere_is_told(study, said):
    with pytest.raises(InputError, match=said):
        load.load(_config(**study))
