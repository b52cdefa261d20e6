"""What CLIP-IT trains on images: a backbone, the prediction of the text's embedding, and logits.

Each returns logits (n, C) and the prediction (n, d_text) that `distillation` compares with texts.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity, kl_div, normalize, smooth_l1_loss

from histopair.training import contrastive_loss, heads

TEMPERATURE = 0.07  # CLIP's at its start (Radford 2021, Section 2.5)


class Student(nn.Module):
    """The backbone's inputs -> `classify(features, predicted)`, predicted = to_text(features)."""

    def __init__(self, backbone: nn.Module, to_text: nn.Module):
        super().__init__()
        self.backbone, self.to_text = backbone, to_text

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        features = self.backbone(*inputs)
        predicted = self.to_text(features)
        return self.classify(features, predicted), predicted

    def train(self, mode: bool = True):
        super().train(mode)
        self.backbone.eval()
        return self


class Distilled(Student):
    """Late fusion, CLIP-IT's own: the text head reads g(v), its logits join the image's."""

    def __init__(
        self, backbone, width: int, text_head, text_width: int, classes: int, start="mean"
    ):
        super().__init__(backbone, nn.Linear(width, text_width))
        self.head = heads.Last(width, classes)
        self.text_head = text_head
        self.fusion = fusion(classes, start)

    def classify(self, features: Tensor, predicted: Tensor) -> Tensor:
        text_logits = self.text_head(normalize(predicted, dim=1))
        return self.fusion(torch.cat([self.head(features), text_logits], dim=1))


class EarlyFusion(Student):
    """One linear layer on the image's features beside g(v)."""

    def __init__(self, backbone: nn.Module, width: int, text_width: int, classes: int):
        super().__init__(backbone, nn.Linear(width, text_width))
        self.head = heads.Last(width + text_width, classes)

    def classify(self, features: Tensor, predicted: Tensor) -> Tensor:
        return self.head(torch.cat([features, normalize(predicted, dim=1)], dim=1))


class OneBranch(Student):
    """Text is distilled into the image's features themselves; a linear head reads them."""

    def __init__(self, backbone: nn.Module, width: int, text_width: int, classes: int):
        super().__init__(backbone, same_space(width, text_width))
        self.head = heads.Last(width, classes)

    def classify(self, features: Tensor, predicted: Tensor) -> Tensor:
        return self.head(features)


class WithTeacher(nn.Module):
    """A student beside the text tower that trains with it; a frozen one drops nothing out."""

    def __init__(self, student: Student, teacher: nn.Module):
        super().__init__()
        self.student, self.teacher = student, teacher

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return self.student(images)

    def train(self, mode: bool = True):
        super().train(mode)
        if not any(parameter.requires_grad for parameter in self.teacher.parameters()):
            self.teacher.eval()
        return self


def losses(
    run, batch: dict, logits: Tensor, predicted: Tensor, text: Tensor, detached: bool = True
) -> dict[str, Tensor]:
    """The task's loss of logits (n, C) plus the weighted `distillation` (Eq. 4), and both alone.

    text: embeddings (n, d), or the text classifier's logits (n, C), which teach those of the image.
    """
    task = run.task_loss(logits, batch)
    kind = run.method.get("distillation", "cosine")
    if kind == "logits":
        distilled = soft_labels(text, logits, run.method["temperature"])
    else:
        distilled = distillation(text, predicted, detached, kind)
    weighted = run.method["distillation_weight"] * distilled
    return {"loss": task + weighted, "task": task, "distillation": distilled}


def distillation(
    text: Tensor, predicted: Tensor, detached: bool = True, kind: str = "cosine"
) -> Tensor:
    """What holds the predictions g(v) against the texts t, (n, d) each, as a mean over the batch.

    kind: "cosine" is 1 - cos(t, g(v)) (CLIP-IT Eq. 3), "contrastive" and "relational" see there. If
    the target is not detached, as in the published code, a text tower that trains can lower the
    loss by collapsing: it gives all texts one embedding.
    """
    text = text.detach() if detached else text
    if kind == "contrastive":
        return contrastive(text, predicted)
    if kind == "relational":
        return relational(text, predicted)
    return (1 - cosine_similarity(text, predicted, dim=1)).mean()


def contrastive(text: Tensor, predicted: Tensor) -> Tensor:
    """CLIP's loss between predictions and texts, at the temperature at which CLIP starts.

    Samples with an equal text are positives of each other.
    """
    same = (text[:, None] == text[None]).all(2)
    scale = torch.tensor(1 / TEMPERATURE, device=text.device)
    unit = normalize(predicted, dim=1), normalize(text, dim=1)
    return contrastive_loss.loss(*unit, same, scale)


def relational(text: Tensor, predicted: Tensor) -> Tensor:
    """Huber loss between the batch's distances over their means (RKD-D, Park 2019, Eq. 5).

    Only how texts lie to each other is learnt, not where.
    """
    return smooth_l1_loss(_distances(predicted), _distances(text))


def soft_labels(teacher: Tensor, logits: Tensor, temperature: float) -> Tensor:
    """T² KL(softmax(teacher / T) | softmax(logits / T)), (n, C) each, a mean over the batch.

    Hinton 2015, Section 2: T² keeps the gradients' size whatever T is.
    """
    target, ours = ((x.float() / temperature).log_softmax(1) for x in (teacher.detach(), logits))
    return temperature**2 * kl_div(ours, target, reduction="batchmean", log_target=True)


def _distances(vectors: Tensor) -> Tensor:
    """The distance of each pair of n vectors, divided by the mean of all; 0 where all are equal."""
    distances = torch.nn.functional.pdist(vectors)
    return distances / distances.mean().clamp(min=1e-6)


def fusion(classes: int, start: str = "mean") -> heads.Last:
    """Linear(2C, C) over both branches' logits; with start "mean" it begins as their mean.

    With a "random" start, as in the published code, it must learn again what the text head learnt
    in its stage.
    """
    layer = heads.Last(2 * classes, classes)
    if start == "mean":
        with torch.no_grad():
            layer.weight.copy_(torch.eye(classes).repeat(1, 2) / 2)
            layer.bias.zero_()
    return layer


def same_space(width: int, text_width: int) -> nn.Module:
    """The identity, or, if widths differ, a fixed orthogonal map. It does not learn.

    It is the same in all runs, because no run's weights hold it and analyses need it again.
    """
    if width == text_width:
        return nn.Identity()
    layer = nn.Linear(width, text_width, bias=False)
    nn.init.orthogonal_(layer.weight, generator=torch.Generator().manual_seed(0))
    return layer.requires_grad_(False)
