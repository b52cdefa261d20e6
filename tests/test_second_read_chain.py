"""A correction made on the page of an export, carried into a run that learns from it.

The steps are those of docs/how-to.md, "Let readers correct labels".
"""

import json
import re
import subprocess
import sys
import urllib.parse
import urllib.request

import numpy as np
import pandas as pd
import pytest
import tiny
import yaml
from PIL import Image

import workflow
from histopair.files import tables

CONFIG = "mine.yaml"
RUN = "mine/vit/linear-head"
EXPORT = f"results/exports/{RUN}/0"
STUDY = "results/studies/s.html"
SPLITS = ["train"] * 12 + ["val"] * 6 + ["test"] * 6
AMENDMENTS = "config/labels/mine.amendments.csv"


def tiles(folder, shift: int) -> None:
    """24 tiles, dark and light in turns, with their labels; one more without a label."""
    folder.mkdir()
    names = [f"{n}.png,{['dark', 'light'][n % 2]},g{n},{SPLITS[n]}" for n in range(24)]
    (folder / "labels.csv").write_text("\n".join(["path,label,group,split", *names, ""]))
    rng = np.random.default_rng(shift)
    for n in range(25):
        pixels = rng.integers(0, 100, (32, 32, 3)) + [20, 130][n % 2]
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{n}.png")


def write_config(folder, **more) -> None:
    config = {
        "datasets": {
            "mine": {"reader": "table", "root": "tiles"} | more,
            "other": {"reader": "table", "root": "others"},
        },
        "encoders": {"vit": {"library": "timm", "model": "local-dir:encoder"}},
        "methods": {"linear-head": {"recipe": "linear_head", "epochs": 3}},
        "studies": {
            "s": {
                "datasets": ["mine", "other"],
                "encoders": ["vit"],
                "methods": ["linear-head"],
                "seeds": [0],
            }
        },
    }
    (folder / CONFIG).write_text(yaml.safe_dump(config))


@pytest.fixture(scope="module")
def corrected(tmp_path_factory):
    """The folder of the workflow after all steps, and what was seen on the way."""
    folder = workflow.copy_to(tmp_path_factory.mktemp("corrected") / "histopair")
    tiny.vit_entry(folder / "encoder")
    tiles(folder / "tiles", 0)
    tiles(folder / "others", 1)
    write_config(folder)
    workflow.finish(folder, STUDY, EXPORT, config=CONFIG)
    seen = {"before": state(folder)}
    seen["queue"] = command(folder, "make-queue", RUN, "--split", "val")
    seen["answer"] = answered(folder)
    seen["accepted"] = command(folder, "accept-labels", "answers.csv", "--dataset", "mine")
    write_config(folder, amendments=AMENDMENTS)
    seen["jobs"] = workflow.planned(folder, STUDY, EXPORT, config=CONFIG)
    workflow.finish(folder, STUDY, EXPORT, config=CONFIG)
    return folder, seen | {"after": state(folder)}


def state(folder) -> dict[str, bytes]:
    """The bytes of the labels as published, and of what the runs gave, by path."""
    found = [*folder.glob("*/labels.csv"), *folder.glob("results/labels/*.parquet")]
    found += folder.glob("results/embeddings/*/*.parquet")
    found += folder.glob("results/runs/*/*/*/*/*.*")
    return {str(file.relative_to(folder)): file.read_bytes() for file in found}


def command(folder, *words: str) -> str:
    process = subprocess.run(
        [sys.executable, "workflow/commands", *words], cwd=folder, text=True, capture_output=True
    )
    assert process.returncode == 0, process.stderr
    return process.stdout


def answered(folder) -> dict:
    """What the server keeps of a reader who corrects the first sample of the queue."""
    words = [
        "serve",
        EXPORT,
        "--port",
        "0",
        "--queue",
        "results/queues/mine.csv",
        "--root",
        "tiles",
    ]
    process = subprocess.Popen(
        [sys.executable, "workflow/commands", *words], cwd=folder, text=True, stdout=subprocess.PIPE
    )
    try:
        lines = [process.stdout.readline() for _ in range(2)]
        url = re.search(r"http://\S+", lines[1])[0]
        image_id = post(f"{url}/api/queue/1")["image_id"]
        proposed = post(f"{url}/api/predict", image_id=image_id)["proposed"]
        published = pd.read_csv(folder / "results/queues/mine.csv")["labels"][0]
        (true,) = {"dark", "light"} - {published}
        labels = json.dumps([true])
        kept = post(f"{url}/api/answers", image_id=image_id, reader="Ada", labels=labels)
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()
    return kept | {"proposed": proposed, "published": published, "true": true}


def post(address: str, **fields: str) -> dict:
    content = urllib.parse.urlencode(fields).encode()
    with urllib.request.urlopen(address, content, timeout=60) as response:
        return json.load(response)


def first(folder) -> pd.Series:
    """The sample that was answered."""
    sample_id = pd.read_csv(folder / "results/queues/mine.csv")["sample_id"][0]
    return tables.read(folder / "results/labels/mine.parquet").set_index("sample_id").loc[sample_id]


def test_the_correction_is_the_samples_label(corrected):
    folder, seen = corrected
    said = seen["answer"]
    assert said["true"] in said["accepted"] + said["added"] and said["file"] == "answers.csv"
    assert "1 images amended" in seen["accepted"]
    assert f"datasets.mine.amendments: {AMENDMENTS}" in seen["accepted"]
    labels = tables.read(folder / "results/labels/mine.parquet")
    row = first(folder)
    assert list(row["labels"]) == [said["true"]] and list(row["published"]) == [said["published"]]
    changed = [list(a) != list(b) for a, b in zip(labels.labels, labels.published, strict=True)]
    assert sum(changed) == 1


def test_what_depends_on_the_label_ran_again_and_nothing_else(corrected):
    _, seen = corrected
    of_other = [output for output in seen["jobs"] if "/other" in output]
    assert of_other == []
    assert set(seen["jobs"].values()) == {
        "clean_labels",
        "embed_images",
        "run",
        "score",
        "study",
        "export",
    }
    before, after = seen["before"], seen["after"]
    for file in ("metrics.json", "predictions.parquet"):
        place = f"results/runs/{RUN}/0/{file}"
        assert after[place] != before[place]
        place = place.replace("/mine/", "/other/")
        assert after[place] == before[place]
    embeddings = "results/embeddings/vit/mine.images.parquet"
    assert after[embeddings] == before[embeddings]


def test_the_labels_as_published_are_untouched(corrected):
    _, seen = corrected
    for place in ("tiles/labels.csv", "others/labels.csv", "results/labels/other.parquet"):
        assert seen["after"][place] == seen["before"][place]


def test_the_audit_says_who_changed_what(corrected):
    folder, seen = corrected
    audit = tables.read(folder / "results/labels/mine.audit.parquet")
    [row] = audit[audit["step"] == "amend"].to_dict("records")
    said = seen["answer"]
    assert row["action"] == "amended" and row["subject"] == first(folder)["path"]
    assert (row["before"], row["after"]) == (said["published"], said["true"])
    assert row["reason"].startswith("amended by Ada, ")
    assert "All agree." in command(folder, "audit", "results")
