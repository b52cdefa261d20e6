"""What a job may use, by how often it was tried."""

import math
from collections.abc import Callable


def growing(megabytes: int, most: int | None = None) -> Callable[[object, int], int]:
    """A rule's mem_mb: so much, and as much again with each retry, up to `most`.

    Encoders differ by a factor of ten, and a scheduler kills a job that takes more than it asked.
    It refuses one that asks for more than any of its nodes has.
    """
    return lambda wildcards, attempt: min(megabytes * attempt, most or math.inf)
