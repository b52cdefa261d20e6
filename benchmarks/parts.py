"""One job that embeds a dataset, against shards of equal size, and against parts that share it.

    python benchmarks/parts.py [IMAGES] [ROUNDS]

ViT-Ti/16 with random weights, JPEGs of 224 px, one thread, CPU seconds; parts run one after the
other, and each loads the model. A part's start, some seconds for its libraries, is not counted.
"""

import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow" / "scripts"))

from histopair.jobs import limit_threads

limit_threads(1)

import timm
import torch
from tiles import write_jpegs, write_labels
from timing import clock, interleaved, show

from histopair.encoders import embed
from histopair.jobs import devices
from histopair.jobs.share import Share

SIDE, MODEL, ONE = 224, "vit_tiny_patch16_224", "one job"
SETTINGS = {"precision": "float32", "storage": "float16", "shard_size": 64, "decoding": "cpu"}


def main(images: int = 256, rounds: int = 3) -> None:
    devices.start(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "images").mkdir()
        labels = write_labels(
            folder / "labels.parquet",
            folder / "images",
            write_jpegs(folder / "images", images, SIDE),
            images,
        )
        timm.models.save_for_hf(timm.create_model(MODEL, num_classes=0), str(folder / "vit"))
        stage = _stage(labels, folder)
        candidates = {ONE: stage(1), "one job, shards of equal size": _of_equal_size(stage(1))}
        candidates["two parts and the joining job"] = stage(2)
        question = f"{images} JPEGs of {SIDE} px through {MODEL}, shared by jobs, 1 thread"
        show(question, interleaved(candidates, rounds, clock(torch.device("cpu"))), ONE)


def _stage(labels: str, folder: Path) -> Callable[[int], Callable[[], None]]:
    """stage(jobs) embeds all, by so many jobs."""
    entry = {"name": "vit", "library": "timm", "model": f"local-dir:{folder / 'vit'}"}
    settings, out = SETTINGS | {"batch_size": 16}, str(folder / "out.parquet")
    files = labels, str(folder / "images"), entry, settings, str(folder / "shards"), out

    def stage(jobs: int) -> Callable[[], None]:
        shares = [Share(out)] if jobs == 1 else [*_parts(out, jobs), Share(out, None, jobs)]

        def run() -> None:
            shutil.rmtree(folder / "shards", ignore_errors=True)
            for share in shares:
                embed.embed_images(*files, {"code": ""}, share)

        return run

    return stage


def _parts(out: str, jobs: int) -> list[Share]:
    return [Share(out, number, jobs) for number in range(jobs)]


def _of_equal_size(run: Callable[[], None]) -> Callable[[], None]:
    by_content = embed._cuts

    def equal() -> None:
        embed._cuts = lambda hashes, size: [*range(0, len(hashes), size), len(hashes)]
        run()
        embed._cuts = by_content

    return equal


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
