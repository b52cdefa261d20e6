"""What `histopair run` shows of Snakemake: a line for each job that ended, and the time left.

    12 of 95  embed_images phantom-vit phantom-crc  8 s  about 4 min left

A job that failed is a line with the path and the last lines of its log, and is named again at the
end. On a terminal a last line tells what is running. The same lines are in logs/progress.txt, all
that Snakemake says in .snakemake/log. Snakemake finds this package on PYTHONPATH, by its name.
"""

import logging
import os
import re
import shutil
import sys
import time
from contextlib import suppress
from pathlib import Path

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from snakemake_logger_plugin_calm import remaining

BENCHMARKS = Path("results", "benchmarks")
PROGRESS = Path("logs", "progress.txt")
LOG_LINES = 10
# What follows a scheduler's reason: how it was asked, and that there is more to read.
AFTER_REASON = re.compile(r"\n\s*sbatch (call|script):|For further error details")
# What Snakemake says at each start and for each job, and of failures that have their lines anyway.
# Whatever else it says is shown.
NOISE = (
    "Assuming unrestricted shared filesystem usage",
    "Building DAG of jobs",
    "Complete log(s):",
    "Conda environments: ignored",
    "Elapsed time:",
    "Exiting because a job execution failed",
    "Group jobs: inactive",
    "RuleException:\nCalledProcessError",
    "Select jobs to execute",
    "Using shell:",
    "WorkflowError:\nAt least one job did not complete successfully",
)


class LogHandler(LogHandlerBase):
    writes_to_stream = True
    writes_to_file = has_formatter = needs_rulegraph = False

    @property
    def has_filter(self) -> bool:
        """A plan is shown as Snakemake does, through its filter; of a run this class chooses."""
        return not self.common_settings.dryrun

    def __post_init__(self) -> None:
        self.stream = sys.stdout if self.common_settings.stdout else sys.stderr
        steered = self.stream.isatty() and os.environ.get("TERM") != "dumb"
        self.clear = "\r\x1b[K" if steered else ""
        self.file = None
        self.estimate: remaining.Estimate | None = None
        self.total = self.done = 0
        self.begin = time.monotonic()
        self.names: dict[int, str] = {}
        self.failures: dict[int, str] = {}
        self.shown = {
            LogEvent.RUN_INFO: self.planned,
            LogEvent.JOB_INFO: self.started,
            LogEvent.JOB_FINISHED: self.finished,
            LogEvent.PROGRESS: self.progress,
            LogEvent.JOB_ERROR: self.failed,
            LogEvent.GROUP_ERROR: self.group_failed,
            LogEvent.SHELLCMD: self.command,
            LogEvent.WORKFLOW_STARTED: lambda record: None,
            LogEvent.JOB_STARTED: lambda record: None,
            LogEvent.GROUP_INFO: lambda record: None,
            LogEvent.RESOURCES_INFO: lambda record: None,
        }

    def emit(self, record: logging.LogRecord) -> None:
        try:
            if self.common_settings.dryrun:
                self.say(self.format(record))
            else:
                self.shown.get(getattr(record, "event", None), self.other)(record)
        except Exception:
            self.handleError(record)

    def planned(self, record: logging.LogRecord) -> None:
        jobs = dict(record.stats)
        self.total = jobs.pop("total")
        earlier = remaining.benchmarks(BENCHMARKS)
        self.estimate = remaining.Estimate(jobs, earlier, BENCHMARKS)
        PROGRESS.parent.mkdir(exist_ok=True)
        self.file = PROGRESS.open("w", encoding="utf-8")
        self.say(f"{self.total} job{'s' if self.total > 1 else ''} to do")

    def started(self, record: logging.LogRecord) -> None:
        values = (str(value) for value in (record.wildcards or {}).values())
        self.names[record.jobid] = " ".join([record.rule_name, *filter(None, values)])
        self.estimate.start(record.jobid, record.rule_name, record.benchmark)
        self.status()

    def finished(self, record: logging.LogRecord) -> None:
        self.done += 1
        self.failures.pop(record.job_id, None)  # it was tried again
        took = remaining.words(self.estimate.finish(record.job_id))
        count = f"{self.done:{len(str(self.total))}} of {self.total}"
        self.say(f"{count}  {self.names[record.job_id]}  {took}{self.time_left()}")

    def progress(self, record: logging.LogRecord) -> None:
        self.total = record.total  # checkpoints add jobs

    def failed(self, record: logging.LogRecord) -> None:
        self.estimate.fail(record.jobid)
        name = self.names.get(record.jobid, record.rule_name)
        said = failure(name, record.log or [], getattr(record, "rule_msg", None) or "")
        self.failures[record.jobid] = said.split("\n")[0]
        self.say(said)

    def group_failed(self, record: logging.LogRecord) -> None:
        if record.aux_logs:  # of the scheduler; lines on each job follow
            self.say(failure("jobs of one allocation", record.aux_logs))

    def command(self, record: logging.LogRecord) -> None:
        if self.common_settings.printshellcmds:
            self.say(record.shellcmd or "")

    def other(self, record: logging.LogRecord) -> None:
        said = record.getMessage() if record.msg else ""
        if not said.startswith(NOISE):
            self.say(said)

    def time_left(self) -> str:
        seconds = self.estimate.left() if self.done < self.total else None
        return "" if seconds is None else f"  about {remaining.words(seconds)} left"

    def say(self, text: str) -> None:
        """A line that stays, above the one that tells what is running."""
        if not text or text == "None":
            return
        if self.file:
            print(text, file=self.file, flush=True)
        self.show(f"{text}\n")
        self.status()

    def status(self) -> None:
        """What is running, on a terminal: a line that the next one overwrites."""
        if self.clear and self.estimate and self.estimate.started:
            running = ", ".join(self.names[job] for job in self.estimate.started)
            line = f"running: {running}"[: shutil.get_terminal_size().columns - 1]
            self.show(f"{line}\r")

    def show(self, text: str) -> None:
        with suppress(BrokenPipeError):  # where nobody reads any more, as after `| head`
            print(f"{self.clear}{text}", end="", file=self.stream, flush=True)

    def close(self) -> None:
        if self.estimate:
            took = remaining.words(time.monotonic() - self.begin)
            self.estimate = None
            if not self.common_settings.quiet:  # else Snakemake does not tell which jobs are done
                self.say(f"{self.done} of {self.total} jobs done in {took}")
            for line in self.failures.values():
                self.say(line)
            self.file.close()
            self.file = None
        super().close()


def failure(name: str, logs: list[str], reason: str = "") -> str:
    """What failed, with the scheduler's reason if it gave one, its logs, and how they end."""
    reasons = [line.strip() for line in AFTER_REASON.split(reason)[0].splitlines()]
    ends = [line for log in logs for line in last_lines(Path(log))]
    told = [f"    {line}" for line in [*reasons, *ends] if line]
    return "\n".join([f"failed: {name}; log: {', '.join(logs) or 'none'}", *told])


def last_lines(log: Path) -> list[str]:
    """The end of a job's log, each line as a terminal would leave it, without what steers one."""
    try:
        text = log.read_bytes().decode(errors="replace")
    except OSError:
        return ["there is no such file"]
    lines = [line.rstrip("\r").rpartition("\r")[2] for line in text.rstrip().split("\n")]
    return ["".join(c for c in line if c.isprintable()) for line in lines[-LOG_LINES:]]
