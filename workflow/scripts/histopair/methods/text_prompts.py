"""A classifier of prompts instead of reports: those most similar to the image (CLIP-IT, Table 6).

With k = 1 it reads the image's best prompt, as a CLIP would describe it; else the mean of its k
best, like the descriptions of TQx (Nguyen 2024). The encoder is the CLIP.
"""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from histopair.files import tables
from histopair.training import heads

NEEDS = ("image_embeddings", "prompt_embeddings")
PARAMETERS = {"k": 1}
DESCRIPTIONS = {"k": "The head reads the mean of the k prompts most similar to the image."}


def build(run):
    images = run.embeddings("image_embeddings")
    unit = tables.matrix(run.artifacts["prompt_embeddings"], normalise=True)
    features = best_prompts(images, torch.from_numpy(unit).to(run.device), run.method["k"])
    head = heads.text_head(features.shape[1], len(run.classes))
    yield run.classifier(head, lambda rows: (features[rows],))


def best_prompts(images: Tensor, prompts: Tensor, k: int) -> Tensor:
    """Unit vectors (n, d): for each image the mean of its k most similar of m unit prompts."""
    best = (normalize(images, dim=1) @ prompts.T).topk(min(k, len(prompts)), dim=1).indices
    return normalize(prompts[best].mean(1), dim=1)
