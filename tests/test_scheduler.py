"""How often Snakemake looks for jobs that may start."""

import subprocess
import sys
import time
from pathlib import Path

RULES = Path(__file__).parents[1] / "workflow" / "rules"
SNAKEFILE = f"""
from snakemake.scheduling.job_scheduler import JobScheduler

include: {str(RULES / "scheduler.smk")!r}

def select(self, jobs, of=JobScheduler.job_selector):
    with open("looks", "a") as looks:
        print(len(jobs), file=looks)
    return of(self, jobs)

JobScheduler.job_selector = select

rule all:
    input: expand("{{n}}.txt", n=range(24))

rule one:
    output: "{{n}}.txt"
    shell: "sleep 0.1; touch {{output}}"
"""


def test_it_looks_once_a_second_and_after_each_job(tmp_path):
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    started = time.monotonic()
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--scheduler", "greedy"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    seconds = time.monotonic() - started
    looks = len((tmp_path / "looks").read_text().splitlines())
    assert 24 <= looks <= 25 + seconds
