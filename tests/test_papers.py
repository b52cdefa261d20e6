"""What the papers show has a study in their configs, with the papers' settings."""

from pathlib import Path

import pandas as pd
import pytest
import yaml

from histopair.datasets import splits
from histopair.evaluation import published
from histopair.plan import entries
from histopair.plan.load import load

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "config/clip-it.yaml").read_text(encoding="utf-8")
CONFIG = load(yaml.safe_load(TEXT))
PAPER = published.read(ROOT / "config/published/clip-it.csv")


@pytest.mark.parametrize("dataset", ["pcam", "bach", "crc"])
def test_figures_3_and_4_have_every_backbone_of_tables_1_and_2(dataset):
    study = CONFIG["studies"]["fronts"]
    tables = [row for row in PAPER if row["note"].startswith(("Table 1", "Table 2"))]
    backbones = {row["encoder"] for row in tables if row["dataset"] == dataset}
    assert dataset in study["datasets"] and set(study["encoders"]) == backbones
    methods = [entries.method(CONFIG, name, dataset) for name in study["methods"]]
    prompted = {m["encoder"]: m["positives"] for m in methods if m["recipe"] == "contrastive"}
    assert prompted == {"conch": "own", "quiltnet": "own"}
    assert {"linear_probe", "clip_it", "text_reports"} < {m["recipe"] for m in methods}
    pair = {role: CONFIG["methods"][name] for role, name in study["complementarity"].items()}
    assert (pair["vision"]["recipe"], pair["text"]["recipe"]) == ("linear_probe", "text_reports")
    (ours,) = (m for m in methods if m["recipe"] == "clip_it")
    assert pair["text"]["text_lora"] == ours["text_lora"], "Fig. 4's text model is fine-tuned"


def test_texts_of_a_dataset_are_classified_once_for_all_backbones():
    runs = [run for run in entries.runs(CONFIG, "fronts") if run["method"] == "text-tuned"]
    assert len(runs) == 3 * 8 * 3
    assert len({(run["dataset"], run["encoder"], run["seed"]) for run in runs}) == 3 * 3


def test_one_word_of_the_config_says_who_retrieves():
    changed = load(yaml.safe_load(TEXT.replace("&retriever quiltnet", "&retriever conch")))
    fixed = ("clip-it-by-quiltnet", "contrastive-quiltnet")
    for config, retriever in ((CONFIG, "quiltnet"), (changed, "conch")):
        for name in ("clip-it", "clip-it-random", "clip-it-label-prompt", "text-reports"):
            assert config["methods"][name]["retriever"] == retriever
        for name in ("text-prompt", "text-prompts", "zero-shot-retriever"):
            assert config["methods"][name]["encoder"] == retriever
        assert config["studies"]["texts"]["encoders"] == [retriever]
    named = {
        name
        for name, method in changed["methods"].items()
        if "quiltnet" in (method.get("retriever"), method.get("encoder"))
    }
    assert named == set(fixed)


def test_texts_of_table_6_are_read_by_the_frozen_tower():
    methods = [CONFIG["methods"][name] for name in CONFIG["studies"]["texts"]["methods"]]
    assert [m["text_lora"] for m in methods if m["recipe"] == "text_reports"] == [None]


PUBLISHED_EPOCHS = [  # by dataset: of both baselines, and of CLIP-IT's text stage (recovered)
    ("pcam", 1, 5),
    ("bach", 25, 100),
]


@pytest.mark.parametrize(("dataset", "epochs", "text_epochs"), PUBLISHED_EPOCHS)
def test_the_published_codes_methods_have_its_epochs(dataset, epochs, text_epochs):
    unimodal, faithful = (
        entries.method(CONFIG, name, dataset) for name in ("unimodal-published", "clip-it-faithful")
    )
    assert (unimodal["epochs"], faithful["epochs"]) == (epochs, epochs)
    assert faithful["text_epochs"] == text_epochs
    assert unimodal["patience"] == faithful["patience"] == 0


