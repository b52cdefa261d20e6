"""What one kind of check looked at, how far off the worst value was, and what disagrees."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROUNDING = 1e-9
PRINTED = 5.1e-6  # relative: tables of studies have six digits


@dataclass
class Tally:
    """`checked` values of a `kind`; `largest` absolute difference; a line per disagreement.

    relative: the share by which a number may be off, beside its own tolerance. left: how many
    things of the kind were left out because they are too large or cannot be found.
    """

    kind: str
    relative: float = ROUNDING
    checked: int = 0
    largest: float = 0.0
    left: int = 0
    disagreements: list[str] = field(default_factory=list)

    def equal(
        self, file: Path, what: str, stated: object, recomputed: object, tolerance: float = ROUNDING
    ) -> None:
        """Count one number; it disagrees if it is off by more than both tolerances.

        None and NaN mean a value that does not exist. They agree only with each other.
        """
        self.checked += 1
        a, b = _number(stated), _number(recomputed)
        if a is None and b is None:
            return
        missing = a is None or b is None
        if missing or not math.isclose(a, b, rel_tol=self.relative, abs_tol=tolerance):
            line = f"{file}: {what}: stated {_shown(a)}, recomputed {_shown(b)}"
            self.disagreements.append(line)
        if not missing:
            self.largest = max(self.largest, abs(a - b))

    def holds(
        self, file: Path, what: str, agrees: bool, stated: object, recomputed: object
    ) -> None:
        """Count one statement that is not a number."""
        self.checked += 1
        if not agrees:
            self.disagreements.append(f"{file}: {what}: stated {stated}, recomputed {recomputed}")

    @contextmanager
    def reading(self, file: Path) -> Iterator[None]:
        """Count a file that cannot be read, or lacks a column, as one disagreement and go on."""
        try:
            yield
        except Exception as error:
            text = str(error).splitlines()[0] if str(error) else ""
            self.checked += 1
            self.disagreements.append(f"{file}: cannot be checked: {type(error).__name__} {text}")

    def line(self) -> str:
        """One line for people."""
        if not self.checked and not self.left:
            return f"{self.kind:<42} nothing to check"
        bad = f", {len(self.disagreements)} disagree" if self.disagreements else ""
        bad = f", {self.left} left out{bad}" if self.left else bad
        off = f", largest difference {self.largest:.1g}" if self.largest else ""
        return f"{self.kind:<42} {self.checked:>7} checked{off}{bad}"


def _number(value: object) -> float | None:
    if value is None or value == "":
        return None
    return None if math.isnan(float(value)) else float(value)


def _shown(value: float | None) -> str:
    return "no value" if value is None else f"{value:.9g}"
