import torch
from torch import Tensor, nn

from histopair.encoders import Encoder
from histopair.export.layers import BesidePrediction, Branches
from histopair.export.predictor import Predictor, loaded
from histopair.images import pixels
from histopair.methods import clip_it
from histopair.training import heads, lora, students


def predictor(run, weights) -> Predictor:
    """Image alone: adapters merged, and the text branch folded as far as it is linear."""
    model, encoder = trained(run, weights)
    lora.merge(encoder.image)
    return Predictor(head_of(model), image=encoder)


def trained(run, weights, text_width: int | None = None) -> tuple[students.Student, Encoder]:
    """The student as it was trained, adapters apart, and its encoder with the run's pixels.

    Weights of one branch do not say how wide texts are, and `text_width` does where g is wanted.
    """
    encoder = run.encoder()
    text_width = text_width or len(weights.get("to_text.bias", range(encoder.image_dim)))
    text_head = heads.text_head(text_width, len(run.classes))
    model = loaded(clip_it.student(run, encoder, text_head, text_width), weights)
    encoder.preprocess = pixels.normalised(encoder.preprocess, run.method["normalisation"])
    return model, encoder


def head_of(model: students.Student) -> nn.Module:
    """Features -> the student's logits, without what only distillation needed."""
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
