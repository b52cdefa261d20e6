"""Image and caption embeddings of frozen encoders, joined, and an MLP (multi-label paper).

With one CLIP for both it is the paper's frozen fusion, with a `text_encoder` of another family its
naive concatenation, and with one layer a linear probe.
"""

from histopair.training import heads
from histopair.training.classifiers import joined, joined_width

NEEDS = ("image_embeddings", "caption_embeddings")
PARAMETERS = {"fusion": "concat", "layers": 4, "text_encoder": ""}
CHOICES = {"fusion": ("concat", "sum")}


def build(run):
    image, text = run.embeddings("image_embeddings"), run.embeddings("caption_embeddings")
    width = joined_width(image.shape[1], text.shape[1], run.method["fusion"])
    features = joined(image, text, run.method["fusion"])
    head = heads.mlp(width, len(run.classes), run.method["layers"])
    yield run.classifier(head, lambda rows: (features[rows],))


def predictor(run, weights):
    from histopair.export.predictor import Predictor, loaded, text_encoder

    image = run.encoder()
    text = text_encoder(run, image)
    join = run.method["fusion"]
    width = joined_width(image.image_dim, text.text_dim, join)
    head = heads.mlp(width, len(run.classes), run.method["layers"])
    return Predictor(loaded(head, weights), image=image, text=text, join=join)
