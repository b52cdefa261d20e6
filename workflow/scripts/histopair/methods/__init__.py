"""Recipes: how methods train and how their runs predict, a file each, or a folder.

A recipe has `build(run)`, a generator of the stages that loop.py trains. The workflow reads the
rest from its source, without importing it:
    PARAMETERS    what it takes from the config besides the loop's settings, with defaults
    DESCRIPTIONS  the meaning of parameters that no other recipe has, for docs/config.md
    NEEDS         names of what it reads besides the labels; or a function `needs(method)`, if that
                  depends on the parameters
    CHOICES, LEAST, WORDS, SEEDS, AT_OPTIMUM, AFTER_DISTILLATION, mistakes(method),
    distilled(method)
                  optional: the values that some parameters may have; the least of whole numbers
                  that may be below 1; words that may stand for a number; how many seeds make sense;
                  whether its heads are at their optimum, so that methods that read as much are held
                  against it; parameters that `unlabelled(run)` does not read, so that methods that
                  differ in no others share it; parameters that do not fit together, as
                  {parameter: what to do}; whether texts teach the image side
These functions see their argument and what they import themselves, but no other name of the file.

What may be needed:
    images                                        the files, and the weights of the run's encoder
    captions                                      the texts, and the weights of their encoder
    bags                                          the patch features of the run's encoder
    image_embeddings, caption_embeddings, prompt_embeddings
    adapted_images                                what adapters of `lora` train from: images; of the
                                                  last blocks alone image_activations; without them
                                                  image_embeddings
    image_activations, caption_activations        what the last `unfreeze` blocks of a tower take,
                                                  of `augmentations` turned versions of each image;
                                                  without `unfreeze`, its tokens after all blocks
    reports, pairs, text_embeddings               texts, their samples, and the retriever's vectors
    retriever                                     the weights of the CLIP that pairs
    teacher_images, teacher_prompts               the retriever's vectors of images and of prompts
    teacher_logits                                what the run of `teacher_method` predicts
    distilled_weights, distilled_history, distilled_vectors
                                                  what the recipe's `unlabelled(run)` learns from
                                                  all images, in a job that runs with few labels
                                                  share (training/unlabelled.py)

Two optional functions serve only exports and analyses. An edit of them trains nothing again, so no
other part of a recipe may use them or their names. They import inside what they alone need.
    predictor(run, weights)    the model built again without training, with the run's weights, as a
                               Predictor of pixels and tokens; without it a run cannot be exported
    trained(run, weights)      the model as it was trained, adapters unmerged, and its encoder. For
                               a distilled method it has `backbone` and `to_text`, and takes the
                               width of the texts as a third argument
    PROMPTS_IN_EACH_PASS = True    the published code embeds prompts in each pass: costs show both
"""

# The meaning of parameters that several recipes have; a recipe's own DESCRIPTIONS has the others.
DESCRIPTIONS = {
    "pairing": "Who pairs: `retrieved` takes what the retriever finds most similar; `csls`, "
    "`inverted-softmax` and `sinkhorn` take the same, corrected for hubs; `random` draws any "
    "report of the corpus; `label` draws one of the class that the sample's label names, which "
    "tells nothing else of the image, and `oracle` pairs by true attributes (both phantom only).",
    "retriever": "The CLIP that retrieves, and whose text tower reads the reports; always needed.",
    "corpus": "The corpus; by default the dataset's.",
    "rank": "Which of the retrieved reports to use, 1 for the best; where chance draws "
    "them, which draw.",
    "wrong_pairs": "Share of the samples that get any report of the corpus in place of their own, "
    "drawn by the seed: how good does a pairing have to be?",
    "word_dropout": "Share of each report's words that is left out of training, drawn once per "
    "run by the seed; the pairing uses all words.",
    "lora": "Adapters of the image tower: `rank`, `alpha`, `targets` and `blocks`. `targets` is "
    "`all` (linear layers, embeddings and convolutions) or `no-linear` (embeddings and "
    "convolutions only). `blocks` is `all`, or the number of last transformer blocks, or stages of "
    "a ResNet, that get adapters, with the projections behind them. What the frozen blocks give is "
    "then computed once for all methods and seeds (`activations`), save with `normalisation: "
    "imagenet` and in `fixmatch`, which draws its tiles anew. A "
    "weight W (out × in) becomes W + (alpha / rank) B A with B (out × rank) and A (rank × in); "
    "where an attention keeps the projections to queries, keys and values in one matrix (3d × d), "
    "that is one weight with one adapter of 4d × rank numbers. Parts that you leave out keep "
    "their default; `null` freezes the tower, and its cached embeddings are read.",
    "text_lora": "Adapters of the text tower, as `lora` has them of the image tower; `null` "
    "freezes it. Its frozen blocks run in each step.",
    "normalisation": "Mean and standard deviation of the pixels: the encoder's own, or, as a "
    "fault of CLIP-IT's published code, ImageNet's for every encoder.",
    "aggregation": "An image's similarity to a class is the mean of those to its prompts "
    "(CLIP-IT), or that to their mean at length 1 (CONCH's own code).",
    "unfreeze": "Last transformer blocks, or last stages of a ResNet, that train; of two towers "
    "one number for both, or a map of both. With `all` the whole tower trains. If 0 is allowed, a "
    "tower with 0 stays frozen, and its cached embeddings are used.",
    "attention_heads": "Heads of each attention; the towers' widths must be multiples of it.",
    "fusion": "How image and text features are joined; a sum needs both of one width.",
    "layers": "Linear layers of the MLP, 512 wide, with ReLU between them; with 1 it is linear.",
    "augmentations": "Versions of each tile in training: 8 are all its flips and quarter turns, "
    "1 is the tile alone.",
    "layer_decay": "Each layer's learning rate is this times that of the layer above it; of the "
    "last block, with what follows it, this times `learning_rate`, which is the head's. 1 is one "
    "rate for all, 0.75 is usual.",
    "checkpointing": "Whether the backward pass computes activations again instead of keeping "
    "them: less memory, a third more time, the same gradients.",
    "distillation_weight": "λ, the weight of the distillation loss.",
    "text_epochs": "Epochs of the text stage at most.",
    "width": "Width of the projected patches and of the bag.",
    "attention": "Hidden width of the gated attention over a bag's patches.",
    "dropout": "Dropout of the projected patches.",
    "text_encoder": "The encoder of the captions, if it is not the run's: a ResNet with a "
    "DistilBERT is the naive concatenation.",
}
