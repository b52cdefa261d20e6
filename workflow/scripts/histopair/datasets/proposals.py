"""Proposed merges of labels: a table to accept or refuse. It merges nothing itself."""

import io
from collections import Counter

import numpy as np
import pandas as pd

from histopair import readers
from histopair.datasets import label_tables, spelling
from histopair.files import labels_map, sheets, tables

COLUMNS = ["label", "count", "standard", "count_standard", "reason", "similarity", "accept"]
MOST = 5000  # undecided labels that are compared at most, the commonest first
REASONS = ("case", "spacing", "plural", "spelling", "synonym")  # the surest first


def counts(entry: dict) -> Counter:
    """Samples of each label as published, from the config `entry` of a dataset."""
    frame, _ = readers.find(entry["reader"]).read(entry)
    return label_tables.counted(frame.labels)


def write(entry: dict, embeddings: str | None, output: str) -> None:
    """Write the proposals for the labels of a dataset as a csv.

    `embeddings` is a table of label and embedding, for synonyms at or above the similarity in the
    entry's `proposals`. Labels that `labels_map` has decided are not proposed. Prints how many
    labels beyond MOST were not compared.
    """
    mapping, _ = labels_map.read(entry.get("labels_map"))
    least = (entry.get("proposals") or {}).get("similarity", 0.9)
    raw = counts(entry)
    labels = undecided(raw, mapping)
    similar = _similar(embeddings, least, labels) if embeddings else {}
    rows, rarest = propose(raw, mapping, similar), len(labels[MOST:])
    compared = len(labels) - rarest
    print(f"{compared} of {len(labels)} undecided labels compared, {len(rows)} merges proposed")
    if rarest:
        print(f"The {rarest} rarest were not: decide some of the others, then run it again")
    text = io.StringIO()
    pd.DataFrame(rows, columns=COLUMNS).map(sheets.guarded).to_csv(text, index=False)
    tables.write_text(output, text.getvalue())


def undecided(raw: Counter, mapping: dict[str, str | None]) -> list[str]:
    """Labels that are neither mapped nor a standard of the mapping, the commonest first."""
    standards = set(filter(None, mapping.values()))
    return sorted(set(raw) - standards - set(mapping), key=lambda name: (-raw[name], name))


def propose(
    raw: Counter, mapping: dict[str, str | None], similar: dict[tuple[str, str], float]
) -> list[dict]:
    """Rows of COLUMNS: each label gets at most one standard, and no standard is itself proposed.

    raw: samples of each raw label. mapping: labels already decided and their standards.
    similar: cosine of pairs of labels that are alike in meaning, each undecided one with any other.
    The commoner label is the standard; one already decided goes before all others. Of the undecided
    the MOST commonest are compared.
    """
    standards = set(filter(None, mapping.values()))
    heads: dict[str, list[str]] = {}  # by first letter: spellings of one label share it
    for label in sorted(standards | set(mapping), key=lambda name: (name not in standards, name)):
        heads.setdefault(spelling.initial(label), []).append(label)
    rows = []
    for label in undecided(raw, mapping)[:MOST]:
        spelt = heads.setdefault(spelling.initial(label), [])
        meant = [head for other in heads.values() for head in other if (label, head) in similar]
        reasons = [(_reason(label, head, similar), head) for head in [*spelt, *meant]]
        reasons = [(REASONS.index(why[0]), -why[1], head) for why, head in reasons if why]
        if not reasons:
            spelt.append(label)
            continue
        why, alike, head = min(reasons, key=lambda reason: reason[:2])
        standard = mapping.get(head, head) or ""
        count = raw[standard] if standard else ""
        cells = (label, raw[label], standard, count, REASONS[why], f"{-alike:.3f}", "")
        rows.append(dict(zip(COLUMNS, cells, strict=True)))
    return sorted(rows, key=lambda row: (REASONS.index(row["reason"]), -row["count"], row["label"]))


def _reason(
    label: str, head: str, similar: dict[tuple[str, str], float]
) -> tuple[str, float] | None:
    meaning = similar.get((label, head))
    return spelling.reason(label, head) or (("synonym", meaning) if meaning else None)


def _similar(path: str, least: float, labels: list[str]) -> dict[tuple[str, str], float]:
    """Cosines of at least `least`: of those of `labels` (undecided) that are compared, with others.

    The rest of `labels` has none: the cosines of all pairs could fill the memory.
    """
    names = tables.read(path, ["label"]).label
    vectors = tables.matrix(path, normalise=True)
    ours, others = names.isin(labels[:MOST]).to_numpy(), ~names.isin(labels[MOST:]).to_numpy()
    cosine = vectors[ours] @ vectors[others].T
    i, j = np.nonzero(cosine >= least)
    alike = zip(names[ours].iloc[i], names[others].iloc[j], cosine[i, j], strict=True)
    return {(one, other): float(value) for one, other, value in alike if one != other}
