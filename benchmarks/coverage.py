"""How often 95% intervals hold the truth: two methods, few seeds, few groups, a known population.

    python benchmarks/coverage.py [WORLDS]

A world draws groups (patients) with a mix of classes and a difficulty of their own, and trainings
(seeds) with a bias of their own towards each class. The truth of a metric is its mean over hundreds
of other groups and trainings. Compared are `two_way`, percentiles of resampled groups alone (as
if no other training were possible) and of groups and seeds both resampled.
"""

import sys
from dataclasses import dataclass
from itertools import product
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow" / "scripts"))

import numpy as np

from histopair.evaluation import bootstrap, metrics, tasks, two_way

METRICS = {
    "single": ("balanced_accuracy",),
    "multi": ("top3_f1_micro", "top3_f1_macro"),
}
COLUMNS = ("metric", "of", "interval", "held", "width")
SKILLS = (1.0, 1.3)  # how far the true class stands out in each method's scores
DIFFICULTY = 0.5  # standard deviation between groups


@dataclass
class World:
    """Single-label: a mix of classes a group. Multi-label: three topics, class c 1 / c as often."""

    task: str
    groups: int
    classes: int
    per_group: int = 12
    trainings: float = 0.3  # standard deviation between seeds

    def draw(self, random, groups: int, seeds: int) -> tuple:
        """Truth (n, C), group of each sample (n,), and of both methods the scores of each seed."""
        of = np.repeat(np.arange(groups), self.per_group)
        truth = np.concatenate([self._labels(random) for _ in range(groups)])
        shared = self._difficulty(random, groups)
        runs = [
            [self._scores(random, truth, skill, hard) for _ in range(seeds)]
            for skill in SKILLS
            for hard in [(shared + self._difficulty(random, groups))[of]]
        ]
        return truth, of, runs

    def _labels(self, random) -> np.ndarray:
        truth = np.zeros((self.per_group, self.classes), bool)
        if self.task == "single":
            mix = random.dirichlet(np.full(self.classes, 2.0))
            truth[np.arange(len(truth)), random.choice(self.classes, len(truth), p=mix)] = True
            return truth
        often = 1 / np.arange(1, self.classes + 1)
        topics = random.choice(self.classes, 3, replace=False, p=often / often.sum())
        for row in truth:
            row[random.permutation(topics)[: random.integers(1, 4)]] = True
        return truth

    def _difficulty(self, random, groups: int) -> np.ndarray:
        return random.normal(0, DIFFICULTY, (groups, self.classes))

    def _scores(self, random, truth, skill: float, hard: np.ndarray) -> np.ndarray:
        skill = skill + random.normal(0, self.trainings / 2)
        bias = random.normal(0, self.trainings, self.classes)
        return skill * truth + bias + hard + random.normal(size=truth.shape)


def measure(world: World, seeds: int, worlds: int, resamples: int = 300, seed: int = 0) -> list:
    """Share of `worlds` in which each interval holds the truth, and its mean width.

    Rows of metric, of ("mean" of the better method, or "difference"), interval, held, width.
    """
    random = np.random.default_rng(seed)
    truth, tried = _population(world, random), {}
    for _ in range(worlds):
        sides = _sides(world, random, seeds, resamples)
        for metric in METRICS[world.task]:
            ours, theirs = sides[1][metric], sides[0][metric]
            gain = truth[1][metric] - truth[0][metric]
            for of, target, known in (
                ("mean", truth[1][metric], ours),
                ("difference", gain, tuple(a - b for a, b in zip(ours, theirs, strict=True))),
            ):
                for name, (low, high) in _intervals(*known, world.groups, random).items():
                    found = tried.setdefault((metric, of, name), [])
                    found.append((low <= target <= high, high - low))
    return [
        dict(zip(COLUMNS, (*key, *np.mean(found, 0)), strict=True)) for key, found in tried.items()
    ]


def _population(world: World, random, draws: int = 25, groups: int = 200, seeds: int = 20) -> list:
    """The true mean of each metric, for both methods."""
    once = np.ones((1, groups))
    values = [[], []]
    for _ in range(draws):
        truth, of, runs = world.draw(random, groups, seeds)
        for found, scores in zip(values, runs, strict=True):
            found += [_rates(world, truth, one, of, once) for one in scores]
    return [
        {metric: np.mean([row[metric] for row in found]) for metric in METRICS[world.task]}
        for found in values
    ]


def _sides(world: World, random, seeds: int, resamples: int) -> list[dict]:
    """Of both methods the values (S,) and replicates (S, R) of each metric."""
    truth, of, runs = world.draw(random, world.groups, seeds)
    draws = bootstrap.resamples(of, resamples, int(random.integers(2**31)))
    weights = np.vstack([np.ones(world.groups), draws])
    found = [[_rates(world, truth, one, of, weights) for one in scores] for scores in runs]
    stacked = [
        {metric: np.stack([row[metric] for row in rows]) for metric in METRICS[world.task]}
        for rows in found
    ]
    return [
        {name: (all_of[:, 0], all_of[:, 1:]) for name, all_of in side.items()} for side in stacked
    ]


def _rates(world: World, truth, scores, of, weights) -> dict:
    counts = tasks.of(world.task).group_counts(truth, scores, of)
    totals = {name: weights @ values for name, values in counts.items()}
    return {name: metrics.METRICS[name].rate(totals) for name in METRICS[world.task]}


def _intervals(values, replicates, groups: int, random) -> dict[str, tuple]:
    nothing = np.zeros(1), np.zeros(replicates.shape[1])
    two_ways = two_way.of_difference((values, replicates), nothing, groups)
    chosen = random.integers(0, len(values), replicates.shape)
    both = np.take_along_axis(replicates, chosen, axis=0).mean(0)
    return {
        "two-way": (two_ways["low"], two_ways["high"]),
        "groups alone": np.nanpercentile(replicates.mean(0), [2.5, 97.5]),
        "groups and seeds": np.nanpercentile(both, [2.5, 97.5]),
    }


# Task, groups and classes; then how much trainings vary, and how many are seen. One run of
# trainings that vary says nothing of the others, and is left out.
SIZES = [("single", 36, 5), ("multi", 24, 20)]
SEEDS = [(0.0, 1), (0.0, 3), (0.1, 3), (0.3, 3), (0.3, 5)]

if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    ways = "two-way        groups alone   both resampled"
    print(f"{'metric':18s} {'of':10s} groups seeds trainings  {ways}")
    for size, (trainings, seeds) in product(SIZES, SEEDS):
        rows = measure(World(*size, trainings=trainings), seeds, count)
        for part in (rows[i : i + 3] for i in range(0, len(rows), 3)):
            told = "  ".join(f"{row['held']:.3f} ({row['width']:.3f})" for row in part)
            place = f"{part[0]['metric']:18s} {part[0]['of']:10s} {size[1]:6d} {seeds:5d}"
            print(f"{place} {trainings:9.1f}  {told}", flush=True)
