"""How long a run still takes, from what jobs of its rules took before."""

import time
from collections import Counter
from pathlib import Path
from statistics import fmean


def benchmarks(folder: Path) -> dict[str, float]:
    """Seconds of each job of earlier runs, by the path of its benchmark, FOLDER/RULE/...tsv."""
    return {
        str(path): seconds
        for path in folder.rglob("*.tsv")
        if (seconds := _seconds(path)) is not None
    }


def _seconds(path: Path) -> float | None:
    """The first column of the row after the header; None where there is none, as in a cut file."""
    try:
        return float(path.read_text(encoding="utf-8").splitlines()[1].split("\t")[0])
    except (OSError, ValueError, IndexError):
        return None


class Estimate:
    """Jobs that wait, run and are done, and what that says of the time left.

    `waiting` counts the jobs of each rule; `earlier` is what `benchmarks(folder)` found. A job is
    expected to take what it took before, else the mean of its rule before, else of its rule in
    this run, else of all jobs known.
    """

    def __init__(self, waiting: dict[str, int], earlier: dict[str, float], folder: Path):
        self.waiting = Counter(waiting)
        self.earlier = earlier
        self.before: dict[str, list[float]] = {}
        for path, seconds in earlier.items():
            self.before.setdefault(Path(path).relative_to(folder).parts[0], []).append(seconds)
        self.started: dict[int, tuple[str, str | None, float]] = {}
        self.took: dict[str, list[float]] = {}
        self.begin: float | None = None

    def start(self, job: int, rule: str, benchmark: str | None, now: float | None = None) -> None:
        now = time.monotonic() if now is None else now
        self.begin = now if self.begin is None else self.begin
        self.waiting[rule] -= 1
        self.started[job] = (rule, benchmark, now)

    def finish(self, job: int, now: float | None = None) -> float:
        """Seconds that the job took."""
        now = time.monotonic() if now is None else now
        rule, _, since = self.started.pop(job)
        self.took.setdefault(rule, []).append(now - since)
        return now - since

    def fail(self, job: int) -> None:
        """The job did not come to its end; it may be tried again."""
        if job in self.started:
            self.waiting[self.started.pop(job)[0]] += 1

    def left(self, now: float | None = None) -> float | None:
        """Seconds until the last job is done; None while no job was ever timed.

        The work that is left, shared by as many jobs at a time as there were on average so far.
        """
        now = time.monotonic() if now is None else now
        if not self.took and not self.before:
            return None
        work = sum(count * self._expected(rule) for rule, count in self.waiting.items() if count)
        for rule, benchmark, since in self.started.values():
            work += max(self._expected(rule, benchmark) - (now - since), 0)
        return work / self._at_a_time(now)

    def _expected(self, rule: str, benchmark: str | None = None) -> float:
        if benchmark in self.earlier:
            return self.earlier[benchmark]
        known = self.before.get(rule) or self.took.get(rule)
        return fmean(known or [s for of in (self.took or self.before).values() for s in of])

    def _at_a_time(self, now: float) -> float:
        busy = sum(map(sum, self.took.values())) + sum(now - s for *_, s in self.started.values())
        elapsed = now - self.begin if self.begin is not None else 0
        return busy / elapsed if busy and elapsed else 1.0


def words(seconds: float) -> str:
    """As in `8 s`, `4 min` or `2 h 10 min`."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
