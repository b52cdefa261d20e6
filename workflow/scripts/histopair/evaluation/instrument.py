"""Whether verdicts can be trusted: claims judged on simulated studies whose true gain is known.

In a simulated study two methods have values for each seed and group. The gain varies between
groups, between seeds, and with both together, by stated variances; each method has half of each.
Values become a cell of a study, and the cell's claim is judged as that of any study. So the shares
of verdicts show how often the instrument sees a gain, and how often it sees one that is not there.
"""

from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
import pandas as pd
from scipy import stats

from histopair.evaluation import bootstrap, claims, power

REPETITIONS = 2000
ERROR = 0.01  # standard deviation of an estimated gain: one point of accuracy
GAINS = (0.01, 0.02, 0.03, 0.04, 0.05)
METRIC = "accuracy"
CLAIM = {"claim": "One helps", "paper": "", "better": "one", "worse": "other", "expect": "gain"}
STUDY = {"metric": METRIC, "claims": [CLAIM]}
COLUMNS = ["groups", "seeds", "seed_share", "together", "gain", "repetitions", "holds"]
COLUMNS += ["share", "low", "high", "contradicted", "expected"]


@dataclass(frozen=True)
class World:
    """How many groups and seeds a study has, and what its gain varies with.

    seed_share: of the variance of the estimated gain, ERROR squared, the part that is the seeds';
    together: the share of that part which is of seeds and groups together, as where each training
    errs on patients of its own.
    """

    groups: int
    seeds: int
    seed_share: float
    together: float = 0.0

    @property
    def variances(self) -> tuple[float, float, float]:
        """Of the estimated gain: between groups, between seeds alone, and of both together."""
        of_seeds = self.seed_share * ERROR**2
        return ERROR**2 - of_seeds, of_seeds * (1 - self.together), of_seeds * self.together

    def cell(self, gain: float, random: np.random.Generator) -> dict:
        """A cell of a study, as `cells.evaluate` makes one, in which "one" has this true gain."""
        groups, seeds, both = self.variances
        shape = 2, self.seeds, self.groups
        values = 0.5 + random.normal(0, (groups * self.groups / 2) ** 0.5, (2, 1, self.groups))
        values = values + random.normal(0, (seeds * self.seeds / 2) ** 0.5, (2, self.seeds, 1))
        each = both * self.seeds * self.groups
        values = values + random.normal(0, (each / 2) ** 0.5, shape)
        values[0] += gain
        draws = _draws(self.groups)
        names = CLAIM["better"], CLAIM["worse"]
        return {
            "methods": {
                name: {METRIC: (side.mean(1), side @ draws)}
                for name, side in zip(names, values, strict=True)
            },
            "task": "single",
            "n_groups": self.groups,
            "not_converged": dict.fromkeys(names, 0),
            "gate_failed": dict.fromkeys(names, ""),
            "below_probe": dict.fromkeys(names, ""),
        }

    def expected(self, gain: float) -> float:
        """The power that `power.of_gain` states for the variances that intervals are made of.

        What varies with groups and seeds together counts in both parts.
        """
        groups, seeds, both = self.variances
        parts = [(groups + both, self.groups - 1)], [(seeds + both, self.seeds - 1)]
        return power.of_gain(gain, *parts, self.seeds)


@cache
def _draws(groups: int) -> np.ndarray:
    """The weight of each group in each resample, (groups, replicates)."""
    return bootstrap.resamples(np.arange(groups)).T / groups


NULLS = [World(*size) for size in product((10, 50), (3, 5, 10), (0.1, 0.5, 0.9))]
NULLS += [World(50, seeds, 0.9, 0.5) for seeds in (3, 10)]
POWERS = [World(50, seeds, 0.5) for seeds in (3, 5, 10)] + [World(50, 3, 0.5, 0.5)]


def tabulate(repetitions: int = REPETITIONS, seed: int = 0) -> pd.DataFrame:
    """A row in COLUMNS for each world and gain: NULLS without a gain, POWERS with each of GAINS."""
    tried = [(world, 0.0) for world in dict.fromkeys(NULLS + POWERS)]
    tried += [(world, gain) for world in POWERS for gain in GAINS]
    random = np.random.default_rng(seed)
    rows = [_row(world, gain, repetitions, random) for world, gain in tried]
    return pd.DataFrame(rows, columns=COLUMNS)


def _row(world: World, gain: float, repetitions: int, random: np.random.Generator) -> dict:
    verdicts = [
        claims.rows(world.cell(gain, random), STUDY)[0]["verdict"] for _ in range(repetitions)
    ]
    return {
        **{name: getattr(world, name) for name in ("groups", "seeds", "seed_share", "together")},
        "gain": gain,
        "contradicted": verdicts.count("contradicted"),
        "expected": world.expected(gain),
        **counted(verdicts.count("holds"), repetitions),
    }


def counted(holds: int, repetitions: int) -> dict:
    """How many repetitions, in how many the claim holds, their share, and its 95% interval.

    The interval is exact (Clopper and Pearson 1934).
    """
    ends = stats.binomtest(holds, repetitions).proportion_ci(0.95, method="exact")
    numbers = {"low": float(ends.low), "high": float(ends.high)}
    return {"repetitions": repetitions, "holds": holds, "share": holds / repetitions} | numbers
