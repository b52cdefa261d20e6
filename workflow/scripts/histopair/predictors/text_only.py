from histopair.activations import trunks
from histopair.export.predictor import Predictor, loaded
from histopair.training import heads
from histopair.training.classifiers import Classifier


def predictor(run, weights) -> Predictor:
    encoder = run.encoder()
    _, top = trunks.split(encoder.text, run.method["unfreeze"])  # shares the tower's parameters
    head = heads.mlp(encoder.text_dim, len(run.classes), run.method["layers"])
    loaded(Classifier(top, head), weights)
    return Predictor(head, text=encoder)
