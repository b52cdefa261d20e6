"""Prompts: each class name in each template."""

import pandas as pd

from histopair.files import tables


def of_samples(labels: pd.Series, about: dict, template: str) -> list[str]:
    """The prompt of each of n label lists; `about` is that of the labels' parquet."""
    names = about.get("class_names") or {}
    return [
        template.replace("{}", ", ".join(names.get(label, label) for label in sample))
        for sample in labels
    ]


def of_classes(labels: str, templates: list[str]) -> pd.DataFrame:
    """label, template and prompt of a dataset's classes; `{}` in a template is the class name."""
    about = tables.about(labels)
    names = about.get("class_names") or {}
    rows = [
        (label, template, template.replace("{}", names.get(label, label)))
        for label in about["classes"]
        for template in templates
    ]
    return pd.DataFrame(rows, columns=["label", "template", "prompt"])
