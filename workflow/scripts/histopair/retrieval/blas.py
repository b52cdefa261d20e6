"""Which matrix-product kernel OpenBLAS runs, for the copy that comes inside faiss."""

import os
from pathlib import Path


def choose_kernel() -> None:
    """Name the AVX-512 kernel to OpenBLAS where the processor has AVX-512; call before faiss loads.

    On processors newer than itself OpenBLAS falls back to a kernel of a fifth of the speed. A
    choice that the user has made stays.
    """
    if "OPENBLAS_CORETYPE" not in os.environ and {"avx512f", "avx512bw", "avx512vl"} <= _flags():
        os.environ["OPENBLAS_CORETYPE"] = "SKYLAKEX"


def _flags() -> set[str]:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    found = next((line for line in lines if line.startswith("flags")), "")
    return set(found.split())
