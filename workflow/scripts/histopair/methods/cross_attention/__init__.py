"""Fusion by cross-attention, the multi-label paper's future work.

Before the final model's concatenation, the image's vector attends to the words of the text, and the
text's vector to the patches of the image (Vaswani 2017, with a residual and normalisation). Words
and patches are the states that enter the first block that trains.
"""

import torch

from histopair.encoders.activations import source
from histopair.methods.cross_attention.asking import CrossAttention, before_blocks, questions
from histopair.training import heads

PARAMETERS = {
    "unfreeze": {"image": 2, "text": 2},
    "layers": 4,
    "attention_heads": 4,
    "augmentations": 1,
    "text_encoder": "",
}
WORDS = {"unfreeze": ("all",)}


def needs(method):
    """What each tower's last blocks take, or the images or captions themselves."""
    blocks = method["unfreeze"]
    return (
        "images" if blocks["image"] == "all" else "image_activations",
        "captions" if blocks["text"] == "all" else "caption_activations",
    )


def build(run):
    blocks = run.method["unfreeze"]
    image, image_width, image_fetch = run.tower("image", blocks["image"])
    text, text_width, text_fetch = run.tower("text", blocks["text"])
    starts, tops = before_blocks({"image": image, "text": text}, blocks)
    one = run.rows("train")[:1]
    patches = _tokens(starts, "image", image_fetch(one), run.encoder_entry["name"])
    words = _tokens(starts, "text", text_fetch(one), run.encoder_entry["name"])
    widths = image_width, text_width, patches.shape[-1], words.shape[-1]
    asks = questions(*widths, run.method["attention_heads"])
    head = heads.mlp(image_width + text_width, len(run.classes), run.method["layers"])
    model = CrossAttention(**tops, asks=asks, head=head, starts=starts)

    def fetch(rows, *turns):
        return image_fetch(rows, *turns), text_fetch(rows)

    yield run.classifier(model, fetch, rates=run.rates("head", "asks"))


@torch.no_grad()
def _tokens(starts, kind: str, inputs: tuple, encoder: str) -> torch.Tensor:
    """A tower's tokens (n, t, e). Raises InputError for a tower that has none."""
    states = starts[kind](*inputs)[0] if kind in starts else inputs[0]
    source.require_tokens(states, encoder, "fusion_partial")
    return states


def predictor(run, weights):
    from histopair.export.predictor import loaded, text_encoder
    from histopair.methods.cross_attention import inference

    image = run.encoder()
    text = text_encoder(run, image)
    head = heads.mlp(image.image_dim + text.text_dim, len(run.classes), run.method["layers"])
    join = inference.described(run, image, text, weights)
    model = inference.Joined(head, image, text, join)
    loaded(model.crossed[0], weights)
    return model
