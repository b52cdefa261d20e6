"""The small workflow with --use-conda and no GPU: envs/ is all that its jobs import from.

Snakemake's own environment holds no more than it needs, because jobs also see its packages.
"""

import re
import shutil
import subprocess
import sys

import pytest

import workflow

# At least a rule of each environment, an export and a page.
TARGETS = ["results/exports/phantom-crc/phantom-vit/clip-it/0", "results/studies/frozen.html"]
PROJECT = workflow.ROOT / "pyproject.toml"


@pytest.fixture(scope="module")
def snakemake(tmp_path_factory):
    """The Snakemake of pyproject.toml, and numpy, which the workflow plans with."""
    if not shutil.which("conda"):
        pytest.skip("no conda on PATH")
    place = tmp_path_factory.mktemp("snakemake")
    subprocess.run([sys.executable, "-m", "venv", place], check=True)
    pins = re.findall(r'"((?:snakemake|numpy)==[^"]+)"', PROJECT.read_text())
    subprocess.run([place / "bin" / "pip", "install", "--quiet", *pins], check=True)
    return place / "bin" / "snakemake"


def test_each_job_finds_what_it_imports_in_its_environment(snakemake, tmp_path):
    folder = workflow.copy_to(tmp_path / "histopair")
    command = [snakemake, *TARGETS, "--use-conda"]
    process = workflow.run(folder, command=command)
    assert process.returncode == 0, process.stdout[-5000:]
    made = [path.name for path in (folder / ".snakemake" / "conda").glob("*.env_setup_done")]
    without_gpu = [path for path in (folder / "envs").glob("*.yaml") if path.stem != "faiss-gpu"]
    assert len(made) == len(without_gpu)
    rules = set(workflow.jobs_of(process.stdout).values())
    assert {"clean_labels", "pair", "run", "export"} <= rules
