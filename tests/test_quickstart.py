"""config/crc-quickstart.yaml plans on the public data's layout, from open licences alone."""

from collections import Counter

import yaml
from PIL import Image

import workflow
from histopair.datasets import licences, sources
from histopair.plan import fetching, presets
from histopair.plan.load import load

CONFIG = "config/crc-quickstart.yaml"
TISSUES = ("ADI", "BACK", "DEB", "LYM", "MUC", "MUS", "NORM", "STR", "TUM")


def config() -> dict:
    return load(yaml.safe_load((workflow.ROOT / CONFIG).read_text(encoding="utf-8")))


def test_it_plans_with_files_where_the_sources_put_them(tmp_path):
    folder = workflow.copy_to(tmp_path / "histopair")
    for part in ("NCT-CRC-HE-100K", "CRC-VAL-HE-7K"):
        for tissue in TISSUES:
            place = folder / "data/nct-crc" / part / tissue
            place.mkdir(parents=True)
            Image.new("RGB", (8, 8)).save(place / f"{tissue}-A.tif")
    (folder / "data/tcga").mkdir()
    (folder / "data/tcga/TCGA_Reports.csv").write_text("patient_filename,text\n")
    (folder / "data/tcga/tcga_patient_to_cancer_type.csv").write_text("patient_id,cancer_type\n")
    jobs = Counter(workflow.planned(folder, config=CONFIG).values())
    # Two numbers of labels, five methods, three seeds.
    assert jobs["run"] == 2 * 5 * 3 and jobs["clean_labels"] == 1 and jobs["pair"] == 1
    assert jobs["embed_images"] == 2 and jobs["embed_texts"] <= 1 and jobs["page"] == 1


def test_its_data_are_sources_and_where_their_files_go():
    entries = config()
    tiles, reports = entries["datasets"]["crc"], entries["corpora"]["tcga-colorectal"]
    assert tiles["root"] == sources.place("nct-crc")
    made = {f"{sources.place('tcga')}/{file['makes']}" for file in sources.find("tcga")["files"]}
    assert {reports["table"], reports["cancer_types"]} == made
    for entry, source in ((tiles, "nct-crc"), (reports, "tcga")):
        assert entry["licence"] == sources.find(source)["licence"]


def test_all_of_it_is_open_and_its_encoders_are_pinned():
    entries = config()
    assert fetching.encoders(entries) == ["quiltnet", "keep"]
    mildest = licences.strictness("MIT")
    for entry in entries["encoders"].values():
        preset = presets.read()[entry["preset"]]
        assert preset["gated"] is False and entry["revision"]
    named = [*entries["encoders"].values(), entries["datasets"]["crc"]]
    for entry in [*named, entries["corpora"]["tcga-colorectal"]]:
        assert licences.strictness(entry["licence"]) == mildest
