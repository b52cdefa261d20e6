"""A server of the second read for tests: exported models, a client, images, and its refusals."""

import io

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from test_export import exported  # noqa: F401
from test_methods import world  # noqa: F401

from histopair.export.findings import USE
from serve import api
from serve import exported as served
from serve.desk import Desk
from serve.limits import Limits

SMALL = Limits(upload=300_000, pixels=500_000, places=2, held=2)


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
