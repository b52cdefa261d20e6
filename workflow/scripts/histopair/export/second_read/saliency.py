"""Where in an image a finding comes from: a map over the pixels that the model reads.

Transformers: gradient-weighted attention rollout (Chefer, Gur and Wolf, Generic Attention-model
Explainability, ICCV 2021, equations 5 and 6). Convolutional towers: Grad-CAM (Selvaraju et al.,
ICCV 2017, equations 1 and 2). Without torch, without one of these towers, or where no gradient
reaches the image: occlusion (Zeiler and Fergus, ECCV 2014), which only asks the model.
"""

from typing import TYPE_CHECKING

import numpy as np

from histopair.errors import InputError
from histopair.export.read import Exported

if TYPE_CHECKING:
    from torch import Tensor

    from histopair.export.second_read.seen import Seen

ROLLOUT, GRAD_CAM, OCCLUSION = "attention rollout", "Grad-CAM", "occlusion"
OCCLUDED = 8  # rows and columns of squares that are hidden one after the other
AT_ONCE = 16


def of(
    exported: Exported, pixels: np.ndarray, finding: int, note: str | None = None
) -> tuple[np.ndarray, str]:
    """The map (h, w) in [0, 1] of a finding over pixels (3, h, w), and how it was made.

    finding: its place among the classes. The highest place has 1; all are 0 if nothing speaks for
    the finding. Raises InputError for a model that reads no image.
    """
    if "image" not in exported.reads:
        problem = "this model reads no image"
        raise InputError("saliency", problem, "Ask which words of the note mattered")
    relevance = None
    if exported.has_torch:
        relevance, method = by_gradient(exported.predictor, pixels, finding, note)
    if relevance is None:
        relevance, method = by_occlusion(exported, pixels, finding, note), OCCLUSION
    return over_pixels(relevance, pixels.shape[1:]), method


def by_gradient(model, pixels: np.ndarray, finding: int, note: str | None = None):
    """The relevance of each place (rows, columns) and the method, from a Predictor's gradients.

    (None, "") for a tower that is neither kind, and if no gradient reaches it.
    """
    import torch

    from histopair.export.answer import tokens_of
    from histopair.export.second_read import seen

    batch = torch.from_numpy(np.array(pixels[None])).requires_grad_()
    with torch.enable_grad(), seen.by(model.image) as passed:
        score = model(batch, tokens_of(model, [note]))[0, finding]
        if not score.requires_grad:
            return None, ""
        if passed.attentions:
            relevance, method = _rolled_out(score, passed), ROLLOUT
        else:
            relevance, method = _grad_cam(score, passed.map), GRAD_CAM
    return (None, "") if relevance is None else (relevance, method)


def _rolled_out(score: "Tensor", passed: "Seen") -> np.ndarray | None:
    """The relevance of each patch; None where attentions see no whole image, as in a Swin."""
    import torch

    maps, grid = passed.attentions, passed.grid
    count = maps[0].shape[-1]
    whole = all(len(m) == 1 and m.shape[-1] == count for m in maps)
    square = all(m.shape[-2] == count for m in maps[:-1])
    if not (whole and square) or grid is None or grid[0] * grid[1] > count:
        return None
    if not all(m.requires_grad for m in maps):
        return None  # some blocks ran without gradients
    gradients = torch.autograd.grad(score, maps, allow_unused=True)
    if all(gradient is None for gradient in gradients):
        return None
    pairs = zip(maps, gradients, strict=True)
    steps = [(m * (torch.zeros_like(m) if g is None else g)).detach()[0] for m, g in pairs]
    patches = rollout(steps)[count - grid[0] * grid[1] :]
    return patches.reshape(grid).numpy()


def rollout(steps: "list[Tensor]") -> "Tensor":
    """The relevance (N,) of N tokens to the output, without each token's own share.

    steps: of each attention, from the first on, weights times gradients (heads, queries, N). With
    A = mean over heads of their positive part, R <- R + A R from R = I (Chefer 2021, equations 5
    and 6). The output is read from the tokens to which the last attention has a gradient, as is
    the class token; of several, the mean counts. A last attention with other queries pools: A R.
    """
    import torch

    count = steps[0].shape[-1]
    identity = torch.eye(count)
    relevance = identity
    for step in steps[:-1]:
        relevance = relevance + step.clamp(min=0).mean(0) @ relevance
    last = steps[-1].clamp(min=0).mean(0)
    read = (steps[-1] != 0).any(0).any(-1)
    if not read.any():
        return torch.zeros(count)
    rows = last @ relevance
    if len(last) == count:
        rows = rows + relevance - identity
    return rows[read].mean(0)


def _grad_cam(score: "Tensor", activations: "Tensor | None") -> np.ndarray | None:
    import torch

    if activations is None or not activations.requires_grad:
        return None
    (gradient,) = torch.autograd.grad(score, [activations], allow_unused=True)
    if gradient is None:
        return None
    return grad_cam(activations.detach()[0], gradient[0]).numpy()


def grad_cam(activations: "Tensor", gradient: "Tensor") -> "Tensor":
    """ReLU of the sum over channels of activations (k, h, w), weighted by their mean gradient."""
    weights = gradient.mean((1, 2), keepdim=True)
    return (weights * activations).sum(0).clamp(min=0)


def by_occlusion(
    exported: Exported, pixels: np.ndarray, finding: int, note: str | None = None
) -> np.ndarray:
    """How much a finding's log odds fall (OCCLUDED, OCCLUDED) if a square is hidden.

    A hidden square has the image's mean colour. Log odds, because probabilities near 0 and 1 hardly
    move.
    """
    height, width = pixels.shape[1:]
    rows, columns = (np.linspace(0, side, OCCLUDED + 1).astype(int) for side in (height, width))
    mean, hidden = pixels.mean((1, 2), keepdims=True), [pixels]
    for row in range(OCCLUDED):
        for column in range(OCCLUDED):
            copy = pixels.copy()
            copy[:, rows[row] : rows[row + 1], columns[column] : columns[column + 1]] = mean
            hidden.append(copy)
    values = []
    for start in range(0, len(hidden), AT_ONCE):
        part = np.stack(hidden[start : start + AT_ONCE])
        notes = [note] * len(part) if "text" in exported.reads else None
        values.append(log_odds(exported.logits(part, notes), finding, exported.config["task"]))
    values = np.concatenate(values)
    return np.clip(values[0] - values[1:], 0, None).reshape(OCCLUDED, OCCLUDED)


def log_odds(logits: np.ndarray, finding: int, task: str) -> np.ndarray:
    """Those of a finding (n,), not calibrated: against all others if they exclude each other."""
    if task == "multi":
        return logits[:, finding]
    others = np.delete(logits, finding, axis=1)
    return logits[:, finding] - np.logaddexp.reduce(others, axis=1)


def over_pixels(relevance: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Relevance (rows, columns), not negative, as a map (h, w) whose highest value is 1."""
    from PIL import Image

    image = Image.fromarray(relevance.astype(np.float32))
    wide = np.asarray(image.resize((shape[1], shape[0]), Image.Resampling.BILINEAR))
    highest = float(wide.max())
    return wide / highest if highest > 0 else np.zeros(shape, np.float32)
