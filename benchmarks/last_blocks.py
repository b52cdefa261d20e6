"""LoRA and CLIP-IT with adapters in the last two of twelve blocks, with and without the cache.

    python benchmarks/last_blocks.py [ROUNDS]

ViT-B/16 with random weights, adapters of rank 16, batches of 8, float32, one thread; on a GPU,
where there is one, batches of 64 under bfloat16. Images are decoded beforehand for all candidates.
Steps are interleaved; a ratio is the median over rounds, so that it holds on a busy machine, too.
Losses are those of the same steps from the same weights, with activations kept in float16.
"""

import statistics
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow" / "scripts"))

from histopair.jobs import limit_threads

limit_threads(1)

import numpy as np
import pyarrow as pa
import timm
import torch
from PIL import Image
from timing import clock, record
from torch import Tensor, nn

from histopair import images
from histopair.analyses import cost
from histopair.encoders.activations import cache as activation_cache
from histopair.files import tables
from histopair.jobs import devices
from histopair.methods.clip_it import students
from histopair.training import adapted_images, heads, one_run
from histopair.training.classifiers import Classifier, Still
from histopair.training.tasks import single

DEVICE = devices.start(0)
BATCH, DTYPE = (64, torch.bfloat16) if DEVICE.type == "cuda" else (8, torch.float32)
BACKBONE, BLOCKS, SAMPLES, CLASSES, TEXT_WIDTH = "vit_base_patch16_224", 2, 64, 9, 512
LORA = {"rank": 16, "alpha": 8.0, "targets": "all"}
ALL, TOWER, CACHED = "all blocks", "last 2, whole tower", "last 2, from the cache"


def main(rounds: int = 10) -> None:
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        every, last = _runs(Path(folder))
        kept = replace(last, artifacts=last.artifacts | {"image_activations": f"{folder}/kept"})
        _keep(kept)
        for name, model in (("LoRA", _plain), ("CLIP-IT", _taught)):
            losses = {ALL: [], TOWER: [], CACHED: []}
            runs = zip(losses, (every, last, kept), strict=True)
            steps = {kind: _steps(run, model, losses[kind]) for kind, run in runs}
            _show(name, _times(steps, rounds), losses)


def _show(name: str, times: dict[str, list[float]], losses: dict[str, list[float]]) -> None:
    question = f"{name}, {BACKBONE} on {cost.machine(DEVICE)}, {DTYPE}, batch {BATCH}"
    print(f"\n{question}")
    for kind, seconds in times.items():
        ratios = [base / value for base, value in zip(times[ALL], seconds, strict=True)]
        median = statistics.median(seconds), statistics.median(ratios)
        print(f"{kind:24s} {median[0]:8.3f} s   {median[1]:6.2f} x {ALL}")
        record(question, kind, f"{median[0]:.4g} s", f"{median[1]:.2f}")
    pairs = zip(times[TOWER], times[CACHED], strict=True)
    print(f"cache against tower: {statistics.median(a / b for a, b in pairs):.2f} x")
    apart = np.abs(np.subtract(losses[TOWER], losses[CACHED]))
    print(f"their losses differ by {apart[0]:.1e}, in {len(apart)} steps by {apart.max():.1e}")


def _times(steps: dict[str, Callable], rounds: int) -> dict[str, list[float]]:
    """Seconds of each step in each round, after one that is not counted."""
    seconds, now = {kind: [] for kind in steps}, clock(DEVICE)
    for number in range(rounds + 1):
        for kind, step in steps.items():
            start = now()
            step()
            if number:
                seconds[kind].append(now() - start)
    return seconds


def _plain(backbone: nn.Module, width: int) -> tuple[nn.Module, Callable]:
    model = Classifier(Still(backbone), nn.Linear(width, CLASSES))
    return model, lambda images, targets, _: single.loss(model(images).float(), targets)


def _taught(backbone: nn.Module, width: int) -> tuple[nn.Module, Callable]:
    head = heads.text_head(TEXT_WIDTH, CLASSES)
    model = students.Distilled(backbone, width, head, TEXT_WIDTH, CLASSES)

    def loss(images: Tensor, targets: Tensor, texts: Tensor) -> Tensor:
        logits, predicted = model(images)
        return single.loss(logits.float(), targets) + students.distillation(texts, predicted)

    return model, loss


def _steps(run: one_run.Run, build: Callable, losses: list[float]) -> Callable[[], None]:
    """A training step as the loop takes it, with the next rows in each call."""
    torch.manual_seed(0)
    backbone, width, images = adapted_images.tower(run)
    model, loss = build(backbone, width)
    trained = [p for p in model.to(DEVICE).train().parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(trained, lr=1e-3, fused=True)
    texts = torch.randn(SAMPLES, TEXT_WIDTH).to(DEVICE)
    order = torch.Generator().manual_seed(0)
    images(torch.arange(SAMPLES))  # decodes them

    def take() -> None:
        rows = torch.randperm(SAMPLES, generator=order)[:BATCH]
        with torch.autocast(DEVICE.type, DTYPE, enabled=DTYPE is not torch.float32):
            value = loss(images(rows), run.targets[rows], texts[rows])
        value.backward()
        nn.utils.clip_grad_norm_(trained, 0.5)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(value.item())

    return take


def _runs(folder: Path) -> list[one_run.Run]:
    """A run with adapters in all blocks, and one with adapters in the last ones."""
    tower = timm.create_model(BACKBONE, num_classes=0)
    timm.models.save_for_hf(tower, str(folder / "vit"), safe_serialization=True)
    entry = {"name": "vit", "library": "timm", "model": f"local-dir:{folder / 'vit'}"}
    return [
        one_run.Run(
            artifacts={"labels": _dataset(folder)},
            root=str(folder),
            encoder_entry=entry,
            retriever_entry=None,
            method={"lora": LORA | {"blocks": blocks}},
            seed=0,
            device=DEVICE,
            image_cache_mb=4000,
        )
        for blocks in ("all", BLOCKS)
    ]


def _keep(run: one_run.Run) -> None:
    """Fill the run's cache of activations."""
    out, place = run.artifacts["image_activations"], (run.root, run.encoder_entry)
    settings = {"cache": True, "budget_gb": 1, "storage": "float16"}
    labels, about = run.artifacts["labels"], {"code": ""}
    activation_cache.make(
        "images", labels, *place, BLOCKS, 1, settings, f"{out}.shards", out, about
    )


def _dataset(folder: Path) -> str:
    """Images of noise, one class each."""
    rng, names = np.random.default_rng(0), [f"{i}.png" for i in range(SAMPLES)]
    for name in names:
        pixels = rng.integers(0, 256, (14, 14, 3)).astype(np.uint8)
        Image.fromarray(pixels).resize((224, 224)).save(folder / name)
    classes = [f"c{number}" for number in range(CLASSES)]
    table = dict.fromkeys(("sample_id", "image_id", "path"), names)
    table["sha256"] = [images.digest(folder, name) for name in names]
    table |= {"split": ["train"] * SAMPLES, "labels": [[rng.choice(classes)] for _ in names]}
    labels = str(folder / "labels.parquet")
    tables.write(labels, pa.table(table), {"task": "single", "classes": classes})
    return labels


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
