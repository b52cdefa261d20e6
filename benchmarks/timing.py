"""What the benchmarks share: interleaved medians, and how they are printed."""

from histopair.analyses.timing import interleaved

__all__ = ["interleaved", "show"]


def show(medians: dict[str, float], base: str) -> None:
    """One line each: seconds, and how many times the speed of `base`."""
    for name, value in medians.items():
        print(f"{name:32s} {value:8.4f} s   {medians[base] / value:6.2f} x {base}")
