"""Tuning of a method's parameters on validation alone: its dataset's test split is never read.

Each trial's parameters follow from the finished trials and its seed, and each run is deterministic.
So a killed tuning ends like any other, and a tuning can be extended.
"""

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from histopair import jobs
from histopair.errors import InputError
from histopair.evaluation import convergence, metrics, orders, tasks
from histopair.files import tables
from histopair.jobs import devices
from histopair.training import loop, one_run
from histopair.training.tuning_space import changed, suggest

JOURNAL = "trials.log"


def tune(
    make: Callable[[dict, int], one_run.Run], entry: dict, method: dict, folder: str, out, about
) -> None:
    """Write the history of a tuning: trial, value, one value per seed, and each parameter.

    not_converged counts the trial's runs that have not converged or fell behind the others.

    make(method, seed) gives a run of `method` with the trial's parameters in it. `entry` has space,
    trials, seeds and metric; a killed tuning goes on from what is in `folder`.
    """
    study = _study(folder, entry["metric"])
    for trial in jobs.progress(range(entry["trials"]), entry["trials"], "trials", "tuning"):
        if trial < len(_finished(study)):
            continue
        study.sampler = optuna.samplers.TPESampler(seed=devices.seed_of("trial", trial) % 2**32)
        asked = study.ask()
        parameters = suggest(asked, entry["space"])
        earlier = {str(t.user_attrs["parameters"]): t.user_attrs for t in _finished(study)}
        outcome = earlier.get(str(parameters)) or _outcome(
            validate(make(changed(method, parameters), seed), entry["metric"], f"{folder}/{trial}")
            for seed in entry["seeds"]
        )
        asked.set_user_attr("parameters", parameters)
        for name in ("values", "not_converged"):
            asked.set_user_attr(name, outcome[name])
        study.tell(asked, float(np.mean(outcome["values"])))
        shutil.rmtree(f"{folder}/{trial}", ignore_errors=True)  # checkpoints of what has ended
    history = _history(_finished(study)[: entry["trials"]], entry["seeds"])
    tables.write(out, history, about | {"entry": entry, "method": method})


def _outcome(validated: Iterable[tuple[float, dict]]) -> dict:
    values, judged = zip(*validated, strict=True)
    return {"values": list(values), "not_converged": convergence.unfinished(list(judged))}


def validate(run: one_run.Run, metric: str, resume: str) -> tuple[float, dict]:
    """The metric of a run on its validation split, and how `convergence.judge` judges the run.

    Samples of the test split are dropped unread. Raises InputError for a metric of another task,
    and for one that does not exist on the split.
    """
    orders.check(metric, run.about["task"])
    kept = run.samples["split"] != "test"
    run.samples = run.samples[kept].reset_index(drop=True)
    stage, history = one_run.train(run, f"{resume}/{run.seed}")
    rows = run.rows("val")
    scores = loop.predict(stage, rows, run.device).numpy()
    task, table = tasks.of(run.about["task"]), run.samples.drop(columns="fold", errors="ignore")
    truth = task.truth(table.iloc[rows.numpy()], run.classes, run.artifacts["labels"])
    value = task.judge(truth, scores, run.classes, **task.context(table, rows.numpy()))[metric]
    if value is None:
        problem = f"{metric} does not exist on its validation split"
        raise InputError(run.artifacts["labels"], problem, "Tune by another metric")
    return value, convergence.judge(pd.DataFrame(history))


def _study(folder: str, metric: str) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(Path(folder) / JOURNAL))),
        study_name="tuning",
        direction="maximize" if metrics.sign(metric) > 0 else "minimize",
        load_if_exists=True,
    )
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)  # a killed job left it
    return study


def _finished(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))


def _history(trials: list, seeds: list[int]) -> pd.DataFrame:
    rows = [
        {"trial": number, "value": trial.value, "not_converged": trial.user_attrs["not_converged"]}
        | {f"seed {s}": v for s, v in zip(seeds, trial.user_attrs["values"], strict=True)}
        | trial.user_attrs["parameters"]
        for number, trial in enumerate(trials)
    ]
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    return pd.DataFrame({name: _of_one_type(values) for name, values in columns.items()})


def _of_one_type(values: list) -> list:
    """Numbers as they are; with words or null among them all are texts: a column has one type."""
    types = {type(value) for value in values}
    return values if len(types) == 1 or types <= {int, float} else [str(value) for value in values]
