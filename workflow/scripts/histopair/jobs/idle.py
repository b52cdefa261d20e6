"""How long a device waits for its next batch."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch


class Idle:
    """The time between what a device computes, from the first moment to the last result.

    On a GPU its own clock counts, since the process runs ahead of it. On the processor the time
    that decoding takes counts as waiting.
    """

    def __init__(self, device: torch.device):
        self.device = device
        self.items = 0
        self.marks = [self._mark()]

    @contextmanager
    def computing(self, items: int) -> Iterator[None]:
        """Around what asks the device to compute a batch of so many items."""
        self.marks.append(self._mark())
        yield
        self.marks.append(self._mark())
        self.items += items

    def rate(self) -> dict[str, float]:
        """`per_second` and `waited`, a share of the time; {} if nothing was computed."""
        if not self.items:
            return {}
        seconds = self._seconds()
        total = max(sum(seconds), 1e-9)
        return {"per_second": self.items / total, "waited": sum(seconds[::2]) / total}

    def _mark(self) -> float | torch.cuda.Event:
        if self.device.type != "cuda":
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record(torch.cuda.current_stream(self.device))
        return event

    def _seconds(self) -> list[float]:
        """Between one mark and the next: waiting and computing in turn."""
        pairs = zip(self.marks, self.marks[1:], strict=False)
        if self.device.type != "cuda":
            return [end - start for start, end in pairs]
        torch.cuda.synchronize(self.device)
        return [start.elapsed_time(end) / 1000 for start, end in pairs]
