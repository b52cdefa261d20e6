"""Snakemake whose jobs are forked from a process that has their libraries loaded.

    python forked_jobs.py snakemake [SNAKEMAKE ARGUMENTS]

Loading them takes most of a small job's time. What a job computes is the same:
tests/test_end_to_end.py compares it with that of jobs in processes of their own.
"""

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import threading
from multiprocessing import connection

LIBRARIES = ["open_clip", "timm", "transformers", "peft", "h5py", "pandas"]
LIBRARIES += ["pyarrow.parquet", "scipy.optimize", "sklearn.linear_model", "snakemake.script"]
FORKED = multiprocessing.get_context("forkserver")
# To start a process, Python also asks how others ended, which two threads must not ask at once:
# the second finds the answer gone and takes the process for failed.
_asking = threading.Lock()


def main(words: list[str]) -> None:
    # Threads do not survive a fork. A job gives torch, faiss and arrow the threads that it has.
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    fork_jobs()
    import lock_holders  # not above: each job loads this file

    lock_holders.main(words)


def fork_jobs() -> None:
    """Let Snakemake fork the scripts of rules, where it runs in this process.

    Scripts of an environment or a container of their own start as ever.
    """
    from snakemake.script import PythonScript

    assert "histopair" not in sys.modules, "jobs load the copy of the workflow that they belong to"
    FORKED.set_forkserver_preload(LIBRARIES)
    as_ever = PythonScript.execute_script

    def execute(script: PythonScript, path: str, edit: bool = False) -> None:
        elsewhere = (script.conda_env, script.container_img, script.env_modules)
        if any(place is not None for place in elsewhere):
            as_ever(script, path, edit)
        else:
            _fork(script, path)

    PythonScript.execute_script = execute


def _fork(script, path: str) -> None:
    from snakemake.benchmark import benchmarked

    may_begin, begin = FORKED.Pipe(duplex=False)
    process = FORKED.Process(target=_run, args=(path, may_begin))
    with _asking:
        process.start()
    with benchmarked(process.pid, script.bench_record):  # fails if the process has ended
        begin.close()
        connection.wait([process.sentinel])
    with _asking:
        process.join()
    if process.exitcode:
        if process.exitcode < 0 and script.log:
            _say_who_ended(script.log[0], -process.exitcode)
        raise subprocess.CalledProcessError(process.exitcode, path)


def _say_who_ended(log: str, number: int) -> None:
    """A line for a job that could say nothing itself."""
    what = f"the job was ended by {signal.Signals(number).name}"
    cause = ". Short memory is a frequent cause" if number == signal.SIGKILL else ""
    with open(log, "a", encoding="utf-8") as file:
        print(f"error: {what}{cause}", file=file)


def _run(path: str, may_begin: connection.Connection) -> None:
    threading.Thread(target=_end_with_snakemake, daemon=True).start()
    may_begin.poll(None)
    runpy.run_path(path, run_name="__main__")


def _end_with_snakemake() -> None:
    """End this job when Snakemake has ended, even by kill -9: a later run would do it once more."""
    multiprocessing.parent_process().join()
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1:])
