from histopair.export.predictor import Predictor, loaded, text_encoder
from histopair.training import heads
from histopair.training.classifiers import joined_width


def predictor(run, weights) -> Predictor:
    image = run.encoder()
    text = text_encoder(run, image)
    join = run.method["fusion"]
    width = joined_width(image.image_dim, text.text_dim, join)
    head = heads.mlp(width, len(run.classes), run.method["layers"])
    return Predictor(loaded(head, weights), image=image, text=text, join=join)
