"""What a dry run costs on the CPU, by the number of runs.

    python benchmarks/planning.py [RUNS] [SEEDS]

Plans a study of about RUNS runs in an empty folder: 4 datasets, 4 encoders and as many variants of
LoRA and CLIP-IT as that takes at SEEDS seeds each. Seconds are user and system time of Snakemake.
Beside them, what Snakemake alone takes for as many jobs and files (`planning_floor.smk`).
"""

import os
import re
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "workflow" / "scripts"))

CELLS = 4  # datasets, and encoders


def main(runs: int = 5088, seeds: int = 53) -> None:
    models = max(2, round(runs / seeds / CELLS**2))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        text = yaml.safe_dump(_config(folder, models, seeds))
        folder.joinpath("planning.yaml").write_text(text, encoding="utf-8")
        floor = ["--config", f"models={models}", f"seeds={seeds}"]
        _, alone, _ = _planned(folder, "benchmarks/planning_floor.smk", floor)
        ours = ["--configfile", "planning.yaml"]
        jobs, spent, memory = _planned(folder, "workflow/Snakefile", ours)
    work = f"A dry run of {jobs['run']} runs of {seeds} seeds: {jobs['total']} jobs, {memory} MB"
    from timing import show  # it loads torch, whose memory a process started after it would count

    show(work, {"Snakemake alone": alone, "histopair": spent}, "Snakemake alone")


def _planned(folder: Path, snakefile: str, words: list[str]) -> tuple[dict[str, int], float, int]:
    """Jobs of each rule and their `total`, CPU seconds, and the most MB of any dry run so far."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    jobs = _counted(folder, snakefile, words)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return jobs, spent, after.ru_maxrss // 1024


def _counted(folder: Path, snakefile: str, words: list[str]) -> dict[str, int]:
    """How many jobs of each rule a dry run counts, and their `total`."""
    command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / snakefile)]
    command += ["--workflow-profile", str(ROOT / "profiles" / "default"), "--dry-run", "--quiet"]
    command += ["rules", "--cores", "1", *words]
    # Snakemake's plugin would ask a Slurm at its start.
    environment = os.environ | {"SLURM_CONF": os.devnull}
    process = subprocess.run(command, cwd=folder, env=environment, text=True, capture_output=True)
    if process.returncode:
        raise SystemExit(process.stdout[-3000:] + process.stderr[-3000:])
    counts = re.findall(r"^(\w+) +(\d+)$", process.stdout + process.stderr, re.MULTILINE)
    return {rule: int(count) for rule, count in counts}


def _config(folder: Path, models: int, seeds: int) -> dict:
    names = [f"data-{number}" for number in range(CELLS)]
    encoders = [f"encoder-{number}" for number in range(CELLS)]
    for name in [*names, *encoders, "retriever"]:
        folder.joinpath(name).mkdir()
    for name in names:
        folder.joinpath(name, "labels.csv").write_text("path,label\n", encoding="utf-8")
    folder.joinpath("reports.csv").write_text("report_id,text\n", encoding="utf-8")
    methods = {f"lora-{rank}": {"recipe": "lora", "lora": {"rank": rank}} for rank in range(1, 3)}
    for number in range(models - len(methods)):
        methods[f"clip-it-{number}"] = {
            "recipe": "clip_it",
            "retriever": "retriever",
            "epochs": number + 1,
        }
    study = {"datasets": names, "encoders": encoders, "methods": list(methods)}
    return {
        "datasets": {
            name: {"reader": "table", "root": name, "corpus": "reports"} for name in names
        },
        "corpora": {"reports": {"table": "reports.csv"}},
        "encoders": {name: {"library": "timm", "model": f"local-dir:{name}"} for name in encoders}
        | {"retriever": {"library": "open_clip", "model": "local-dir:retriever"}},
        "methods": methods,
        "studies": {"all": study | {"seeds": list(range(seeds))}},
    }


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
