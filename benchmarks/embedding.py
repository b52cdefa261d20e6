"""The whole embedding stage against clip-retrieval, a plain open_clip loop and the bare forward.

    python benchmarks/embedding.py [IMAGES] [ROUNDS]

ViT-B/32 with random weights, JPEGs of 512 px, float32, as many threads and workers as there are
cores; loading the model is not counted. Seconds of the wall, so run it on a quiet machine.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow" / "scripts"))

from histopair.jobs import limit_threads

THREADS = len(os.sched_getaffinity(0))
limit_threads(THREADS)

import open_clip
import others
import torch
from tiles import write_jpegs, write_labels
from timing import interleaved, show

from histopair import encoders
from histopair.encoders import embed
from histopair.jobs import devices

MODEL, SIDE, BATCH = "ViT-B-32", 512, 64
BARE, OURS = "bare forward pass", "histopair"
SETTINGS = {"precision": "float32", "storage": "float16", "shard_size": 4096, "decoding": "cpu"}


def main(images: int = 192, rounds: int = 3) -> None:
    devices.start(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = folder / "images"
        files.mkdir()
        labels = write_labels(
            folder / "labels.parquet", files, write_jpegs(files, images, SIDE), images
        )
        model, _, preprocess = open_clip.create_model_and_transforms(MODEL)
        model.eval()
        tower = encoders.Encoder("clip", model.visual, preprocess, 512)
        candidates = {BARE: _bare(model.visual, images), OURS: _ours(tower, labels, files, folder)}
        arguments = MODEL, str(THREADS)
        for kind, out in (("open_clip", "plain.npy"), ("clip-retrieval", "clip-retrieval")):
            candidates |= others.started(kind, str(files), str(folder / out), *arguments)
        question = f"{images} JPEGs of {SIDE} px through {MODEL}, float32, {THREADS} threads"
        show(question, interleaved(candidates, rounds), OURS)
        others.close(candidates)


def _bare(visual: torch.nn.Module, images: int) -> Callable[[], None]:
    batch = torch.randn(BATCH, 3, 224, 224)

    @torch.inference_mode()
    def run() -> None:
        for _ in range(images // BATCH):
            visual(batch)

    return run


def _ours(encoder: encoders.Encoder, labels: str, root: Path, folder: Path) -> Callable[[], None]:
    """The stage with a model that is loaded already, and whose weights are hashed already."""
    embed.encoders.load = lambda entry: encoder
    embed.devices.weights_digest = lambda *towers: "random"
    embed.encoders.description = lambda entry: ""
    settings, shards = SETTINGS | {"batch_size": BATCH}, folder / "shards"

    def run() -> None:
        shutil.rmtree(shards, ignore_errors=True)
        out = str(folder / "out.parquet")
        embed.embed_images(labels, str(root), {}, settings, str(shards), out, {"code": ""})

    return run


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
