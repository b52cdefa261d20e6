"""Labels by their standard names: a mapping file merges synonyms and drops other labels."""

from collections import Counter
from itertools import chain

import pandas as pd

from histopair.errors import InputError
from histopair.files import audit, folding, labels_map, sheets


def apply(frame: pd.DataFrame, entry: dict, name: str, fixed: list[str] | None):
    """Map, unite, check and thin out labels: (frame, audit rows).

    Spellings of one label (`folding.key`) are united in the one that the config or the format
    names, else in the commonest. `labels_map` is a csv of label, standard (empty: drop the label),
    reason. It may only lead to `classes` (the config's, else those `fixed` by the format). Labels
    of fewer than `min_count` samples are dropped, and those beyond the `most_classes` commonest;
    then samples without a label. attrs["standard"] maps each label that was read to its standard.
    Raises InputError for unknown labels, an ambiguous mapping, and if nothing is left.
    """
    classes = entry.get("classes") or fixed
    named = {*(classes or ()), *(entry.get("class_names") or ())}
    standards, reasons = labels_map.read(entry.get("labels_map"), named)
    fixed_texts = named | {*standards, *filter(None, standards.values())}
    united, spelled, rows = _united(frame.labels, fixed_texts)
    frame = frame.assign(labels=united)
    frame.attrs["standard"] = {old: standards.get(new, new) for old, new in spelled.items()}
    before = Counter(chain.from_iterable(frame.labels))
    rows += [
        _mapped(label, standards[label], reasons[label], before)
        for label in sorted(before)
        if standards.get(label, label) != label
    ]
    rows += _never_met(standards, before)
    frame = frame.assign(labels=_translated(frame.labels, standards))
    if classes is not None:
        _require_classes(frame, classes, name)
    rare, thinned = _rare(frame, entry.get("min_count", 0), entry.get("most_classes"))
    rows += thinned
    frame = frame.assign(labels=_translated(frame.labels, dict.fromkeys(rare)))
    empty = frame.labels.map(len) == 0
    if empty.any():
        where, reason = _where(frame[empty]), "no label is left"
        rows.append(audit.row("standardise", "dropped", where, reason, count=empty.sum()))
    if empty.all():
        raise InputError(name, "no sample with a label is left", "Check `labels_map`, `min_count`")
    return frame[~empty].reset_index(drop=True), rows


def names(
    frame: pd.DataFrame, given: dict[str, str], default: dict[str, str]
) -> tuple[dict[str, str], list[dict]]:
    """The text of each clean label that has none, from those of the labels that became it.

    frame: from `apply`. Texts that the config has `given` count before the format's. An audit row
    for each label whose texts differ: it gets none of them.
    """
    found: dict[str, set[str]] = {}
    for texts in (given, default):
        named = {*given, *default, *found}
        for label, standard in frame.attrs["standard"].items():
            if standard and standard not in named and label in texts:
                found.setdefault(standard, set()).add(texts[label])
    reason = "its labels have different names, so it has none: give it one in `class_names`"
    counts = Counter(chain.from_iterable(frame.labels))
    rows = [
        audit.row("standardise", "warned", label, reason, "; ".join(sorted(each)), label, count)
        for label, each in sorted(found.items())
        if len(each) > 1 and (count := counts[label])
    ]
    return {label: min(each) for label, each in found.items() if len(each) == 1}, rows


def _mapped(label: str, standard: str | None, reason: str | None, counts: Counter) -> dict:
    """One audit row for a label that the mapping changes."""
    if standard is None:
        action, default = "dropped", "not a class by the mapping"
    elif counts[standard]:
        action, default = "merged", "synonym by the mapping"
    else:
        action, default = "renamed", "renamed by the mapping"
    return audit.row(
        "standardise", action, label, reason or default, label, standard, counts[label]
    )


def _never_met(standards: dict[str, str | None], counts: Counter) -> list[dict]:
    """One audit row for labels that the mapping changes and no sample has, if there are any."""
    unmet = sorted(old for old, new in standards.items() if new != old and not counts[old])
    if not unmet:
        return []
    reason = "the mapping names labels that no sample has: look at their spelling"
    return [audit.row("standardise", "warned", audit.listed(unmet, 3), reason, count=0)]


def _translated(labels: pd.Series, standards: dict) -> list[list[str]]:
    """Labels by the mapping, without repeats and dropped ones; equal lists are mapped once."""

    def translate(names: tuple) -> list[str]:
        mapped = (standards.get(name, name) for name in names)
        return list(dict.fromkeys(name for name in mapped if name))

    translated = {names: translate(names) for names in set(map(tuple, labels))}
    return [translated[tuple(names)] for names in labels]


def _united(labels: pd.Series, named: set[str]) -> tuple[list[list[str]], dict, list[dict]]:
    """Lists of labels with one spelling of each, the spelling of each label, and audit rows."""
    counts = Counter(chain.from_iterable(labels))
    chosen = folding.spellings(counts, named)
    changed = {old: new for old, new in sorted(chosen.items()) if old != new}
    reason = "the same label written in another way"
    rows = [
        audit.row("standardise", "merged", old, reason, old, new, counts[old])
        for old, new in changed.items()
    ]
    return _translated(labels, changed), chosen, rows


def _require_classes(frame: pd.DataFrame, classes: list[str], name: str) -> None:
    unknown = Counter(chain.from_iterable(frame.labels))
    for label in classes:
        unknown.pop(label, None)
    if unknown:
        first = frame[frame.labels.str[0].isin(list(unknown))]
        shown = ", ".join(f"'{label}' ({count})" for label, count in sorted(unknown.items())[:10])
        more = f" and {len(unknown) - 10} more" if len(unknown) > 10 else ""
        raise InputError(
            name,
            f"unknown label {shown}{more}; the classes are {sheets.listed_names(classes)}",
            "Map it in `labels_map`, or correct `classes`",
            None if first.empty or pd.isna(first.row.iloc[0]) else int(first.row.iloc[0]),
        )


def _rare(frame: pd.DataFrame, least: int, most: int | None) -> tuple[list[str], list[dict]]:
    """Labels of fewer than `least` samples and those beyond the `most` commonest; audit rows.

    Of equally common labels, the first by name are kept.
    """
    counts = Counter(chain.from_iterable(frame.labels))
    common = [label for label in sorted(counts) if counts[label] >= least]
    beyond = sorted(common, key=lambda label: -counts[label])[most:] if most else []
    reasons = {label: "rarer than min_count" for label in set(counts) - set(common)}
    reasons |= dict.fromkeys(beyond, f"not among the {most} commonest (most_classes)")
    rows = [
        audit.row("standardise", "dropped", label, reasons[label], label, None, counts[label])
        for label in sorted(reasons)
    ]
    return list(reasons), rows


def _where(frame: pd.DataFrame) -> str:
    """Rows of a table, or paths where there is no table."""
    rows = frame.row.dropna().tolist()
    return f"rows {audit.listed(rows, 3)}" if rows else audit.listed(frame.path.tolist(), 3)
