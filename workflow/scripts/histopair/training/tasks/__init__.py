"""The tasks, one a file: the targets of a model, its loss, and its scores.

A task is a module with
    EXCLUSIVE                         whether a sample has exactly one of the classes
    PREDICTED                         the splits whose scores a run keeps
    WHOLE                             whether the loss compares samples, so that no batch is cut
    targets(samples, classes)         a tensor of n rows
    loss(logits, targets, kind, shares)   the mean over samples; logits are (n, C) for C classes
    scores(logits)                    what is kept of each sample (n, C), higher is more likely
kind: a method's `loss`; shares (C,): the part of the train split that has each class.
"""

from histopair.training.tasks import multi, single, survival

TASKS = {"single": single, "multi": multi, "survival": survival}
