"""Which matrix-product kernel OpenBLAS runs, for its copy in faiss."""

import os
from pathlib import Path


def choose_kernel() -> None:
    """Have OpenBLAS use AVX-512 if the processor has it; call this before faiss is loaded.

    On processors newer than itself OpenBLAS falls back to a kernel of a fifth of the speed. A
    choice of the user stays.
    """
    if "OPENBLAS_CORETYPE" not in os.environ and {"avx512f", "avx512bw", "avx512vl"} <= _flags():
        os.environ["OPENBLAS_CORETYPE"] = "SKYLAKEX"


def _flags() -> set[str]:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    return set(next((line for line in lines if line.startswith("flags")), "").split())
