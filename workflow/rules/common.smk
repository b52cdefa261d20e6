# The checked config, and how rules ask plan/ for what they read: by plan.FILE.FUNCTION.

import gc
from functools import cache, partial
from inspect import signature
from types import SimpleNamespace

from histopair import plan
from histopair.plan import (
    analyses,
    data,
    encoders,
    entries,
    exports,
    external,
    fetching,
    fingerprint,
    load,
    page,
    pairs,
    parts,
)
from histopair.plan import recipes, resources, runs, studies, tunings
from histopair.plan.places import EXTERNAL, EXTERNAL_LEAKS, EXTERNAL_SCORES, PAIRS, RUN
from histopair.plan.places import SCORES, WEIGHTS, pattern
from histopair.pages import look

# A plan is many objects that stay: looking through them for garbage takes a tenth of its time.
gc.set_threshold(100_000)

try:
    config = plan.load.load(config)
except InputError as mistake:
    stop(mistake)


def asked(function, *more):
    """What a function of plan/ says about this config; an InputError ends Snakemake with one line."""
    try:
        return function(config, *more)
    except InputError as mistake:
        stop(mistake)


def planned(function, *more, fixed={}):
    """function(config, wildcards, *more) as a function of a rule's wildcards, asked once for each.

    `fixed` gives wildcards one value, whatever they are.
    """
    answers = {}

    def of(wildcards):
        named = {**wildcards, **fixed}
        key = tuple(named.values())
        if key not in answers:
            answers[key] = asked(function, SimpleNamespace(**named), *more)
        return answers[key]

    # Snakemake asks for it at each call, and else it is found out anew each time.
    of.__signature__ = signature(of)
    return of


# The same, asked once for all seeds: Snakemake fills in `{seed}` in paths of inputs.
for_all_seeds = partial(planned, fixed={"seed": "{seed}"})


growing = partial(plan.resources.growing, most=config.get("max_mem_mb"))
# Rules ask again for each dataset and encoder.
fingerprint = cache(plan.fingerprint.fingerprint)


def code(script, modules=None, without=()):
    """Fingerprint of a rule's code: its script, and the modules that it finds by name."""
    if modules is None:
        return fingerprint(script)
    return for_all_seeds(
        lambda config, w: fingerprint(script, *modules(config, w), without=without)
    )


wildcard_constraints:
    dataset="|".join(config["datasets"]),
    corpus="|".join(config["corpora"]) or "none",
    encoder="|".join([*config["encoders"], "oracle"]),
    method="|".join(config["methods"]),
    tuning=pattern(config["tunings"]),
    study="|".join(config["studies"]),
    correction="|".join(["", *(rf"\.{kind}" for kind in plan.recipes.CORRECTIONS)]),
    seed=r"\d+",
    part=r"\d+",
    jobs=r"\d+",
