"""Runs the benchmarks one after the other and writes their figures into README.md.

    python benchmarks/report.py [--only NAME.py ...] [--million] [--demo]

Everything above the mark in README.md stays. A script that fails has its last line in the table.
"""

import argparse
import html
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "workflow" / "scripts"))

import torch
from timing import LINES

from histopair.analyses import cost

README, MARK = HERE / "README.md", "<!-- Written by make bench from here on. -->"
# In this order; about forty minutes in all on two quiet cores.
SCRIPTS = {
    "embedding.py": [],
    "feed.py": [],
    "parts.py": [],
    "decoding.py": [],
    "allocator.py": [],
    "pairing.py": [],
    "cache.py": [],
    "activation_formats.py": [],
    "training.py": ["5"],
    "last_blocks.py": ["5"],
    "activations.py": ["10"],
    "inference.py": [],
    "memory.py": [],
    "planning.py": [],
}
SKIPPED = "skipped: "  # others.py prints it
VERSIONED = ("torch", "torchvision", "pillow", "numpy", "pyarrow", "faiss-cpu", "scikit-learn")
VERSIONED += ("open_clip_torch", "timm", "peft", "snakemake")


def main() -> int:
    options = _options()
    names = options.only or list(SCRIPTS)
    sizes = {"memory.py": ["10000", "100000", "1000000"]} if options.million else {}
    with tempfile.TemporaryDirectory() as folder:
        lines = Path(folder, "lines.json")
        results = {name: _run(name, (SCRIPTS | sizes)[name], lines) for name in names}
    if options.demo:
        results["the demo"] = [_demo()]
    head = README.read_text(encoding="utf-8").split(MARK)[0]
    README.write_text(head + MARK + "\n\n" + _written(results), encoding="utf-8")
    print(f"written: {README}")
    return int(any(row["value"].startswith("failed") for rows in results.values() for row in rows))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--only", nargs="+", metavar="NAME.py", choices=SCRIPTS, help="these scripts alone"
    )
    parser.add_argument("--million", action="store_true", help="memory at a million images, too")
    parser.add_argument("--demo", action="store_true", help="run the default workflow, too")
    return parser.parse_args()


def _run(name: str, arguments: list[str], lines: Path) -> list[dict]:
    """The rows that a script keeps; else one with its last line."""
    print(f"== {name}", flush=True)
    lines.write_text("", encoding="utf-8")
    command = [sys.executable, str(HERE / name), *arguments]
    process = subprocess.Popen(
        command,
        env=os.environ | {LINES: str(lines)},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    printed = []
    for line in process.stdout:
        print(line, end="", flush=True)
        printed += [line.strip()] if line.strip() else []
    rows = [json.loads(line) for line in lines.read_text(encoding="utf-8").splitlines()]
    skipped = [_row(name, line, "skipped") for line in printed if line.startswith(SKIPPED)]
    last = printed[-1] if printed else "nothing printed"
    if process.wait():
        return [*rows, _row(name, last, "failed")]
    return rows + skipped or [_row(name, last, "")]


def _row(question: str, name: str, value: str) -> dict:
    return {"question": question, "name": name, "value": value, "ratio": ""}


def _demo() -> dict:
    """Seconds of the default workflow in an empty folder, as `make demo` runs it."""
    root = HERE.parent
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(root / "workflow" / "commands"), "run", "--cores", "all"]
        command += ["-s", str(root / "Snakefile"), "--directory", folder]
        command += ["--configfile", str(root / "config" / "config.yaml")]
        start = time.perf_counter()
        done = subprocess.run(command, check=False)
    value = "failed" if done.returncode else f"{time.perf_counter() - start:.0f} s"
    return _row("The default workflow, from nothing to its page", "demo", value)


def _written(results: dict[str, list[dict]]) -> str:
    """The figures of all scripts: where and when, and one table."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    cores = len(os.sched_getaffinity(0))
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in VERSIONED)
    text = f"## Figures\n\n{time.strftime('%Y-%m-%d')}, {cost.machine(device)}, {cores} cores, "
    text += f"{platform.system()} {platform.machine()}, Python {platform.python_version()}.\n"
    text += (
        f"{versions}.\nMedians; a ratio is a speed against that of the candidate with ratio 1.\n\n"
    )
    text += "| script | question | candidate | median | ratio |\n|---|---|---|---|---|\n"
    for script, rows in results.items():
        for number, row in enumerate(rows):
            new = not number or row["question"] != rows[number - 1]["question"]
            cells = [f"`{script}`" if not number else "", row["question"] if new else ""]
            cells += [row["name"], row["value"], row["ratio"]]
            text += "| " + " | ".join(_cell(cell) for cell in cells) + " |\n"
    return text


def _cell(text: str) -> str:
    return html.escape(text, quote=False).replace("|", "\\|")


if __name__ == "__main__":
    sys.exit(main())
