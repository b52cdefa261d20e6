"""Tunings: judged on validation alone, resumed to the same trials, and their best as a method."""

import shutil
from types import SimpleNamespace

import numpy as np
import optuna
import pandas as pd
import pytest
import test_configuration
import test_methods
import yaml
from test_methods import LORA, make

from histopair.errors import InputError
from histopair.files import tables
from histopair.pages import best_parameters
from histopair.plan import tunings
from histopair.plan.load import load
from histopair.training import trials, tuning_space

world = test_methods.world
SPACE = {
    "distillation_weight": {"low": 0.1, "high": 5.0, "log": True},
    "lora.rank": [1, 2],
    "lora.alpha": {"times": "lora.rank", "of": [0.5, 1.0]},
}
ENTRY = {
    "dataset": "tiles",
    "method": "clip-it",
    "space": SPACE,
    "trials": 6,
    "metric": "balanced_accuracy",
    "seeds": [0],
}
METHOD = {"distillation_weight": 1.0, "lora": dict(LORA), "epochs": 3}


def value_of(method: dict) -> float:
    """Best at a weight of 1 and at rank 2."""
    weight, lora = method["distillation_weight"], method["lora"]
    return -abs(np.log(weight)) + lora["rank"] - lora["alpha"] / 100


@pytest.fixture
def quick(monkeypatch):
    """Runs that are their method, judged by `value_of`; the list of those that were judged."""
    judged = []

    def validate(method, metric, resume):
        judged.append(method)
        return value_of(method), {"converged": method["lora"]["rank"] > 2, "stages": []}

    monkeypatch.setattr(trials, "validate", validate)
    return judged


def tune(folder, out, **changes):
    folder.mkdir(exist_ok=True)
    entry = ENTRY | changes
    trials.tune(lambda method, seed: method, entry, METHOD, str(folder), str(out), {"code": "x"})
    return tables.read(out)


