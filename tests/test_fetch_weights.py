"""Compute nodes without a network: all weights are fetched first, and later jobs ask no hub."""

import json

import layouts
import numpy as np
import pytest
import stand_in_hub
import yaml
from PIL import Image

import workflow
from histopair.doctor import work
from histopair.plan import fetching
from histopair.plan.load import load

CONFIG = {
    "datasets": {"tiles": {"reader": "table", "root": "tiles", "split": {"by": "row"}}},
    "encoders": {
        "hosted": {"library": "timm", "model": "hf-hub:lab/model", "kwargs": layouts.NARROW},
        "unused": {"library": "timm", "model": "hf-hub:lab/absent"},
    },
    "methods": {"probe": {"recipe": "linear_probe"}},
    "studies": {"one": {"datasets": ["tiles"], "encoders": ["hosted"], "methods": ["probe"]}},
}
FETCHED = "results/weights/hosted.json"
EMBEDDED = "results/embeddings/hosted/tiles.images.parquet"


@pytest.fixture
def folder(tmp_path):
    folder = workflow.copy_to(tmp_path / "histopair")
    (folder / "tiles").mkdir()
    rng = np.random.default_rng(0)
    for place in range(12):
        pixels = rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "tiles" / f"{place}.png")
    rows = [f"{place}.png,{'ab'[place % 2]}" for place in range(12)]
    (folder / "tiles" / "labels.csv").write_text("\n".join(["path,label", *rows]))
    (folder / "mine.yaml").write_text(yaml.safe_dump(CONFIG))
    return folder


def test_all_weights_come_first_and_later_jobs_need_no_network(folder, tmp_path, monkeypatch):
    (tmp_path / "model").mkdir()
    layouts.repository("vit_small_patch16_224")(tmp_path / "model")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    with stand_in_hub.Server() as hub:
        commit = hub.add("lab/model", tmp_path / "model")
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        assert workflow.planned(folder, "fetch_weights", config="mine.yaml") == {
            FETCHED: "fetch_encoder"
        }
        process = workflow.run(folder, "fetch_weights", config="mine.yaml")
        assert process.returncode == 0, process.stdout[-3000:]
        asked = len(hub.asked)
    [fetched] = json.loads((folder / FETCHED).read_text())["fetched"]
    assert (fetched["repository"], fetched["commit"]) == ("lab/model", commit)
    [weights] = [file for file in fetched["files"] if file["name"] == "model.safetensors"]
    content = hub.stored["lab/model"].files["model.safetensors"]
    assert weights["sha256"] == stand_in_hub.sha256(content) and weights["verified"]
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    process = workflow.run(folder, EMBEDDED, config="mine.yaml")
    assert process.returncode == 0, process.stdout[-3000:]
    assert len(hub.asked) == asked
    # A licence says nothing of files, a revision does.
    for key, jobs in (("licence", {}), ("revision", {FETCHED: "fetch_encoder"})):
        changed = CONFIG | {"encoders": {**CONFIG["encoders"]}}
        changed["encoders"]["hosted"] = CONFIG["encoders"]["hosted"] | {key: "main"}
        (folder / "other.yaml").write_text(yaml.safe_dump(changed))
        assert workflow.planned(folder, "fetch_weights", config="other.yaml") == jobs
    # Nothing that is finished depends on it.
    (folder / FETCHED).unlink()
    assert workflow.planned(folder, EMBEDDED, config="mine.yaml") == {}


def test_the_encoders_of_the_page_are_those_that_its_studies_read():
    config = yaml.safe_load((workflow.ROOT / workflow.CONFIG).read_text(encoding="utf-8"))
    assert set(fetching.encoders(load(config))) <= set(config["encoders"])
    small = {
        **CONFIG,
        "corpora": {"reports": {"table": "reports.csv", "text": "text"}},
        "encoders": {name: {"preset": "plip"} for name in ("a", "b", "c", "d", "e")},
        "methods": {
            "probe": {"recipe": "linear_probe"},
            "clip": {"recipe": "clip_it", "retriever": "c", "pairing": "random"},
            "other": {"recipe": "linear_probe", "encoder": "d"},
        },
    }
    small["datasets"] = {"tiles": {"reader": "table", "root": "tiles", "corpus": "reports"}}
    study = {"datasets": ["tiles"], "encoders": ["a"], "methods": ["probe", "clip"]}
    small["studies"] = {"one": study, "two": study | {"methods": ["other"]}}
    assert fetching.encoders(load(small | {"page": ["one"]})) == ["a", "c"]
    assert fetching.encoders(load(small)) == ["a", "c", "d"]


def test_weights_can_be_fetched_before_the_data():
    small = {
        **CONFIG,
        "corpora": {"reports": {"table": "a.csv", "text": "text", "truth": "absent.csv"}},
        "encoders": {name: {"preset": "plip"} for name in ("a", "b")},
        "methods": {"clip": {"recipe": "clip_it", "retriever": "b", "pairing": "label"}},
    }
    small["datasets"] = {"tiles": {"reader": "table", "root": "absent", "corpus": "reports"}}
    small["studies"] = {"one": {"datasets": ["tiles"], "encoders": ["a"], "methods": ["clip"]}}
    config = load(small)
    assert set(fetching.encoders(config)) == {"a", "b"}
    _, [fault] = work.paths(config)  # the doctor says what a run then lacks
    assert fault.finding.startswith("absent.csv: there is no such file")


def test_of_an_encoder_that_is_trained_here_its_towers_are_fetched():
    config = load(yaml.safe_load((workflow.ROOT / workflow.CONFIG).read_text(encoding="utf-8")))
    config["page"] = ["locked"]
    assert fetching.encoders(config) == []
    for name in ("phantom-vit", "phantom-bert"):
        config["encoders"][name].pop("train")
    assert set(fetching.encoders(config)) == {"phantom-vit", "phantom-bert"}
