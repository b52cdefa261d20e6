"""`kill -9` in the middle of a job costs its last seconds, and never a bit of any result."""

import shutil
from typing import NamedTuple

import pytest

import workflow


class Job(NamedTuple):
    target: str
    outputs: tuple[str, ...]  # patterns of all that the job writes
    sign: str  # pattern of what is there once the job is in the middle of its work
    log: str
    said: str  # by the job that goes on


SHARDS = "results/.shards/results/embeddings/phantom-vit/phantom-crc.images.parquet"
ENCODER = "encoders/phantom-clip"
RUN = "runs/phantom-crc/phantom-vit/clip-it/0"
JOBS = {
    "phantom_bach": Job(
        "results/phantom/truth/bach.parquet",
        ("results/phantom/bach/*", "results/phantom/truth/bach.parquet"),
        "results/phantom/bach/*/.Photos.*/*/*.tif",
        "logs/phantom/bach.txt",
        "tiles",
    ),
    "train_encoder": Job(
        f"results/{ENCODER}",
        (f"results/{ENCODER}",),
        f"results/.resume/results/{ENCODER}/*.pt",
        f"logs/{ENCODER}.txt",
        "resumed after epoch",
    ),
    "embed_images": Job(
        "results/embeddings/phantom-vit/phantom-crc.images.parquet",
        ("results/embeddings/phantom-vit/phantom-crc.images.parquet", SHARDS),
        f"{SHARDS}/[0-9a-f]*-*.parquet",
        "logs/embeddings/phantom-vit/phantom-crc.images.txt",
        "items",
    ),
    "run": Job(
        f"results/{RUN}/predictions.parquet",
        (f"results/{RUN}/[!m]*",),
        f"results/.resume/results/{RUN}/main.pt",
        f"logs/{RUN}.txt",
        "resumed after epoch",
    ),
}


@pytest.fixture
def folder(finished_run, tmp_path):
    return shutil.copytree(finished_run, tmp_path / "histopair", symlinks=True)


def artifacts(folder):
    """Bytes of all files under their final names; only benchmarks differ from run to run."""
    return {
        name: content
        for name, content in workflow.contents(folder / "results").items()
        if not name.startswith(("benchmarks/", "."))
        and "/." not in name
        and ".partial/" not in name
    }


def shards(folder):
    return {path: path.stat().st_mtime_ns for path in folder.glob(f"{SHARDS}/[0-9a-f]*-*.parquet")}


@pytest.mark.parametrize("rule", JOBS)
def test_a_killed_job_is_gone_on_with_to_the_same_bits(folder, rule):
    job, before = JOBS[rule], artifacts(folder)
    for path in [path for pattern in job.outputs for path in folder.glob(pattern)]:
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    killed = workflow.start(folder, job.target, command=workflow.HISTOPAIR_RUN)
    workflow.kill_when(killed, lambda: any(folder.glob(job.sign)))
    left, finished_shards = artifacts(folder), shards(folder)
    assert len(left) < len(before)
    assert left.items() <= before.items(), "what stands under a final name is whole"

    process = workflow.run(folder, job.target, command=workflow.HISTOPAIR_RUN)
    assert process.returncode == 0, process.stdout[-3000:]
    assert "Removing the lock of a killed run" in process.stdout
    assert artifacts(folder) == before
    assert shards(folder).items() >= finished_shards.items(), "no finished shard is made again"
    assert job.said in (folder / job.log).read_text()
