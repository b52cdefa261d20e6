from histopair import heads, trunks
from histopair.classifiers import Classifier
from histopair.export.predictor import Predictor, loaded


def predictor(run, weights) -> Predictor:
    encoder = run.encoder()
    _, top = trunks.split(encoder.image, run.method["unfreeze"])  # shares the tower's parameters
    head = heads.mlp(encoder.image_dim, len(run.classes), run.method["layers"])
    loaded(Classifier(top, head), weights)
    return Predictor(head, image=encoder)
