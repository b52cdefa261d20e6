"""Batches of preprocessed pixels from image files, decoded by as many threads as the job has."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch

from histopair import images, jobs
from histopair.images.prefetch import ahead

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CHECKED = 10**10  # no limit here: cleaning has refused images beyond the dataset's own limit


def batches(
    root: str,
    paths: Sequence[str],
    preprocess: Callable,
    size: int,
    device: torch.device,
) -> Iterator[torch.Tensor]:
    """Yield pixels (size, 3, h, w) of `paths` in order; at most two batches are in memory.

    On the CPU, decoding and computing take turns: each uses all the threads of the job.
    """
    parts = [paths[start : start + size] for start in range(0, len(paths), size)]
    with ThreadPoolExecutor(jobs.threads()) as pool:

        def decode(part: Sequence[str]) -> torch.Tensor:
            return torch.stack(list(pool.map(lambda path: read(root, path, preprocess), part)))

        yield from ahead(decode, parts, device)


def read(root: str, path: str, preprocess: Callable) -> torch.Tensor:
    """One image as its encoder wants it: (3, h, w)."""
    return preprocess(images.load(root, path, max_pixels=CHECKED))


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
        self.root, self.paths, self.preprocess, self.device = root, paths, preprocess, device
        self.cache: dict[int, torch.Tensor] = {}
        one = read(root, paths[0], preprocess)
        self.keep = one.nbytes * len(paths) <= cache_mb * 2**20
        self.pool = ThreadPoolExecutor(jobs.threads())

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        """Pixels (n, 3, h, w) on the device for n row numbers."""
        return torch.stack(list(self.pool.map(self._one, rows.tolist()))).to(self.device)

    def _one(self, row: int) -> torch.Tensor:
        pixels = self.cache.get(row)
        if pixels is None:
            pixels = read(self.root, self.paths[row], self.preprocess)
            if self.keep:
                self.cache[row] = pixels
        return pixels
