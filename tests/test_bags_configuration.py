"""Mistakes about bags and folds are one line that names the key and what is allowed."""

import pytest
import yaml

from histopair.errors import InputError
from histopair.plan import load as plan_load


def load(dataset=None, study=None, method=None, fold=None, tuning=None):
    config = yaml.safe_load(
        """
        datasets:
          tiles: {reader: table, root: tiles}
          people:
            reader: cohort
            clinical: c.csv
            features: {uni: f/uni, clip: f/clip}
            corpus: reports
            split: {folds: 3}
        corpora: {reports: {table: reports.csv}}
        encoders:
          uni: {library: timm, model: vit}
          clip: {library: open_clip, model: ViT-B-32, pretrained: openai}
        methods:
          mil: {recipe: mil}
          mil-clip-it: {recipe: mil_clip_it, retriever: clip}
          head: {recipe: linear_head}
        studies:
          s: {datasets: [people], encoders: [uni], methods: [mil, mil-clip-it], metric: c_index}
        """
    )
    config["datasets"]["people"] |= dataset or {}
    config["datasets"] |= fold or {}
    config["studies"]["s"] |= study or {}
    config["methods"]["mil-clip-it"] |= method or {}
    if tuning:
        config["tunings"] = {"x": tuning | {"space": {"width": [8, 16]}}}
    return plan_load.load(config)


def test_each_fold_is_a_dataset():
    datasets = load()["datasets"]
    assert [name for name in datasets if "fold" in name] == [f"people-fold-{k}" for k in (1, 2, 3)]
    assert datasets["people-fold-2"]["of"] == "people"
    assert datasets["people-fold-2"]["split"]["fold"] == 2


MISTAKES = {
    "encoder": ({"dataset": {"features": {"x": "f"}}}, r"people.features: 'x' is not allowed"),
    "column": ({"dataset": {"columns": {"label": "x"}}}, r"people.columns: 'label' is not allowed"),
    "folds": ({"dataset": {"split": {"folds": 1}}}, r"people.split.folds"),
    "corpus": ({"dataset": {"corpus": "x"}}, r"people.corpus: 'x'.*\['reports'\]"),
    "retriever": ({"method": {"retriever": "x"}}, r"mil-clip-it.retriever: 'x'"),
    "oracle": ({"method": {"pairing": "oracle"}}, r"method 'mil-clip-it' pairs by truth"),
    "correction": ({"method": {"pairing": "csls"}}, r"corrects pairs by the train split"),
    "rank": ({"method": {"rank": 6}}, r"mil-clip-it.rank: 6 .* at most retrieval.k = 5"),
    "dropout": ({"method": {"dropout": 1.0}}, r"mil-clip-it.dropout: it is a share, below 1"),
    "image method": (
        {"study": {"methods": ["head"]}},
        r"'head' reads images, .* are bags",
    ),
    "bag method": ({"study": {"datasets": ["tiles"]}}, r"'mil' reads bags, .* are images"),
    "no features": ({"dataset": {"features": {"uni": "f"}}}, r"retriever: 'clip' is not allowed"),
    "tuning": (
        {"tuning": {"dataset": "people", "encoder": "uni", "method": "mil", "metric": "c_index"}},
        r"tunings.x.dataset: it is cross-validated; tune on a fold, as 'people-fold-1'",
    ),
    "metric": ({"study": {"metric": "c-index"}}, r"s.metric: 'c-index' is not allowed"),
    "name": (
        {"fold": {"people-fold-1": {"reader": "table", "root": "x"}}},
        r"people-fold-1: this name is kept for a fold of 'people'",
    ),
}


@pytest.mark.parametrize("given, said", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_named(given, said):
    with pytest.raises(InputError, match=said):
        load(**given)
