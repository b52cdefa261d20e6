"""A method's `datasets`: what is different on one dataset changes its runs there, and no others."""

from types import SimpleNamespace

import pytest
import yaml

from histopair.errors import InputError
from histopair.evaluation import study_tables as evaluated
from histopair.plan import analyses, entries, exports, lineage, page, pairs, runs, studies, tunings
from histopair.plan.load import load

WRITTEN = """
datasets:
  pcam: {reader: pcam, root: pcam, corpus: reports}
  bach: {reader: bach, root: bach, corpus: reports}
  bach-rows: {of: bach, split: {by: row}}
corpora:
  reports: {table: reports.csv}
  others: {table: others.csv}
encoders:
  clip: {library: open_clip, model: ViT-B-32, pretrained: openai}
  conch: {library: open_clip, model: ViT-B-32, pretrained: openai}
  vit: {library: timm, model: vit_small_patch16_224}
methods:
  lora: {recipe: lora, epochs: 3, lora: {rank: 4}}
  clip-it: {recipe: clip_it, retriever: clip, epochs: 3}
tunings:
  rank: {dataset: bach, encoder: vit, method: clip-it, space: {lora.rank: [2, 4]}}
studies:
  main: {datasets: [pcam, bach, bach-rows], encoders: [vit], methods: [lora, clip-it], seeds: [0]}
"""


def written(method=None, **more) -> dict:
    """The config with `datasets` of clip-it, and with more methods."""
    config = yaml.safe_load(WRITTEN)
    if method:
        config["methods"]["clip-it"]["datasets"] = method
    config["methods"] |= more
    return config


def on(config: dict, dataset: str, name: str = "clip-it") -> dict:
    return entries.method(config, name, dataset)


def test_a_dataset_has_its_own_parameters_and_all_others_are_the_methods():
    config, plain = load(written({"bach": {"epochs": 25, "text_epochs": 50}})), load(written())
    assert on(config, "pcam") == on(plain, "pcam")
    assert on(config, "bach") == on(plain, "bach") | {"epochs": 25, "text_epochs": 50}
    assert "datasets" not in on(config, "pcam") | on(config, "bach")


def test_a_view_has_those_of_its_dataset_where_it_says_nothing():
    config = load(written({"bach": {"epochs": 25, "rank": 2}, "bach-rows": {"rank": 3}}))
    assert (on(config, "bach-rows")["epochs"], on(config, "bach-rows")["rank"]) == (25, 3)
    assert on(config, "bach")["rank"] == 2
    only_resplit = load(written({"bach-rows": {"epochs": 9}}))
    assert (on(only_resplit, "bach")["epochs"], on(only_resplit, "bach-rows")["epochs"]) == (3, 9)


def test_few_labels_and_folds_have_those_of_the_split_that_they_are_of():
    config = written({"bach": {"rank": 2}, "bach-rows": {"rank": 3}})
    config["datasets"]["bach-folds"] = {"of": "bach", "split": {"folds": 2}}
    config["methods"]["clip-it"]["datasets"]["bach-folds"] = {"rank": 4}
    config["studies"]["main"] |= {"datasets": ["bach", "bach-rows"], "labels": [5, "all"]}
    config = load(config)
    assert on(config, "bach-5-labels")["rank"] == on(config, "bach")["rank"] == 2
    assert on(config, "bach-rows-5-labels")["rank"] == on(config, "bach-rows")["rank"] == 3
    assert on(config, "bach-folds-fold-2")["rank"] == on(config, "bach-folds")["rank"] == 4


def test_what_all_numbers_of_labels_share_cannot_differ_between_them():
    config = written(staged={"recipe": "distil_lora", "retriever": "clip"})
    config["studies"]["main"] |= {"datasets": ["bach"], "labels": [5], "methods": ["staged"]}
    config["methods"]["staged"]["datasets"] = {"bach": {"rank": 2}}
    assert on(load(config), "bach-5-labels", "staged")["rank"] == 2
    config["methods"]["staged"]["datasets"] = {"bach-5-labels": {"rank": 2}}
    with pytest.raises(InputError, match="shared by all numbers of labels; say it of 'bach'"):
        load(config)


