from histopair.activations import trunks
from histopair.export.predictor import Predictor, loaded, text_encoder
from histopair.training import heads
from histopair.training.classifiers import Fusion, joined_width


def predictor(run, weights) -> Predictor:
    image = run.encoder()
    text = text_encoder(run, image)
    join, blocks = run.method["fusion"], run.method["unfreeze"]
    width = joined_width(image.image_dim, text.text_dim, join)
    head = heads.mlp(width, len(run.classes), run.method["layers"])
    # Tops share their towers' parameters.
    tops = [trunks.top(image.image, blocks["image"]), trunks.top(text.text, blocks["text"])]
    loaded(Fusion(*tops, join, head), weights)
    return Predictor(head, image=image, text=text, join=join)
