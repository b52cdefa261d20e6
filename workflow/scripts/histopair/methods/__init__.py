"""Training recipes: one file each, `build(run)` a generator of the stages that loop.py trains.

At the top of a recipe stand literals that the workflow reads without importing it:
NEEDS, the artifacts it reads beside the labels (images, image_embeddings, caption_embeddings,
prompt_embeddings, text_embeddings, image_activations, caption_activations, pairs, reports, and of
a retriever that teaches teacher_images, teacher_prompts);
PARAMETERS, what it takes from the config beyond the loop's settings, with defaults; DESCRIPTIONS,
the meaning of those that other recipes do not have, for docs/config.md and editors; CHOICES
(optional), the values that some of them may have; LEAST (optional), the least of whole numbers that
may be below 1; SEEDS (optional), how many seeds make sense for it. Activations are those that the
last `unfreeze` blocks take, and with `views` of as many turned versions of each image; of a tower
of which no block trains a method is given the embeddings instead.
"""

# The meaning of parameters that several recipes have; a recipe's own DESCRIPTIONS has the others.
DESCRIPTIONS = {
    "pairing": "Who pairs: `retrieved` takes what the retriever finds most similar; `csls`, "
    "`inverted-softmax` and `sinkhorn` take the same, corrected for hubs; `random` draws any "
    "report of the corpus; `oracle` pairs by true attributes (phantom only).",
    "retriever": "The CLIP that retrieves, and whose text tower reads the reports; always needed.",
    "corpus": "The corpus; by default the dataset's.",
    "rank": "Which of the retrieved reports to use, 1 for the best.",
    "word_dropout": "Share of each report's words that is left out of training, drawn once per "
    "run by the seed; the pairing is made with all.",
    "lora": "Adapters of the image tower: `rank`, `alpha`, and `targets`, which is `all` (linear "
    "layers, embeddings and convolutions) or `no-linear` (embeddings and convolutions only). A "
    "weight W (out × in) becomes W + (alpha / rank) B A with B (out × rank) and A (rank × in); "
    "where an attention keeps the projections to queries, keys and values in one matrix (3d × d), "
    "that is one weight with one adapter of 4d × rank numbers. Parts that you leave out keep "
    "their default; `null` freezes the tower.",
    "text_lora": "Adapters of the text tower, as `lora` has them of the image tower; `null` "
    "freezes it.",
    "normalisation": "Mean and standard deviation of the pixels: the encoder's own, or, as a "
    "fault of CLIP-IT's published code, ImageNet's for every encoder.",
    "aggregation": "An image's similarity to a class is the mean over its prompts (CLIP-IT), or "
    "that to their mean at length 1 (CONCH's own code).",
    "unfreeze": "Last transformer blocks, or last stages of a ResNet, that train; of two towers "
    "one number for both, or a map of both. Where 0 is allowed, a tower with 0 stays as it is, "
    "and its cached embeddings stand for it.",
    "fusion": "How image and text features are joined; a sum needs both of one width.",
    "layers": "Linear layers of the MLP, 512 wide, with ReLU between them; with 1 it is linear.",
    "views": "Views of each tile in training: 8 are all its flips and quarter turns, 1 is the "
    "tile alone.",
    "text_encoder": "The encoder of the captions, where it is not the run's: a ResNet with a "
    "DistilBERT is the naive concatenation.",
}
