"""What `histopair run` shows: a line for each job, the time left, and failures with their log."""

import io
import logging
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from snakemake_interface_logger_plugins.common import LogEvent

import workflow

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "workflow" / "terminal"))

import snakemake_logger_plugin_calm as calm  # noqa: E402
from snakemake_logger_plugin_calm import remaining  # noqa: E402

RUN = [sys.executable, str(ROOT / "workflow" / "commands"), "run", "--cores", "1"]
# Job 3 fails, until the file `again` is there.
SNAKEFILE = r"""
rule all:
    input: "joined.txt"

rule made:
    output: "made/{n}.txt"
    log: "logs/made/{n}.txt"
    benchmark: "results/benchmarks/made/{n}.tsv"
    priority: lambda w: -int(w.n)
    shell:
        "printf 'step %d\\n' 1 2 3 4 5 6 7 8 9 10 11 > {log}; "
        "printf '1%%\\r9%%\\033[31m\\n' >> {log}; "
        "if [ {wildcards.n} = 3 ] && [ ! -e again ]; then exit 1; fi; touch {output}"

rule joined:
    input: expand("made/{n}.txt", n=range(1, 4))
    output: "joined.txt"
    log: "logs/joined.txt"
    shell: "touch {output}"
"""


@pytest.fixture
def toy(tmp_path):
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.yaml").write_text("a: 1\n")
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    return tmp_path


