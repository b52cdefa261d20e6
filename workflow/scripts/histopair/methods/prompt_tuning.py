"""CoOp: the words around the class's name are learnt, both towers are frozen (Zhou 2022).

`context` vectors stand where a prompt's first words would; all classes share them (its unified
context). The image's vector is cached, so only the text tower runs. The scale of similarities is
the one that the CLIP learnt.

Pathology's few-shot forms (TOP, Qu 2023; ViLa-MIL, Shi 2024; MSCPT, Han 2024) classify slides from
bags of tiles. What they share is a prompt with words on what the class looks like; the rest pools
tiles. For single tiles that leaves TOP's instance prompt: learnt vectors, the class's name, and its
`descriptions`.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from histopair.encoders import embed
from histopair.errors import InputError
from histopair.methods import zero_shot
from histopair.training import contrastive_loss

NEEDS = ("image_embeddings",)
PARAMETERS = {"context": 16, "descriptions": {}}
DESCRIPTIONS = {
    "context": "How many vectors are learnt in the place of the prompt's words.",
    "descriptions": "Words on what a class looks like, by class; they follow its name (TOP).",
}

PLACEHOLDER = "x"  # one token to each tokenizer


class Prompted(nn.Module):
    """Image vectors (n, d) -> logits (n, C). tokens (C, length) have placeholders from `start`."""

    def __init__(self, text: nn.Module, tokens: Tensor, start: int, context: int, scale: float):
        super().__init__()
        self.text = text.requires_grad_(False)
        self.embedding = _token_embedding(text)
        self.register_buffer("tokens", tokens, persistent=False)
        self.register_buffer("scale", torch.tensor(scale), persistent=False)
        self.start = start
        self.context = nn.Parameter(0.02 * torch.randn(context, self.embedding.embedding_dim))

    def class_vectors(self) -> Tensor:
        """(C, d), of length 1."""
        hook = self.embedding.register_forward_hook(self._with_context)
        try:
            return normalize(self.text(self.tokens).float(), dim=1)
        finally:
            hook.remove()

    def forward(self, features: Tensor) -> Tensor:
        image = normalize(features, dim=1)
        return contrastive_loss.similarities(image, self.class_vectors(), self.scale)

    def train(self, mode: bool = True):
        super().train(mode)
        self.text.eval()  # frozen: without its dropout
        return self

    def _with_context(self, module, inputs, embedded: Tensor) -> Tensor:
        after = self.start + len(self.context)
        shared = self.context.expand(len(embedded), -1, -1).to(embedded.dtype)
        return torch.cat([embedded[:, : self.start], shared, embedded[:, after:]], dim=1)


def build(run):
    run.require_exclusive()
    features = run.embeddings("image_embeddings")
    yield run.classifier(prompted(run, run.encoder()), lambda rows: (features[rows],))


def prompted(run, clip) -> Prompted:
    """The model before training."""
    tokens, start = _tokens(clip, described(run), run.method["context"])
    tokens = tokens.to(run.device)
    return Prompted(clip.text, tokens, start, run.method["context"], zero_shot.scale(clip))


def described(run) -> list[str]:
    """Each class's name, and its description behind it if it has one.

    Raises InputError for a description of a class that the dataset does not have.
    """
    names, words = run.about.get("class_names") or {}, run.method["descriptions"]
    if unknown := sorted(set(words) - set(run.classes)):
        problem = f"{run.artifacts['labels']} has no class {unknown[0]!r}"
        raise InputError("descriptions", problem, f"Its classes are {', '.join(run.classes)}")
    texts = [names.get(label, label) for label in run.classes]
    return [
        f"{text}. {words[label].rstrip(' .')}" if label in words else text
        for label, text in zip(run.classes, texts, strict=True)
    ]


def _tokens(clip, names: list[str], context: int) -> tuple[Tensor, int]:
    """Prompts of placeholders before each name, (C, length), and where the placeholders start.

    names: the classes', with what describes them.

    Raises InputError where the tower has no text side, or reads too few tokens.
    """
    if clip.text is None:
        remedy = "Choose a CLIP"
        raise InputError(f"encoder {clip.name}", "it has no text tower to tune prompts of", remedy)
    blank = " ".join([PLACEHOLDER] * context)
    prompts = [f"{blank} {name}." for name in names]
    if max(clip.count(prompts)) > clip.context:
        problem = f"{context} learnt vectors and a class's words exceed its {clip.context} tokens"
        remedy = "Set a smaller `context` or shorten the descriptions"
        raise InputError(f"encoder {clip.name}", problem, remedy)
    tokens, lengths = embed.tokenize_all(clip.tokenize, clip.pad_id, prompts)
    tokens = tokens[:, : lengths.max()]
    two = clip.tokenize([f"{PLACEHOLDER} {PLACEHOLDER}"])[0]
    token = two[(two[1:] == two[:-1]).int().argmax()]  # the first that repeats
    place = int((tokens[0] == token).int().argmax())
    if not (tokens[:, place : place + context] == token).all():
        problem = f"its tokenizer does not make one token of {PLACEHOLDER!r}"
        raise InputError(f"encoder {clip.name}", problem, "Choose another CLIP")
    return tokens, place


def _token_embedding(text: nn.Module) -> nn.Embedding:
    """The largest table of vectors in the tower."""
    tables = [module for module in text.modules() if isinstance(module, nn.Embedding)]
    return max(tables, key=lambda table: table.num_embeddings)


@torch.no_grad()
def predictor(run, weights):
    """The tuned prompts are encoded once: their vectors are the last layer's weights."""
    from histopair.export.layers import UnitLength
    from histopair.export.predictor import Predictor, loaded

    clip = run.encoder()
    vectors = loaded(prompted(run, clip), weights).class_vectors()
    layer = nn.Linear(vectors.shape[1], len(vectors), bias=False)
    layer.weight.copy_(zero_shot.scale(clip) * vectors)
    return Predictor(nn.Sequential(UnitLength(), layer), image=clip)
