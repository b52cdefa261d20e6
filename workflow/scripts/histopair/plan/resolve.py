"""What a method takes over: from another by `like`, and on single datasets from its `datasets`.

The nearest value wins: the one for the resplit, then for the split that it is a fold or the few
labels of, then for the dataset whose samples it has, then the method's, then that of the method
that it is like.
"""

from histopair.plan import checks, entries, schema
from histopair.plan.mistakes import not_allowed, unknown
from histopair.plan.recipes import distils_first, fill_parameters

TAKEN_BY_FOLDS = ("synthetic", "description", "licence")  # keys of a cross-validated dataset
TAKEN_BY_FEW = (*TAKEN_BY_FOLDS, "class_names", "corpus")  # keys of one whose labels are few
FIXED = ("recipe", "like", "datasets")  # keys of a method that cannot differ between datasets


def others(config: dict) -> dict[str, str]:
    """The method that each method is like."""
    methods = config.get("methods")
    likes = {name: method.get("like") for name, method in methods.items()} if _maps(methods) else {}
    return {name: other for name, other in likes.items() if isinstance(other, str)}


def likes(config: dict) -> list[str]:
    """Write out `like`: a method takes over what it does not say itself. Gives the mistakes."""
    methods, mistakes = config.get("methods"), []
    if not _maps(methods):
        return []  # the schema reports it

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
    """Add a resplit for each fold of a cross-validated dataset. Gives mistakes in their names."""
    mistakes = []
    for name, entry in list(config["datasets"].items()):
        for number in range(1, entries.folds(entry) + 1):
            resplit = entries.fold(name, number)
            if resplit in config["datasets"]:
                mistakes.append(f"datasets.{resplit}: this name is kept for a fold of {name!r}")
            taken = {key: entry[key] for key in TAKEN_BY_FOLDS if key in entry}
            split = entry["split"] | {"fold": number}
            config["datasets"][resplit] = {"of": entries.base(config, name), "split": split} | taken
    return mistakes


def few_labels(config: dict) -> list[str]:
    """Add a resplit for each number of labels that a study asks for, and compare on all of them.

    Gives mistakes in their names.
    """
    mistakes = []
    for study in config["studies"].values():
        numbers, datasets = study.get("labels", []), study["datasets"]
        limited = [(name, n) for name in datasets for n in numbers if n != "all"]
        for name, most in limited:
            if name in config["datasets"]:
                mistakes += _add_few_labels(config, name, most)
        if numbers:
            study["datasets"] = [entries.few(name, n) for name in datasets for n in numbers]
    return mistakes


def _add_few_labels(config: dict, name: str, most: int) -> list[str]:
    entry, resplit = config["datasets"][name], entries.few(name, most)
    split = entry["split"] | {"labels": most}
    taken = {key: entry[key] for key in TAKEN_BY_FEW if key in entry}
    added = {"of": entries.base(config, name), "split": split} | taken
    if config["datasets"].setdefault(resplit, added) != added:
        return [f"datasets.{resplit}: this name is kept for {name!r} with {most} labels a class"]
    return []


def on_datasets(config: dict) -> list[str]:
    """Write out each method's `datasets`: what differs on which datasets, resplits included.

    The methods themselves are right and have their defaults. Gives the mistakes that the same
    checks find in them on single datasets.
    """
    mistakes = []
    for name, method in config["methods"].items():
        key, written = f"methods.{name}.datasets", method.pop("datasets", {})
        lines = _unfit(key, written, config) + _too_near(key, method, written, config)
        if not lines:
            there = _there(method, written, config)
            for dataset in written:
                lines += _mistakes(f"{key}.{dataset}", there[dataset], config)
            different = {dataset: _different(whole, method) for dataset, whole in there.items()}
            method |= {"datasets": different} if any(different.values()) else {}
        mistakes += lines
    return mistakes


def _taken_over(other: dict, method: dict) -> dict:
    """`method` with what only `other` says, also on single datasets."""
    whole = {**other, **method}
    theirs, ours = other.get("datasets", {}), method.get("datasets", {})
    if _maps(theirs) and _maps(ours) and theirs:
        beside = {name: _without(entry, method) for name, entry in theirs.items()}
        whole["datasets"] = {
            name: {**beside.get(name, {}), **ours.get(name, {})} for name in {**theirs, **ours}
        }
    return _without(whole, ("like",))


def _unfit(key: str, written: dict, config: dict) -> list[str]:
    """Mistakes in the datasets' names, and keys that cannot differ."""
    lines = [line for name in written for line in unknown(key, name, config["datasets"])]
    return lines + [
        f"{key}.{name}: {fixed!r} is the same on every dataset; write a method of its own"
        for name, entry in written.items()
        for fixed in FIXED
        if fixed in entry
    ]


def _too_near(key: str, method: dict, written: dict, config: dict) -> list[str]:
    """What is said of few labels by a method that first learns from all images, whatever these."""
    if not distils_first(method):
        return []
    few = [name for name in written if name in config["datasets"] and entries.labels(config, name)]
    return [
        f"{key}.{name}: what it learns from all images is shared by all numbers of labels; "
        f"say it of {entries.whole(config, name)!r}"
        for name in few
    ]


def _there(method: dict, written: dict, config: dict) -> dict[str, dict]:
    """The whole method on each dataset for which its `datasets` says something."""
    wholes = {}
    for dataset in config["datasets"]:
        nearer = (entries.base, entries.shown, entries.whole)
        names = [*(of(config, dataset) for of in nearer), dataset]
        changes = {key: value for name in names for key, value in written.get(name, {}).items()}
        if changes or dataset in written:
            wholes[dataset] = {**method, **changes}
            fill_parameters(wholes[dataset])
    return wholes


def _mistakes(key: str, whole: dict, config: dict) -> list[str]:
    lines = schema.mistakes(whole, schema.of_a_method(), tuple(key.split(".")))
    return lines or checks.methods.method_of(key, whole, config)


def _different(whole: dict, method: dict) -> dict:
    return {key: value for key, value in whole.items() if key not in method or method[key] != value}


def _without(entry: dict, keys) -> dict:
    return {key: value for key, value in entry.items() if key not in keys}


def _maps(value: object) -> bool:
    """Whether it is a map of maps."""
    return isinstance(value, dict) and all(isinstance(part, dict) for part in value.values())
