"""Bags of patches as a model takes them."""

from collections.abc import Iterable

import torch
from torch import Tensor

from histopair.images import features


class Source:
    """Patches of the bags in given rows, one below the other; all bags are held in memory.

    slides: for each bag the names of its feature files in `folder`. A bag of more than `most`
    patches gives `most`, evenly spaced. Raises InputError for a slide that the folder lacks.
    """

    def __init__(
        self, slides: Iterable[list[str]], folder: str, most: int | None, device: torch.device
    ):
        paths = features.of_bags(slides, folder)
        self.patches = [torch.from_numpy(features.bag(of_one, most)) for of_one in paths]
        self.width, self.device = self.patches[0].shape[1], device

    def __call__(self, rows: Tensor) -> tuple[Tensor, Tensor, int]:
        """Patches (P, d), the place of each patch's bag in `rows` (P,), and the number of bags."""
        chosen = [self.patches[row] for row in rows.tolist()]
        sizes = torch.tensor([len(bag) for bag in chosen])
        number = torch.arange(len(chosen)).repeat_interleave(sizes)
        return torch.cat(chosen).to(self.device), number.to(self.device), len(chosen)