def test_a_map_stands_for_the_whole_map_as_with_like():
    config = written()
    config["methods"]["lora"]["datasets"] = {"bach": {"lora": {"alpha": 2.0}}}
    lora = on(load(config), "bach", "lora")["lora"]
    assert lora == {"rank": 16, "alpha": 2.0, "targets": "all", "blocks": "all"}


def test_like_takes_over_what_is_different_on_datasets_save_what_the_method_says_itself():
    config = load(
        written(
            {"bach": {"epochs": 25, "rank": 2}},
            other={"like": "clip-it", "pairing": "random"},
            quick={"like": "clip-it", "epochs": 1},
            own={"like": "quick", "datasets": {"bach": {"epochs": 7}, "pcam": {"rank": 4}}},
        )
    )
    assert on(config, "bach", "other") == on(config, "bach") | {"pairing": "random"}
    assert (on(config, "bach", "quick")["epochs"], on(config, "bach", "quick")["rank"]) == (1, 2)
    assert (on(config, "bach", "own")["epochs"], on(config, "bach", "own")["rank"]) == (7, 2)
    assert (on(config, "pcam", "own")["epochs"], on(config, "pcam", "own")["rank"]) == (1, 4)


def test_methods_that_were_loaded_are_read_to_the_same_again():
    config = load(written({"bach": {"epochs": 25}, "bach-rows": {"lora": None}}))
    assert load(written() | {"methods": config["methods"]})["methods"] == config["methods"]


def test_what_is_said_without_being_different_is_not_kept():
    assert load(written({"bach": {"epochs": 3}})) == load(written())


MISTAKES = [
    ({"bahc": {}}, "methods.clip-it.datasets: 'bahc' is not allowed; allowed are ['bach'"),
    ({"bach": {"epoch": 3}}, "methods.clip-it.datasets.bach: unknown key 'epoch'; allowed are"),
    ({"bach": {"epochs": 0}}, "methods.clip-it.datasets.bach.epochs: 0 is less than the minimum"),
    ({"bach": {"epochs": "3"}}, "methods.clip-it.datasets.bach.epochs: '3' is not of type"),
    ({"bach": {"loss": "x"}}, "methods.clip-it.datasets.bach.loss: 'x' is not allowed"),
    ({"bach": {"teacher": "x"}}, "methods.clip-it.datasets.bach.teacher: 'x' is not allowed"),
    ({"bach": {"lora": {"r": 1}}}, "methods.clip-it.datasets.bach.lora: unknown key 'r'"),
    ({"bach": {"rank": 9}}, "methods.clip-it.datasets.bach.rank: 9 is not allowed; at most"),
    ({"bach": {"retriever": "x"}}, "methods.clip-it.datasets.bach.retriever: 'x' is not allowed"),
    ({"bach": {"pairing": "oracle"}}, "pairs by truth, and 'bach' or 'reports' has none"),
    ({"bach": {"recipe": "linear_head"}}, "'recipe' is the same on every dataset"),
    ({"bach": {"like": "lora"}}, "'like' is the same on every dataset"),
    ({"bach": 3}, "methods.clip-it.datasets.bach: 3 is not of type 'object'"),
    (["bach"], "methods.clip-it.datasets: ['bach'] is not of type 'object'"),
]


@pytest.mark.parametrize(("datasets", "message"), MISTAKES, ids=lambda x: str(x)[:40])
def test_a_mistake_is_told_as_that_of_a_method_is(datasets, message):
    with pytest.raises(InputError) as error:
        load(written(datasets, other={"like": "clip-it"}))
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert "methods.other" not in str(error.value), "it is told where it was made"


def test_parameters_that_do_not_fit_each_other_there_are_a_mistake():
    tops = {"recipe": "image_only", "augmentations": 8, "datasets": {"bach": {"augmentations": 9}}}
    with pytest.raises(InputError, match=r"tops.datasets.bach.augmentations: 9 is not allowed"):
        load(written(tops=tops))


def planned(config: dict) -> dict[tuple, object]:
    """All that rules ask of each run of the study."""
    found = {}
    for run in studies.runs(config, SimpleNamespace(study="main")):
        w = SimpleNamespace(**run)
        found[run["dataset"], run["method"]] = {
            "spec": runs.spec(config, w),
            "artifacts": runs.artifacts(config, w),
            "files": runs.encoder_files(config, w),
            "modules": runs.modules(config, w),
            "export": exports.spec(config, w),
            "card": exports.described(config, w),
            "lineage": lineage.sources(config, run),
        }
    return found


