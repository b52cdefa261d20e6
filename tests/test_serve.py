"""The server of the second read: its answers are the models' own."""

import base64
import dataclasses
import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from served import client_of, encoded, line_of, png

from histopair.errors import InputError
from histopair.export import preprocessing
from histopair.export.findings import USE
from histopair.export.second_read.evidence import Evidence
from serve import exported as served
from serve import regions, replies, uploads
from serve.cases import Case

ROOT = Path(__file__).parents[1]
STEPS = [{"step": "resize", "size": 32, "filter": "bicubic"}]
STEPS += [{"step": "centre_crop", "size": [32, 32], "fill": [0, 0, 0]}]

pytest_plugins = ["served"]


def test_findings_are_the_models_own_probabilities_of_the_region(client, models):
    content = png(size=(100, 80))
    fields = {"region": "10,20,50,40"}
    answer = client.post("/api/predict", files={"image": ("a.png", content)}, data=fields).json()
    model = models["tiles/vit/linear_head/0"].model
    part = Image.open(io.BytesIO(content)).crop((10, 20, 60, 60))
    values = model.probabilities(model.pixels(part)[None], None)[0]
    assert [one["probability"] for one in answer["findings"]] == sorted(values.tolist())[::-1]
    assert answer["notice"] == USE
    assert answer["region"] == [10, 20, 50, 40]
    assert answer["model"]["input"] == [32, 32]


def test_an_image_is_sent_once_and_asked_about_by_its_id(client):
    content = png(1)
    kept = client.post("/api/images", files={"image": ("a.png", content)}).json()
    held = client.post("/api/predict", data={"image_id": kept["image_id"]}).json()
    sent = client.post("/api/predict", files={"image": ("a.png", content)}).json()
    assert (kept["width"], kept["height"]) == (60, 40)
    assert held["findings"] == sent["findings"] and held["image"] == sent["image"]


def test_a_note_changes_what_a_model_of_both_says(client):
    answers = []
    for note in ("tumour", "normal colon"):
        fields = {"note": note, "model": "tiles/vit/fusion_frozen/0"}
        response = client.post("/api/predict", files={"image": ("a.png", png())}, data=fields)
        answers.append(response.json()["findings"])
    assert answers[0] != answers[1]


def test_a_long_note_is_said_to_be_cut(client):
    fields = {"note": "colon " * 60, "model": "tiles/vit/fusion_frozen/0"}
    answer = client.post("/api/predict", files={"image": ("a.png", png())}, data=fields).json()
    assert answer["note_tokens_read"] == 24


def test_a_view_is_a_picture_of_the_region(client):
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:, 30:] = 255
    files = {"image": ("a.png", encoded(Image.fromarray(pixels)))}
    image_id = client.post("/api/images", files=files).json()["image_id"]
    view = client.get(f"/api/images/{image_id}/view", params={"region": "30,0,30,40", "width": 20})
    shown = Image.open(io.BytesIO(view.content))
    assert shown.size == (15, 20) and np.asarray(shown).min() > 250


def test_only_the_last_images_are_held(client):
    ids = []
    for seed in range(3):
        kept = client.post("/api/images", files={"image": ("a.png", png(seed))}).json()
        ids.append(kept["image_id"])
    assert "Send the image again" in line_of(client.get(f"/api/images/{ids[0]}/view"), 404)
    assert client.get(f"/api/images/{ids[1]}/view").status_code == 200


def test_models_and_openapi_say_what_can_be_asked(client):
    listed = client.get("/api/models").json()
    assert [one["name"] for one in listed["models"]] == [
        "tiles/vit/linear_head/0",
        "tiles/vit/fusion_frozen/0",
    ]
    assert listed["limits"] == {"upload": 300_000, "pixels": 500_000, "note": 20_000}
    paths = client.get("/openapi.json").json()["paths"]
    assert {"/api/models", "/api/images", "/api/predict"} <= set(paths)
    body = paths["/api/predict"]["post"]["requestBody"]["content"]
    assert list(body) == ["multipart/form-data"]
    assert client.get("/docs").status_code == client.get("/redoc").status_code == 404


def test_labels_without_a_training_sample_are_named(models):
    model = models["tiles/vit/linear_head/0"]
    assert model.unlearnt == []
    rows = [{**row, "train_samples": i} for i, row in enumerate(model.model.labels)]
    blind = dataclasses.replace(model, model=dataclasses.replace(model.model, labels=rows))
    assert blind.unlearnt == [{"label": "c0", "name": "c0"}]


def test_why_is_a_map_over_the_frame_and_the_words_of_the_note(client, models):
    content = png(size=(60, 40))
    fields = {"model": "tiles/vit/fusion_frozen/0", "note": " tumour 🤔 colon ", "finding": "c1"}
    files = {"image": ("a.png", content)}
    map_ = client.post("/api/saliency", files=files, data=fields).json()
    assert map_["frame"] == pytest.approx([10, 0, 40, 40], abs=1)
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(map_["png"]))))
    assert shown.shape == (32, 32) and shown.max() == (0 if map_["empty"] else 255)
    answer = client.post("/api/words", files=files, data=fields).json()
    assert answer["note"] == "tumour 🤔 colon"
    assert [answer["note"][row["start"] : row["end"]] for row in answer["words"]] == [
        "tumour",
        "colon",
    ]
    values = []
    for note in ("tumour 🤔 colon", "🤔 colon"):
        reply = client.post("/api/predict", files=files, data=fields | {"note": note}).json()
        values += [row["probability"] for row in reply["findings"] if row["label"] == "c1"]
    assert answer["words"][0]["adds"]["c1"] == pytest.approx(values[0] - values[1], abs=1e-5)


