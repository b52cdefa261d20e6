"""Prepare the next batches while the GPU works on this one."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor

Event = torch.cuda.Event | None  # None where nothing has to be waited for


def ahead(prepare: Callable, parts: Iterable, device: torch.device, depth: int = 1) -> Iterator:
    """prepare(part) for each part in order; with a GPU, `depth` parts ahead of the consumer.

    Without a GPU, preparing and computing share the same cores and take turns.
    """
    return map(prepare, parts) if device.type == "cpu" else overlapped(prepare, parts, depth)


def overlapped(prepare: Callable, parts: Iterable, depth: int) -> Iterator:
    """prepare(part) for each part in order, up to `depth` parts ahead, two of them at once.

    An error of `prepare` is raised where its result would come.
    """
    waiting: deque[Future] = deque()
    with ThreadPoolExecutor(min(depth, 2)) as workers:
        try:
            for part in parts:
                waiting.append(workers.submit(prepare, part))
                if len(waiting) > depth:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


class Lane:
    """A way to a GPU whose copies wait for nothing that it computes, and for which nobody waits."""

    def __init__(self, device: torch.device):
        self.device = device
        self.stream = torch.cuda.Stream(device) if device.type == "cuda" else None

    def send(self, rows: Sequence[Tensor]) -> tuple[Tensor, Event]:
        """Rows of one shape on their way to the device as a batch, for `receive`."""
        if self.stream is None or rows[0].device == self.device:
            return torch.stack(rows), None
        shape = len(rows), *rows[0].shape
        batch = torch.empty(shape, dtype=rows[0].dtype, pin_memory=True)
        torch.stack(rows, out=batch)
        with torch.cuda.stream(self.stream):
            return batch.to(self.device, non_blocking=True), self.stream.record_event()

    def receive(self, sent: tuple[Tensor, Event]) -> Tensor:
        """What was sent; only the device waits until it is there."""
        batch, arrived = sent
        if arrived:
            computing = torch.cuda.current_stream(self.device)
            computing.wait_event(arrived)
            batch.record_stream(computing)
        return batch


def late(results: Iterable[Tensor]) -> Iterator[Tensor]:
    """Each result on the processor, after the next one has been asked of the device.

    So the device has work while this process waits for the result before.
    """
    waiting: deque[tuple[Tensor, Event]] = deque()
    for result in results:
        waiting.append(_returning(result))
        if len(waiting) > 1:
            yield _returned(*waiting.popleft())
    while waiting:
        yield _returned(*waiting.popleft())


def _returning(result: Tensor) -> tuple[Tensor, Event]:
    if result.device.type == "cpu":
        return result, None
    there = torch.empty(result.shape, dtype=result.dtype, pin_memory=True)
    there.copy_(result, non_blocking=True)
    return there, torch.cuda.current_stream(result.device).record_event()


def _returned(result: Tensor, ready: Event) -> Tensor:
    if ready:
        ready.synchronize()
    return result
