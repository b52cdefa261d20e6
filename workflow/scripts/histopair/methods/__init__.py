"""Training recipes: one file each, `build(run)` a generator of the stages that loop.py trains.

At the top of a recipe stand literals that the workflow reads without importing it:
NEEDS, the artifacts it reads beside the labels (images, image_embeddings, caption_embeddings,
prompt_embeddings, text_embeddings, image_activations, caption_activations, pairs, reports, and of
a retriever that teaches teacher_images, teacher_prompts);
PARAMETERS, what it takes from the config beyond the loop's settings, with defaults; CHOICES
(optional), the values that some of them may have; LEAST (optional), the least of whole numbers that
may be below 1; SEEDS (optional), how many seeds make sense for it. Activations are those that the
last `unfreeze` blocks take, and with `views` of as many turned versions of each image; of a tower
of which no block trains a method is given the embeddings instead.
"""