def said(folder: Path, *words: str) -> list[str]:
    """Lines of a run, with each time as T."""
    done = subprocess.run(
        [*RUN, *words],
        cwd=folder,
        env=workflow.environment(),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    return [timeless(line) for line in done.stdout.splitlines()]


def timeless(line: str) -> str:
    return re.sub(r"\d+ s", "T", line)


FAILED = [
    "5 jobs to do",
    "1 of 5  made 1  T  about T left",
    "2 of 5  made 2  T  about T left",
    "failed: made 3; log: logs/made/3.txt",
    *(f"    step {number}" for number in range(3, 12)),
    "    9%[31m",
    "Shutting down, this might take some time.",
    "2 of 5 jobs done in T",
    "failed: made 3; log: logs/made/3.txt",
]
# The target `all` is a job without work.
FINISHED = [
    "3 jobs to do",
    "1 of 3  made 3  T  about T left",
    "2 of 3  joined  T  about T left",
    "3 of 3  all  T",
    "3 of 3 jobs done in T",
]


def test_jobs_failures_and_their_logs_are_lines_and_the_same_are_in_a_file(toy):
    log = toy / "logs" / "progress.txt"
    assert said(toy) == FAILED
    assert [timeless(line) for line in log.read_text().splitlines()] == FAILED
    (toy / "again").touch()
    assert said(toy) == FINISHED
    assert [timeless(line) for line in log.read_text().splitlines()] == FINISHED
    assert said(toy) == ["Nothing to be done (all requested files are present and up to date)."]
    assert [timeless(line) for line in log.read_text().splitlines()] == FINISHED


def test_snakemakes_own_log_is_whole(toy):
    said(toy)
    text = next((toy / ".snakemake" / "log").glob("*.log")).read_text()
    for part in ("Select jobs to execute", "rule made:", "1 of 5 steps", "Error in rule made"):
        assert part in text


def test_a_dry_run_shows_what_snakemake_does(toy):
    lines = said(toy, "--dry-run")
    assert "rule made:" in lines and "total         5" in lines
    assert not (toy / "logs").exists()


def test_other_lines_of_snakemake_are_shown(toy):
    (toy / "Snakefile").write_text('rule all:\n    input: "absent.txt"\n')
    lines = said(toy)
    assert "MissingInputException" in lines[0]
    assert "        absent.txt" in lines
    (toy / "Snakefile").write_text('rule all:\n    output: "never.txt"\n    shell: "true"\n')
    lines = said(toy, "--latency-wait", "0")
    assert any("MissingOutputException" in line for line in lines)
    assert lines[-1] == "0 of 1 jobs done in T"


def test_on_a_terminal_a_last_line_tells_what_is_running(toy):
    (toy / "again").touch()
    main, side = pty.openpty()
    environment = workflow.environment() | {"TERM": "xterm"}  # a dumb one gets no such line
    with subprocess.Popen(RUN, cwd=toy, env=environment, stdout=side, stderr=side):
        os.close(side)
        text = ""
        try:
            while read := os.read(main, 1000):
                text += read.decode()
        except OSError:  # where the other side was closed
            pass
    os.close(main)
    assert "\r\x1b[Krunning: made 1\r" in text
    # What stays on the screen are the lines of any other run.
    stays = [re.sub(r".*\x1b\[K", "", line) for line in text.replace("\r\n", "\n").split("\n")]
    assert stays[0] == "5 jobs to do" and timeless(stays[1]) == "1 of 5  made 1  T  about T left"
    assert timeless(stays[-2]) == "5 of 5 jobs done in T" and stays[-1] == ""


def record(event, **fields):
    return logging.makeLogRecord({"msg": "", "event": event, **fields})


@pytest.fixture
def handler(tmp_path, monkeypatch):
    """One that was told of two jobs, of one allocation, which are at work."""
    monkeypatch.chdir(tmp_path)
    settings = SimpleNamespace(stdout=False, dryrun=False, quiet=None, printshellcmds=False)
    handler = calm.LogHandler(settings, None)
    handler.stream = io.StringIO()
    handler.emit(record(LogEvent.RUN_INFO, stats={"embed": 1, "pair": 1, "total": 2}))
    for job, rule in ((1, "embed"), (2, "pair")):
        fields = {"rule_name": rule, "wildcards": {"n": str(job), "none": ""}, "benchmark": None}
        handler.emit(record(LogEvent.JOB_INFO, jobid=job, **fields))
    return handler


def test_jobs_of_an_allocation_that_failed_are_told_once_each(handler):
    fields = {"aux_logs": ["slurm.log"], "job_error_info": []}
    handler.emit(record(LogEvent.GROUP_ERROR, **fields))
    handler.emit(record(LogEvent.JOB_ERROR, jobid=1, rule_name="embed", log=["embed.txt"]))
    handler.emit(record(LogEvent.JOB_ERROR, jobid=2, rule_name="pair", log=[]))
    handler.close()
    assert [timeless(line) for line in handler.stream.getvalue().splitlines()] == [
        "2 jobs to do",
        "failed: jobs of one allocation; log: slurm.log",
        "    there is no such file",
        "failed: embed 1; log: embed.txt",
        "    there is no such file",
        "failed: pair 2; log: none",
        "0 of 2 jobs done in T",
        "failed: embed 1; log: embed.txt",
        "failed: pair 2; log: none",
    ]


def test_a_job_that_a_scheduler_refuses_says_why(handler):
    reason = ["SLURM sbatch failed.", "sbatch: error: Requested node configuration"]
    refused = [*reason, "    sbatch call:", "        sbatch --mem 11", "For further error details"]
    fields = {"rule_name": "embed", "log": [], "rule_msg": "\n".join(refused)}
    handler.emit(record(LogEvent.JOB_ERROR, jobid=1, **fields))
    ended = "SLURM-job '7' failed, SLURM status is: 'CANCELLED'."
    fields = {"rule_name": "pair", "log": [], "rule_msg": f"{ended} For further error details see"}
    handler.emit(record(LogEvent.JOB_ERROR, jobid=2, **fields))
    assert handler.stream.getvalue().splitlines()[1:] == [
        "failed: embed 1; log: none",
        *(f"    {line}" for line in reason),
        "failed: pair 2; log: none",
        f"    {ended}",
    ]


def test_a_failed_job_that_succeeds_when_tried_again_is_no_failure_at_the_end(handler):
    handler.emit(record(LogEvent.JOB_ERROR, jobid=1, rule_name="embed", log=[]))
    fields = {"rule_name": "embed", "wildcards": {"n": "1"}, "benchmark": None}
    handler.emit(record(LogEvent.JOB_INFO, jobid=1, **fields))
    handler.emit(record(LogEvent.JOB_FINISHED, job_id=1))
    handler.emit(record(LogEvent.JOB_FINISHED, job_id=2))
    handler.close()
    lines = [timeless(line) for line in handler.stream.getvalue().splitlines()]
    assert lines[-3:] == ["1 of 2  embed 1  T  about T left", "2 of 2  pair 2  T", lines[-1]]
    assert lines[-1] == "2 of 2 jobs done in T"


def test_a_log_that_is_not_there_is_told(tmp_path):
    assert calm.last_lines(tmp_path / "none.txt") == ["there is no such file"]
    assert calm.last_lines(tmp_path) == ["there is no such file"]


@pytest.fixture
def earlier(tmp_path):
    """Benchmarks of earlier runs: embed took 10 and 30 s, score 2 s; one file was cut off."""
    for name, text in (
        ("embed/a.tsv", "s\th:m:s\n10.0\t0:00:10\n"),
        ("embed/b/c.tsv", "s\th:m:s\n30.0\t0:00:30\n"),
        ("score/a.tsv", "s\th:m:s\n2.0\t0:00:02\n"),
        ("score/b.tsv", "s\th:m:s\n"),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_the_time_left_is_what_jobs_took_before(earlier):
    known = remaining.benchmarks(earlier)
    estimate = remaining.Estimate({"embed": 2, "score": 3, "new": 1}, known, earlier)
    # 2 x 20 + 3 x 2 + the mean of all three jobs, 14, one at a time.
    assert estimate.left(0.0) == 60
    # This job took 30 s before, of which 5 are over.
    estimate.start(1, "embed", str(earlier / "embed/b/c.tsv"), 100.0)
    assert estimate.left(105.0) == 20 + 6 + 14 + 25
    # A second one beside it: two at a time from then on, 15 s in 10 s of the clock.
    estimate.start(2, "embed", None, 105.0)
    assert estimate.left(110.0) == pytest.approx((6 + 14 + 20 + 15) / 1.5)


def test_without_earlier_runs_the_time_left_is_elapsed_by_done_times_remaining(tmp_path):
    estimate = remaining.Estimate({"a": 4}, remaining.benchmarks(tmp_path / "none"), tmp_path)
    assert estimate.left(0.0) is None
    estimate.start(1, "a", None, 10.0)
    assert estimate.left(11.0) is None
    assert estimate.finish(1, 14.0) == 4
    assert estimate.left(14.0) == 4 / 1 * 3
    # A job that fails waits again, and may be tried again.
    estimate.start(2, "a", None, 14.0)
    estimate.fail(2)
    assert estimate.left(14.0) == 12
    estimate.start(2, "a", None, 14.0)
    estimate.finish(2, 18.0)
    assert estimate.left(18.0) == 8 / 2 * 2


def test_a_job_that_takes_longer_than_before_adds_nothing_more(earlier):
    estimate = remaining.Estimate({"score": 1}, remaining.benchmarks(earlier), earlier)
    estimate.start(1, "score", None, 0.0)
    assert estimate.left(50.0) == 0


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "0 s"), (99.4, "99 s"), (99.6, "2 min"), (7100, "118 min"), (7800, "2 h 10 min")],
)
def test_times_in_words(seconds, words):
    assert remaining.words(seconds) == words
