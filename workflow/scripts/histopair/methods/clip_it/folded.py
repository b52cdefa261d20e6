"""A trained student's head, reduced to what inference needs, with the same logits."""

import torch
from torch import Tensor, nn

from histopair.export.layers import BesidePrediction, Branches
from histopair.methods.clip_it import students


def head_of(model: students.Student) -> nn.Module:
    """Features -> the student's logits, without the parts that only distillation needs."""
    match model:
        case students.Distilled():
            return fold(model)
        case students.EarlyFusion():
            beside = BesidePrediction(model.to_text.in_features, model.to_text.out_features)
            beside.predict = model.to_text
            return nn.Sequential(beside, model.head)
        case students.OneBranch():
            return model.head


@torch.no_grad()
def fold(model: students.Distilled) -> Branches:
    """Both heads, g and the fusion layer as one module with the same logits.

    T (p / |p|) = (T p) / |p| for a matrix T: the text head's first layer folds into g, too.
    """
    first, activation, second = model.text_head
    classes = second.out_features
    on_image, on_text = model.fusion.weight.double().split(classes, dim=1)
    image, text = _affine(model.head), _affine(model.to_text)
    (out, out_shift), hidden = _affine(second), first.weight.double()
    matrices = [on_image @ image[0], text[0], hidden @ text[0]]
    direct = on_image @ image[1] + on_text @ out_shift + model.fusion.bias
    shifts = [direct, text[1], hidden @ text[1]]
    width, slope = model.head.in_features, activation.negative_slope
    folded = Branches(width, first.in_features, classes, slope)
    folded.project.weight.copy_(torch.cat(matrices))
    folded.project.bias.copy_(torch.cat(shifts))
    folded.shift.copy_(first.bias)
    folded.out.weight.copy_(on_text @ out)
    return folded


def _affine(layer: nn.Linear) -> tuple[Tensor, Tensor]:
    return layer.weight.double(), layer.bias.double()
