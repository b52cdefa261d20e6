"""What readers answer to the server of the second read, and the queue that they go through."""

import dataclasses
import hashlib
import json
import shutil

import numpy as np
import pytest
from served import SMALL, client_of, line_of, png

from histopair.export import fingerprint
from histopair.export.second_read.evidence import Evidence
from histopair.files import answers
from serve import exported as served
from serve.desk import Desk
from serve.reading_list import ReadingList

pytest_plugins = ["served"]


def test_an_answer_of_a_reader_is_a_line_of_the_csv(client, desk):
    content = png(2)
    files, region = {"image": ("a.png", content)}, {"region": "0,0,40,40"}
    proposed = client.post("/api/predict", files=files, data=region).json()["proposed"]
    (other,) = {"c0", "c1"} - set(proposed)
    fields = region | {"reader": " A. Reader ", "labels": json.dumps([other])}
    changes = client.post("/api/answers", files=files, data=fields).json()
    assert changes == {
        "accepted": [],
        "removed": proposed,
        "added": [other],
        "file": "answers.csv",
        "damaged": None,
    }
    proposed = client.post("/api/predict", files=files).json()["proposed"]
    fields = {"reader": "B", "labels": json.dumps(proposed)}
    assert client.post("/api/answers", files=files, data=fields).json()["accepted"] == proposed
    rows = answers.read(desk.answers)
    assert list(rows["reader"]) == ["A. Reader", "B"]
    assert list(rows["image"]) == [hashlib.sha256(content).hexdigest()] * 2
    assert list(rows["region"].fillna("")) == ["0,0,40,40", ""]
    assert list(rows["model"]) == ["tiles/vit/linear_head/0"] * 2


def test_an_answer_names_the_model_as_it_was_loaded(folders, tmp_path):
    """Its folder may be written anew while it is served."""
    folder = shutil.copytree(folders[0], tmp_path / "export")
    loaded = fingerprint.of_export(folder)
    desk = Desk(served.load([folder]), SMALL, tmp_path, tmp_path / "answers.csv")
    with open(folder / "config.json", "a", encoding="utf-8") as config:
        config.write("\n")
    assert fingerprint.of_export(folder) != loaded
    fields = {"reader": "A", "labels": '["c0"]'}
    said = client_of(desk).post("/api/answers", files={"image": ("a.png", png())}, data=fields)
    assert said.status_code == 200
    assert list(answers.read(desk.answers)["fingerprint"]) == [loaded]


def test_a_queued_sample_is_not_its_own_evidence(models, tmp_path):
    """Its label would stand beside it; the same image is evidence where there is no queue."""
    name, content = "tiles/vit/linear_head/0", png(5)
    rows = [{"image": path, "labels": ["c0"]} for path in ("a.png", "b.png")]
    about = {"asked_by": "image", "rows": rows, "source": "tiles", "licence": "CC0-1.0"}
    bank = Evidence({"images": np.eye(24, dtype=np.float32)[:2]}, {"images": about})
    models = {name: dataclasses.replace(models[name], evidence=bank)}
    (tmp_path / "a.png").write_bytes(content)
    queue = tmp_path / "queue.csv"
    queue.write_text(f"path,sha256,split\na.png,{hashlib.sha256(content).hexdigest()},val\n")

    def shown(samples) -> set[str]:
        client = client_of(Desk(models, SMALL, tmp_path, tmp_path / "answers.csv", samples))
        answer = client.post("/api/evidence", files={"image": ("x.png", content)}).json()
        return {row["image"] for row in answer["kinds"]["images"]}

    assert shown(ReadingList(queue, tmp_path)) == {"b.png"}
    assert shown(None) == {"a.png", "b.png"}


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"reader": "A", "labels": "[]"}, "0 findings, and the model's images have one"),
        ({"reader": "A", "labels": '["c0", "c1"]'}, "2 findings, and the model's images have one"),
        ({"reader": " ", "labels": '["c0"]'}, "there is no name"),
        ({"reader": "A", "labels": "c0"}, "Invalid JSON"),
        ({"reader": "A", "labels": '[""]'}, "empty or too long"),
        ({"labels": '["c0"]'}, "there is no name"),
        ({"reader": "A"}, "labels: Field required"),
    ],
)
def test_an_answer_that_says_nothing_is_one_line(client, desk, fields, message):
    response = client.post("/api/answers", files={"image": ("a.png", png())}, data=fields)
    assert message in line_of(response, 422)
    assert not desk.answers.exists()


def test_the_queue_shows_its_samples_and_which_are_answered(models, tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    (root / "c0").mkdir()
    (root / "c0" / "=c0.png").write_bytes(png(5))
    (root / "=b.png").write_bytes(png(6))
    sha256 = [hashlib.sha256(png(seed)).hexdigest() for seed in (5, 6)]
    queue = tmp_path / "queue.csv"
    lines = [f"1,s1,c0/=c0.png,{sha256[0]},val,c0", f"2,s2,'=b.png,{sha256[0]},test,c1"]
    lines += [f"3,s3,../x.png,{sha256[1]},test,c1"]
    queue.write_text("\n".join(["rank,sample_id,path,sha256,split,labels", *lines, ""]))
    samples = ReadingList(queue, root)
    client = client_of(Desk(models, SMALL, tmp_path, tmp_path / "answers.csv", samples))
    listed = client.get("/api/queue").json()["samples"]
    assert [row["rank"] for row in listed] == [1, 2, 3]
    assert "c0" not in client.get("/api/queue").text
    taken = client.post("/api/queue/1").json()
    image_id = taken["image_id"]
    assert taken["name"] == "Sample 1" and "c0" not in str(taken)
    assert image_id == sha256[0]
    assert "another image than when the queue was made" in line_of(client.post("/api/queue/2"), 422)
    assert "outside" in line_of(client.post("/api/queue/3"), 422)
    assert "it has no rank 4" in line_of(client.post("/api/queue/4"), 404)
    (tmp_path / "answers.csv").write_text(",".join(answers.COLUMNS) + "\n")  # a torn line was moved
    assert not any(row["done"] for row in client.get("/api/queue").json()["samples"])
    fields = {"image_id": image_id, "reader": "A", "labels": '["c0"]'}
    region = fields | {"region": "0,0,40,40"}
    assert client.post("/api/answers", data=region).status_code == 200
    assert not any(row["done"] for row in client.get("/api/queue").json()["samples"])
    assert client.post("/api/answers", data=fields).status_code == 200
    done = [row["done"] for row in client.get("/api/queue").json()["samples"]]
    assert done == [True, True, False]
    assert list(answers.read(tmp_path / "answers.csv")["file"]) == ["=c0.png"] * 2


def test_without_a_queue_there_is_none(client):
    assert client.get("/api/queue").json()["samples"] == []
    assert "Start the server with --queue FILE" in line_of(client.post("/api/queue/1"), 404)
