"""Several processes train one run: each takes its share of every batch, on its own GPU if any.

The loss of a share is weighted by its size and the gradients of all processes are added up, which
gives the gradient of the whole batch. Ten lines of our own do it, because DistributedDataParallel
hides the model's methods, which recipes call. Every process builds the same model from the same
seed. Outside `launch` there is one process, and nothing here changes anything.
"""

import datetime
import io
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn

from histopair import jobs
from histopair.errors import InputError

# One process may write a cache while the others wait; `launch` notices one that died.
WAIT = datetime.timedelta(days=2)
FAILED = (
    torch.multiprocessing.ProcessRaisedException,
    torch.multiprocessing.ProcessExitedException,
)


def launch(work: Callable[[], None], processes: int) -> None:
    """Call work() in `processes` processes that share this one's threads; in this one for 1.

    They are forks, so that work may be any function; this process must not have used a GPU before.
    If one fails, the others are stopped. Raises the InputError of a process that raised one.
    """
    if processes == 1:
        work()
        return
    with tempfile.TemporaryDirectory() as folder:
        try:
            torch.multiprocessing.start_processes(
                _join, (work, processes, folder), processes, start_method="fork"
            )
        except FAILED:
            if (line := Path(folder, "error")).exists():
                # `InputError()` itself would want its three parts, which are joined by now.
                raise InputError.__new__(InputError, line.read_text()) from None
            raise


def _join(rank: int, work: Callable[[], None], processes: int, folder: str) -> None:
    jobs.limit_threads(max(1, jobs.threads() // processes))
    if rank:
        sys.stdout = io.StringIO()  # one log is enough
    try:
        backend = "cpu:gloo,cuda:nccl" if _use_gpu(rank, processes) else "gloo"
        store = f"file://{folder}/store"
        dist.init_process_group(backend, store, WAIT, processes, rank)
        work()
        dist.destroy_process_group()
    except InputError as error:
        Path(folder, "error").write_text(str(error))
        raise


def _use_gpu(rank: int, processes: int) -> bool:
    if not torch.cuda.is_available():
        return False
    if torch.cuda.device_count() < processes:
        raise InputError(
            "training.processes",
            f"{processes} processes need a GPU each, and {torch.cuda.device_count()} can be seen",
            "Lower training.processes, or let the job see more GPUs",
        )
    torch.cuda.set_device(rank)
    return True


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


def add_gradients(parameters: list[nn.Parameter]) -> None:
    """Give every process the sum of all gradients; one that no process has stays None."""
    if count() == 1:
        return
    flat = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    present = torch.tensor([p.grad is not None for p in parameters]).to(flat[0])
    together = torch.cat([*(grad.flatten() for grad in flat), present])
    dist.all_reduce(together)
    *sums, present = together.split([*(p.numel() for p in parameters), len(parameters)])
    for parameter, total, holders in zip(parameters, sums, present.tolist(), strict=True):
        parameter.grad = total.view_as(parameter).to(parameter.dtype) if holders else None


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
    together = torch.full((size, rows.shape[1]), -torch.inf)
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
                dist.broadcast(buffer, 0)
