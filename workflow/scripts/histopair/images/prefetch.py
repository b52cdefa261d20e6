"""Prepare the next batch while the GPU works on this one."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import torch


def ahead(prepare: Callable, parts: Iterable, device: torch.device) -> Iterator:
    """prepare(part) for each part in order; with a GPU, one part ahead of the consumer.

    Without a GPU, preparing and computing share the same cores and take turns.
    """
    if device.type != "cuda":
        yield from map(prepare, parts)
        return
    with ThreadPoolExecutor(1) as worker:
        following = None
        for part in parts:
            current, following = following, worker.submit(prepare, part)
            if current is not None:
                yield current.result()
        if following is not None:
            yield following.result()
