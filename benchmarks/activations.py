"""Training the last two of twelve blocks of both towers of a CLIP, with and without the cache.

    python benchmarks/activations.py [ROUNDS]

ViT-B/16 and its text tower with random weights, batches of 8, float32, one thread; on a GPU, where
there is one, ViT-L/14 in batches of 64 under bfloat16. All candidates take the same steps from the
same weights: frozen blocks under no_grad in each step, as is usual; from the cache (float16); and
from the cache with the last block for the pooled token alone. Images are decoded and captions
tokenised beforehand, for all of them. On paper follows a ViT-L/14 on the images of the multi-label
paper.
"""

import copy
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow" / "scripts"))

from histopair.jobs import limit_threads

limit_threads(1)

import numpy as np
import open_clip
import pyarrow as pa
import torch
from PIL import Image
from safetensors.torch import save_file
from timing import clock, interleaved, show

from histopair import images
from histopair.analyses import cost
from histopair.encoders.activations import cache as activation_cache
from histopair.files import tables
from histopair.jobs import devices
from histopair.training import heads, one_run
from histopair.training.classifiers import Fusion

DEVICE = devices.start(0)
TEXT = {"context_length": 77, "vocab_size": 49408, "layers": 12}
BASE = {
    "embed_dim": 512,
    "vision_cfg": {"image_size": 224, "layers": 12, "width": 768, "patch_size": 16},
    "text_cfg": TEXT | {"width": 512, "heads": 8},
}
LARGE = {
    "embed_dim": 768,
    "vision_cfg": {"image_size": 224, "layers": 24, "width": 1024, "patch_size": 14},
    "text_cfg": TEXT | {"width": 768, "heads": 12},
}
NAME, CLIP, BATCH, SAMPLES, DTYPE = (
    ("ViT-L/14", LARGE, 64, 512, torch.bfloat16)
    if DEVICE.type == "cuda"
    else ("ViT-B/16", BASE, 8, 64, torch.float32)
)
BLOCKS, CLASSES = 2, 20
WORDS = ["gland", "nuclei", "stroma", "mitosis", "lumen", "necrosis", "basal", "atypia"]
FROZEN, CACHED, ALONE = "no_grad", "cached", "cached, one token"


def main(rounds: int = 20) -> None:
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as name:
        labels, encoder = _dataset(Path(name)), _encoder(Path(name) / "clip")
        settings = {"cache": True, "budget_gb": 1, "storage": "float16"}
        kept = {}
        for kind, artifact in (("images", "image"), ("captions", "caption")):
            out = kept[f"{artifact}_activations"] = f"{name}/{kind}"
            activation_cache.make(
                kind, labels, name, encoder, BLOCKS, 1, settings, f"{out}.shards", out, {"code": ""}
            )
        steps, losses = _candidates(
            _run(name, labels, encoder), _run(name, labels, encoder, **kept)
        )
        medians = interleaved(steps, rounds, clock(DEVICE))
    kind = f"{NAME} on {cost.machine(DEVICE)}, {DTYPE}, batch {BATCH}"
    show(f"The last {BLOCKS} blocks of both towers of a {kind}", medians, FROZEN)
    print(f"loss of step 1 and {rounds + 1}: {losses[FROZEN][0]:.4f}, {losses[FROZEN][-1]:.4f}")
    for name in (CACHED, ALONE):
        apart = np.abs(np.subtract(losses[name], losses[FROZEN])).max()
        print(f"{name}: the loss differs by at most {apart:.1e} in {rounds + 1} steps")
    on_paper()


def _candidates(
    computed: one_run.Run, kept: one_run.Run
) -> tuple[dict[str, Callable], dict[str, list]]:
    """A training step of each candidate, and the losses that its steps will have had."""
    (image, width, image_read), (text, _, text_read) = _towers(kept)
    (_, _, image_frozen), (_, _, text_frozen) = _towers(computed)
    image_frozen(torch.arange(SAMPLES))  # decodes them
    alone = Fusion(image, text, "concat", heads.mlp(2 * width, CLASSES)).to(DEVICE)
    whole = copy.deepcopy(alone)
    whole.image.alone = whole.text.alone = None
    targets, losses = computed.targets, {FROZEN: [], CACHED: [], ALONE: []}
    steps = {
        FROZEN: _steps(copy.deepcopy(whole), image_frozen, text_frozen, targets, losses[FROZEN]),
        CACHED: _steps(whole, image_read, text_read, targets, losses[CACHED]),
        ALONE: _steps(alone, image_read, text_read, targets, losses[ALONE]),
    }
    return steps, losses


