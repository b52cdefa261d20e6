from histopair import heads, trunks
from histopair.classifiers import Classifier
from histopair.export.predictor import Predictor, loaded


def predictor(run, weights) -> Predictor:
    encoder = run.encoder()
    _, top = trunks.split(encoder.text, run.method["unfreeze"])  # shares the tower's parameters
    head = heads.mlp(encoder.text_dim, len(run.classes), run.method["layers"])
    loaded(Classifier(top, head), weights)
    return Predictor(head, text=encoder)
