"""Several processes train one run: each takes its share of every batch, on its own GPU if any.

torch's DistributedDataParallel exchanges the gradients, in buckets and while the backward goes on.
It averages them, so that a share's loss is weighted by its size: the result is the gradient of the
whole batch. Every process builds the same model from the same seed. With one process (processes.py
starts more), nothing here changes anything.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
import torch.distributed as dist
from torch import Tensor, nn


def count() -> int:
    """How many processes work together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """The number of this process, from 0; process 0 alone writes."""
    return dist.get_rank() if dist.is_initialized() else 0


def share(rows: Tensor, whole: bool = False) -> tuple[Tensor, float]:
    """This process's part of a batch, and the weight of the part's mean in the batch's mean.

    Each process gets all of a batch that must stay `whole`, or has fewer than two rows for each: an
    idle process would leave the others waiting, and batch normalisation cannot train on one sample.
    """
    if whole or len(rows) < 2 * count():
        return rows, 1 / count()
    part = rows.tensor_split(count())[rank()]
    return part, len(part) / len(rows)


def prepared(model: nn.Module) -> nn.Module:
    """The model; on GPUs its batch statistics are then those of the whole batch, not a share's."""
    if count() == 1 or not torch.cuda.is_available():
        return model
    from timm.layers import convert_sync_batchnorm  # torch's own loses the activations of timm's

    return convert_sync_batchnorm(model)


class _Loss(nn.Module):
    """A loss as a forward, which is what DistributedDataParallel knows; the model stays itself."""

    def __init__(self, model: nn.Module, loss: Callable[[nn.Module, dict], dict[str, Tensor]]):
        super().__init__()
        self.model, self.loss = model, loss

    def forward(self, batch: dict) -> dict[str, Tensor]:
        values = self.loss(self.model, batch)
        # The others may reach parameters that the backward of "loss" does not, which DDP waits for.
        return {name: v if name == "loss" else v.detach() for name, v in values.items()}


def averaged(
    model: nn.Module, loss: Callable[[nn.Module, dict], dict[str, Tensor]]
) -> Callable[[dict], dict[str, Tensor]]:
    """The loss of a batch, whose backward leaves the mean of all processes' gradients.

    A parameter that no process's batch reaches keeps the gradient None. All processes start with
    the trained weights of process 0.
    """
    if count() == 1:
        return _Loss(model, loss)
    for parameter in model.parameters():
        if parameter.requires_grad:
            _take_from_first(parameter.detach())
    return nn.parallel.DistributedDataParallel(
        _Loss(model, loss),
        init_sync=False,  # it would send all buffers, and gloo sends no booleans
        forward_sync_buffers=False,
        find_unused_parameters=True,
        gradient_as_bucket_view=True,
    )


def exchanging(loss: Callable, last: bool) -> AbstractContextManager:
    """Where a batch passes in parts, gradients are exchanged in the backward of the last alone."""
    return nullcontext() if last or count() == 1 else loss.no_sync()


def totals(values: dict[str, float]) -> dict[str, float]:
    """The sum of each named number over all processes."""
    if count() == 1:
        return values
    together = torch.tensor(list(values.values()), dtype=torch.float64)
    dist.all_reduce(together)
    return dict(zip(values, together.tolist(), strict=True))


def in_order(rows: Tensor, positions: Tensor, size: int) -> Tensor:
    """The rows (n, C) of all processes at their positions in a tensor (size, C)."""
    if count() == 1:
        return rows
    together = rows.new_full((size, rows.shape[1]), -torch.inf)
    together[positions] = rows
    dist.all_reduce(together, dist.ReduceOp.MAX)
    return together


def gathered(tensor: Tensor) -> list[Tensor]:
    """The CPU tensors of all processes, equal in shape."""
    if count() == 1:
        return [tensor]
    together = [torch.empty_like(tensor) for _ in range(count())]
    dist.all_gather(together, tensor)
    return together


def first_says(value: bool) -> bool:
    """The value of process 0, because clocks differ."""
    return bool(gathered(torch.tensor([value], dtype=torch.uint8))[0].item())


def share_buffers(model: nn.Module) -> None:
    """Give every process the batch statistics of process 0."""
    if count() > 1:
        for buffer in model.buffers():
            if buffer.is_floating_point():
                _take_from_first(buffer)


def _take_from_first(tensor: Tensor) -> None:
    sent = tensor.contiguous()  # torch sends no other
    dist.broadcast(sent, 0)
    tensor.copy_(sent)
