"""Checks of the config's tunings and the spaces that they try."""

from types import SimpleNamespace

from histopair.evaluation.metrics import METRICS
from histopair.plan import entries, recipes, runs, schema
from histopair.plan.checks.methods import method_of
from histopair.plan.checks.studies import run
from histopair.plan.mistakes import unknown
from histopair.training.tuning_space import changed

# What a run computes activations from, if it has none.
BEFORE = {"image_activations": "images", "caption_activations": "captions"}


def tunings(config: dict) -> list[str]:
    """Mistakes in what a tuning tries, and in the runs that it needs."""
    mistakes = []
    for name, tuning in config["tunings"].items():
        key, dataset = f"tunings.{name}", tuning["dataset"]
        lines = unknown(f"{key}.metric", tuning["metric"], METRICS)
        for part in ("dataset", "encoder", "method"):
            lines += unknown(f"{key}.{part}", tuning[part], config[f"{part}s"])
        if not lines:
            if entries.folds(config["datasets"][dataset]):
                fold = entries.fold(dataset, 1)
                lines.append(f"{key}.dataset: it is cross-validated; tune on a fold, as {fold!r}")
            lines += run(config, key, dataset, tuning["method"])
            method = entries.method(config, tuning["method"], dataset)
            if recipes.distils_first(method):
                lines.append(f"{key}.method: its distillation is a job of its own; tune another")
            if recipes.of_one_seed(method) and len(tuning["seeds"]) > 1:
                problem = "its method's teacher is a run of the same seed, and one is trained"
                lines.append(f"{key}.seeds: {problem}; give one seed")
            lines = lines or _space(f"{key}.space", tuning, method, config)
            lines = lines or _files(f"{key}.space", tuning, method, config)
        mistakes += lines
    return mistakes


def _space(key: str, tuning: dict, method: dict, config: dict) -> list[str]:
    """Parameters that the method does not have, and values that they may not have."""
    mistakes: list[str] = []
    space = tuning["space"]
    for place, (name, domain) in enumerate(space.items()):
        for kind in {"times", "same"} & set(domain if isinstance(domain, dict) else ()):
            mistakes += unknown(f"{key}.{name}.{kind}", domain[kind], list(space)[:place])
    for name, values in _tried(space).items():
        for value in values:
            try:
                trial = changed(method, {name: value})
            except (KeyError, TypeError):
                mistakes.append(f"{key}: method has no parameter {name!r}")
                break
            lines = schema.mistakes(trial, schema.of_a_method(), (key,))
            mistakes += lines or method_of(key, trial, config)
    return list(dict.fromkeys(mistakes))


def _tried(space: dict) -> dict[str, list]:
    """The values of each parameter, of a range both ends; a range gives no whole numbers."""
    tried: dict[str, list] = {}
    for name, domain in space.items():
        if isinstance(domain, list):
            tried[name] = domain
        elif "same" in domain:
            tried[name] = tried.get(domain["same"], [])
        elif "times" in domain:
            numbers = [v for v in tried.get(domain["times"], []) if isinstance(v, (int, float))]
            tried[name] = [factor * number for factor in domain["of"] for number in numbers]
        else:
            tried[name] = [float(domain["low"]), float(domain["high"])]
    return tried


def _files(key: str, tuning: dict, method: dict, config: dict) -> list[str]:
    """Values with which a trial would need other files than the method's runs, which it reads."""
    given, mistakes = _read(method, tuning, config), []
    for name, values in _tried(tuning["space"]).items():
        for value in values:
            trial = changed(method, {name: value})
            asked = _read(trial, tuning, config)
            # Blocks whose activations are not there run in every step; turned tiles must be there.
            turns = trial.get("augmentations", 1) > method.get("augmentations", 1)
            if turns or any(given.get(part) != path for part, path in asked.items()):
                problem = f"{value!r} is not allowed, as trials read what the method's runs read"
                mistakes.append(f"{key}.{name}: {problem}; tune a method that has this value")
    return mistakes


def _read(method: dict, tuning: dict, config: dict) -> dict:
    """What a run of a method reads, but for the activations of some number of blocks.

    Names of what it needs count where there is no path, as of images or of pairs by chance.
    """
    methods = config["methods"] | {tuning["method"]: method}
    run = SimpleNamespace(**tuning, seed=tuning["seeds"][0])
    config = config | {"methods": methods}
    needed = {f"need of {BEFORE.get(name, name)}": True for name in recipes.needs(method)}
    roles = {role: of for role, of in runs.spec(config, run).items() if role != "method"}
    paths = runs.paths(config, run) | {role: of for role, of in roles.items() if of}
    return needed | {name: path for name, path in paths.items() if name not in BEFORE}
