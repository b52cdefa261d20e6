"""A `labels_map`: the csv of label, standard and reason that merges synonyms and drops labels."""

from collections.abc import Collection

from histopair.errors import InputError
from histopair.files import missing, sheets


def read(path: str | None, named: Collection[str] = ()) -> tuple[dict, dict]:
    """Label -> standard (None: dropped), and label -> reason; both empty without a path.

    A word for a missing value is not a standard, unless it is `named`. Raises InputError for a row
    without a label, a label with several standards, and a standard that is mapped to another.
    """
    if path is None:
        return {}, {}
    words = {"label": missing.WORDS, "standard": named}  # a mapping of NA means a label
    table = sheets.read(path, ["label", "standard"], ["reason"], texts=["reason"], values=words)
    sheets.require_filled(table, "label", path)
    table = table.drop_duplicates(["label", "standard"])
    twins = sheets.twins(table, table.label)
    if len(twins):
        standards = sheets.listed_names(twins.standard)
        problem = f"the label '{twins.label.iloc[0]}' has several standards: {standards}"
        raise InputError(path, problem, "Keep one", " and ".join(map(str, twins.row)))
    table = table.astype(object).where(table.notna(), None).set_index("label")
    chained = sorted(set(table.standard.dropna()) & set(table.index[table.index != table.standard]))
    if chained:
        problem = f"'{chained[0]}' is both a standard and mapped to another"
        raise InputError(path, problem, "Map it to itself")
    return table.standard.to_dict(), table.reason.to_dict()
