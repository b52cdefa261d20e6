"""A `labels_map`: the csv of label, standard and reason that merges synonyms and drops labels."""

from collections.abc import Collection

from histopair.errors import InputError
from histopair.files import missing, sheets


def read(path: str | None, named: Collection[str] = ()) -> tuple[dict, dict]:
    """Label -> standard (None: dropped), and label -> reason; both empty for no path.

    A word for a missing value is no standard, unless it is `named`. Raises InputError for a row
    without a label, a label with several standards, and a standard that is mapped to another.
    """
    if path is None:
        return {}, {}
    words = {"label": missing.WORDS, "standard": named}  # whoever maps NA means a label
    table = sheets.read(path, ["label", "standard"], ["reason"], texts=["reason"], values=words)
    if table.label.isna().any():
        row = int(table.row[table.label.isna().idxmax()])
        raise InputError(path, "the cell 'label' is empty", "Fill it or remove the row", row)
    table = table.drop_duplicates(["label", "standard"])
    double = table.label.duplicated(keep=False)
    if double.any():
        first = table[table.label == table.label[double].iloc[0]]
        raise InputError(
            path,
            f"the label '{first.label.iloc[0]}' has several standards: "
            f"{sheets.listed_names(first.standard)}",
            "Keep one",
            " and ".join(map(str, first.row)),
        )
    table = table.astype(object).where(table.notna(), None).set_index("label")
    chained = sorted(set(table.standard.dropna()) & set(table.index[table.index != table.standard]))
    if chained:
        raise InputError(
            path, f"'{chained[0]}' is both a standard and mapped to another", "Map it to itself"
        )
    return table.standard.to_dict(), table.reason.to_dict()
