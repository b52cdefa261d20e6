"""CLIP-IT on real tiles, reports and towers: the same workflow, another config.

The full run is `snakemake --cores all --configfile tests/real/config.yaml`; here it is 16 tiles,
three dozen reports, one seed and methods of one epoch, which takes a minute or so.
"""

from pathlib import Path

import pandas as pd
import pytest
import yaml

import workflow
from histopair.files import tables

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared" / "real"

pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason="../shared/real is not here")


def subset(tiles: int, csv: Path) -> None:
    """A table of about `tiles` of the real tiles: whole groups, both classes, official splits."""
    table = pd.read_csv(SHARED / "images" / "lc25000-colon" / "labels.csv")
    shares = {"train": 0.6, "val": 0.15, "test": 0.25}
    parts = []
    for (_, split), part in table.groupby(["label", "split"]):
        wanted = max(2, round(tiles * shares[split] / 2))
        parts.append(part[part["group"].isin(part["group"].iloc[:wanted])].iloc[:wanted])
    pd.concat(parts).to_csv(csv, index=False)


def first_reports(entry: dict, number: int, csv: Path) -> None:
    """Let a corpus's entry read the first reports alone, of each organ that it tells apart."""
    table = pd.read_csv(SHARED / "reports" / Path(entry["table"]).name)
    organs = table.groupby(entry["organ_column"]) if "organ_column" in entry else table
    organs.head(number).to_csv(csv, index=False)
    entry["table"] = str(csv)


def configure(folder: Path, tiles: int, reports: int, epochs: int, seeds: list[int]) -> Path:
    """tests/real/config.yaml on subsets of tiles and reports, with everything else as it is."""
    config = yaml.safe_load((ROOT / "tests" / "real" / "config.yaml").read_text())
    subset(tiles, folder / "labels.csv")
    config["datasets"]["lc25000-colon"]["table"] = str(folder / "labels.csv")
    for number, entry in enumerate(config["corpora"]["colorectal"]["tables"]):
        first_reports(entry, reports, folder / f"reports-{number}.csv")
    for name, method in config["methods"].items():
        if "like" not in method and name != "linear-probe":
            method["epochs"] = epochs
        if method.get("recipe") == "clip_it":
            method["text_epochs"] = epochs
    config["studies"]["real-clip-it"]["seeds"] = seeds
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return path


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("real")
    (folder / "shared").symlink_to(SHARED.parent)
    work = folder / "work"
    work.mkdir()
    config = configure(folder, tiles=12, reports=12, epochs=1, seeds=[0])
    return workflow.finish(work, "-s", str(ROOT / "Snakefile"), config=str(config)) / "results"


def test_the_whole_chain_runs_on_real_input(results):
    table = pd.read_csv(results / "studies" / "real-clip-it.csv")
    assert set(table["method"]) == {
        "linear-probe",
        "lora",
        "clip-it-random",
        "clip-it-image-teacher",
        "clip-it",
    }
    assert table[table["metric"] == "balanced_accuracy"]["mean"].between(0, 1).all()
    assert not table["synthetic"].any()
    assert (results / "page.html").stat().st_size > 50_000


def test_groups_of_real_tiles_stay_on_one_side(results):
    labels = tables.read(results / "labels" / "lc25000-colon.parquet")
    assert labels.groupby("group")["split"].nunique().max() == 1
    assert set(labels["split"]) == {"train", "val", "test"}


def test_retrieval_finds_reports_of_the_tiles_class_more_often_than_chance(results):
    quality = tables.read_json(
        results / "pairs" / "locked-clip" / "lc25000-colon.colorectal.quality.json"
    )
    assert quality["text_agreement"]["observed"] > quality["text_agreement"]["chance"]
    assert 0 < quality["top10_share"] <= 1


def test_the_locked_clip_is_whole_without_the_files_it_came_from(results):
    folder = results / "encoders" / "locked-clip"
    config = tables.read_json(folder / "open_clip_config.json")["model_cfg"]
    assert config["text_cfg"]["hf_model_name"] == "local-dir:."
    assert str(SHARED) not in (folder / "open_clip_config.json").read_text()
    for name in ("open_clip_model.safetensors", "config.json", "tokenizer_config.json"):
        assert (folder / name).is_file()
    assert (folder / "image" / "config.json").is_file()
