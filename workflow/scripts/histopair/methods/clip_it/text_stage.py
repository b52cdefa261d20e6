"""CLIP-IT's text stage: a classifier of the paired reports, the teacher of the image branch.

Depending on the method's `teacher_of`, it reads the retriever's embedding of each image, or the
prompt of each sample's labels, in place of reports.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from histopair.encoders import embed, prompts
from histopair.files import tables
from histopair.jobs import devices
from histopair.retrieval import paired_texts
from histopair.training import heads, loop, lora

BATCH = 256  # texts that a teacher embeds at once


@dataclass
class Texts:
    """The m distinct texts of a run: `tokens` (m, longest) or, of a frozen tower, vectors (m, d).

    index (n,): the number of each sample's text.
    """

    index: Tensor
    tokens: Tensor | None = None
    lengths: Tensor | None = None
    vectors: Tensor | None = None

    def inputs(self, numbers: Tensor, device: torch.device) -> Tensor:
        """The text classifier's inputs for texts of these numbers."""
        if self.tokens is None:
            return self.vectors[numbers].to(device)
        return self.tokens[numbers, : self.lengths[numbers].max()].to(device)

    def of(self, rows: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
        """The distinct texts of a batch, as samples share texts, and each sample's number there."""
        distinct, numbers = self.index[rows].unique(return_inverse=True)
        return self.inputs(distinct, device), numbers.to(device)


class TextClassifier(nn.Module):
    """Distinct texts and the number of each sample's (n,) -> logits (n, C).

    Without a tower the texts are the vectors of a frozen one.
    """

    def __init__(self, tower: nn.Module | None, width: int, classes: int):
        super().__init__()
        self.tower = nn.Identity() if tower is None else tower
        self.head = heads.text_head(width, classes)

    def embed(self, texts: Tensor) -> Tensor:
        """Unit vectors (n, d)."""
        return normalize(self.tower(texts), dim=1)

    def logits(self, texts: Tensor) -> Tensor:
        """(n, C)."""
        return self.head(self.embed(texts))

    def forward(self, texts: Tensor, numbers: Tensor) -> Tensor:
        return self.logits(texts)[numbers]


def vectors(run) -> Texts:
    """The texts as the frozen tower embeds them, from the cache if there is one of whole texts.

    An image teacher has the retriever's embedding of each sample's image in place of a text.
    """
    if "teacher_images" in run.artifacts:
        images = run.embeddings("teacher_images").cpu()
        return Texts(torch.arange(len(run.samples)), vectors=images)
    if "text_embeddings" in run.artifacts and not run.method.get("word_dropout"):
        rows, index = _paired(run)
        matrix = tables.matrix(run.artifacts["text_embeddings"])[rows]
    else:
        clip, size = run.retriever(), embed.CPU_BATCH
        words, index = _words(run)
        matrix = embed.text_features(clip.text, clip.tokenize, clip.pad_id, words, size, run.device)
    return Texts(index, vectors=torch.from_numpy(matrix.astype(np.float32)))


def tokens(run, clip) -> Texts:
    """The texts as tokens of the CLIP whose text tower is trained."""
    words, index = _words(run)
    matrix, lengths = embed.tokenize_all(clip.tokenize, clip.pad_id, words)
    return Texts(index, tokens=matrix, lengths=torch.from_numpy(lengths))


def classifier(run, frozen: bool) -> tuple[TextClassifier, Texts]:
    """A text classifier, with adapters in its tower unless `frozen`, and the texts it reads."""
    if frozen:
        texts = vectors(run)
        return TextClassifier(None, texts.vectors.shape[1], len(run.classes)), texts
    clip = run.retriever()
    tower = lora.adapt(clip.text, run.method["text_lora"])
    return TextClassifier(tower, clip.text_dim, len(run.classes)), tokens(run, clip)


def stage(run, name: str, model: TextClassifier, texts: Texts, **overrides) -> loop.Stage:
    """Cross-entropy of the text classifier on the paired texts (CLIP-IT Eq. 2)."""
    return run.classifier(model, lambda rows: texts.of(rows, run.device), name, **overrides)


@torch.inference_mode()
def teacher(
    run, model: TextClassifier, texts: Texts, logits: bool = False
) -> tuple[Callable[[Tensor], Tensor], int]:
    """`run.teacher`, unit embeddings by the model as it is now or its logits, and their width."""
    model.eval()
    give = model.logits if logits else model.embed
    numbers = torch.arange(len(texts.vectors if texts.tokens is None else texts.tokens))
    parts = [give(texts.inputs(part, run.device)) for part in numbers.split(BATCH)]
    vectors = torch.cat(parts).clone()
    return lambda rows: vectors[texts.index[rows].to(run.device)], vectors.shape[1]


def _paired(run) -> tuple[np.ndarray, Tensor]:
    """The rows of the corpus in use, and which of them belongs to each of n samples, (n,)."""
    rows, index = paired_texts.of_run(run)
    return rows, torch.from_numpy(index)


def _words(run) -> tuple[list[str], Tensor]:
    """The m distinct texts, words dropped, and the number of each sample's text, (n,)."""
    if "teacher_prompts" in run.artifacts:
        words, index = _prompts(run)
    else:
        rows, index = _paired(run)
        words = list(tables.read(run.artifacts["reports"], ["text"])["text"].iloc[rows])
    if share := run.method.get("word_dropout"):
        draw = np.random.default_rng(devices.seed_of(run.seed, "word dropout"))
        words = [paired_texts.without_words(text, share, draw) for text in words]
    return words, index


def _prompts(run) -> tuple[list[str], Tensor]:
    """The prompt of each sample's labels, in the retriever's first template."""
    template = tables.read(run.artifacts["teacher_prompts"], ["template"])["template"].iloc[0]
    texts = prompts.of_samples(run.samples["labels"], run.about, template)
    number, words = pd.factorize(np.array(texts, dtype=object))
    return list(words), torch.from_numpy(number)
