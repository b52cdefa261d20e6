"""A small trial of an encoder on this machine: how fast it is, and how much memory training takes.

Few tiles pass through it, forward as it is embedded and back as it is trained. What a backward pass
needs is counted from the tensors that torch saves for it, which is the same on a CPU and a GPU.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from histopair.doctor import fixed_inputs
from histopair.encoders import Encoder
from histopair.encoders.activations import split_towers
from histopair.errors import InputError
from histopair.jobs import devices

LEAST = 0.5  # seconds that a timed pass is repeated for
MOST = 20  # repetitions
CPU_TILES, GPU_TILES = 2, 32


@dataclass(frozen=True)
class Training:
    """One pass forward and back: bytes that stay for all images and for each, seconds an image.

    fixed: weights of the whole tower, with gradients and Adam's two moments of what trains.
    """

    device: str
    fixed: int
    each: int
    seconds: float


@dataclass(frozen=True)
class Speed:
    """Seconds for a tile (prepared and embedded) and for a text, and the width of their vectors.

    tokens: how many numbers the image tower's frozen blocks give, by the blocks that train.
    """

    device: str
    tile: float | None
    text: float | None
    image_width: int
    text_width: int
    tokens: dict[int, int]


def fits(encoder: Encoder) -> bool:
    """Whether this machine has free memory for the towers and as much again for gradients."""
    import psutil

    towers = [tower for tower in (encoder.image, encoder.text) if tower is not None]
    return 2 * sum(map(_bytes, towers)) < psutil.virtual_memory().available


def speed(encoder: Encoder, precision: str, blocks: list[int]) -> Speed:
    """How fast an encoder embeds in a precision of the config, and how large activations are."""
    device = devices.start()
    dtype = devices.dtype(precision, device)
    tile = text = None
    tokens = {count: _numbers(encoder, count) for count in blocks}
    if encoder.image is not None:
        tile = _tiles(encoder, device, dtype)
    if encoder.text is not None:
        text = _texts(encoder, device, dtype)
    _back(encoder)
    splittable = {count: numbers for count, numbers in tokens.items() if numbers}
    return Speed(_name(device), tile, text, encoder.image_dim, encoder.text_dim, splittable)


def training(encoder: Encoder, blocks: int | str) -> Training:
    """What it takes to train the last blocks of an image tower, or all of it, in float32.

    Raises InputError for a tower that cannot be split there.
    """
    device = devices.start()
    frozen, trained = split_towers.split(encoder.image.float(), blocks)
    frozen, trained = frozen.to(device), trained.to(device).train()
    pixels = _pixels(encoder, 1).to(device)

    def step() -> None:
        trained(*frozen(pixels)).square().mean().backward()
        trained.zero_grad()

    each = _saved(step, trained)
    seconds = _timed(step, device)
    learned = sum(parameter.numel() for parameter in trained.parameters())
    trained.eval()
    _back(encoder)
    return Training(_name(device), _bytes(encoder.image) + 3 * 4 * learned, each, seconds)


def _saved(step: Callable[[], None], trained: nn.Module) -> int:
    """Bytes that torch saves for the backward pass of a step, without the weights."""
    saved: dict[int, int] = {}
    weights = {parameter.untyped_storage().data_ptr() for parameter in trained.parameters()}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        step()
    return sum(saved.values())


def _tiles(encoder: Encoder, device: torch.device, dtype: torch.dtype) -> float:
    """Seconds for one tile, from its decoded image to its vector."""
    count = GPU_TILES if device.type == "cuda" else CPU_TILES
    tower = encoder.image.to(device, dtype)

    @torch.inference_mode()
    def step() -> None:
        tower(_pixels(encoder, count).to(device, dtype)).float().cpu()

    return _timed(step, device) / count


def _texts(encoder: Encoder, device: torch.device, dtype: torch.dtype) -> float:
    tower = encoder.text.to(device, dtype)
    texts = list(fixed_inputs.TEXTS)

    @torch.inference_mode()
    def step() -> None:
        tower(encoder.tokenize(texts).to(device)).float().cpu()

    return _timed(step, device) / len(texts)


@torch.inference_mode()
def _numbers(encoder: Encoder, blocks: int) -> int | None:
    """How many numbers the frozen blocks give for a tile; None where they cannot be split off."""
    try:
        frozen = split_towers.frozen(encoder.image.float(), blocks)
    except InputError:
        return None
    return frozen(_pixels(encoder, 1))[0].numel()


def _pixels(encoder: Encoder, count: int) -> Tensor:
    tiles = fixed_inputs.tiles()
    return torch.stack([encoder.preprocess(tiles[i % len(tiles)]) for i in range(count)])


def _timed(step: Callable[[], None], device: torch.device) -> float:
    """Seconds of a step, on average over a few after the first."""
    step()
    _wait(device)
    start, count = time.perf_counter(), 0
    while count < MOST and (count == 0 or time.perf_counter() - start < LEAST):
        step()
        count += 1
    _wait(device)
    return (time.perf_counter() - start) / count


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def _name(device: torch.device) -> str:
    """A device as a row shows it."""
    cpu = f"{torch.get_num_threads()} threads of a CPU"
    return torch.cuda.get_device_name(device) if device.type == "cuda" else cpu


def _bytes(tower: nn.Module) -> int:
    return sum(parameter.numel() * 4 for parameter in tower.parameters())


def _back(encoder: Encoder) -> None:
    """Take the towers off the GPU."""
    for tower in (encoder.image, encoder.text):
        if tower is not None:
            tower.to("cpu", torch.float32).requires_grad_(False)
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
