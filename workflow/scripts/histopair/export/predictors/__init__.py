"""How a finished run of each method predicts: one file per recipe, `predictor(run, weights)`.

It builds the recipe's model again without training, loads the run's weights and returns a
Predictor of pixels and tokens, with adapters merged and nothing in it that inference does not need.
Recipes without a file here cannot be exported. Apart from methods/, so that a change here trains
nothing again.
"""
