"""Medians of interleaved runs, so that the machine's drift affects all candidates alike."""

import math
import statistics
import time
from collections.abc import Callable


def interleaved(
    candidates: dict[str, Callable],
    rounds: int = 7,
    clock: Callable[[], float] = time.perf_counter,
    seconds: float = math.inf,
) -> dict[str, float]:
    """Median seconds of each candidate over `rounds` rounds, after one round to warm up.

    No round starts after `seconds`, once there are three.
    """
    times: dict[str, list[float]] = {name: [] for name in candidates}
    begin = clock()
    for number in range(rounds + 1):
        if number > 3 and clock() - begin > seconds:
            break
        for name, candidate in candidates.items():
            start = clock()
            candidate()
            if number:
                times[name].append(clock() - start)
    return {name: statistics.median(values) for name, values in times.items()}
