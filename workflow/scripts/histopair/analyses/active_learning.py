"""Labels asked of a reader against a metric: does it matter which samples a reader sees first?

The reader is simulated with a phantom's truth. In each round a converged linear probe on frozen
embeddings is trained, and its order asks for the next labels. All orders start alike.
"""

import copy
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler

from histopair.datasets import few_labels
from histopair.errors import InputError
from histopair.evaluation import bootstrap, cells, informative, metrics, solver, tasks, two_way
from histopair.evaluation.tasks.labelled import truth_matrix
from histopair.files import tables
from histopair.phantom import truth as phantom_truth

RANDOM = "random"
ORDERS = (RANDOM, "uncertainty", "disagreement", "diversity")
COLUMNS = ["dataset", "encoder", "pool", "error", "order", "labels", "metric", "value", "low"]
COLUMNS += ["high", "area", "gain", "gain_low", "gain_high", "gain_p", "n_seeds", "n_test"]
COLUMNS += ["n_groups", "unit"]
STRENGTHS = 10.0 ** np.arange(-4, 3)  # scikit-learn's C
WORSE = 2  # strengths in a row, after which no weaker penalty is tried
COMMITTEE = 5  # probes of resamples of the labels, whose disagreement counts


class Pool(NamedTuple):
    """One dataset: n train samples to ask for, samples to choose a penalty with, and test samples.

    vectors: (n, d) and so on, standardised by train; given, right: class numbers (n,), as published
    and as true; first: (n,) the place of each sample in its class, by seed (`few_labels.ranks`).
    """

    vectors: dict[str, np.ndarray]
    given: np.ndarray
    right: np.ndarray
    val: np.ndarray
    first: dict[int, np.ndarray]
    classes: int


class Reading(NamedTuple):
    """How a reader is asked: `start` labels of each class, then `rounds` times `step` samples.

    pool: "unlabelled", where a probe learns from what was asked alone, or "published", where it
    learns from all published labels, what was asked in place of them; it starts without any asked.
    error: the share of answers that are another class.
    """

    start: int
    step: int
    rounds: int
    pool: str = "unlabelled"
    error: float = 0.0


def tabulate(worlds: list[dict], settings: dict, seeds: list[int], metric: str) -> pd.DataFrame:
    """A row for each dataset, encoder, pool, reader's error, order and number of labels asked.

    worlds: dicts of dataset, encoder and the paths labels, truth, embeddings. settings: the
    study's `active_learning`. value: the metric on the test labels as published, the mean over
    seeds; low, high: its 95% interval under resampling of groups and seeds (`two_way`). area: the
    mean of the curve over the labels asked (by trapezia); gain: how far it is above that of the
    random order, with its interval. Raises InputError for a metric that does not follow from
    counts, and for a dataset with several labels.
    """
    if not metrics.METRICS[metric].rate:
        problem = f"{metric} does not follow from counts of decisions"
        raise InputError("active_learning", problem, "Choose balanced_accuracy as `metric`")
    rows = [row for world in worlds for row in _of_world(world, settings, seeds, metric)]
    return pd.DataFrame(rows, columns=COLUMNS)


def _of_world(world: dict, settings: dict, seeds: list[int], metric: str) -> Iterator[dict]:
    pool, judge, facts = _opened(world, seeds, metric)
    facts |= {"dataset": world["dataset"], "encoder": world["encoder"], "metric": metric}
    plan = {key: settings[key] for key in ("start", "step", "rounds")}
    for kind in settings["pools"]:
        for error in settings["errors"]:
            reading = Reading(**plan, pool=kind, error=error)
            curves = {name: _curve(pool, name, reading, seeds, judge) for name in ORDERS}
            print(f"{world['dataset']}: {kind}, error {error:g}", flush=True)
            yield from _rows(curves, facts | {"pool": kind, "error": error})


