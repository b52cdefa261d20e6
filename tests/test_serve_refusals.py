"""What the server of the second read cannot or should not read is one line, and it goes on."""

import asyncio
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from served import SMALL, client_of, encoded, line_of, png

from serve import api, guard

pytest_plugins = ["served"]


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


def test_why_of_a_finding_that_the_model_does_not_have_is_one_line(client):
    files = {"image": ("a.png", png())}
    response = client.post("/api/saliency", files=files, data={"finding": "other"})
    assert "'other' is none of the model's" in line_of(response, 422)
    assert "this model reads no note" in line_of(client.post("/api/words", files=files), 422)


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


def test_a_fault_of_the_server_is_one_line_too(desk, monkeypatch):
    monkeypatch.setattr(desk, "answer", lambda question: 1 / 0)
    client = client_of(desk, raise_server_exceptions=False)
    line = line_of(client.post("/api/predict"), 500)
    assert "the server failed (ZeroDivisionError)" in line
