"""Peak memory and time of joining an embedding's shards and of pairing, by the number of images.

    python benchmarks/memory.py [ROWS ...]

Vectors of 512 dimensions drawn at random, 10,000 reports, one thread; each size in a process of
its own. Memory should not grow with the images.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow" / "scripts"))

from histopair.jobs import limit_threads

limit_threads(1)

from timing import record

SIZES, REPORTS, WIDTH = (10_000, 100_000), 10_000, 512
ALONE = "--alone"  # the argument of a process that measures one size


def main(sizes: list[int]) -> None:
    question = f"Peak memory by images: shards joined, then paired with {REPORTS} reports"
    print(question)
    for rows in sizes:
        command = [sys.executable, __file__, ALONE, str(rows)]
        done = subprocess.run(command, stdout=-1, text=True, check=True)
        one = json.loads(done.stdout.splitlines()[-1])
        value = f"{one['joined']:.0f} MB, {one['paired']:.0f} MB, {one['seconds']:.1f} s"
        print(f"{rows:10,} images: {value}", flush=True)
        record(question, f"{rows:,} images", value)


def measured(rows: int) -> dict[str, float]:
    """MB after each of the two steps, and seconds of both."""
    from histopair.retrieval import retrieve

    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        texts = _embedded(folder, "texts", ["report_id", "chunk"], REPORTS)
        images = _embedded(folder, "images", ["image_id"], rows)
        joined = _peak()
        settings = {"k": 5, "pool": "max", "approximate": None}
        retrieve.pair(images, texts, settings, f"{folder}/pairs.parquet", {"code": ""})
    return {"joined": joined, "paired": _peak(), "seconds": time.perf_counter() - start}


def _embedded(folder: str, name: str, keys: list[str], rows: int) -> str:
    """A file of vectors as the embedding stage writes it, from vectors that cost nothing."""
    import numpy as np
    import pandas as pd

    from histopair.encoders import embed

    items = pd.DataFrame({key: [f"{n:08d}" for n in range(rows)] for key in [keys[0], "content"]})
    items = items.assign(chunk=0)
    rng, settings = np.random.default_rng(rows), {"shard_size": 4096, "storage": "float16"}

    def compute(part: pd.DataFrame) -> np.ndarray:
        return rng.standard_normal((len(part), WIDTH), dtype=np.float32)

    out, shards = f"{folder}/{name}.parquet", f"{folder}/shards-{name}"
    embed._embed(items, keys, "content", compute, [name], settings, shards, out, {})
    return out


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    if sys.argv[1:2] == [ALONE]:
        print(json.dumps(measured(int(sys.argv[2]))))
    else:
        main([int(size) for size in sys.argv[1:]] or SIZES)
