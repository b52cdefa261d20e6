"""Training steps: LoRA without text, CLIP-IT's main stage, and LoRA by peft's own means.

    python benchmarks/training.py [ROUNDS]

ViT-B/16 with random weights, LoRA of rank 16 on every layer, batches of 8, float32, one thread; on
a GPU, where there is one, ViT-L/16 in batches of 64 under bfloat16. Targets of distillation are
vectors of 512 dimensions, computed before. peft's loop is that of its image examples: its wrapper
of the same model on every linear layer and the patches' convolution, and a head that trains.
"""

import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow" / "scripts"))

from histopair.jobs import limit_threads

limit_threads(1)

import peft
import timm
import torch
from timing import clock, interleaved, show
from torch import Tensor, nn

from histopair.analyses import cost
from histopair.jobs import devices
from histopair.methods.clip_it import students
from histopair.training import heads, lora
from histopair.training.classifiers import Classifier, Still
from histopair.training.tasks import single

DEVICE = devices.start(0)
BACKBONE, BATCH, DTYPE = (
    ("vit_large_patch16_224", 64, torch.bfloat16)
    if DEVICE.type == "cuda"
    else ("vit_base_patch16_224", 8, torch.float32)
)
CLASSES, TEXT_WIDTH = 9, 512
LORA = {"rank": 16, "alpha": 8, "targets": "all"}


def main(rounds: int = 7) -> None:
    torch.set_default_device(DEVICE)
    pixels, targets = torch.randn(BATCH, 3, 224, 224), torch.randint(CLASSES, (BATCH,))
    texts = torch.randn(100, TEXT_WIDTH)
    index = torch.randint(len(texts), (BATCH,))
    plain, width = backbone()
    taught, _ = backbone()
    control = Classifier(Still(plain), nn.Linear(width, CLASSES))
    head = heads.text_head(TEXT_WIDTH, CLASSES)
    student = students.Distilled(taught, width, head, TEXT_WIDTH, CLASSES)

    def control_loss() -> Tensor:
        return single.loss(control(pixels), targets)

    def student_loss() -> Tensor:
        logits, predicted = student(pixels)
        distillation = students.distillation(texts[index], predicted)
        return single.loss(logits, targets) + distillation

    wrapped = by_peft()

    def wrapped_loss() -> Tensor:
        return nn.functional.cross_entropy(wrapped(pixels), targets)

    steps = {"LoRA": step(control, control_loss), "CLIP-IT": step(student, student_loss)}
    steps["LoRA by peft's loop"] = step(wrapped, wrapped_loss)
    medians = interleaved(steps, rounds, clock(DEVICE))
    show(f"A step of {BACKBONE} on {cost.machine(DEVICE)}, {DTYPE}, batch {BATCH}", medians, "LoRA")


def backbone() -> tuple[nn.Module, int]:
    """A vision transformer with adapters, and its width."""
    tower = timm.create_model(BACKBONE, num_classes=0)
    return lora.adapt(tower, LORA), tower.num_features


def by_peft() -> nn.Module:
    """The backbone and a head as peft's examples wrap them."""
    model = timm.create_model(BACKBONE, num_classes=CLASSES)
    targets = r".*(qkv|proj|fc1|fc2)"
    settings = peft.LoraConfig(
        r=LORA["rank"], lora_alpha=LORA["alpha"], target_modules=targets, modules_to_save=["head"]
    )
    return peft.get_peft_model(model, settings)


def step(model: nn.Module, loss: Callable[[], Tensor]) -> Callable[[], None]:
    """A training step as the loop takes it."""
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(trained, lr=1e-3, weight_decay=1e-4)
    model.train()

    def take() -> None:
        with torch.autocast(DEVICE.type, DTYPE, enabled=DTYPE is not torch.float32):
            value = loss()
        value.backward()
        nn.utils.clip_grad_norm_(trained, 0.5)
        optimizer.step()
        optimizer.zero_grad()

    return take


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
