"""The image tower with a method's adapters, and what it trains from.

What stays frozen is computed once: with adapters in the last blocks they train from the
activations of the others, and without adapters the embeddings are read.
"""

from collections.abc import Callable

from torch import Tensor, nn

from histopair.encoders import Encoder
from histopair.encoders.activations import source
from histopair.images import pixels
from histopair.training import lora


def tower(run, encoder: Encoder | None = None) -> tuple[nn.Module, int, Callable]:
    """(trained, width, images) of a run with the parameters `lora` and perhaps `normalisation`.

    trained(images(rows)) is (n, width) for n row numbers of run.samples. images(rows) gives pixels,
    or the activations that the adapted blocks take, or embeddings. No cache has pixels of another
    normalisation than the encoder's own: then the frozen blocks run in each step. `encoder` is the
    run's, if it is loaded.
    """
    settings, how = run.method["lora"], run.method.get("normalisation", "own")
    if settings is None and how == "own":
        vectors = run.embeddings("image_embeddings")
        return nn.Identity(), vectors.shape[1], lambda rows: vectors[rows]
    encoder = encoder or run.encoder()
    preprocess = pixels.normalised(encoder.preprocess, how)
    if settings is None or settings["blocks"] == "all":
        return lora.adapt(encoder.image, settings), encoder.image_dim, run.pixels(preprocess)
    encoder.preprocess = preprocess
    frozen, trained = lora.split(encoder.image, settings)
    fetch = source.inputs(run, "image", settings["blocks"], encoder, frozen)
    return trained, encoder.image_dim, lambda rows: _only(fetch(rows))


def _only(states: tuple[Tensor, ...]) -> Tensor:
    """The one tensor that an image tower's blocks take."""
    (images,) = states
    return images