def test_what_converges_is_the_same_method_on_every_dataset():
    for name in ("linear-probe", "lora", "clip-it", "clip-it-random", "contrastive"):
        pcam, bach, crc = (entries.method(CONFIG, name, d) for d in ("pcam", "bach", "crc"))
        assert pcam == bach == crc


def test_table_2_is_claimed_of_each_dataset_as_the_paper_has_it():
    said = [(c["datasets"], c["better"]) for c in CONFIG["studies"]["clips"]["claims"]]
    assert said == [(["pcam"], "clip-it")] * 2 + [(["bach"], "clip-it")] * 2 + [
        (["crc"], "contrastive-published"),
        (["crc"], "clip-it"),
    ]


MULTILABEL = {
    "multilabel.yaml": load(
        yaml.safe_load((ROOT / "config/multilabel.yaml").read_text(encoding="utf-8"))
    ),
    "config.yaml": load(yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8"))),
}


@pytest.mark.parametrize("config", MULTILABEL.values(), ids=MULTILABEL)
def test_unfreezing_and_the_fifth_layer_are_each_compared_alone(config):
    claims = config["studies"]["discussion"]["claims"]
    for words, parts in (
        ("Unfreezing", {"unfreeze": ({"image": 2, "text": 0}, {"image": 0, "text": 0})}),
        ("A fifth layer", {"layers": (5, 4)}),
    ):
        (claim,) = (c for c in claims if c["claim"].startswith(words))
        better, worse = (config["methods"][claim[side]] for side in ("better", "worse"))
        differ = {key: (better[key], worse[key]) for key in better if better[key] != worse[key]}
        assert better.keys() == worse.keys() and differ == parts
    fifth = config["methods"]["five-layers"]
    assert fifth["recipe"] == "fusion_frozen"


def test_the_multi_label_papers_classes_and_pairs_are_in_its_config():
    entry = MULTILABEL["multilabel.yaml"]["datasets"]["quilt"]
    assert entry["published"] == {"classes": 60, "samples": 43866}
    assert entry["most_classes"] == entry["published"]["classes"]
    rows = published.read(ROOT / "config/published/multilabel.csv")
    values = {(row["method"], row["metric"]): row["value"] for row in rows}
    for method in ("resnet50", "bert", "final"):  # Hamming loss of three labels of 60
        loss = 6 * (1 - values[method, "top3_f1_micro"]) / entry["published"]["classes"]
        assert values[method, "hamming"] == pytest.approx(loss, abs=6e-5)


@pytest.mark.parametrize("config", [CONFIG, MULTILABEL["config.yaml"]], ids=["real", "phantom"])
def test_the_tuning_varies_both_towers_alike(config):
    space = config["tunings"]["lambda-and-lora"]["space"]
    for part in ("rank", "alpha", "targets"):
        assert f"lora.{part}" in space
        assert space[f"text_lora.{part}"] == {"same": f"lora.{part}"}


def test_validation_of_bach_is_a_tenth_of_its_train_set():
    names = [f"{label}{n}" for label in "abcd" for n in range(100)]
    frame = pd.DataFrame({"sample_id": names, "image_id": names, "sha256": names})
    frame = frame.assign(group=None, split=None, labels=[[name[0]] for name in names])
    assigned = splits.assign(frame, **CONFIG["datasets"]["bach"]["split"])
    assert assigned.value_counts().to_dict() == {"train": 288, "test": 80, "val": 32}


def test_table_8_has_the_papers_cohort_and_both_of_its_rows():
    study = CONFIG["studies"]["mbc"]
    cohort = CONFIG["datasets"][study["datasets"][0]]
    assert (cohort["split"]["folds"], CONFIG["corpora"][cohort["corpus"]]["organ"]) == (5, "breast")
    rows = published.read(ROOT / study["published"], ("c_index", "integrated_auc"))
    assert {row["method"] for row in rows} <= set(study["methods"])
    assert CONFIG["methods"]["mil-clip-it"]["pairing"] == "retrieved"
