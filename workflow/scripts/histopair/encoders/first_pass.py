"""Checks each tower when it is loaded: a blank image and two texts must give proper vectors.

Otherwise a wrong shape, size or mask would be found hours later, or never.
"""

import re

import torch
from PIL import Image
from torch import Tensor, nn

from histopair.encoders.weights import Refusal, shortened

TEXT = "a tumour of the colon"
TOLERANCE = 1e-3  # of a vector's length; a different order of sums changes it by 1e-6


def check(encoder) -> None:
    """Try the towers of an `Encoder`, set their output widths, and print what they read.

    Raises Refusal for a tower that cannot read what its own preprocessing or tokenizer gives, that
    does not give one finite vector for each input, or whose vector of a text depends on its batch.
    """
    if encoder.image is not None:
        _check_image(encoder)
    if encoder.text is not None:
        _check_text(encoder)


def preparation(preprocess) -> str:
    """A preprocessing in words, equal in every process: size, crop, interpolation, mean, std."""
    steps = getattr(preprocess, "transforms", [preprocess])
    return re.sub(r" at 0x\w+", "", ", ".join(" ".join(str(step).split()) for step in steps))


def _check_image(encoder) -> None:
    pixels = encoder.preprocess(Image.new("RGB", (256, 256), "white"))
    size = " x ".join(map(str, pixels.shape[1:]))
    remedy = (
        "Give tower and preprocessing one size: `pixels: {size: ...}`, or for open_clip image_size "
        "in open_clip_config.json"
    )
    vectors = _vectors(encoder.image, pixels[None], "image", f"a blank image of {size}", remedy)
    encoder.image_dim = vectors.shape[1]
    steps = preparation(encoder.preprocess)
    print(f"encoder {encoder.name}: reads {size} pixels through {steps}; gives {vectors.shape[1]}")


def _check_text(encoder) -> None:
    tokens = encoder.tokenize([TEXT, " ".join([TEXT] * 200)])
    used = int((tokens[0] != encoder.pad_id).nonzero().max()) + 1
    remedy = "Use the tower and tokenizer of one model, or a smaller `max_length`"
    both = _vectors(encoder.text, tokens, "text", f"a text of {tokens.shape[1]} tokens", remedy)
    alone = _vectors(encoder.text, tokens[:1, :used], "text", "a short text", remedy)
    if (alone[0] - both[0]).norm() > TOLERANCE * alone[0].norm():
        problem = "its vector of a text depends on the texts beside it: padding is not ignored"
        raise Refusal(problem, "Choose an encoder that masks padding")
    if torch.equal(both[0], both[1]) and not torch.equal(tokens[0], tokens[1]):
        problem = "it gives two texts the same vector"
        raise Refusal(problem, "Choose another `pooling`, such as mean")
    encoder.text_dim = both.shape[1]
    print(f"encoder {encoder.name}: reads {tokens.shape[1]} tokens at most; gives {both.shape[1]}")


@torch.no_grad()
def _vectors(tower: nn.Module, inputs: Tensor, kind: str, what: str, remedy: str) -> Tensor:
    try:
        vectors = tower(inputs)
    except Exception as error:  # libraries raise many types
        reason = f"{type(error).__name__}: {shortened(error)}"
        raise Refusal(f"its {kind} tower cannot read {what} ({reason})", remedy) from error
    gives = f"its {kind} tower gives"
    if not isinstance(vectors, Tensor):
        problem = f"{gives} a {type(vectors).__name__} and not one vector for each {kind}"
        raise Refusal(problem, "Choose a model whose towers give vectors")
    if vectors.ndim != 2 or len(vectors) != len(inputs):
        problem = f"{gives} {tuple(vectors.shape)} for {what}, tokens or maps and not a vector"
        raise Refusal(problem, "Set `pooling` to cls, mean or cls+mean, or choose another model")
    if not vectors.isfinite().all():
        problem = f"{gives} values that are not finite for {what}"
        raise Refusal(problem, "Look at its weights, and at mean and std")
    return vectors
