"""Each tower's last blocks train with an MLP on their joined features: the multi-label paper's
final model. A tower of which no block trains is read as its cached embeddings."""

from histopair.training import heads
from histopair.training.classifiers import Fusion, joined_width

NEEDS = ("image_activations", "caption_activations")
PARAMETERS = {
    "unfreeze": {"image": 2, "text": 2},
    "fusion": "concat",
    "layers": 4,
    "views": 1,
    "text_encoder": "",
}
LEAST = {"unfreeze": 0}
CHOICES = {"fusion": ("concat", "sum")}


def build(run):
    image, image_width, image_fetch = run.tower("image", run.method["unfreeze"]["image"])
    text, text_width, text_fetch = run.tower("text", run.method["unfreeze"]["text"])
    join = run.method["fusion"]
    width = joined_width(image_width, text_width, join)
    head = heads.mlp(width, len(run.classes), run.method["layers"])
    model = Fusion(image, text, join, head)
    yield run.classifier(model, lambda rows, *views: (image_fetch(rows, *views), text_fetch(rows)))
