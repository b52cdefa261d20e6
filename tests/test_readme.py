"""What README.md shows is true: links lead somewhere, configs are valid, its method trains."""

import re
import sys
import types
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import tiny
import torch
import yaml

from histopair.files import tables
from histopair.plan import recipes
from histopair.plan.load import load
from histopair.training import runs

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.S)


@pytest.mark.parametrize("page", ["README.md", "config/README.md"])
def test_links_lead_to_files_of_the_repository(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    linked = [link for link in re.findall(r"(?<!!)\[[^]]+\]\(([^)]+)\)", text) if link[0] != "#"]
    assert linked
    assert [link for link in linked if not (ROOT / page).parent.joinpath(link).exists()] == []


def test_the_examples_added_to_the_default_config_are_valid(monkeypatch):
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8"))
    known, constant, own = recipes.known, recipes.constant, method().__dict__
    function = recipes.function
    found = {"methods": [*known("methods"), "mlp"]}
    monkeypatch.setattr(recipes, "known", lambda kind: found.get(kind) or known(kind))
    monkeypatch.setattr(
        recipes,
        "constant",
        lambda name, what: own[what] if name.endswith(".mlp") else constant(name, what),
    )
    monkeypatch.setattr(
        recipes,
        "function",
        lambda name, what: own.get(what) if name.endswith(".mlp") else function(name, what),
    )
    for block in blocks("yaml"):
        for key, entries in yaml.safe_load(block).items():
            config[key] |= entries
    loaded = load(config)
    assert recipes.needs(loaded["methods"]["mlp"]) == ("image_embeddings",)
    assert {"my-tiles", "quiltnet", "mlp"} <= {
        *loaded["datasets"],
        *loaded["encoders"],
        *loaded["methods"],
    }


def method() -> types.ModuleType:
    """The method of the README as a module."""
    source = next(block for block in blocks("python") if "def build" in block)
    module = types.ModuleType("histopair.methods.mlp")
    exec(source, module.__dict__)
    return module


def test_the_method_of_the_readme_learns(tmp_path, monkeypatch):
    module = method()
    monkeypatch.setitem(sys.modules, module.__name__, module)
    labels = tiny.dataset(tmp_path)
    samples = tables.read(labels)
    vectors = np.random.default_rng(0).normal(size=(len(samples), 4)).astype(np.float16)
    vectors[:, 0] = [3 if names[0] == "c1" else -3 for names in samples["labels"]]
    table = pa.Table.from_pandas(samples[["image_id"]], preserve_index=False)
    table = table.append_column("embedding", tables.vectors(vectors))
    tables.write(tmp_path / "images.parquet", table, {})
    run = runs.Run(
        artifacts={"labels": str(labels), "image_embeddings": str(tmp_path / "images.parquet")},
        root=str(tmp_path),
        encoder_entry={},
        retriever_entry=None,
        method={"recipe": "mlp", "epochs": 20, "batch_size": 8, "learning_rate": 0.01}
        | module.PARAMETERS,
        seed=0,
        device=torch.device("cpu"),
        image_cache_mb=1,
    )
    out = {name: str(tmp_path / name) for name in ("weights", "history", "predictions")}
    runs.execute(run, str(tmp_path / "resume"), out, {})
    predictions = tables.read(out["predictions"])
    decided = tables.matrix(out["predictions"], "scores").argmax(1)
    assert [run.classes[number] for number in decided] == [
        names[0] for names in predictions["labels"]
    ]
