"""What the benchmarks share: interleaved medians, whose clock, and how they are printed."""

import time
from collections.abc import Callable

import torch

from histopair.analyses.timing import interleaved

__all__ = ["clock", "interleaved", "show"]


def clock(device: torch.device) -> Callable[[], float]:
    """Seconds of the CPU, which one thread spends whatever else the machine does.

    On a GPU those of the wall, after what has been asked of it is done.
    """
    if device.type == "cpu":
        return time.process_time

    def seconds() -> float:
        torch.cuda.synchronize(device)
        return time.perf_counter()

    return seconds


def show(medians: dict[str, float], base: str) -> None:
    """One line each: seconds, and how many times the speed of `base`."""
    for name, value in medians.items():
        print(f"{name:32s} {value:8.4f} s   {medians[base] / value:6.2f} x {base}")
