"""What an encoder's towers give for a blank image and two texts: vectors, or a Refusal.

Towers of all libraries go through it when they are loaded, so that no wrong shape, size or mask is
found hours later, or never.
"""

import re

import torch
from PIL import Image
from torch import Tensor, nn

from histopair.encoders.weights import Refusal, shortened

TEXT = "a tumour of the colon"
TOLERANCE = 1e-3  # of a vector's length; another order of sums changes it by 1e-6


def check(encoder) -> None:
    """Try both towers of an `Encoder`, set the widths they have, and print what they read.

    Raises Refusal for a tower that cannot read what its own preprocessing or tokenizer gives, gives
    anything but one finite vector for each, or a text's vector that depends on its batch.
    """
    if encoder.image is not None:
        _check_image(encoder)
    if encoder.text is not None:
        _check_text(encoder)


def preparation(preprocess) -> str:
    """A preprocessing in words, the same in every process: size, crop, interpolation, mean, std."""
    steps = getattr(preprocess, "transforms", [preprocess])
    return re.sub(r" at 0x\w+", "", ", ".join(" ".join(str(step).split()) for step in steps))


def _check_image(encoder) -> None:
    pixels = encoder.preprocess(Image.new("RGB", (256, 256), "white"))
    size = " x ".join(map(str, pixels.shape[1:]))
    remedy = (
        "Give tower and preprocessing one size: `kwargs` img_size, or pretrained_cfg_overlay with "
        "input_size, for timm; image_size in open_clip_config.json"
    )
    vectors = _vectors(encoder.image, pixels[None], "image", f"a blank image of {size}", remedy)
    encoder.image_dim = vectors.shape[1]
    steps = preparation(encoder.preprocess)
    print(f"encoder {encoder.name}: reads {size} pixels through {steps}; gives {vectors.shape[1]}")


def _check_text(encoder) -> None:
    tokens = encoder.tokenize([TEXT, " ".join([TEXT] * 200)])
    used = int((tokens[0] != encoder.pad_id).nonzero().max()) + 1
    remedy = "Give tower and tokenizer of one model, or a smaller `max_length`"
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
        found = tower(inputs)
    except Exception as error:  # a library's own, of any type
        said = f"{type(error).__name__}: {shortened(error)}"
        raise Refusal(f"its {kind} tower cannot read {what} ({said})", remedy) from error
    if not isinstance(found, Tensor):
        problem = (
            f"its {kind} tower gives a {type(found).__name__} and not one vector for each {kind}"
        )
        raise Refusal(problem, "Choose a model whose towers give vectors")
    if found.ndim != 2 or len(found) != len(inputs):
        problem = (
            f"its {kind} tower gives {tuple(found.shape)} for {what}, tokens or maps and no vector"
        )
        pool = "Choose a pooling: for timm `kwargs: {global_pool: token}` or avg"
        raise Refusal(problem, f"{pool}; or another model")
    if not found.isfinite().all():
        problem = f"its {kind} tower gives what is not finite for {what}"
        raise Refusal(problem, "Look at its weights, and at mean and std")
    return found
