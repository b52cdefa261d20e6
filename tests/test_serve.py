"""The server of the second read: its answers are the models' own, and bad input is one line."""

import asyncio
import base64
import dataclasses
import hashlib
import io
import json
import os
import re
import struct
import subprocess
import sys
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from test_export import exported  # noqa: F401
from test_methods import world  # noqa: F401

from histopair.errors import InputError
from histopair.export import preprocessing
from histopair.export.findings import USE
from histopair.export.second_read.evidence import Evidence
from histopair.files import answers
from serve import api, guard, listen, private, regions, replies, uploads
from serve import exported as served
from serve.cases import Case
from serve.desk import Desk
from serve.limits import Limits
from serve.reading_list import ReadingList

ROOT = Path(__file__).parents[1]
SMALL = Limits(upload=300_000, pixels=500_000, places=2, held=2)
STEPS = [{"step": "resize", "size": 32, "filter": "bicubic"}]
STEPS += [{"step": "centre_crop", "size": [32, 32], "fill": [0, 0, 0]}]


@pytest.fixture(scope="module")
def folders(exported):  # noqa: F811
    return [exported(name)[0] for name in ("linear_head", "fusion_frozen")]


@pytest.fixture(scope="module")
def models(folders):
    return served.load(folders)


@pytest.fixture
def desk(models, tmp_path):
    folder = tmp_path / "private"
    folder.mkdir()
    return Desk(models, SMALL, folder, tmp_path / "answers.csv")


@pytest.fixture
def client(desk):
    return client_of(desk)


def client_of(desk, host="localhost", **options) -> TestClient:
    app = api.create(desk, host)
    return TestClient(app, base_url="http://localhost:8765", **options)


def png(seed: int = 0, size: tuple[int, int] = (60, 40)) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (*size[::-1], 3), dtype=np.uint8)
    return encoded(Image.fromarray(pixels))


def encoded(image: Image.Image, format: str = "PNG", **how) -> bytes:
    out = io.BytesIO()
    image.save(out, format, **how)
    return out.getvalue()


def line_of(response, status: int) -> str:
    """The one line of a refusal."""
    assert response.status_code == status, response.text
    content = response.json()
    assert content["notice"] == USE
    assert "\n" not in content["error"] and "Traceback" not in response.text
    assert content["problem"] and content["remedy"]
    return content["error"]


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


@pytest.mark.parametrize(
    "fields, status, message",
    [
        ({}, 422, "this model reads an image, and there is none. Send one"),
        ({"image_id": "0" * 64}, 404, "has it no more. Send the image again"),
        ({"model": "other"}, 422, "there is no 'other'. Choose tiles/vit/linear_head/0"),
        ({"note": "x"}, 422, "reads images alone, so a note would change nothing. Leave it out"),
        ({"model": "tiles/vit/fusion_frozen/0"}, 422, "reads a note, and there is none"),
        ({"note": "x" * 20_001}, 413, "it has 20001 characters. Shorten it to 20000"),
        ({"note": "x" * 200_000}, 400, "exceeded maximum size"),
    ],
)
def test_what_a_model_cannot_read_is_one_line(client, fields, status, message):
    assert message in line_of(client.post("/api/predict", data=fields), status)


@pytest.mark.parametrize(
    "region, message",
    [
        ("1,2,3", "is no region. Write x,y,width,height"),
        ("0,0,61,1", "not inside the image. The image has 60 x 40 pixels"),
        ("0,0,0,10", "is empty or not inside"),
        ("0,0,60,2", "too narrow a strip. Choose sides of 1:20 at most"),
        ("<script>", "'<script>' is no region"),
        ("-1,0,5,5", "is no region"),
        ("٣,0,5,5", "is no region"),
    ],
)
def test_a_region_outside_is_one_line(client, region, message):
    files, fields = {"image": ("a.png", png())}, {"region": region}
    assert message in line_of(client.post("/api/predict", files=files, data=fields), 422)


def test_a_narrow_image_is_refused_before_it_is_prepared(client):
    """Its shorter side would become 32 pixels, and its longer one a million."""
    strip = encoded(Image.new("RGB", (400_000, 1)))
    response = client.post("/api/predict", files={"image": ("a.png", strip)})
    assert "too narrow a strip" in line_of(response, 422)


def chunk(kind: bytes, content: bytes) -> bytes:
    check = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)


