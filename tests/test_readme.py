"""README.md and docs/ are true: links lead somewhere, examples run, commands have a target."""

import re
import sys
import types
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import tiny
import torch
import yaml
from PIL import Image

from histopair import readers
from histopair.files import tables
from histopair.plan import recipes
from histopair.plan.load import load
from histopair.training import one_run

ROOT = Path(__file__).parents[1]
DOCS = {path.relative_to(ROOT).as_posix(): path for path in (ROOT / "docs").glob("*.md")}
PAGES = {"README.md": ROOT / "README.md", "config/README.md": ROOT / "config/README.md", **DOCS}
TEXTS = {page: path.read_text(encoding="utf-8") for page, path in PAGES.items()}
NAMED_BY = {
    "studies": "studies",
    "analyses": "studies",
    "tunings": "tunings",
    "labels": "datasets",
}


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXTS[page], re.S)


def entries(page: str) -> dict:
    """The entries of all YAML examples of a page, by the config's keys."""
    found = {}
    for block in blocks(page, "yaml"):
        for key, named in yaml.safe_load(block).items():
            found[key] = found.get(key, {}) | named
    return found


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.M)
    return {
        re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings
    }


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files_and_headings_of_the_repository(page):
    for link in re.findall(r"\[[^]]+\]\(([^)]+)\)", TEXTS[page]):
        if link.startswith(("http:", "https:")):
            continue
        place, _, anchor = link.partition("#")
        target = (PAGES[page].parent / place).resolve() if place else PAGES[page]
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_page_of_the_docs_is_linked_from_the_readme():
    linked = set(re.findall(r"\]\((docs/\w[\w-]*\.md)\)", TEXTS["README.md"]))
    assert linked == set(DOCS)


def test_the_diagram_has_every_rule_in_the_box_of_its_file():
    (diagram,) = blocks("README.md", "mermaid")
    boxes = re.findall(r'^ +(\w+)\["<b>\1</b>: [^<]*<br>(.*)"\]$', diagram, re.M)
    drawn = {name: set(re.split(r", |<br>", rules)) for name, rules in boxes}
    files = {path.stem: path.read_text() for path in (ROOT / "workflow/rules").glob("*.smk")}
    rule = r"^(?:use rule \w+ as|rule) (\w+)"
    there = {name: set(re.findall(rule, text, re.M)) for name, text in files.items()}
    assert drawn == {name: rules for name, rules in there.items() if rules}


@pytest.mark.parametrize("page", ["README.md", *DOCS])
def test_commands_ask_for_what_a_config_names(page):
    """`results/studies/NAME.html` and the like, of the default config or an example of the page."""
    for kind, name in re.findall(r"^    snakemake .*results/(\w+)/([\w-]+)\.", TEXTS[page], re.M):
        key = NAMED_BY[kind]
        configs = [yaml.safe_load(path.read_text()) for path in (ROOT / "config").glob("*.yaml")]
        known = [*configs, entries(page)]
        assert any(name in config.get(key, {}) for config in known), f"{kind}/{name}"


@pytest.mark.parametrize("page", ["README.md", "docs/tutorial.md", "docs/how-to.md"])
def test_the_examples_added_to_the_default_config_are_valid(page, monkeypatch):
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
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8"))
    added = entries(page)
    for key, named in added.items():
        config[key] |= named
    loaded = load(config)
    assert added
    assert all(named.keys() <= loaded[key].keys() for key, named in added.items())


def test_the_tiles_of_the_tutorial_become_a_dataset(tmp_path, monkeypatch):
    """Its Python makes a table of two tissues of the phantom; its entry reads all of them."""
    colon = tmp_path / "results/phantom/nct-crc"
    paths = [
        f"NCT-CRC-HE-100K/{tissue}/{tissue}-{n}.tif"
        for tissue in ("STR", "MUS", "ADI")
        for n in (1, 2)
    ]
    for path in paths:
        (colon / path).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(colon / path)
    pd.DataFrame({"path": paths, "group": "p1"}).to_csv(colon / "groups.csv", index=False)
    monkeypatch.chdir(tmp_path)
    for block in blocks("docs/tutorial.md", "python"):
        if "groups.csv" in block:
            exec(block, {})
    entry = entries("docs/tutorial.md")["datasets"]["my-tiles"]
    samples, _ = readers.find(entry["reader"]).read(entry)
    assert samples.labels.tolist() == 2 * [["stroma"]] + 2 * [["muscle"]]
    assert samples.group.tolist() == 4 * ["p1"]
    assert all((tmp_path / entry["root"] / path).is_file() for path in samples.path)


def test_an_artifact_opens_as_the_docs_open_it(tmp_path, monkeypatch):
    (block,) = blocks("docs/artifacts.md", "python")
    path = tmp_path / re.search(r'"(results/.+?)"', block)[1]
    path.parent.mkdir(parents=True)
    table = pa.table({"image_id": ["a", "b"]})
    tables.write(
        path, table.append_column("embedding", tables.vectors(np.eye(2) * 3)), {"rule": "x"}
    )
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(block, names)
    assert names["ids"].image_id.tolist() == ["a", "b"]
    assert names["vectors"].tolist() == [[1, 0], [0, 1]]
    assert names["about"]["rule"] == "x"


def method() -> types.ModuleType:
    """The method of the how-to as a module."""
    (source,) = [block for block in blocks("docs/how-to.md", "python") if "def build" in block]
    module = types.ModuleType("histopair.methods.mlp")
    exec(source, module.__dict__)
    return module


def test_the_method_of_the_how_to_learns(tmp_path, monkeypatch):
    module = method()
    monkeypatch.setitem(sys.modules, module.__name__, module)
    labels = tiny.dataset(tmp_path)
    samples = tables.read(labels)
    vectors = np.random.default_rng(0).normal(size=(len(samples), 4)).astype(np.float16)
    vectors[:, 0] = [3 if names[0] == "c1" else -3 for names in samples["labels"]]
    table = pa.Table.from_pandas(samples[["image_id"]], preserve_index=False)
    table = table.append_column("embedding", tables.vectors(vectors))
    tables.write(tmp_path / "images.parquet", table, {})
    run = one_run.Run(
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
    one_run.execute(run, str(tmp_path / "resume"), out, {})
    predictions = tables.read(out["predictions"])
    decided = tables.matrix(out["predictions"], "scores").argmax(1)
    assert [run.classes[number] for number in decided] == [
        names[0] for names in predictions["labels"]
    ]
