"""Checks that no encoder trained here has learnt the labels of a study's test samples."""

from histopair.plan import entries


def labels(key: str, study: str, config: dict) -> list[str]:
    """A line for each dataset of a study and encoder that learnt other splits' labels of it."""
    judged = {
        (dataset, encoder): None
        for model in entries.models(config, study)
        for encoder in _encoders(config, model)
        for dataset in (model["dataset"], *config["studies"][study].get("evaluate_on", ()))
    }
    return [
        f"{key}: encoder {encoder!r} learnt labels of {learnt!r}, and {dataset!r} splits the same "
        f"samples otherwise, so that it may have seen test labels; compare on {learnt!r}, or take "
        "an encoder of other samples"
        for dataset, encoder in judged
        for learnt in _learnt(config, encoder)
        if entries.base(config, learnt) == entries.base(config, dataset)
        and _split(config, learnt) != _split(config, dataset)
    ]


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