def _opened(world: dict, seeds: list[int], metric: str) -> tuple:
    """The pool of a dataset, judge(scores of test) -> (value, replicates), and facts for rows."""
    samples, about = tables.read(world["labels"]), tables.about(world["labels"])
    if about["task"] != "single":
        problem = "active learning is simulated for one label per sample"
        raise InputError(world["labels"], problem, "Leave `active_learning` out of this study")
    samples = samples.sort_values("sample_id", kind="stable").reset_index(drop=True)
    names = tables.read(world["embeddings"], ["image_id"])["image_id"]
    problem, remedy = "it has no image {}", "Delete it and rerun"
    places = tables.positions(samples["image_id"], names, world["embeddings"], problem, remedy)
    vectors = tables.matrix(world["embeddings"])[places].astype(float)
    rows = {name: (samples["split"] == name).to_numpy() for name in ("train", "val", "test")}
    given = truth_matrix(samples["labels"], about["classes"]).argmax(1)
    true = phantom_truth.of(samples["path"], "path", world["truth"])["label"]
    right = truth_matrix([[label] for label in true], about["classes"]).argmax(1)
    scaler, train = StandardScaler().fit(vectors[rows["train"]]), samples[rows["train"]]
    pool = Pool(
        {name: scaler.transform(vectors[of]) for name, of in rows.items()},
        given[rows["train"]],
        right[rows["train"]],
        given[rows["val"]],
        {seed: few_labels.ranks(train.reset_index(drop=True), seed) for seed in seeds},
        len(about["classes"]),
    )
    ids = list(samples["sample_id"][rows["test"]])
    groups = cells.groups_of(world["labels"], ids)
    truth = np.eye(pool.classes, dtype=bool)[given[rows["test"]]]
    facts = {"n_test": len(ids), "n_groups": int(groups.max()) + 1, "n_seeds": len(seeds)}
    return (
        pool,
        _judge(truth, groups, metric),
        facts | {"unit": cells.unit_of(world["labels"], ids)},
    )


def _judge(truth: np.ndarray, groups: np.ndarray, metric: str) -> Callable:
    rate, task = metrics.METRICS[metric].rate, tasks.of("single")
    draws = bootstrap.resamples(groups).astype(float)

    def judge(scores: np.ndarray) -> tuple[float, np.ndarray]:
        counts = task.group_counts(truth, scores, groups)
        value = rate({name: of.sum(0) for name, of in counts.items()})
        return float(value), rate({name: draws @ of for name, of in counts.items()})

    return judge


def _curve(pool: Pool, order: str, reading: Reading, seeds: list[int], judge) -> dict:
    """labels (K,), values (K, S), replicates (K, S, R)."""
    asked = [list(simulate(pool, order, reading, seed)) for seed in seeds]
    judged = [[judge(scores) for _, scores in of_seed] for of_seed in asked]
    return {
        "labels": np.mean([[count for count, _ in of_seed] for of_seed in asked], axis=0),
        "values": np.array([[value for value, _ in of] for of in judged]).T,
        "replicates": np.array([[part for _, part in of] for of in judged]).swapaxes(0, 1),
    }


class Round(NamedTuple):
    """What is known after some answers: booleans (n,) which samples were asked and which train,
    their labels (n,), the probe of these, and a number of each round's own for chance.
    """

    asked: np.ndarray
    trained: np.ndarray
    labels: np.ndarray
    probe: LogisticRegression | None
    chance: list[int]


def simulate(
    pool: Pool, order: str, reading: Reading, seed: int
) -> Iterator[tuple[int, np.ndarray]]:
    """After each round how many labels were asked, and the probe's probabilities (n, C) on test.

    A reader's mistakes are drawn once for each sample, so all orders meet the same.
    """
    answers = _answers(pool, reading.error, np.random.default_rng([seed, 0]))
    asked = np.zeros(len(answers), bool)
    if reading.pool == "unlabelled":
        asked = pool.first[seed] < reading.start
    for number in range(reading.rounds + 1):
        trained = asked if reading.pool == "unlabelled" else np.ones(len(asked), bool)
        labels = np.where(asked, answers, pool.given)
        probe = _probe(pool, trained, labels)
        yield int(asked.sum()), _shares(probe, pool.vectors["test"], pool.classes)
        if number < reading.rounds:
            here = Round(asked, trained, labels, probe, [seed, 1, number])
            asked = asked.copy()
            asked[_next(pool, order, reading.step, here)] = True


