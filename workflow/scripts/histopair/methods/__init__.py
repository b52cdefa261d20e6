"""Training recipes: one file each, `build(run)` a generator of the stages that loop.py trains.

At the top of a recipe stand literals that the workflow reads without importing it:
NEEDS, the artifacts it reads beside the labels (images, image_embeddings, caption_embeddings,
prompt_embeddings, pairs, reports); PARAMETERS, what it takes from the config beyond the loop's
settings, with defaults; SEEDS (optional), how many seeds make sense for it.
"""
