"""Training recipes: one file each, `build(run)` a generator of the stages that loop.py trains.

A recipe's NEEDS, a literal at its top, names the artifacts it reads beside the labels:
images, image_embeddings, caption_embeddings, prompt_embeddings, pairs, reports.
"""