def _towers(run: one_run.Run) -> list[tuple]:
    return [run.tower(kind, BLOCKS) for kind in ("image", "text")]


def _steps(model, image: Callable, text: Callable, targets, losses: list[float]) -> Callable:
    """One step of training per call, as loop.py takes it."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)
    order = torch.Generator().manual_seed(0)
    model.train()

    def step() -> None:
        rows = torch.randperm(SAMPLES, generator=order)[:BATCH]
        with torch.autocast(DEVICE.type, DTYPE, enabled=DTYPE is not torch.float32):
            logits = model(image(rows), text(rows)).float()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, targets[rows])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())

    return step


def _run(root: str, labels: str, encoder: dict, **artifacts: str) -> one_run.Run:
    return one_run.Run(
        artifacts={"labels": labels, **artifacts},
        root=root,
        encoder_entry=encoder,
        retriever_entry=None,
        method={},
        seed=0,
        device=DEVICE,
        image_cache_mb=4000,
    )


def _encoder(folder: Path) -> dict:
    folder.mkdir()
    model = open_clip.CustomTextCLIP(**CLIP)
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    preprocess = {"size": 224, "mean": [0.5] * 3, "std": [0.25] * 3}
    config = {"model_cfg": {**CLIP, "custom_text": True}, "preprocess_cfg": preprocess}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    return {"name": "clip", "library": "open_clip", "model": f"local-dir:{folder}"}


def _dataset(folder: Path) -> str:
    """Images of noise, captions of 8 to 60 words, three labels each."""
    rng = np.random.default_rng(0)
    for i in range(SAMPLES):
        pixels = rng.integers(0, 256, (14, 14, 3)).astype(np.uint8)
        Image.fromarray(pixels).resize((224, 224)).save(folder / f"{i}.png")
    names = [f"{i}.png" for i in range(SAMPLES)]
    classes = [f"c{i:02d}" for i in range(CLASSES)]
    table = {
        "sample_id": names,
        "image_id": names,
        "path": names,
        "sha256": [images.digest(folder, name) for name in names],
        "split": ["train"] * SAMPLES,
        "labels": [list(rng.choice(classes, 3, replace=False)) for _ in names],
        "caption": [" ".join(rng.choice(WORDS, rng.integers(8, 61))) for _ in names],
    }
    labels = str(folder / "labels.parquet")
    tables.write(labels, pa.table(table), {"task": "multi", "classes": classes})
    return labels


def on_paper(images: int = 43_866, epochs: int = 30, tokens: int = 35, tflops: float = 50) -> None:
    """GPU-hours and disk of a CLIP ViT-L/14 (224 px) whose last two blocks of each tower train.

    Multiplications and additions of the blocks alone, at `tflops` sustained; backward costs twice
    forward. With one token, the last block computes its keys and values for all tokens.
    """
    print(f"\nOn paper: ViT-L/14, {images} pairs, {epochs} epochs, {tokens} tokens per caption,")
    print(f"{tflops:g} TFLOP/s sustained (float32 as TF32 on a data-centre GPU)")
    towers = {"images": (257, 1024, 24), "captions": (tokens, 768, 12)}
    block = {kind: 24 * n * d**2 + 4 * n**2 * d for kind, (n, d, _) in towers.items()}
    single = {kind: 4 * n * d**2 + 20 * d**2 + 4 * n * d for kind, (n, d, _) in towers.items()}
    frozen = {kind: (layers - BLOCKS) * block[kind] for kind, (_, _, layers) in towers.items()}
    trained = 3 * sum(BLOCKS * block[kind] for kind in towers)
    alone = 3 * sum((BLOCKS - 1) * block[kind] + single[kind] for kind in towers)
    usual = epochs * (sum(frozen.values()) + trained)
    disk = {kind: 2 * n * d * images / 1e9 for kind, (n, d, _) in towers.items()}
    rows = {
        "no_grad": (usual, 0, 0),
        "cached": (sum(frozen.values()) + epochs * trained, 1, 1),
        "cached, one token": (sum(frozen.values()) + epochs * alone, 1, 1),
        "cached, one token, 8 augmentations": (
            8 * frozen["images"] + frozen["captions"] + epochs * alone,
            8,
            1,
        ),
    }
    print(f"{'':28s} GPU-hours        gain   GB images   GB captions")
    for name, (operations, turns, texts) in rows.items():
        hours, gain = operations * images / tflops / 1e12 / 3600, usual / operations
        sizes = f"{turns * disk['images']:11.1f}   {texts * disk['captions']:11.1f}"
        print(f"{name:28s} {hours:9.2f}   {gain:6.2f} x {sizes}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
