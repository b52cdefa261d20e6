"""Checks of the config's tunings and the spaces that they try."""

from histopair.plan import entries
from histopair.plan.checks.studies import metrics, run
from histopair.plan.checks.types import fits
from histopair.plan.mistakes import unknown
from histopair.plan.recipes import choices, least, parameters
from histopair.training.tuning_space import changed


def tunings(config: dict) -> list[str]:
    """Mistakes of what a tuning tries, and of the runs that this takes."""
    found = []
    for name, tuning in config["tunings"].items():
        key = f"tunings.{name}"
        wrong = unknown(f"{key}.metric", tuning["metric"], metrics())
        for part in ("dataset", "encoder", "method"):
            wrong += unknown(f"{key}.{part}", tuning[part], config[f"{part}s"])
        if not wrong:
            if entries.folds(config["datasets"][tuning["dataset"]]):
                first = entries.fold(tuning["dataset"], 1)
                wrong.append(f"{key}.dataset: it is cross-validated; tune on a fold, as {first!r}")
            wrong += run(config, key, tuning["dataset"], tuning["method"])
            method = entries.method(config, tuning["method"], tuning["dataset"])
            wrong += _space(f"{key}.space", tuning["space"], method)
        found += wrong
    return found


def _space(key: str, space: dict, method: dict) -> list[str]:
    """Each parameter is one that the method has, with values that it may have."""
    found: list[str] = []
    tried: dict[str, list] = {}
    for name, domain in space.items():
        values = domain if isinstance(domain, list) else [domain.get("low")]
        for kind in {"times", "same"} & set(domain if isinstance(domain, dict) else ()):
            found += unknown(f"{key}.{name}.{kind}", domain[kind], list(tried))
            values = domain["of"] if kind == "times" else tried.get(domain[kind], [])
        tried[name] = values
        found += _values(key, name, values, method)
    return found


def _values(key: str, name: str, values: list, method: dict) -> list[str]:
    found: list[str] = []
    first, default = name.split(".")[0], parameters(method)
    for value in values:
        try:
            trial = changed(method, {name: value})
        except (KeyError, TypeError):
            return [*found, f"{key}: method has no parameter {name!r}"]
        if first in default:
            found += fits(
                f"{key}.{name}", trial[first], default[first], least(method).get(first, 1)
            )
        if first in choices(method):
            found += unknown(f"{key}.{name}", value, list(choices(method)[first]))
    return found
