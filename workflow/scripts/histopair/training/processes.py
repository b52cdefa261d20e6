"""The processes that train one run together: how they start, find each other and end.

On one machine they are forks of the job. Where the job has the resource `mpi`, such as "srun", that
command starts the job's script once for each process, on one machine or several. torch's own
variables (RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR, MASTER_PORT) say who is who; srun's stand in.
"""

import datetime
import io
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
import torch.distributed as dist

from histopair import jobs
from histopair.errors import InputError

# One process may write a cache while the others wait. What started them notices one that died.
WAIT = datetime.timedelta(days=2)
FAILED = (
    torch.multiprocessing.ProcessRaisedException,
    torch.multiprocessing.ProcessExitedException,
)
NUMBERS = {"RANK": "SLURM_PROCID", "LOCAL_RANK": "SLURM_LOCALID", "WORLD_SIZE": "SLURM_NTASKS"}


def launch(work: Callable[[], None], processes: int, starter: str = "") -> None:
    """Call work() in `processes` processes that share a run; in this one for 1.

    `starter` is a command that starts another one so many times, as srun does; each of them comes
    here again. Without it they are forks that share this process's threads, so that work may be
    any function; this process must not have used a GPU before. If one fails, the others are
    stopped. Raises the InputError of a process that raised one, and InputError for a process that
    was lost.
    """
    if processes == 1:
        work()
    elif folder := os.environ.get(jobs.PART):
        _join_started(work, processes, folder)
    elif starter:
        _start(starter, processes)
    else:
        _fork(work, processes)


def _fork(work: Callable[[], None], processes: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        context = torch.multiprocessing.start_processes(
            _join_forked, (work, processes, folder), processes, join=False, start_method="fork"
        )
        try:
            while not context.join():
                pass
        except FAILED:
            _raise_bad_input(folder)
            # One that waited for a lost process may have failed before that was noticed.
            for rank, process in enumerate(context.processes):
                if process.exitcode in (-signal.SIGKILL, -signal.SIGSEGV, -signal.SIGBUS):
                    name = signal.Signals(-process.exitcode).name
                    raise _lost(f"process {rank} of {processes} was ended by {name}") from None
            raise


def _join_forked(rank: int, work: Callable[[], None], processes: int, folder: str) -> None:
    jobs.limit_threads(max(1, jobs.threads() // processes))
    with _noting_bad_input(folder):
        _join(work, f"file://{folder}/store", rank, rank, processes)


def _start(starter: str, processes: int) -> None:
    """Have `starter` run this job's script, as each of the processes, and wait for its end."""
    # It lies where all machines see it, and so will the folder.
    script = Path(sys.argv[0]).absolute()
    # Here and not in process 0, which may run on another machine.
    store = dist.TCPStore(socket.gethostname(), 0, is_master=True, wait_for_workers=False)
    with tempfile.TemporaryDirectory(dir=script.parent) as folder:
        command = [*shlex.split(starter), sys.executable, str(script)]
        variables = _variables(store, processes, folder)
        try:
            ended = subprocess.run(command, env=variables, check=False)
        except OSError as error:
            raise InputError("resource mpi", f"{starter}: {error.strerror}", "Correct it") from None
        if ended.returncode:
            _raise_bad_input(folder)
            problem = f"one of {processes} processes failed or was lost, and the log says which"
            raise _lost(f"{problem}: {command[0]} ended with status {ended.returncode}")


def _variables(store: dist.TCPStore, processes: int, folder: str) -> dict[str, str]:
    """The environment of `starter`; torchrun gives its processes an address of its own."""
    kept = {name: value for name, value in os.environ.items() if name not in NUMBERS}
    threads = str(jobs.threads())
    for_srun = {"SLURM_NTASKS": str(processes), "SRUN_CPUS_PER_TASK": threads}
    for_torch = {"MASTER_ADDR": store.host, "MASTER_PORT": str(store.port)}
    # The store is here already, as torchrun's is: process 0 must not open another.
    for_torch |= {"TORCHELASTIC_USE_AGENT_STORE": "True", "TORCHELASTIC_RESTART_COUNT": "0"}
    return kept | for_srun | {"SLURM_KILL_BAD_EXIT": "1"} | for_torch | {jobs.PART: folder}


def _join_started(work: Callable[[], None], processes: int, folder: str) -> None:
    # srun gives each process as many CPUs as the job has threads; torchrun's share them.
    jobs.limit_threads(max(1, jobs.threads() // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))))
    try:
        with _noting_bad_input(folder):
            rank, local = _numbers(processes)
            _join(work, "env://", rank, local, processes)
    except InputError:
        sys.exit(1)


def _numbers(processes: int) -> tuple[int, int]:
    """The number of this process among all, and among those of its machine."""
    try:
        rank, local, size = (int(os.environ.get(n) or os.environ[s]) for n, s in NUMBERS.items())
    except KeyError as error:
        problem = f"its processes have neither torch's nor Slurm's variables ({error} is not set)"
        raise InputError("resource mpi", problem, "Use srun or torchrun") from None
    if size != processes:
        problem = f"it started {size} processes, and training.processes is {processes}"
        raise InputError("resource mpi", problem, "Make the numbers equal")
    return rank, local


def _join(work: Callable[[], None], method: str, rank: int, local: int, processes: int) -> None:
    if rank:
        sys.stdout = io.StringIO()  # one log is enough
    backend = "cpu:gloo,cuda:nccl" if _use_gpu(local) else "gloo"
    dist.init_process_group(backend, method, WAIT, processes, rank)
    work()
    dist.destroy_process_group()


def _use_gpu(local: int) -> bool:
    if not torch.cuda.is_available():
        return False
    if local >= torch.cuda.device_count():
        raise InputError(
            "training.processes",
            f"each needs a GPU of its own, and one of them sees {torch.cuda.device_count()}",
            "Lower training.processes, or let each see all GPUs of its machine",
        )
    torch.cuda.set_device(local)
    return True


@contextmanager
def _noting_bad_input(folder: str) -> Iterator[None]:
    try:
        yield
    except InputError as error:
        Path(folder, "error").write_text(str(error))
        raise


def _raise_bad_input(folder: str) -> None:
    if (line := Path(folder, "error")).exists():
        # `InputError()` itself would want its three parts, which are joined by now.
        raise InputError.__new__(InputError, line.read_text()) from None


def _lost(problem: str) -> InputError:
    remedy = "Short memory is a frequent cause. A rerun goes on from the last checkpoint"
    return InputError("training.processes", problem, remedy)
