from histopair.encoders import Encoder
from histopair.export.predictor import Predictor, loaded
from histopair.methods import cnn
from histopair.training import heads
from histopair.training.classifiers import Classifier


def predictor(run, weights) -> Predictor:
    """The run's encoder lent it the preprocessing alone."""
    network = cnn.convolutions()
    head = heads.mlp(cnn.CHANNELS[-1], len(run.classes), run.method["layers"])
    loaded(Classifier(network, head), weights)
    image = Encoder("cnn", image=network, preprocess=run.encoder().preprocess)
    return Predictor(head, image=image)
