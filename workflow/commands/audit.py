"""Recompute what the pages of a finished run state, with other code.

    histopair audit [RESULTS]

Prints one line per kind of check, then one per disagreement. The exit status is 1 if there is a
disagreement or nothing to check.
"""

import argparse
from pathlib import Path

import commands
from recompute import (
    adapters,
    artifacts,
    calibration,
    chunks,
    convergence,
    curves,
    data,
    external,
    gates,
    heads,
    intervals,
    metrics,
    p_values,
    pairs,
    probes,
    studies,
    survival,
    teachers,
    training,
    verdicts,
)

SUBJECTS = (data, chunks, pairs, training, convergence, probes, heads, teachers, adapters, metrics)
SUBJECTS += (calibration, studies, intervals, verdicts, p_values, gates, curves, external, survival)


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="histopair audit", description=__doc__.splitlines()[0])
    help_ = "the folder of results (default: results, of the current folder or the checkout)"
    default = commands.folder() / "results"
    parser.add_argument("results", nargs="?", default=default, type=Path, help=help_)
    results = parser.parse_args(words).results
    artifacts.forget()
    tallies = []
    if results.is_dir():
        for check in (check for subject in SUBJECTS for check in subject.CHECKS):
            tallies.append(check(results))
            if any(tally.checked for tally in tallies):
                print(tallies[-1].line(), flush=True)
    if not any(tally.checked for tally in tallies):
        print(f"{results}: there is nothing to check. Name the results folder of a finished run")
        return 1
    disagreements = [line for tally in tallies for line in tally.disagreements]
    print("\n".join(disagreements) or "All agree.")
    return int(bool(disagreements))
