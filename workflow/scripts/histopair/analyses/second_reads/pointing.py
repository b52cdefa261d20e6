"""Whether saliency falls on the lesion: pointing game and share of mass, against chance.

The pointing game (Zhang et al. 2018) counts how often the map's highest place lies in the lesion;
the mass is the share of the map inside of it. Chance is the lesion's share of the image. A model of
other weights must do no better than chance (Adebayo et al. 2018, model parameter randomisation).
"""

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from PIL import Image

from histopair.export.read import Exported
from histopair.export.second_read import saliency

MEASURES = ("pointing game", "mass inside")


def measured(exported: Exported, randomised, cases: Iterable[dict]) -> Iterator[dict]:
    """For each case and each of its findings a dict of case, method, measure and value.

    cases: `pixels`, `note`, `findings` (numbers) and `masks`, booleans (h, w) by finding, as the
    file has them. randomised: the model in torch with other weights.
    """
    for number, case in enumerate(cases):
        for finding in case["findings"]:
            mask = _as_read(case["masks"][finding], case["pixels"].shape[1:])
            if not mask.any():
                continue
            for method, one in _maps(exported, randomised, case, finding):
                for measure, value in zip(MEASURES, scores(one, mask), strict=True):
                    yield {"case": number, "method": method, "measure": measure, "value": value}


def scores(one: np.ndarray | None, mask: np.ndarray) -> tuple[float, float]:
    """Pointing game and mass of a map (h, w), not negative; of None those of chance.

    A map of zeros points nowhere: it hits by chance.
    """
    share = float(mask.mean())
    if one is None or one.max() <= 0:
        return share, share
    highest = one == one.max()
    return float(mask[highest].mean()), float(one[mask].sum() / one.sum())


def _maps(exported: Exported, randomised, case: dict, finding: int) -> Iterator[tuple]:
    pixels, note = case["pixels"], case["note"]
    one, method = saliency.of(exported, pixels, finding, note)
    yield method, one
    other, method = saliency.by_gradient(randomised, pixels, finding, note)
    if other is not None:
        yield f"{method}, randomised model", saliency.over_pixels(other, pixels.shape[1:])
    if method != saliency.OCCLUSION:
        hidden = saliency.by_occlusion(exported, pixels, finding, note)
        yield saliency.OCCLUSION, saliency.over_pixels(hidden, pixels.shape[1:])
    yield "chance", None


def randomise(exported: Exported, seed: int):
    """A copy of the model in torch, the values of each of its weights in another order."""
    from histopair.export.predictor import rebuild

    model = rebuild(exported.folder, exported.config)
    draw = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        order = torch.randperm(parameter.numel(), generator=draw)
        parameter.data = parameter.data.flatten()[order].view_as(parameter)
    return model


def _as_read(mask: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """A mask in the size that the model reads, for models that take the whole image."""
    wide = Image.fromarray(mask).resize((shape[1], shape[0]), Image.Resampling.NEAREST)
    return np.asarray(wide)
