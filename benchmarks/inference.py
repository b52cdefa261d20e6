"""What an exported CLIP-IT costs at batch 1 against the bare backbone and a linear head.

ViT-B/16 with random weights, one thread. Target: under 1% for the exported model (LoRA merged, the
text branch folded). The same model with its adapters left in is shown beside, and onnxruntime.
"""

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow" / "scripts"))
from histopair.jobs import limit_threads

limit_threads(1)

import timm
import torch
from timing import interleaved, show
from torch import nn

from histopair.encoders import Encoder
from histopair.export import read, write
from histopair.export.predictor import Predictor
from histopair.predictors.clip_it import fold
from histopair.training import heads, lora, students

ROUNDS, CLASSES, TEXT_WIDTH = 60, 9, 512
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
    torch.set_num_threads(1)
    pixels = torch.randn(1, 3, 224, 224)
    tower = backbone()
    bare = nn.Sequential(tower, nn.Linear(tower.num_features, CLASSES)).eval()
    model = exported(distilled(tower))  # on the same weights in memory as the bare backbone
    unmerged = distilled(lora.adapt(backbone(), LORA))
    sessions = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, module in (
            ("bare", Predictor(bare[1], image=Encoder("vit", image=tower))),
            ("exported", model),
        ):
            place = Path(folder, name)
            place.mkdir()
            write.write_onnx(module.eval(), pixels, place / "model.onnx")
            sessions[name] = read.onnx_logits(place)
    array = pixels.numpy()
    with torch.inference_mode():
        medians = interleaved(
            {
                "bare backbone and head": lambda: bare(pixels),
                "exported": lambda: model(pixels),
                "adapters left in": lambda: unmerged(pixels),
                "onnxruntime, bare": lambda: sessions["bare"](array, None),
                "onnxruntime, exported": lambda: sessions["exported"](array, None),
            },
            ROUNDS,
        )
    show(medians, "bare backbone and head")
    for name, base in (
        ("exported", "bare backbone and head"),
        ("adapters left in", "bare backbone and head"),
        ("onnxruntime, exported", "onnxruntime, bare"),
    ):
        print(f"overhead of {name}: {100 * (medians[name] / medians[base] - 1):+.2f}%")


if __name__ == "__main__":
    main()
