"""Ranked findings of a histology image, from a model that the workflow exported.

    python workflow/predict.py EXPORT --image tile.png [--note "what was said of it"]
    python workflow/predict.py EXPORT --folder tiles [--notes notes.csv] [--csv findings.csv]

Needs no Snakemake and no network. `--help` lists the rest.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "scripts"))

if __name__ == "__main__":
    from histopair import jobs
    from histopair.jobs import allocator

    jobs.limit_threads(os.cpu_count() or 1)  # before numpy loads
    allocator.keep_freed_memory()
    from histopair.export import predict

    sys.exit(predict.main(sys.argv[1:]))
