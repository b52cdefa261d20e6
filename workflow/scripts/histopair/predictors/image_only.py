from histopair.activations import trunks
from histopair.export.predictor import Predictor, loaded
from histopair.training import heads
from histopair.training.classifiers import Classifier


def predictor(run, weights) -> Predictor:
    encoder = run.encoder()
    _, top = trunks.split(encoder.image, run.method["unfreeze"])  # shares the tower's parameters
    head = heads.mlp(encoder.image_dim, len(run.classes), run.method["layers"])
    loaded(Classifier(top, head), weights)
    return Predictor(head, image=encoder)