CHANGES = {
    "epochs": {"epochs": 25},
    "frozen text": {"text_lora": None},
    "corpus": {"corpus": "others"},
    "retriever": {"retriever": "conch"},
    "backbone": {"encoder": "conch"},
    "random": {"pairing": "random"},
    "no text": {"teacher": "none"},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_only_the_runs_of_that_dataset_change(change):
    before, after = planned(load(written())), planned(load(written({"bach": change})))
    changed = {run for run in before if before[run] != after[run]}
    assert changed == {("bach", "clip-it"), ("bach-rows", "clip-it")}
    assert before.keys() == after.keys()


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_run_is_planned_as_that_of_a_method_that_says_it_everywhere(change):
    here, everywhere = written({"bach": change}), written()
    everywhere["methods"]["clip-it"] |= change
    run = ("bach", "clip-it")
    assert planned(load(here))[run] == planned(load(everywhere))[run]


def test_what_the_page_shows_follows_the_dataset():
    config = load(written({"bach": {"retriever": "conch", "corpus": "others"}}))
    read = {(pair["dataset"], pair["encoder"], pair["corpus"]) for pair in entries.pairings(config)}
    assert read == {("pcam", "clip", "reports"), ("bach", "conch", "others")}
    shown = page.shown(config)
    assert shown["corpora"] == ["reports", "others"]
    assert {"encoder": "conch", "corpus": "others"} in shown["chunks"]


def test_a_study_says_what_is_different_where():
    w = SimpleNamespace(study="main")
    said = studies.settings(load(written({"bach": {"epochs": 25}})), w)
    own = {"clip-it": {"epochs": 25}}
    assert said["different"] == {"bach": own, "bach-rows": own}
    assert "different" not in studies.settings(load(written()), w)


def test_only_taught_runs_are_analysed_for_what_was_distilled():
    config = load(written({"bach": {"teacher": "none"}}))
    w = SimpleNamespace(study="main")
    assert {run["dataset"] for run in analyses.distilled_runs(config, w)} == {"pcam"}
    assert analyses.distilled_methods(config) == ["clip-it"]


def test_pairs_by_truth_have_the_retriever_of_their_dataset():
    config = written({"bach": {"retriever": "conch"}})
    for part in (config["datasets"]["pcam"], config["datasets"]["bach"]):
        part["truth"] = "t.parquet"
    config["corpora"]["reports"]["truth"] = "r.parquet"
    config["methods"]["clip-it"]["pairing"] = "oracle"
    for dataset, retriever in (("pcam", "clip"), ("bach", "conch")):
        w = SimpleNamespace(encoder="oracle", dataset=dataset, corpus="reports")
        assert pairs.chunks_judged(load(config), w) == f"results/chunks/{retriever}/reports.parquet"


def test_a_tuning_starts_from_the_method_of_its_dataset():
    config = load(written({"bach": {"epochs": 25, "retriever": "conch"}}))
    spec = tunings.spec(config, SimpleNamespace(tuning="rank"))
    assert (spec["method"]["epochs"], spec["retriever"]["name"]) == (25, "conch")


def test_a_space_is_checked_against_the_method_of_its_dataset():
    config = written({"bach": {"lora": None}})
    with pytest.raises(InputError, match=r"tunings.rank.space: method has no parameter"):
        load(config)


CLAIM = {"claim": "c", "better": "clip-it", "worse": "lora"}


def test_a_claim_is_held_against_its_own_datasets():
    of_cell = evaluated.each(lambda cell, study: [{"n": len(study["claims"])}])
    study = {"claims": [CLAIM | {"datasets": ["bach"]}, CLAIM]}
    rows = of_cell({("pcam", "vit"): {}, ("bach", "vit"): {}}, study)
    assert [(row["dataset"], row["n"]) for row in rows] == [("pcam", 1), ("bach", 2)]


def test_a_claim_names_datasets_that_exist():
    config = written()
    config["studies"]["main"]["claims"] = [CLAIM | {"datasets": ["bahc"]}]
    with pytest.raises(InputError, match=r"claims.0.datasets: 'bahc' is not allowed.*'bach'"):
        load(config)
