from histopair.export.predictor import Predictor, of_one_tower


def predictor(run, weights) -> Predictor:
    return of_one_tower(run, weights, "image")
