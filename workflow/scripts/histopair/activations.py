"""What the last blocks of a tower train from: the activations of its frozen trunk, by row.

A method asks for the top of a tower and for what that takes, and does not know whether the trunk's
activations were computed once (activation_cache.py) or are computed as they are needed.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from histopair import embed, encoders, trunks
from histopair.errors import InputError

Fetch = Callable[..., tuple[Tensor, ...]]


def tower(run, kind: str, blocks: int) -> tuple[nn.Module, int, Fetch]:
    """The top of a run's tower with its last `blocks` blocks, its width, and what it takes.

    kind: "image", or "text" for the captions. fetch(rows, views=None) gives a tuple of tensors on
    the device for n row numbers of run.samples; top(*tensors) is (n, width). views (n,) turns each
    image, 0 ... views - 1 of the method's `views`; without them images are as they are. Raises
    InputError if the tower cannot be split there, or a sample has no caption.
    """
    entry = run.encoder_entry if kind == "image" else run.text_encoder_entry or run.encoder_entry
    encoder = encoders.load(entry)
    whole = encoder.image if kind == "image" else encoder.text
    embed.require(whole, entry, kind)
    trunk, top = trunks.split(whole, blocks)
    source = images(run, encoder) if kind == "image" else captions(run, encoder)
    trunk.to(run.device)

    def fetch(rows: Tensor, views: Tensor | None = None) -> tuple[Tensor, ...]:
        return trunk(source(rows, views))

    width = encoder.image_dim if kind == "image" else encoder.text_dim
    return top.to(run.device), width, fetch


def images(run, encoder: encoders.Encoder) -> Callable[..., Tensor]:
    """Pixels (n, 3, h, w) on the device for row numbers, each turned as `views` (n,) says."""
    pixels = run.pixels(encoder.preprocess)

    def source(rows: Tensor, views: Tensor | None) -> Tensor:
        batch = pixels(rows)
        if views is None:
            return batch
        return torch.stack(
            [turned(one, view) for one, view in zip(batch, views.tolist(), strict=True)]
        )

    return source


def captions(run, encoder: encoders.Encoder) -> Callable[..., Tensor]:
    """Tokens (n, longest of them) on the device for row numbers."""
    texts = run.samples["caption"]
    if texts.isna().any():
        raise InputError(
            run.artifacts["labels"],
            f"no caption of {run.samples['sample_id'][texts.isna()].iloc[0]!r}",
            "A method that reads text needs a caption for every sample: choose another dataset",
        )
    tokens, lengths = embed.tokenize_all(encoder.tokenize, encoder.pad_id, list(texts))

    def source(rows: Tensor, views: Tensor | None) -> Tensor:
        return tokens[rows, : lengths[rows].max()].to(run.device)

    return source


def turned(pixels: Tensor, view: int) -> Tensor:
    """One of the eight ways a square tile (..., h, w) can lie: quarter turns, then mirrored ones.

    View 0 is the tile as it is.
    """
    turn = torch.rot90(pixels, view % 4, (-2, -1))
    return turn.flip(-1) if view >= 4 else turn
