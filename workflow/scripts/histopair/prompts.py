"""Prompts: each class name in each template."""

import pandas as pd

from histopair import tables


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
