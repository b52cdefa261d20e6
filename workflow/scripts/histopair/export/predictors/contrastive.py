import torch
from torch import nn

from histopair.export.layers import UnitLength
from histopair.export.predictor import Predictor, loaded
from histopair.methods import contrastive
from histopair.training import lora


@torch.no_grad()
def predictor(run, weights) -> Predictor:
    """The classes' prompts are encoded once: their vectors are the last layer's weights."""
    clip = run.encoder()
    model = loaded(contrastive.prompted(run, clip), weights).eval()
    layer = nn.Linear(clip.image_dim, len(run.classes))
    layer.weight.copy_(model.scale() * model.class_vectors())
    layer.bias.zero_()
    lora.merge(clip.image)
    return Predictor(nn.Sequential(UnitLength(), layer), image=clip)
