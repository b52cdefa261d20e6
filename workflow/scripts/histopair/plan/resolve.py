"""What a method takes over: from another by `like`, and on single datasets from its `datasets`.

What is said nearer goes first: of a resplit, of the dataset whose samples it has, of the method,
and then of the method that it is like.
"""

from histopair.plan import checks, entries, schema
from histopair.plan.mistakes import not_allowed, unknown
from histopair.plan.recipes import fill_parameters

FIXED = ("recipe", "like", "datasets")  # of a method, the same on every dataset


def others(config: dict) -> dict[str, str]:
    """By method, the one that it is like."""
    methods = config.get("methods")
    likes = {name: method.get("like") for name, method in methods.items()} if _maps(methods) else {}
    return {name: other for name, other in likes.items() if isinstance(other, str)}


def likes(config: dict) -> list[str]:
    """Write out `like`: a method takes over what the other says and it does not. Its mistakes."""
    methods, mistakes = config.get("methods"), []
    if not _maps(methods):
        return []  # the schema words it

    def resolved(name: str, seen: tuple[str, ...]) -> dict:
        method = methods[name]
        other = method.get("like")
        if other is None:
            return method
        if not isinstance(other, str) or other not in methods or other in seen:
            others = sorted(set(methods) - {name})
            mistakes.append(not_allowed(f"methods.{name}.like", other, others))
            return method
        return _taken_over(resolved(other, (*seen, name)), method)

    config["methods"] = {name: resolved(name, (name,)) for name in methods}
    return mistakes


def folds(config: dict) -> list[str]:
    """Add a resplit for each fold of a dataset that is cross-validated. Mistakes of their names."""
    found = []
    for name, entry in list(config["datasets"].items()):
        for number in range(1, entries.folds(entry) + 1):
            resplit = entries.fold(name, number)
            if resplit in config["datasets"]:
                found.append(f"datasets.{resplit}: this name is kept for a fold of {name!r}")
            kept = {
                key: entry[key] for key in ("synthetic", "description", "licence") if key in entry
            }
            split = entry["split"] | {"fold": number}
            config["datasets"][resplit] = {"of": entries.base(config, name), "split": split} | kept
    return found


def on_datasets(config: dict) -> list[str]:
    """Write out each method's `datasets`: what is different on which datasets, resplits among them.

    The methods themselves are right and have their defaults. Gives the mistakes of what they are
    on single datasets, by the same checks.
    """
    found = []
    for name, method in config["methods"].items():
        key, written = f"methods.{name}.datasets", method.pop("datasets", {})
        mistakes = _unfit(key, written, config)
        if not mistakes:
            there = _there(method, written, config)
            for dataset in written:
                mistakes += _mistakes(f"{key}.{dataset}", there[dataset], config)
            different = {dataset: _different(whole, method) for dataset, whole in there.items()}
            method |= {"datasets": different} if any(different.values()) else {}
        found += mistakes
    return found


def _taken_over(other: dict, own: dict) -> dict:
    """`own`, and what `other` says beside it, also of single datasets."""
    found = {**other, **own}
    theirs, ours = other.get("datasets", {}), own.get("datasets", {})
    if _maps(theirs) and _maps(ours) and theirs:
        beside = {name: _without(entry, own) for name, entry in theirs.items()}
        found["datasets"] = {
            name: {**beside.get(name, {}), **ours.get(name, {})} for name in {**theirs, **ours}
        }
    return _without(found, ("like",))


def _unfit(key: str, written: dict, config: dict) -> list[str]:
    """Mistakes of the datasets' names, and of keys that cannot differ."""
    found = [line for name in written for line in unknown(key, name, config["datasets"])]
    return found + [
        f"{key}.{name}: {fixed!r} is the same on every dataset; write a method of its own"
        for name, entry in written.items()
        for fixed in FIXED
        if fixed in entry
    ]


def _there(method: dict, written: dict, config: dict) -> dict[str, dict]:
    """The whole method on each dataset on which something is said of it."""
    found = {}
    for dataset in config["datasets"]:
        said = written.get(entries.base(config, dataset), {}) | written.get(dataset, {})
        if said or dataset in written:
            found[dataset] = {**method, **said}
            fill_parameters(found[dataset])
    return found


def _mistakes(key: str, whole: dict, config: dict) -> list[str]:
    found = schema.mistakes(whole, schema.of_a_method(), tuple(key.split(".")))
    return found or checks.methods.method_of(key, whole, config)


def _different(whole: dict, method: dict) -> dict:
    return {key: value for key, value in whole.items() if key not in method or method[key] != value}


def _without(entry: dict, keys) -> dict:
    return {key: value for key, value in entry.items() if key not in keys}


def _maps(found: object) -> bool:
    """Whether it is a map of maps."""
    return isinstance(found, dict) and all(isinstance(part, dict) for part in found.values())