def bomb(width: int, height: int, *chunks: bytes) -> bytes:
    """A PNG whose header promises these sides."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(b"\0" * 100_000))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + data + chunk(b"IEND", b"")


def hostile() -> dict[str, bytes]:
    """Files that are not images, are too large, or are damaged."""
    frames = [Image.new("RGB", (8, 8), value) for value in ("red", "blue")]
    text = chunk(b"zTXt", b"a\0\0" + zlib.compress(b"\0" * 80_000_000))
    tiff = encoded(Image.fromarray(np.zeros((40, 60), np.uint8)), "TIFF")
    return {
        "empty.png": b"",
        "bomb.png": bomb(100_000, 100_000),
        "over.png": bomb(1000, 501),
        "text.png": bomb(64, 64, text),
        "truncated.png": png()[:200],
        "truncated.jpg": encoded(Image.new("RGB", (60, 40)), "JPEG")[:300],
        "animated.gif": encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]),
        "script.svg": b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        "page.html": b"<script>alert(1)</script>",
        "post.eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(%pipe%id) (w) file\n",
        "pickle.pkl": b"\x80\x04cos\nsystem\n(S'id'\ntR.",
        "zip.zip": b"PK\x03\x04" + b"\0" * 500,
        "float.tif": encoded(Image.fromarray(np.zeros((9, 9), np.float32)), "TIFF"),
        "wrong.tif": tiff.replace(struct.pack("<H", 60), b"\xff\xff"),
        "short.tif": tiff[:100],
        "noise.jp2": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(range(256)) * 4,
        "wide.bmp": b"BM" + struct.pack("<IHHIIiiHH", 99, 0, 0, 54, 40, 2**30, 2**30, 1, 24),
        "deep.ppm": b"P6 100000 100000 255\n",
    }


NAMES = ["{}", "../../{}", "/etc/{}", "<img src=x onerror=alert(1)>{}", '"; rm -rf / #{}', "a\0{}"]
NAMES += ["{}\r\nSet-Cookie: a=b", "\u202e{}", "x" * 5000 + "{}", "upload", "a\x1b[31m{}", "CON{}"]


def test_two_hundred_hostile_uploads_are_two_hundred_lines(client, desk, tmp_path):
    rng = np.random.default_rng(0)
    files = hostile().items()
    cases = [(name.format(file), content) for name in NAMES for file, content in files]
    assert len(cases) >= 200
    for name, content in cases:
        address = ("/api/predict", "/api/images")[rng.integers(2)]
        response = client.post(address, files={"image": (name, content)}, data={"note": ""})
        line = line_of(response, response.status_code)
        assert 400 <= response.status_code < 500, (name[:50], line)
        assert len(line) <= 300 and line.isprintable()
        assert "<" not in response.headers.get("content-type", "")
        assert str(tmp_path) not in line
    assert list(desk.folder.iterdir()) == [] and not desk.shelf.uploads
    good = client.post("/api/predict", files={"image": ("a.png", png())})
    assert good.status_code == 200


def test_damaged_images_of_any_kind_give_an_answer_or_one_line(client):
    rng = np.random.default_rng(1)
    image = Image.fromarray(rng.integers(0, 255, (40, 60, 3), dtype=np.uint8))
    for format in ("PNG", "JPEG", "TIFF", "WEBP", "BMP", "GIF", "PPM", "JPEG2000", "AVIF"):
        content = encoded(image, format)
        for _ in range(12):
            damaged = bytearray(content)
            for place in rng.integers(0, len(content), 5):
                damaged[place] = rng.integers(256)
            response = client.post("/api/images", files={"image": ("a", bytes(damaged))})
            if response.status_code != 200:
                line_of(response, 422)


@pytest.mark.parametrize(
    "name, shown",
    [("<b>x</b>.png", "b>.png"), ("../../etc/a.png", "a.png"), ("a\u202eb.png", "a\ufffdb.png")],
)
def test_a_files_name_is_text_of_one_line(client, name, shown):
    kept = client.post("/api/images", files={"image": (name, png())}).json()
    assert kept["name"].isprintable() and kept["name"] == shown


def test_scripts_and_strange_letters_in_notes_are_words(client):
    for note in ("<script>alert(1)</script>", "'; DROP TABLE x", "a\0b", "\ud83e\udd14" * 500):
        fields = {"note": note.encode("utf-16", "surrogatepass").decode("utf-16")}
        fields["model"] = "tiles/vit/fusion_frozen/0"
        response = client.post("/api/predict", files={"image": ("a.png", png())}, data=fields)
        assert response.status_code == 200 and note[:8] not in response.text


def test_a_large_upload_is_refused_however_it_is_sent(client):
    content = b"\0" * (SMALL.upload + 100_000)
    response = client.post("/api/images", files={"image": ("a.png", content)})
    assert "Cut the image, or start the server with a larger --upload" in line_of(response, 413)
    head = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
    parts = iter([head, *[content[:50_000]] * 12])
    headers = {"content-type": "multipart/form-data; boundary=x"}
    assert line_of(client.post("/api/images", content=parts, headers=headers), 413)


def test_an_upload_that_never_ends_gives_up_its_place(desk, monkeypatch):
    monkeypatch.setattr(guard, "BODY_SECONDS", 0.05)
    app, sent = api.create(desk, "localhost"), []
    headers = {"host": "localhost", "content-type": "multipart/form-data; boundary=x"}
    scope = {"type": "http", "method": "POST", "path": "/api/images", "query_string": b""}
    scope["headers"] = [(name.encode(), value.encode()) for name, value in headers.items()]
    parts = iter([{"type": "http.request", "body": b"--x\r\n", "more_body": True}])

    async def receive():
        for part in parts:
            return part
        await asyncio.sleep(60)

    async def send(message):
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    assert sent[0]["status"] == 408 and app.busy == 0
    assert b"took too long to arrive. Send it again" in sent[1]["body"]


def test_broken_forms_are_one_line(client):
    headers = {"content-type": "multipart/form-data; boundary=x"}
    for content in (
        b"",
        b"nothing",
        b"--x\r\n\r\n\r\n--x--",
        b"--x\r\nContent-Disposition: form-data",
    ):
        response = client.post("/api/images", content=content, headers=headers)
        assert 400 <= response.status_code < 500
        line_of(response, response.status_code)
    many = [("image", (f"{i}.png", png())) for i in range(2)]
    assert "Too many files" in line_of(client.post("/api/images", files=many), 400)
    assert line_of(client.post("/api/predict", json={"image": 1}), 422)
    line_of(client.post("/api/predict", data={"image": "text"}), 422)


@pytest.mark.parametrize(
    "host", ["evil.com", "localhost.evil.com", "10.0.0.1", "", "[::1", "a:b:c"]
)
def test_other_hosts_names_are_refused(client, host):
    """A name that another site's DNS points here: its page could else read the answers."""
    line = line_of(client.get("/api/models", headers={"host": host}), 421)
    assert "Open the address that it printed" in line


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8765", "[::1]:8765"])
def test_this_machines_names_are_answered(client, host):
    assert client.get("/", headers={"host": host}).status_code == 200


