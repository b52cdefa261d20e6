"""What the benchmarks share: interleaved medians, whose clock, how they are printed and kept."""

import json
import os
import time
from collections.abc import Callable

import torch

from histopair.analyses.timing import interleaved

__all__ = ["clock", "interleaved", "record", "show"]
# Where `report.py` wants lines of JSON.
LINES = "HISTOPAIR_BENCHMARKS"


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


def show(question: str, medians: dict[str, float], base: str) -> None:
    """One line for each candidate: seconds, and how many times the speed of `base`."""
    print(f"\n{question}")
    for name, value in medians.items():
        print(f"{name:40s} {value:8.4f} s   {medians[base] / value:6.2f} x {base}")
        record(question, name, f"{value:.4g} s", f"{medians[base] / value:.2f}")


def record(question: str, name: str, value: str, ratio: str = "") -> None:
    """Keep one row of the report, if it is being written."""
    if path := os.environ.get(LINES):
        row = {"question": question, "name": name, "value": value, "ratio": ratio}
        with open(path, "a", encoding="utf-8") as lines:
            lines.write(json.dumps(row) + "\n")
