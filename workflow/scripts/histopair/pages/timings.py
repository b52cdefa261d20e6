"""Where the time went, from Snakemake's benchmark files."""

import math
from pathlib import Path

import pandas as pd

from histopair.files import tables
from histopair.pages import plots

SLOWEST = 12


def context(folder: str | Path) -> dict | None:
    """Seconds and peak memory by rule, the slowest jobs, speeds; None without benchmark files.

    The files are `folder`/{rule}/{the job's wildcards}.tsv, one row per repetition, and of
    embeddings {dataset}.speed.json.
    """
    jobs = read(Path(folder))
    if jobs.empty:
        return None
    by_rule = jobs.groupby("rule").agg(
        jobs=("seconds", "size"),
        seconds=("seconds", "sum"),
        longest=("seconds", "max"),
        memory=("memory", "max"),
    )
    by_rule = by_rule.sort_values("seconds", ascending=False).reset_index()
    slowest = jobs.sort_values("seconds", ascending=False).head(SLOWEST)
    return {
        "rules": by_rule.to_dict("records"),
        "slowest": slowest.to_dict("records"),
        "speeds": _speeds(Path(folder)),
        "seconds": float(jobs["seconds"].sum()),
        "jobs": len(jobs),
        "plot": plots.times(by_rule),
    }


def _speeds(folder: Path) -> list[dict]:
    """encoder, dataset, and what embedding its images measured (see Idle.rate)."""
    files = sorted(folder.glob("embed_images/*/*.speed.json"))
    return [
        {"encoder": file.parent.name, "dataset": file.name.removesuffix(".speed.json")}
        | tables.read_json(file)
        for file in files
    ]


def read(folder: Path) -> pd.DataFrame:
    """rule, job, seconds, memory (peak, MB; NaN if a job was too short to measure)."""
    rows = []
    for path in sorted(folder.rglob("*.tsv")):
        rule, *rest = path.relative_to(folder).with_suffix("").parts
        if measured := _measured(path):
            rows.append({"rule": rule, "job": "/".join(rest)} | measured)
    return pd.DataFrame(rows, columns=["rule", "job", "seconds", "memory"])


def _measured(path: Path) -> dict[str, float] | None:
    """Seconds and memory of a job; None for a file that was cut off by a kill."""
    try:
        table = pd.read_csv(path, sep="\t", na_values=["-"])
        seconds, memory = float(table["s"].mean()), table["max_rss"].max()
    except (ValueError, KeyError):
        return None
    return None if math.isnan(seconds) else {"seconds": seconds, "memory": memory}
