"""Cox's partial likelihood, for risks that a network predicts."""

import torch
from torch import Tensor


def loss(risk: Tensor, time: Tensor, event: Tensor, ties: str = "efron") -> Tensor:
    """Negative log partial likelihood of n patients, per event (Cox 1972).

    risk: log-hazards (n,), up to a constant; time: (n,); event: (n,) bool. At a time with m events
    D and the risk set R, the l-th event (l = 0..m-1) adds
    log(sum_R exp(r) - (l / m) sum_D exp(r)) - r: Efron 1977. ties "breslow" (1974) leaves out the
    second sum. Both agree if no two events share a time. A batch without events has a loss of 0
    with a gradient of 0.
    """
    event = event.bool()
    if not event.any():
        return risk.sum() * 0
    shift = risk.detach().max()
    hazard = (risk - shift).exp()
    moments, group = time.unique(return_inverse=True)
    zero = hazard.new_zeros(len(moments))
    at_risk = zero.index_add(0, group, hazard).flip(0).cumsum(0).flip(0)
    total = at_risk[group[event]]
    if ties == "efron":
        dying = zero.index_add(0, group[event], hazard[event])
        total = total - _shares(group[event]) * dying[group[event]]
    return (total.log() + shift - risk[event]).mean()


def _shares(group: Tensor) -> Tensor:
    """l / m of each event: its place, from 0, among the m events at its time."""
    counts = torch.bincount(group)
    order = group.argsort(stable=True)
    before = counts.cumsum(0) - counts
    place = torch.empty_like(group)
    place[order] = torch.arange(len(group), device=group.device) - before[group[order]]
    return place / counts[group]
