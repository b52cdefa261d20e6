"""A folder with a config of its own, as the tests of the doctor ask about it."""

from pathlib import Path

import numpy as np
import pytest
import tiny
import yaml
from PIL import Image

from commands import doctor

ROOT = Path(__file__).parents[1]


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """An empty folder with a config, in which commands work."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "labels").symlink_to(ROOT / "config" / "labels")
    (tmp_path / "config" / "published").symlink_to(ROOT / "config" / "published")
    (tmp_path / "config" / "config.yaml").write_text((ROOT / "tests/small.yaml").read_text())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")  # which the command sets: so that it is taken back
    monkeypatch.setattr(doctor.jobs, "limit_threads", lambda threads: None)
    return tmp_path


@pytest.fixture
def filled(place) -> Path:
    """The folder with a dataset, an encoder and the config that reads them."""
    tiles(place / "tiles")
    tiny.vit_entry(place / "vit")
    write(config())
    return place


def tiles(folder: Path, count: int = 12) -> None:
    """A dataset of the reader `table`."""
    folder.mkdir(parents=True)
    lines = ["path,label,group"]
    for i in range(count):
        pixels = np.full((32, 32, 3), 20 * (i % 2) + i, np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
        lines.append(f"{i}.png,{'ab'[i % 2]},g{i // 2}")
    (folder / "labels.csv").write_text("\n".join(lines))


def config(**changes) -> dict:
    """One dataset, one encoder, one method that embeds and one that trains the tower."""
    entry = {
        "datasets": {"mine": {"reader": "table", "root": "tiles", "licence": "MIT"}},
        "encoders": {"vit": {"library": "timm", "model": "local-dir:vit", "licence": "MIT"}},
        "methods": {
            "probe": {"recipe": "linear_probe"},
            "lora": {"recipe": "lora", "epochs": 2, "batch_size": 8},
        },
        "studies": {
            "one": {
                "title": "One",
                "datasets": ["mine"],
                "encoders": ["vit"],
                "methods": ["probe", "lora"],
                "seeds": [0, 1],
            }
        },
    }
    return entry | changes


def write(entry: dict) -> None:
    Path("config/config.yaml").write_text(yaml.safe_dump(entry))


def ran(capsys, *words: str) -> tuple[int, str]:
    status = doctor.main(list(words))
    return status, capsys.readouterr().out