def test_checks_and_sets_are_those_of_the_export(client, models):
    one = models["tiles/vit/linear_head/0"]
    content = png(size=(60, 40))
    answer = client.post("/api/predict", files={"image": ("a.png", content)}).json()
    pixels = one.model.pixels(Image.open(io.BytesIO(content)))
    logits, features = one.model.answer(pixels[None], None)
    assert answer["checks"] == one.trust.warnings(pixels, features[0])
    findings = one.trust.findings(one.model.probabilities_of(logits)[0])
    assert {key: answer[key] for key in findings} == findings
    without = dataclasses.replace(one, trust=None)
    part = regions.Region(0, 0, 60, 40)
    upload = uploads.Upload("a", "a", Image.open(io.BytesIO(content)))
    silent = replies.trusted(Case(without, upload, part, None))
    assert silent == {"checks": [], "set": None, "coverage": None, "abstains": False}


def test_evidence_is_the_nearest_of_the_exports_bank(desk, models):
    one = models["tiles/vit/fusion_frozen/0"]
    vectors = {"images": np.eye(16, dtype=np.float32)[:2], "reports": np.eye(16, dtype=np.float32)}
    rows = {"images": [{"image": f"{i}.png", "labels": [f"c{i}"]} for i in range(2)]}
    rows["reports"] = [{"report": f"r{i}", "text": "<b>"} for i in range(16)]
    terms = {"source": "tiles", "licence": "CC0-1.0"}
    described = {
        kind: terms | {"asked_by": tower, "rows": rows[kind]}
        for kind, tower in (("images", "image"), ("reports", "text"))
    }
    desk.models = {one.name: dataclasses.replace(one, evidence=Evidence(vectors, described))}
    files, fields = {"image": ("a.png", png())}, {"note": "tumour"}
    kinds = client_of(desk).post("/api/evidence", files=files, data=fields).json()["kinds"]
    assert [len(kinds[kind]) for kind in ("images", "reports")] == [2, 5]
    pixels = one.model.pixels(Image.open(io.BytesIO(png())))
    features = one.model.answer(pixels[None], ["tumour"])[1][0]
    cosines = sorted(features[:2] / np.linalg.norm(features), reverse=True)
    assert [row["similarity"] for row in kinds["images"]] == pytest.approx(cosines, abs=1e-6)
    assert kinds["images"][0]["licence"] == "CC0-1.0" and kinds["reports"][0]["text"] == "<b>"


def test_the_frame_is_what_preparation_keeps():
    """64 x 96 becomes 32 x 48, of which the rows 8 to 40 are kept: 16 to 80 of the image."""
    assert preprocessing.frame(STEPS, 64, 96) == (0, 16, 64, 64)
    assert preprocessing.frame(STEPS[1:], 20, 32) == (-6, 0, 32, 32)
    ramp = np.zeros((96, 64, 3), np.uint8)
    ramp[..., 0], ramp[..., 1] = np.arange(64)[None], np.arange(96)[:, None]
    red, green, _ = preprocessing.apply(STEPS, Image.fromarray(ramp)) * 255
    left, top, width, height = preprocessing.frame(STEPS, 64, 96)
    assert red[16, 16] == pytest.approx(left + width * 16.5 / 32 - 0.5, abs=0.6)
    assert green[4, 16] == pytest.approx(top + height * 4.5 / 32 - 0.5, abs=0.6)


def test_a_view_never_enlarges():
    shown = regions.picture(Image.new("RGB", (50, 20)), regions.Region(0, 0, 50, 20), 2000)
    assert Image.open(io.BytesIO(shown)).size == (50, 20)


def test_two_exports_of_one_run_are_one_line(folders):
    with pytest.raises(InputError, match="another export is named tiles/vit/linear_head/0, too"):
        served.load([folders[0], folders[0]])


def test_a_server_of_onnx_models_imports_no_torch(exported):
    code = (
        "import sys, io; from PIL import Image; from pathlib import Path\n"
        "from serve import api, exported, listen\nfrom serve.cases import Question\n"
        "from serve.desk import Desk\n"
        "from serve.limits import Limits\nfrom serve.uploads import Upload\n"
        "desk = Desk(exported.load([sys.argv[1]]), Limits(), Path('.'), Path('a'))\n"
        "desk.shelf.add(Upload('a', 'a', Image.new('RGB', (50, 50))))\n"
        "assert desk.answer(Question(image_id='a'))['findings']\n"
        "heavy = {'torch', 'pandas', 'sklearn', 'matplotlib', 'pyarrow'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code, str(exported("clip_it")[0])]
    paths = os.pathsep.join([str(ROOT / "workflow"), str(ROOT / "workflow" / "scripts")])
    environment = os.environ | {"PYTHONPATH": paths}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
