"""Prompts: each class name in each template."""

import pandas as pd

from histopair.files import tables


def of_samples(labels: pd.Series, about: dict, template: str) -> list[str]:
    """The prompt of each of n label lists; `about` as the labels' parquet has it."""
    names = about.get("class_names") or {}
    listed = (", ".join(names.get(label, label) for label in own) for own in labels)
    return [template.replace("{}", words) for words in listed]


def of_classes(labels: str, templates: list[str]) -> pd.DataFrame:
    """label, template and prompt of a dataset's classes; `{}` in a template is the class name."""
    about = tables.about(labels)
    names = about.get("class_names") or {}
    rows = [
        {
            "label": label,
            "template": template,
            "prompt": template.replace("{}", names.get(label, label)),
        }
        for label in about["classes"]
        for template in templates
    ]
    return pd.DataFrame(rows)
