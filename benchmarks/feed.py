"""The embedding stage against the bare forward pass of its encoder: what feeding it costs.

    python benchmarks/feed.py [IMAGES] [ROUNDS]

On a GPU ViT-L/16 in bfloat16 and JPEGs of 224 px, decoded by as many threads as there are cores,
and through nvJPEG; targets: 90% of the bare forward, waiting below 10%. On a processor ViT-S/16 in
float32 and JPEGs of 512 px. Random weights; images share 256 files. Seconds of the wall.
"""

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow" / "scripts"))

from histopair.jobs import limit_threads

limit_threads(len(os.sched_getaffinity(0)))

import timm
import torch
from tiles import write_jpegs, write_labels
from timing import record

from histopair import jobs
from histopair.analyses import cost
from histopair.encoders import embed
from histopair.jobs import devices

DEVICE = devices.start(0)
GPU = DEVICE.type == "cuda"
MODEL, SIDE, PRECISION, BATCH = (
    ("vit_large_patch16_224", 224, "bfloat16", 512)
    if GPU
    else ("vit_small_patch16_224", 512, "float32", 64)
)
SETTINGS = {"batch_size": BATCH, "precision": PRECISION, "storage": "float16", "shard_size": 8192}
BARE = "bare forward pass"
Rates = dict[str, list[dict[str, float]]]


def main(images: int = 32768 if GPU else 128, rounds: int = 3) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        labels = write_labels(
            folder / "labels.parquet", folder, write_jpegs(folder, min(images, 256), SIDE), images
        )
        rates = _rates(folder, labels, images, rounds)
    place = f"{cost.machine(DEVICE)}, {jobs.threads()} threads"
    _show(f"{images} JPEGs of {SIDE} px through {MODEL}, {PRECISION}, {place}", rates)


def _rates(folder: Path, labels: str, images: int, rounds: int) -> Rates:
    """per_second and waited of each candidate in each round; one round of each is not counted."""
    tower = timm.create_model(MODEL, num_classes=0).eval()
    timm.models.save_for_hf(tower, str(folder / "vit"), safe_serialization=True)
    entry = {"name": "vit", "library": "timm", "model": f"local-dir:{folder / 'vit'}"}
    tower = tower.to(DEVICE, devices.dtype(PRECISION, DEVICE), memory_format=torch.channels_last)
    rates: Rates = {BARE: [], "embedding stage": []} | ({"with nvJPEG": []} if GPU else {})
    for number in range(rounds + 1):
        settings = SETTINGS | {"decoding": "cpu"}
        new = {BARE: _bare(tower, images)}
        new["embedding stage"] = _stage(folder / f"{number}", labels, entry, settings)
        if GPU:
            settings = SETTINGS | {"decoding": "gpu"}
            new["with nvJPEG"] = _stage(folder / f"{number}-gpu", labels, entry, settings)
        for name in rates if number else ():
            rates[name].append(new[name])
    return rates


@torch.inference_mode()
def _bare(tower: torch.nn.Module, images: int) -> dict[str, float]:
    """Batch after batch of pixels that are on the device."""
    weights = next(tower.parameters())
    batch = torch.randn(BATCH, 3, 224, 224, device=DEVICE, dtype=weights.dtype)
    batch = batch.to(memory_format=torch.channels_last)
    tower(batch)
    _settle()
    start = time.perf_counter()
    for _ in range(max(images // BATCH, 1)):
        tower(batch)
    _settle()
    return {"per_second": max(images // BATCH, 1) * BATCH / (time.perf_counter() - start)}


def _stage(folder: Path, labels: str, entry: dict, settings: dict) -> dict[str, float]:
    """The whole stage after its encoder is loaded: reading, decoding, computing, writing."""
    out, root = str(folder / "out.parquet"), str(Path(labels).parent)
    shards = str(folder / "shards")
    return embed.embed_images(labels, root, entry, settings, shards, out, {"code": ""})


def _settle() -> None:
    if GPU:
        torch.cuda.synchronize(DEVICE)


def _show(question: str, rates: Rates) -> None:
    medians = {
        name: {key: statistics.median(one[key] for one in rounds) for key in rounds[0]}
        for name, rounds in rates.items()
    }
    print(f"\n{question}")
    for name, one in medians.items():
        value, ratio = f"{one['per_second']:.1f} images/s", one["per_second"]
        ratio /= medians[BARE]["per_second"]
        value += f", waiting {one['waited']:.1%}" if "waited" in one else ""
        print(f"{name:24s} {value}   {ratio:.2f} x {BARE}")
        record(question, name, value, f"{ratio:.2f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
