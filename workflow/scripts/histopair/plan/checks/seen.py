"""Checks that a study's test samples taught no encoder trained here and chose no parameters."""

from histopair.plan import entries


def labels(key: str, study: str, config: dict) -> list[str]:
    """A line for each dataset of a study and encoder that learnt other splits' labels of it."""
    judged = {
        (dataset, encoder): None
        for model in entries.models(config, study)
        for encoder in _encoders(config, model)
        for dataset in (model["dataset"], *_others(config, study))
    }
    return [
        f"{key}: encoder {encoder!r} learnt labels of {learnt!r}, and {dataset!r} splits the same "
        f"samples otherwise, so that it may have seen test labels; compare on {learnt!r}, or take "
        "an encoder of other samples"
        for dataset, encoder in judged
        for learnt in _learnt(config, encoder)
        if _split_otherwise(config, learnt, dataset)
    ]


def tuned(key: str, study: str, config: dict) -> list[str]:
    """A line for each dataset of a study that splits otherwise what a tuning chose a method on.

    Only the name that best.yaml gives a method, TUNING-best, tells where its parameters come from.
    """
    entry, tunings = config["studies"][study], config["tunings"].items()
    chosen = {f"{name}-best": tuning["dataset"] for name, tuning in tunings}
    return [
        f"{key}: the parameters of {method!r} were chosen on {chosen[method]!r}, and {dataset!r} "
        f"splits the same samples otherwise, so that it may test those; judge it on "
        f"{chosen[method]!r}, or tune on other samples"
        for method in entry["methods"]
        if chosen.get(method) in config["datasets"]
        for dataset in (*entry["datasets"], *_others(config, study))
        if _split_otherwise(config, chosen[method], dataset)
    ]


def _others(config: dict, study: str) -> list[str]:
    return config["studies"][study].get("evaluate_on", [])


def _split_otherwise(config: dict, one: str, other: str) -> bool:
    """Whether test samples of the other may be train or validation of the one."""
    same = entries.base(config, one) == entries.base(config, other)
    return same and _split(config, one) != _split(config, other)


def _encoders(config: dict, model: dict) -> list[str]:
    """The encoders of a method and of its teacher, with those that their towers started from."""
    method = entries.of_run(config, model)
    names = [model["encoder"], method.get("text_encoder"), method.get("retriever")]
    teacher = entries.teacher_of(config, model)
    found = [*filter(None, names), *(_encoders(config, teacher) if teacher else ())]
    for name in found:  # grows
        towers = config["encoders"][name].get("train", {}).get("towers", {})
        found += [tower for tower in towers.values() if tower not in found]
    return found


def _learnt(config: dict, encoder: str) -> list[str]:
    """The dataset whose labels an encoder is trained on here, if it is; a `match` reads labels."""
    train = config["encoders"][encoder].get("train", {})
    supervised = train.get("kind") == "classifier" or "match" in train
    return [train["dataset"]] if supervised else []


def _split(config: dict, dataset: str) -> dict:
    """How a dataset is split; with few labels it keeps the validation and test of all labels."""
    split = config["datasets"][dataset]["split"]
    return {key: value for key, value in split.items() if key != "labels"}
