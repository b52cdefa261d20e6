"""The tasks, one a file: what is true of a sample, what a score decides, and how it is judged."""

from histopair.evaluation.tasks.labels import Labels
from histopair.evaluation.tasks.multi import Multi
from histopair.evaluation.tasks.single import Single

TASKS = {"single": Single(), "multi": Multi()}


def of(name: str) -> Labels:
    """The task of that name."""
    return TASKS[name]
