"""Batches of preprocessed pixels from image files, decoded by as many threads as the job has.

JPEG files go through torchvision where the encoder's preprocessing is the ordinary one: the same
pixels as Pillow's, twice as fast. All else goes through Pillow, and so does what fails there.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from histopair import images, jobs
from histopair.errors import InputError
from histopair.images import chain
from histopair.images.decoders import jpeg
from histopair.images.prefetch import Lane, ahead

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CHECKED = 10**10  # no limit here: cleaning has refused images beyond the dataset's own limit
AHEAD = 3  # batches that wait for a GPU
CPU = torch.device("cpu")


def batches(
    root: str,
    paths: Sequence[str],
    preprocess: Callable,
    size: int,
    device: torch.device,
    decoding: str = "cpu",
) -> Iterator[Tensor]:
    """Yield pixels (size, 3, h, w) of `paths` in order, on the device, with channels last.

    On the CPU, decoding and computing take turns: each uses all the threads of the job. On a GPU,
    bytes of up to AHEAD + 1 batches wait there. `decoding` is "gpu" for JPEG files through nvJPEG.
    """
    parts = [paths[start : start + size] for start in range(0, len(paths), size)]
    steps, lane = chain.of(preprocess, device), Lane(device)
    with ThreadPoolExecutor(jobs.threads()) as pool:

        def prepare(part: Sequence[str]):
            if decoding == "gpu" and not steps.whole:
                return lane.send(_through_device(root, part, steps, pool, device))
            return lane.send(list(pool.map(lambda path: _first_step(root, path, steps), part)))

        for sent in ahead(prepare, parts, device, AHEAD):
            yield steps.normalised(lane.receive(sent))


def read(root: str, path: str, preprocess: Callable) -> Tensor:
    """One image as its encoder wants it: (3, h, w)."""
    steps = chain.of(preprocess, CPU)
    return steps.normalised(_first_step(root, path, steps)[None])[0].contiguous()


def way(preprocess: Callable, device: torch.device, decoding: str = "cpu") -> str:
    """How JPEG files are decoded, for the identity of what is computed from them.

    Raises InputError for "gpu" without a GPU.
    """
    if decoding == "gpu" and device.type != "cuda":
        remedy = "Set it to cpu, or give the workflow a GPU (gpu: 1)"
        raise InputError("embedding.decoding", "it is gpu, and this job has none", remedy)
    if chain.of(preprocess, CPU).whole:
        return "Pillow"
    return "nvJPEG" if decoding == "gpu" else "torchvision"


def _first_step(root: str, path: str, steps: chain.Chain) -> Tensor:
    """An image after the first of the two steps, (h, w, 3)."""
    file, row = images.locate(root, path)
    pixels = None if row is not None or steps.whole else jpeg.read(file)
    if _is_usable(pixels):
        return steps.of_pixels(pixels)
    return steps.of_image(images.load(root, path, max_pixels=CHECKED))


def _is_usable(pixels: Tensor | None) -> bool:
    """Whether a JPEG (3, H, W) was decoded and is no strip, which `images.load` refuses by name."""
    return pixels is not None and not images.is_strip(*pixels.shape[1:])


def _through_device(
    root: str, part: Sequence[str], steps: chain.Chain, pool: ThreadPoolExecutor, device
) -> list[Tensor]:
    """The same of several images, of which the device decodes and resizes those it can."""
    contents = list(pool.map(lambda path: _jpeg(root, path), part))
    rows = [row for row, content in enumerate(contents) if content is not None]
    decoded = jpeg.read_all([contents[row] for row in rows], device)
    pixels = dict(zip(rows, decoded, strict=True))

    def finished(row: int) -> Tensor:
        if not _is_usable(pixels.get(row)):
            return _first_step(root, part[row], steps).to(device)
        return steps.of_pixels(pixels[row]).to(device)

    return list(pool.map(finished, range(len(part))))


def _jpeg(root: str, path: str) -> Tensor | None:
    """The bytes of a JPEG file; None for any other image, and for one that cannot be read."""
    file, row = images.locate(root, path)
    try:
        return None if row is not None else jpeg.content(file)
    except OSError:
        return None


def normalised(preprocess: Callable, how: str) -> Callable:
    """The same preprocessing with its "own" mean and standard deviation, or those of "imagenet".

    Raises ValueError if it has no normalisation to replace.
    """
    if how == "own":
        return preprocess
    from torchvision.transforms import Compose, Normalize

    steps = list(preprocess.transforms)
    if not any(isinstance(step, Normalize) for step in steps):
        raise ValueError("the encoder's preprocessing has no normalisation to replace")
    new = Normalize(IMAGENET_MEAN, IMAGENET_STD)
    return Compose([new if isinstance(step, Normalize) else step for step in steps])


class Source:
    """Pixels by row number, decoded once and kept if all of them fit into `cache_mb`."""

    def __init__(
        self, root: str, paths: list[str], preprocess: Callable, cache_mb: int, device: torch.device
    ):
        self.root, self.paths, self.device = root, paths, device
        self.steps = chain.of(preprocess, device)
        self.cache: dict[int, Tensor] = {}
        one = _first_step(root, paths[0], self.steps)
        self.keep = one.nbytes * len(paths) <= cache_mb * 2**20
        self.pool = ThreadPoolExecutor(jobs.threads())

    def __call__(self, rows: Tensor) -> Tensor:
        """Pixels (n, 3, h, w) on the device for n row numbers."""
        stacked = torch.stack(list(self.pool.map(self._one, rows.tolist())))
        return self.steps.normalised(stacked.to(self.device)).contiguous()

    def _one(self, row: int) -> Tensor:
        pixels = self.cache.get(row)
        if pixels is None:
            pixels = _first_step(self.root, self.paths[row], self.steps)
            if self.keep:
                self.cache[row] = pixels.clone()  # a crop would keep the whole image
        return pixels
