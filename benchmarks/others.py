"""Other software beside ours, each installed by uv into a folder of its own.

It runs on our torch and numpy, so that only the software under test differs, and nothing of it
enters our environment.
"""

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
FOLDERS = HERE / ".others"
# What each needs beside what we have; without dependencies, which are ours.
PACKAGES = {
    "clip-retrieval": (
        "clip-retrieval==2.45.0",
        "webdataset==1.0.2",
        "braceexpand==0.1.7",
        "fire==0.7.1",
        "termcolor==3.3.0",
    ),
    "usearch": ("usearch==2.26.6", "numkong==7.8.6"),
    "open_clip": (),  # we have it
}
SCRIPTS = {
    "clip-retrieval": "embed_clip_retrieval.py",
    "open_clip": "plain_clip.py",
    "usearch": "exact_usearch.py",
}


class Other:
    """A script of `peers/` in a process of its own: each call runs it once.

    Raises OSError if its packages cannot be installed or it does not start.
    """

    def __init__(self, name: str, *arguments: str):
        self.name = name
        command = [sys.executable, str(HERE / "peers" / SCRIPTS[name]), *arguments]
        environment = os.environ | {"PYTHONPATH": str(_folder(name))}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen(command, env=environment, text=True, **pipes)
        self._answer()

    def __call__(self) -> None:
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        self._answer()

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()

    def _answer(self) -> None:
        """Wait until it is ready; it may print other lines."""
        for line in self.process.stdout:
            if line == "ready\n":
                return
        raise OSError(f"{self.name} ended with status {self.process.wait()}")


def started(name: str, *arguments: str) -> dict[str, Other]:
    """{name: the other}, or {} and a line if it cannot be installed or started."""
    try:
        return {name: Other(name, *arguments)}
    except OSError as error:
        print(f"skipped: {name} ({error})", flush=True)
        return {}


def close(candidates: dict) -> None:
    """End the processes among the candidates."""
    for candidate in candidates.values():
        if isinstance(candidate, Other):
            candidate.close()


def _folder(name: str) -> Path:
    """The folder of its packages, which are installed once."""
    folder = FOLDERS / name
    if PACKAGES[name] and not (folder / "installed").exists():
        uv = str(Path(sys.executable).parent / "uv")
        command = [uv, "pip", "install", "--quiet", "--no-deps", "--target", str(folder)]
        done = subprocess.run([*command, *PACKAGES[name]], text=True, stderr=-1, check=False)
        if done.returncode:
            raise OSError(done.stderr.strip().splitlines()[-1])
        (folder / "installed").touch()
    return folder
