from histopair import heads
from histopair.classifiers import joined_width
from histopair.export.predictor import Predictor, loaded, text_encoder


def predictor(run, weights) -> Predictor:
    image = run.encoder()
    text = text_encoder(run, image)
    join = run.method["fusion"]
    width = joined_width(image.image_dim, text.text_dim, join)
    head = heads.mlp(width, len(run.classes), run.method["layers"])
    return Predictor(loaded(head, weights), image=image, text=text, join=join)