def _answers(pool: Pool, error: float, draw: np.random.Generator) -> np.ndarray:
    """What the reader says of each sample: the truth, or with probability `error` another class."""
    wrong = draw.random(len(pool.right)) < error
    other = (pool.right + draw.integers(1, pool.classes, len(wrong))) % pool.classes
    return np.where(wrong, other, pool.right)


def _next(pool: Pool, order: str, step: int, here: Round) -> np.ndarray:
    """The samples (step,) of the pool that an order asks for; all that are left, if fewer."""
    vectors = pool.vectors["train"]
    if order == "diversity":
        return informative.farthest_first(tables.unit(vectors), step, here.asked)[0]
    if order == "uncertainty":
        score = informative.uncertainty(_shares(here.probe, vectors, pool.classes))
    elif order == "disagreement":
        score = informative.disagreement(_committee(pool, here))
    else:
        score = np.random.default_rng(here.chance).random(len(vectors))
    left = np.flatnonzero(~here.asked)
    return left[np.argsort(-score[left], kind="stable")[:step]]


def _committee(pool: Pool, here: Round) -> list[np.ndarray]:
    """Probabilities (n, C) of the pool by probes of resampled labels (Abe and Mamitsuka 1998)."""
    draw, places = np.random.default_rng(here.chance), np.flatnonzero(here.trained)
    vectors, members = pool.vectors["train"], []
    for _ in range(COMMITTEE):
        drawn = draw.choice(places, len(places))
        member = solver.model().set_params(C=here.probe.C if here.probe else 1.0)
        usable = len(set(here.labels[drawn])) > 1
        if usable and solver.fit(member, vectors[drawn], here.labels[drawn]):
            members.append(_shares(member, vectors, pool.classes))
    return members or [_shares(None, vectors, pool.classes)]


def _probe(pool: Pool, trained: np.ndarray, labels: np.ndarray) -> LogisticRegression | None:
    """The logistic regression whose penalty has the least loss on validation.

    A fit that does not reach its optimum has no say. None if all labels are of one class.
    """
    vectors, labels, model = pool.vectors["train"][trained], labels[trained], solver.model()
    best, least, since = None, np.inf, 0
    for strength in STRENGTHS if len(set(labels)) > 1 else ():
        if not solver.fit(model.set_params(C=strength), vectors, labels):
            continue
        shares = _shares(model, pool.vectors["val"], pool.classes)
        loss, since = log_loss(pool.val, shares, labels=range(pool.classes)), since + 1
        if loss < least:
            best, least, since = copy.deepcopy(model), loss, 0
        if since == WORSE:
            break
    return best


def _shares(model, vectors: np.ndarray, classes: int) -> np.ndarray:
    """Probabilities (n, C); a class without labels has almost none; all are alike without model."""
    shares = np.full((len(vectors), classes), informative.LEAST)
    if model is not None:
        shares[:, model.classes_] = model.predict_proba(vectors)
    return shares / shares.sum(1, keepdims=True)


def area(labels: np.ndarray, curve: np.ndarray) -> np.ndarray:
    """The mean of curves (K, ...) over the labels asked (K,), by trapezia."""
    return np.trapezoid(curve, labels, axis=0) / (labels[-1] - labels[0])


def _rows(curves: dict[str, dict], facts: dict) -> Iterator[dict]:
    areas = {
        order: tuple(area(curve["labels"], curve[name]) for name in ("values", "replicates"))
        for order, curve in curves.items()
    }
    for order, curve in curves.items():
        total = {"order": order, "area": areas[order][0].mean()}
        if order != RANDOM:
            sure = two_way.of_difference(areas[order], areas[RANDOM], facts["n_groups"])
            total |= {f"gain_{name}": sure[name] for name in ("low", "high", "p")}
            total["gain"] = total["area"] - areas[RANDOM][0].mean()
        points = zip(curve["labels"], curve["values"], curve["replicates"], strict=True)
        for labels, values, replicates in points:
            sure = two_way.of_mean(values, replicates, facts["n_groups"])
            spread = {"low": sure["low"], "high": sure["high"]}
            yield facts | total | {"labels": labels, "value": values.mean()} | spread
