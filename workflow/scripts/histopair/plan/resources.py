"""What a job may use, by how often it was tried."""

from collections.abc import Callable


def growing(megabytes: int) -> Callable[[object, int], int]:
    """A rule's mem_mb: so much, and as much again with each retry.

    Encoders differ by a factor of ten, and a scheduler kills a job that takes more than it asked.
    """
    return lambda wildcards, attempt: megabytes * attempt
