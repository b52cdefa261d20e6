"""What an exported CLIP-IT costs at batch 1 against the bare backbone and a linear head.

ViT-B/16 with random weights, one thread, or a GPU where there is one. Target: under 1% for the
exported model (LoRA merged, the text branch folded). Beside it: the same model with its adapters
left in and, on a processor, onnxruntime.
"""

import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow" / "scripts"))
from histopair.jobs import limit_threads

limit_threads(1)

import timm
import torch
from timing import clock, interleaved, show
from torch import nn

from histopair.analyses import cost
from histopair.encoders import Encoder
from histopair.export import read, write
from histopair.export.predictor import Predictor
from histopair.jobs import devices
from histopair.methods.clip_it import students
from histopair.methods.clip_it.folded import fold
from histopair.training import heads, lora

DEVICE = devices.start(0)
ROUNDS, CLASSES, TEXT_WIDTH = 60, 9, 512
BARE, ONNX = "bare backbone and head", "onnxruntime, bare"
LORA = {"rank": 16, "alpha": 8.0, "targets": "all"}


def backbone() -> nn.Module:
    torch.manual_seed(0)
    return timm.create_model("vit_base_patch16_224", num_classes=0).eval()


def distilled(tower: nn.Module) -> students.Distilled:
    text_head = heads.text_head(TEXT_WIDTH, CLASSES)
    return students.Distilled(tower, tower.num_features, text_head, TEXT_WIDTH, CLASSES).eval()


def exported(model: students.Distilled) -> Predictor:
    return Predictor(fold(model), image=Encoder("vit", image=model.backbone)).eval()


def main() -> None:
    pixels = torch.randn(1, 3, 224, 224)
    tower = backbone()
    bare = nn.Sequential(tower, nn.Linear(tower.num_features, CLASSES)).eval()
    model = exported(distilled(tower))  # on the same weights in memory as the bare backbone
    unmerged = distilled(lora.adapt(backbone(), LORA))
    candidates = in_torch({BARE: bare, "exported": model, "adapters left in": unmerged}, pixels)
    bases = {"exported": BARE, "adapters left in": BARE}
    if DEVICE.type == "cpu":
        headed = Predictor(bare[1], image=Encoder("vit", image=tower))
        candidates |= in_onnx({ONNX: headed, "onnxruntime, exported": model}, pixels)
        bases["onnxruntime, exported"] = ONNX
    with torch.inference_mode():
        medians = interleaved(candidates, ROUNDS, clock(DEVICE))
    show(f"ViT-B/16 on {cost.machine(DEVICE)}, batch 1", medians, BARE)
    for name, base in bases.items():
        print(f"overhead of {name}: {100 * (medians[name] / medians[base] - 1):+.2f}%")


def in_torch(models: dict[str, nn.Module], pixels: torch.Tensor) -> dict[str, Callable]:
    """A pass of one image through each model, on the device."""
    pixels = pixels.to(DEVICE)
    return {name: partial(model.to(DEVICE), pixels) for name, model in models.items()}


def in_onnx(models: dict[str, Predictor], pixels: torch.Tensor) -> dict[str, Callable]:
    """The same through onnxruntime."""
    sessions = {}
    with tempfile.TemporaryDirectory() as name:
        for number, module in enumerate(models.values()):
            folder = Path(name, str(number))
            folder.mkdir()
            write.write_onnx(module.eval(), pixels, folder / "model.onnx")
            sessions[number] = read.onnx_logits(folder)
    return {
        name: partial(sessions[number], pixels.numpy(), None) for number, name in enumerate(models)
    }


if __name__ == "__main__":
    main()