def test_a_tuning_repeats_and_leaves_the_rest_of_the_method_as_it_was(quick, tmp_path):
    first = tune(tmp_path / "a", tmp_path / "a.parquet")
    tune(tmp_path / "b", tmp_path / "b.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    assert list(first["trial"]) == list(range(6))
    assert {method["epochs"] for method in quick} == {3}
    assert METHOD["lora"] == LORA


def test_a_tuning_that_was_killed_ends_as_one_that_was_not(quick, tmp_path, monkeypatch):
    whole = tune(tmp_path / "a", tmp_path / "a.parquet")
    whole_run, left = trials.validate, [3]

    def killed(*arguments):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return whole_run(*arguments)

    monkeypatch.setattr(trials, "validate", killed)
    with pytest.raises(KeyboardInterrupt):
        tune(tmp_path / "b", tmp_path / "b.parquet")
    monkeypatch.setattr(trials, "validate", whole_run)
    judged = len(quick)
    resumed = tune(tmp_path / "b", tmp_path / "b.parquet")
    assert resumed.equals(whole)
    assert len(quick) - judged <= 3


def test_a_larger_budget_goes_on_from_a_smaller_one(quick, tmp_path):
    whole = tune(tmp_path / "a", tmp_path / "a.parquet")
    tune(tmp_path / "b", tmp_path / "b.parquet", trials=2)
    shutil.copy(tmp_path / "b.parquet", tmp_path / "two.parquet")
    more = tune(tmp_path / "b", tmp_path / "b.parquet")
    assert more.equals(whole)
    assert tables.read(tmp_path / "two.parquet").equals(whole.head(2))


def test_equal_parameters_are_tried_once(quick, tmp_path):
    space = {"lora.rank": [1, 2]}
    history = tune(tmp_path / "a", tmp_path / "a.parquet", space=space)
    assert len(history) == 6 and len(quick) <= 2


def test_alpha_is_a_multiple_of_the_rank_of_its_own_trial():
    trial = optuna.trial.FixedTrial({"distillation_weight": 2.0, "lora.rank": 2, "lora.alpha": 0.5})
    found = tuning_space.suggest(trial, SPACE)
    assert found == {"distillation_weight": 2.0, "lora.rank": 2, "lora.alpha": 1.0}


def test_both_towers_can_be_tuned_alike():
    space = {"lora.rank": [1, 2], "text_lora.rank": {"same": "lora.rank"}}
    found = tuning_space.suggest(optuna.trial.FixedTrial({"lora.rank": 2}), space)
    assert found == {"lora.rank": 2, "text_lora.rank": 2}
    method = {"lora": dict(LORA), "text_lora": dict(LORA)}
    changed = tuning_space.changed(method, found)
    assert changed["lora"]["rank"] == changed["text_lora"]["rank"] == 2
    config = with_tuning(space={**space, "text_lora.targets": ["all", "no-linear"]})
    assert load(config)["tunings"]["mine"]["space"]["text_lora.rank"]


def test_a_run_is_judged_on_validation_and_reads_no_test_image(world, tmp_path):
    run = make(world, "lora", lora=LORA, epochs=1)
    folder = tmp_path / "without test"
    shutil.copytree(run.root, folder)
    samples = tables.read(run.artifacts["labels"])
    for path in samples["path"][samples["split"] == "test"]:
        (folder / path).unlink()
    run.root = str(folder)
    value, _ = trials.validate(run, "balanced_accuracy", str(tmp_path / "resume"))
    assert 0 <= value <= 1
    assert set(run.samples["split"]) == {"train", "val"}
    with pytest.raises(InputError, match="hamming"):
        trials.validate(run, "hamming", str(tmp_path / "resume"))


def test_the_best_parameters_are_a_method_that_the_config_takes(quick, tmp_path):
    history = tune(tmp_path / "a", tmp_path / "a.parquet")
    out = [str(tmp_path / name) for name in ("best.yaml", "plot.svg")]
    best_parameters.write(str(tmp_path / "a.parquet"), "mine", *out)
    best = yaml.safe_load((tmp_path / "best.yaml").read_text())["mine-best"]
    row = history.loc[history["value"].idxmax()]
    assert best["like"] == "clip-it"
    assert best["distillation_weight"] == row["distillation_weight"]
    lora = {"rank": row["lora.rank"], "alpha": row["lora.alpha"], "targets": "all"}
    assert best["lora"] == lora
    assert (tmp_path / "plot.svg").read_text().count("best so far") == 1


@pytest.mark.parametrize(
    ("name", "space"),
    [
        (
            "clip-it",
            {"batch_size": [16, 8], "lora.rank": [2, 1], "text_lora.rank": {"same": "lora.rank"}},
        ),
        ("last-blocks", {"unfreeze": [1, 2, "all"], "head_learning_rate": [None, 0.5]}),
        ("clip-it", {"lora.blocks": ["all", 2], "distillation_weight": {"low": 1, "high": 2}}),
    ],
)
def test_what_is_written_of_the_best_is_a_method_with_the_values_of_its_trial(
    monkeypatch, tmp_path, name, space
):
    config, judged = with_tuning(), []
    config["methods"]["last-blocks"]["head_learning_rate"] = 0.1

    def validate(method, metric, resume):
        judged.append(method)
        return float(len(judged)), {"converged": True, "stages": []}

    monkeypatch.setattr(trials, "validate", validate)
    method, entry = load(config)["methods"][name], ENTRY | {"method": name, "space": space}
    out = [str(tmp_path / file) for file in ("history.parquet", "best.yaml", "plot.svg")]
    trials.tune(lambda method, seed: method, entry, method, str(tmp_path), out[0], {})
    best_parameters.write(out[0], "mine", *out[1:])
    config["methods"] |= yaml.safe_load((tmp_path / "best.yaml").read_text())
    found = load(config)["methods"]["mine-best"]
    assert found == judged[-1]
    whole = {key for key, value in judged[-1].items() if type(value) is int}
    assert {key for key, value in found.items() if type(value) is int} == whole


def test_the_best_of_a_fold_says_whose_test_samples_chose_it():
    config = with_tuning(dataset="cv-fold-1")
    config["datasets"]["cv"] = {"of": "tiles", "split": {"folds": 3}}
    loaded = load(config)
    entry = tunings.entry(loaded, SimpleNamespace(tuning="mine"))
    table = pd.DataFrame({"value": [0.5], "distillation_weight": [1.0], "not_converged": [0]})
    said = best_parameters.best_entry(table, "mine", entry, {})
    assert "chosen on samples that the other folds of cv test: judge them on cv-fold-1" in said
    whole = entry | {"dataset": "tiles"}
    del whole["fold_of"]
    assert "folds" not in best_parameters.best_entry(table, "mine", whole, {})
    assert "fold_of" not in tunings.entry(load(with_tuning()), SimpleNamespace(tuning="mine"))


def test_the_best_of_a_tuning_is_not_judged_on_another_split_of_its_samples():
    config = with_tuning(dataset="cv-fold-1")
    config["datasets"]["cv"] = {"of": "tiles", "split": {"folds": 3}}
    config["methods"]["mine-best"] = {"like": "clip-it"}
    study = config["studies"]["main"] | {"methods": ["head", "mine-best"], "claims": []}
    study["reference"] = "head"
    for judged in ("cv", "cv-fold-2", "tiles"):
        config["studies"] = {"main": study | {"datasets": [judged]}}
        line = rf"'mine-best' were chosen on 'cv-fold-1', and '{judged}' splits.*judge it on 'cv-f"
        with pytest.raises(InputError, match=line):
            load(config)
    load(config | {"studies": {"main": study | {"datasets": ["cv-fold-1"]}}})


def test_the_best_entry_says_how_many_trials_tie():
    table = pd.DataFrame({"trial": range(3), "value": [0.5, 0.7, 0.7], "rank": [1, 3, 2]})
    table["not_converged"] = [0, 1, 0]
    entry = {"metric": "accuracy", "dataset": "tiles", "method": "clip-it", "space": {"rank": [1]}}
    entry["seeds"] = [0]
    said = best_parameters.best_entry(table, "mine", entry, {})
    assert "the first of 2 trials" in said and "rank: 3" in said
    assert "# 1 of its 1 runs had not converged." in said
    assert "the first of" not in best_parameters.best_entry(table[:2], "mine", entry, {})


def with_tuning(**changes) -> dict:
    entry = {
        "dataset": "tiles",
        "encoder": "vit",
        "method": "clip-it",
        "space": {"distillation_weight": [0.1, 1.0]},
    }
    config = test_configuration.small() | {"tunings": {"mine": entry | changes}}
    config["methods"]["last-blocks"] = {"recipe": "image_only", "epochs": 3}
    config["methods"]["frozen-text"] = {"like": "clip-it", "text_lora": None}
    config["methods"]["frozen-images"] = {"recipe": "lora", "lora": None}
    config["methods"]["taught"] = {"recipe": "student", "teacher_method": "last-blocks"}
    return config


def test_a_tuning_in_the_config_takes_its_defaults():
    entry = load(with_tuning())["tunings"]["mine"]
    assert (entry["trials"], entry["metric"], entry["seeds"]) == (20, "balanced_accuracy", [0])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"method": "clip"}, r"tunings.mine.method: 'clip' is not allowed"),
        ({"metric": "speed"}, r"tunings.mine.metric"),
        (
            {"space": {"lambda": [1.0]}},
            r"tunings.mine.space: method has no parameter 'lambda'",
        ),
        ({"space": {"lora.width": [1]}}, r"no parameter 'lora.width'"),
        ({"space": {"lora.rank": [0]}}, r"mine.space.lora.rank: 0 is not allowed"),
        ({"space": {"text_branch": ["late", "odd"]}}, r"space.text_branch: 'odd'"),
        ({"space": {"lora.alpha": {"times": "lora.rank", "of": [1]}}}, r"lora.alpha.times"),
        ({"space": {"text_lora.rank": {"same": "lora.rank"}}}, r"text_lora.rank.same"),
        ({"space": {"lora.targets": ["all"], "lora.rank": {"same": "lora.targets"}}}, r"lora.rank"),
        ({"space": {"distillation_weight": {"low": 1}}}, r"tunings.mine.space"),
        (
            {"method": "taught", "space": {"temperature": [1.0, 4.0]}, "seeds": [0, 1]},
            r"tunings.mine.seeds: its method's teacher is a run .*; give one seed",
        ),
        # A range is one of fractions.
        ({"space": {"lora.rank": {"low": 1, "high": 8}}}, r"space.lora.rank: 1.0 is not allowed"),
        ({"space": {"batch_size": {"low": 8, "high": 64}}}, r"batch_size: 8.0 is not of type 'int"),
        ({"space": {"word_dropout": {"low": 0.1, "high": 2}}}, r"word_dropout: it is a share"),
        # Trials read the files of the method as it is, whatever they try.
        (
            {"method": "frozen-text", "space": {"word_dropout": {"low": 0, "high": 0.8}}},
            r"space.word_dropout: 0.8 is not allowed, as trials read what",
        ),
        (
            {"method": "frozen-images", "space": {"normalisation": ["own", "imagenet"]}},
            r"space.normalisation: 'imagenet' is not allowed, as trials read what",
        ),
        ({"space": {"retriever": ["clip", "vit"]}}, r"space.retriever: 'vit' is not allowed"),
        ({"space": {"pairing": ["random", "csls"]}}, r"space.pairing: 'csls' is not allowed"),
        (
            {"method": "last-blocks", "space": {"augmentations": [1, 8]}},
            r"space.augmentations: 8 is not allowed, as trials read what the method's runs read; "
            "tune a method that has this value",
        ),
    ],
)
def test_a_mistake_in_a_tuning_is_one_clear_line(changes, said):
    with pytest.raises(InputError, match=said):
        load(with_tuning(**changes))


def test_a_trial_may_train_other_blocks_pair_by_chance_or_turn_tiles_less():
    for method, space in (
        ("last-blocks", {"unfreeze": [1, 2, "all"]}),
        ("last-blocks", {"augmentations": [1]}),
        ("taught", {"temperature": [1.0, 4.0]}),
        ("clip-it", {"pairing": ["retrieved", "random"], "rank": [1, 2]}),
        ("clip-it", {"lora.blocks": ["all", 2]}),
        (
            "clip-it",
            {"word_dropout": {"low": 0, "high": 0.8}, "normalisation": ["own", "imagenet"]},
        ),
    ):
        load(with_tuning(method=method, space=space))
