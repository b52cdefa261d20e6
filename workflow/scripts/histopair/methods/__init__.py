"""Recipes: how methods train and how their runs predict, a file each, or a folder.

`build(run)`, a generator of the stages that loop.py trains, and beside it what the workflow reads
from the source, without importing it:
    PARAMETERS    what it takes from the config beyond the loop's settings, with defaults
    NEEDS         names of what it reads beside the labels; where that depends on the parameters, a
                  function `needs(method)` of them
    CHOICES, LEAST, SEEDS, mistakes(method), distilled(method)
                  optional: the values that some parameters may have; the least of whole numbers
                  that may be below 1; how many seeds make sense; parameters that do not fit
                  together, as {parameter: what to do}; whether texts teach the image side
These functions see their argument and what they import themselves, no other name of the file.

What may be needed:
    images                                        the files, and the weights of the run's encoder
    image_embeddings, caption_embeddings, prompt_embeddings
    image_activations, caption_activations        what the last `unfreeze` blocks of a tower take,
                                                  of `views` turned versions of each image
    reports, pairs, text_embeddings               texts, whose they are, and the retriever's vectors
    retriever                                     the weights of the CLIP that pairs
    teacher_images, teacher_prompts               the retriever's vectors of images and of prompts

Optional are functions that only exports and analyses call: an edit of one trains nothing again,
and no other function of a recipe may use them. What they alone need they import inside.
    predictor(run, weights)    the model built again without training, with the run's weights, as a
                               Predictor of pixels and tokens; without it a run cannot be exported
    trained(run, weights)      the model as it was trained, adapters apart, and its encoder. Of a
                               distilled method it has `backbone` and `to_text`, and takes as a
                               third argument how wide texts are
    PROMPTS_IN_EACH_PASS = True    the published code embeds prompts in each pass: costs show both
"""
