"""Fusion by cross-attention, the multi-label paper's future work.

Before the final model's concatenation, the image's vector attends to the words of the text, and the
text's vector to the patches of the image (Vaswani 2017, with a residual and normalisation). Words
and patches are the states that enter the first block that trains.
"""

from histopair.activations import source
from histopair.methods.cross_attention.asking import CrossAttention, questions
from histopair.training import heads

NEEDS = ("image_activations", "caption_activations")
PARAMETERS = {
    "unfreeze": {"image": 2, "text": 2},
    "layers": 4,
    "attention_heads": 4,
    "augmentations": 1,
    "text_encoder": "",
}


def build(run):
    image, image_width, image_fetch = run.tower("image", run.method["unfreeze"]["image"])
    text, text_width, text_fetch = run.tower("text", run.method["unfreeze"]["text"])
    one = run.rows("train")[:1]
    patches, words = image_fetch(one)[0], text_fetch(one)[0]
    source.require_tokens(patches, run.encoder_entry["name"], "fusion_partial")
    widths = image_width, text_width, patches.shape[-1], words.shape[-1]
    asks = questions(*widths, run.method["attention_heads"])
    head = heads.mlp(image_width + text_width, len(run.classes), run.method["layers"])
    model = CrossAttention(image, text, asks, head)

    def fetch(rows, *turns):
        return image_fetch(rows, *turns), text_fetch(rows)

    yield run.classifier(model, fetch, rates=run.rates("head", "asks"))


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
