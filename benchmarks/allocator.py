"""The kernel's share of a forward pass on the CPU, with and without `keep_freed_memory`.

    python benchmarks/allocator.py [BATCH] [PASSES]

EfficientNet-Lite0 and ViT-S/16 with random weights, one thread. By default glibc gives the memory
of large activations back and takes it again, and the kernel zeroes it. Target: below 5%.
"""

import json
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow" / "scripts"))

from timing import record

KEPT, DEFAULT = "keep_freed_memory", "glibc's default"
MODELS = ("tf_efficientnet_lite0", "vit_small_patch16_224")
CHILD = """
import json, resource, sys
sys.path.insert(0, {scripts!r})
from histopair.jobs import allocator, limit_threads
limit_threads(1)
import timm, torch
if {keep}:
    allocator.keep_freed_memory()
torch.set_num_threads(1)
tower = timm.create_model({model!r}).eval().to(memory_format=torch.channels_last)
batch = torch.randn({batch}, 3, 224, 224).to(memory_format=torch.channels_last)
with torch.inference_mode():
    tower(batch)
    before = resource.getrusage(resource.RUSAGE_SELF)
    for _ in range({passes}):
        tower(batch)
    after = resource.getrusage(resource.RUSAGE_SELF)
user, system = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
print(json.dumps({{"user": user, "system": system, "memory": after.ru_maxrss / 1024}}))
"""


def main(batch: int = 64, passes: int = 3) -> None:
    for model in MODELS:
        question = f"{model}, batch {batch}: the kernel's share of CPU seconds"
        results = {name: measured(model, batch, passes, name == KEPT) for name in (DEFAULT, KEPT)}
        base = results[DEFAULT]["user"] + results[DEFAULT]["system"]
        print(f"\n{question}")
        for name, one in results.items():
            total = one["user"] + one["system"]
            value = f"{one['system'] / total:.1%} of {total:.2f} s, {one['memory']:.0f} MB"
            print(f"{name:40s} {value}   {base / total:6.2f} x {DEFAULT}")
            record(question, name, value, f"{base / total:.2f}")


def measured(model: str, batch: int, passes: int, keep: bool) -> dict[str, float]:
    """CPU seconds of `user` and `system`, and peak `memory` in MB, in a process of its own."""
    scripts = str(Path(__file__).parents[1] / "workflow" / "scripts")
    code = CHILD.format(scripts=scripts, keep=keep, model=model, batch=batch, passes=passes)
    done = subprocess.run([sys.executable, "-c", code], stdout=-1, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