def test_a_server_for_all_addresses_answers_to_addresses_not_to_names(desk):
    client = client_of(desk, host="0.0.0.0")
    assert client.get("/", headers={"host": "10.0.0.1:8765"}).status_code == 200
    assert client.get("/", headers={"host": "evil.com"}).status_code == 421


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.com"},
        {"origin": "null"},
        {"origin": "http://localhost:9999"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_other_sites_scripts_are_refused(client, headers):
    response = client.post("/api/predict", files={"image": ("a.png", png())}, headers=headers)
    assert "a page of another site asked" in line_of(response, 403)
    assert client.get("/api/models", headers=headers).status_code == 403


def test_its_own_page_is_answered(client):
    headers = {"origin": "http://localhost:8765", "sec-fetch-site": "same-origin"}
    files = {"image": ("a.png", png())}
    assert client.post("/api/predict", files=files, headers=headers).status_code == 200


def test_every_answer_forbids_what_the_page_does_not_need(client):
    for response in (client.get("/"), client.get("/none"), client.get("/", headers={"host": "x"})):
        policy = response.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "script-src 'self'" in policy
        assert "unsafe" not in policy and response.headers["x-content-type-options"] == "nosniff"
    assert client.options("/api/predict").headers.get("access-control-allow-origin") is None


def test_the_page_loads_nothing_from_elsewhere():
    for path in api.ASSETS.iterdir():
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"(https?:)?//[a-z]", re.sub(r"^\s*//.*$", "", text, flags=re.M)), path
        assert "innerHTML" not in text and "eval(" not in text


def test_requests_beyond_the_places_are_refused_and_the_others_answered(desk, monkeypatch):
    go, started, answers = threading.Event(), threading.Semaphore(0), []
    answer = desk.answer

    def slow(question):
        started.release()
        go.wait(60)
        return answer(question)

    monkeypatch.setattr(desk, "answer", slow)
    app = api.create(desk, "localhost")
    ask = lambda: TestClient(app, base_url="http://localhost").post(  # noqa: E731
        "/api/predict", files={"image": ("a.png", png())}
    )
    waiting = [threading.Thread(target=lambda: answers.append(ask())) for _ in range(SMALL.places)]
    for one in waiting:
        one.start()
    started.acquire(timeout=60)
    while app.busy < SMALL.places:
        threading.Event().wait(0.01)
    refused = ask()
    assert "2 requests are at work or wait. Send it again" in line_of(refused, 503)
    assert refused.headers["retry-after"] == "1"
    assert TestClient(app, base_url="http://localhost").get("/api/models").status_code == 200
    go.set()
    for one in waiting:
        one.join()
    assert [response.status_code for response in answers] == [200, 200] and app.busy == 0


