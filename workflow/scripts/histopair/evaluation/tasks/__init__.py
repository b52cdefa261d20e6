"""The tasks, one a file: what is true of a sample, what a score decides, and how it is judged."""

from histopair.evaluation.tasks.labelled import Labels
from histopair.evaluation.tasks.multi import Multi
from histopair.evaluation.tasks.single import Single
from histopair.evaluation.tasks.survival import Survival

TASKS = {"single": Single(), "multi": Multi(), "survival": Survival()}


def of(name: str) -> Labels | Survival:
    """The task of that name."""
    return TASKS[name]
