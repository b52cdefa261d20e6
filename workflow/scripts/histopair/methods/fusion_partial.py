"""Both towers' last blocks and an MLP on their joined features: the multi-label paper's last model.

If no block of a tower trains, its cached embeddings stand for it.
"""

from histopair.training import heads
from histopair.training.classifiers import Fusion, joined_width

PARAMETERS = {
    "unfreeze": {"image": 2, "text": 2},
    "fusion": "concat",
    "layers": 4,
    "augmentations": 1,
    "text_encoder": "",
}
LEAST = {"unfreeze": 0}
WORDS = {"unfreeze": ("all",)}
CHOICES = {"fusion": ("concat", "sum")}


def needs(method):
    """What each tower's last blocks take: the images or captions themselves if all of it trains,
    and its embeddings if no block does.
    """

    def of(kind):
        blocks = method["unfreeze"]["image" if kind == "image" else "text"]
        if blocks == "all":
            return f"{kind}s"
        return f"{kind}_activations" if blocks else f"{kind}_embeddings"

    return of("image"), of("caption")


def build(run):
    image, image_width, image_fetch = run.tower("image", run.method["unfreeze"]["image"])
    text, text_width, text_fetch = run.tower("text", run.method["unfreeze"]["text"])
    join = run.method["fusion"]
    width = joined_width(image_width, text_width, join)
    head = heads.mlp(width, len(run.classes), run.method["layers"])
    model = Fusion(image, text, join, head)
    yield run.classifier(model, lambda rows, *turns: (image_fetch(rows, *turns), text_fetch(rows)))


def predictor(run, weights):
    from histopair.encoders.activations import split_towers
    from histopair.export.predictor import Predictor, loaded, text_encoder

    image = run.encoder()
    text = text_encoder(run, image)
    join, blocks = run.method["fusion"], run.method["unfreeze"]
    width = joined_width(image.image_dim, text.text_dim, join)
    head = heads.mlp(width, len(run.classes), run.method["layers"])
    # Trained parts share their towers' parameters.
    trained = [
        split_towers.trained_part(image.image, blocks["image"]),
        split_towers.trained_part(text.text, blocks["text"]),
    ]
    loaded(Fusion(*trained, join, head), weights)
    return Predictor(head, image=image, text=text, join=join)
