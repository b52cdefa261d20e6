"""Snakemake whose jobs start with their libraries loaded: loading takes most of a small job's time.

What a job computes is the same; tests/test_end_to_end.py compares it with that of jobs in processes
of their own.
"""

import multiprocessing
import runpy
import subprocess
import sys

LIBRARIES = ["open_clip", "timm", "transformers", "peft", "faiss", "h5py", "pandas"]
LIBRARIES += ["pyarrow.parquet", "scipy.optimize", "sklearn.linear_model", "snakemake.script"]
FORKED = multiprocessing.get_context("forkserver")


def fork_jobs() -> None:
    """Let Snakemake fork the scripts of rules, where it runs in this process."""
    from snakemake.script import PythonScript

    assert "histopair" not in sys.modules, "jobs load the copy of the workflow that they belong to"
    FORKED.set_forkserver_preload(LIBRARIES)
    PythonScript.execute_script = _execute


def _execute(script, path: str, edit: bool = False) -> None:
    """In the place of `PythonScript.execute_script`."""
    from snakemake.benchmark import benchmarked

    process = FORKED.Process(target=runpy.run_path, args=(path, None, "__main__"))
    process.start()
    with benchmarked(process.pid, script.bench_record):
        process.join()
    if process.exitcode:
        raise subprocess.CalledProcessError(process.exitcode, path)
