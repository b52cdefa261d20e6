"""Checks of the config's searches and the spaces that they try."""

from histopair.plan import entries
from histopair.plan.checks.studies import metrics, run
from histopair.plan.checks.types import fits
from histopair.plan.mistakes import unknown
from histopair.plan.recipes import choices, least, parameters
from histopair.training.search_space import changed


def searches(config: dict) -> list[str]:
    """Mistakes of what a search tries, and of the runs that this takes."""
    found = []
    for name, search in config["searches"].items():
        key = f"searches.{name}"
        wrong = unknown(f"{key}.metric", search["metric"], metrics())
        for part in ("dataset", "encoder", "method"):
            wrong += unknown(f"{key}.{part}", search[part], config[f"{part}s"])
        if not wrong:
            if entries.folds(config["datasets"][search["dataset"]]):
                first = entries.fold(search["dataset"], 1)
                wrong.append(
                    f"{key}.dataset: it is cross-validated; search on a fold, as {first!r}"
                )
            wrong += run(config, key, search["dataset"], search["method"])
            method = entries.method(config, search["method"], search["dataset"])
            wrong += _space(f"{key}.space", search["space"], method)
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
