"""Medians of interleaved runs, so that a drift of the machine hits all candidates alike."""

import statistics
import time
from collections.abc import Callable


def interleaved(
    candidates: dict[str, Callable], rounds: int = 7, clock: Callable = time.perf_counter
) -> dict[str, float]:
    """Median seconds of each candidate over `rounds` rounds, after one round to warm up."""
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for number in range(rounds + 1):
        for name, candidate in candidates.items():
            start = clock()
            candidate()
            if number:
                seconds[name].append(clock() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def show(medians: dict[str, float], base: str) -> None:
    """One line each: seconds, and how many times the speed of `base`."""
    for name, value in medians.items():
        print(f"{name:32s} {value:8.4f} s   {medians[base] / value:6.2f} x {base}")