def test_users_at_once_get_their_own_answers(desk):
    contents = {seed: png(seed, (64, 48)) for seed in range(2)}
    client = client_of(desk)
    post = lambda seed: client.post("/api/predict", files={"image": ("a", contents[seed])}).json()  # noqa: E731
    alone = {seed: post(seed)["findings"] for seed in contents}
    assert alone[0] != alone[1]
    wrong = []

    def user(seed):
        for _ in range(10):
            wrong.extend([seed] * (post(seed)["findings"] != alone[seed]))

    users = [threading.Thread(target=user, args=(seed,)) for seed in contents]
    for one in users:
        one.start()
    for one in users:
        one.join()
    assert wrong == []


def test_a_fault_of_the_server_is_one_line_too(desk, monkeypatch):
    monkeypatch.setattr(desk, "answer", lambda question: 1 / 0)
    client = client_of(desk, raise_server_exceptions=False)
    line = line_of(client.post("/api/predict"), 500)
    assert "the server failed (ZeroDivisionError)" in line


def test_labels_without_a_training_sample_are_named(models):
    model = models["tiles/vit/linear_head/0"]
    assert model.unlearnt == []
    rows = [{**row, "train_samples": i} for i, row in enumerate(model.model.labels)]
    blind = served.Served("x", dataclasses.replace(model.model, labels=rows))
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


def test_why_of_a_finding_that_the_model_does_not_have_is_one_line(client):
    files = {"image": ("a.png", png())}
    response = client.post("/api/saliency", files=files, data={"finding": "other"})
    assert "'other' is none of the model's" in line_of(response, 422)
    assert "this model reads no note" in line_of(client.post("/api/words", files=files), 422)


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
    (root / "=a.png").write_bytes(png(5))
    (root / "b.png").write_bytes(png(6))
    sha256 = [hashlib.sha256(png(seed)).hexdigest() for seed in (5, 6)]
    queue = tmp_path / "queue.csv"
    lines = [f"1,s1,'=a.png,{sha256[0]},val,c0", f"2,s2,b.png,{sha256[0]},test,c1"]
    lines += [f"3,s3,../x.png,{sha256[1]},test,c1"]
    queue.write_text("\n".join(["rank,sample_id,path,sha256,split,labels", *lines, ""]))
    samples = ReadingList(queue, root)
    client = client_of(Desk(models, SMALL, tmp_path, tmp_path / "answers.csv", samples))
    listed = client.get("/api/queue").json()["samples"]
    assert [row["path"] for row in listed] == ["=a.png", "b.png", "../x.png"]
    assert "c0" not in client.get("/api/queue").text
    image_id = client.post("/api/queue/1").json()["image_id"]
    assert image_id == sha256[0]
    assert "another image than when the queue was made" in line_of(client.post("/api/queue/2"), 422)
    assert "outside" in line_of(client.post("/api/queue/3"), 422)
    assert "it has no rank 4" in line_of(client.post("/api/queue/4"), 404)
    fields = {"image_id": image_id, "reader": "A", "labels": '["c0"]'}
    assert client.post("/api/answers", data=fields).status_code == 200
    done = [row["done"] for row in client.get("/api/queue").json()["samples"]]
    assert done == [True, True, False]


def test_without_a_queue_there_is_none(client):
    assert client.get("/api/queue").json()["samples"] == []
    assert "Start the server with --queue FILE" in line_of(client.post("/api/queue/1"), 404)


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


def test_an_address_that_is_taken_is_one_line():
    with listen.bound("127.0.0.1", 0) as place:
        port = place.getsockname()[1]
        with pytest.raises(InputError, match=r"nothing can listen there .* Choose another --port"):
            listen.bound("127.0.0.1", port)
    with pytest.raises(InputError, match="nothing can listen there"):
        listen.bound("127.0.0.1", 99_999)


def test_folders_of_killed_servers_are_removed_and_those_in_use_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(private.tempfile, "tempdir", str(tmp_path))
    left = tmp_path / f"{private.PREFIX}left"
    left.mkdir()
    (left / "upload").write_bytes(b"x")
    other = tmp_path / f"{private.PREFIX}link"
    other.symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").mkdir()
    with private.folder() as first, private.folder() as second:
        assert first.is_dir() and second.is_dir() and first != second
        assert not left.exists() and (tmp_path / "elsewhere").is_dir()
        assert first.stat().st_mode & 0o077 == 0
    assert not first.exists() and not second.exists()


def test_a_server_of_onnx_models_imports_no_torch(exported):  # noqa: F811
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
