"""Bags of patches as a model takes them."""

from collections.abc import Iterable

import torch
from torch import Tensor

from histopair.images import features


class Source:
    """Patches of the bags in some rows, one below the other; all bags are held in memory.

    slides: of each bag the names of its feature files in `folder`; of more than `most` patches so
    many are taken, evenly. Raises InputError for a slide that the folder lacks.
    """

    def __init__(
        self, slides: Iterable[list[str]], folder: str, most: int | None, device: torch.device
    ):
        paths = features.of_bags(slides, folder)
        self.patches = [torch.from_numpy(features.bag(of_one, most)) for of_one in paths]
        self.width, self.device = self.patches[0].shape[1], device

    def __call__(self, rows: Tensor) -> tuple[Tensor, Tensor, int]:
        """Patches (P, d), the place of each one's bag among the rows (P,), and how many bags."""
        chosen = [self.patches[row] for row in rows.tolist()]
        sizes = torch.tensor([len(bag) for bag in chosen])
        number = torch.arange(len(chosen)).repeat_interleave(sizes)
        return torch.cat(chosen).to(self.device), number.to(self.device), len(chosen)
