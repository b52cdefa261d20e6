"""Merges of labels are proposed, never done; accepted ones end in the mapping, consistent."""

import subprocess
import sys
import tracemalloc
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histopair.datasets import merges, proposals, spelling
from histopair.errors import InputError
from histopair.files import labels_map, sheets, tables

COMMANDS = Path(__file__).parents[1] / "workflow" / "commands"

SAME = """
case: renal|Renal, Soft Tissue|Soft tissue, BONE|Bone
spacing: Head & Neck|Head and Neck, Head-and-Neck|Head and Neck, soft_tissue|Soft tissue
spacing: Softtissue|Soft tissue, G.I.|GI, Low-grade|Low grade, p16-INK4a|p16 INK4a
plural: Infectious diseases|Infectious disease, Pediatrics|Pediatric, Biopsies|Biopsy, Nevi|Nevus
plural: Metastases|Metastasis, Papillae|Papilla, Carcinomas|Carcinoma, Soft tissues|Soft tissue
spelling: Haematopathology|Hematopathology, Paediatric|Pediatric, Tumour|Tumor
spelling: Oesophageal|Esophageal, Hematolgy|Hematology, Nephrolgy|Nephrology, Brest|Breast
spelling: Pulmnoary|Pulmonary, Opthalmic|Ophthalmic, Surgical Patholgy|Surgical pathology
synonym: Immunology|Immunopathology, Cytology|Cytopathology, Gynecologic|Gynecology
synonym: Neuro|Neurology, Neurological|Neuropathology, Breast pathology|Breast, Urology|Uropathology
"""
FALSE_FRIENDS = """
Neuro|Nephro, Neurology|Nephrology, Neuropathology|Nephropathology, Hepatology|Hematology
Hepatopathology|Hematopathology, Dermatology|Hematology, Urology|Neurology, Ureteral|Urethral
Ileum|Ilium, Typical|Atypical, Hypothyroid|Hyperthyroid, Hypoplasia|Hyperplasia, Renal|Adrenal
Intraductal|Interductal, Mycology|Myology, Oncology|Ontology, Perineal|Peritoneal
Peroneal|Perineal, Cytology|Histology, Type 1|Type 2, Grade I|Grade II, Stage IIa|Stage IIb
Melanoma|Non-melanoma, Myeloma|Melanoma, Lipoma|Lymphoma, Adenoma|Adenosis, Sarcoma|Sarcoid
Right breast|Left breast, Ductal carcinoma|Lobular carcinoma, Endocrine|Exocrine
Pathology|General pathology, Carcinoma|Carcinosarcoma, Chondroma|Chordoma, Papillary|Capillary
Basal cell carcinoma|Basal cell adenoma, Benign|Malignant, Meningioma|Meningitis
HER2+|HER2-, HER2+|HER2 \u2212, ER+ PR-|ER- PR+, Below <1%|Below >1%, EGFR+|EGFR
EGFR -|EGFR, \u226510 mm|<10 mm
"""


def _pairs(text: str) -> list[tuple[str, str]]:
    return [tuple(pair.strip().split("|")) for line in text.split("\n") for pair in line.split(",")]


def _of(kind: str) -> list[tuple[str, str]]:
    lines = [line.split(": ")[1] for line in SAME.split("\n") if line.startswith(kind)]
    return [pair for line in lines for pair in _pairs(line)]


@pytest.mark.parametrize("kind", proposals.REASONS)
def test_labels_that_are_one_are_found_with_the_reason(kind):
    assert {pair: (spelling.reason(*pair) or [None])[0] for pair in _of(kind)} == dict.fromkeys(
        _of(kind), kind
    )


@pytest.mark.parametrize("pair", _pairs(FALSE_FRIENDS.strip()))
def test_false_friends_are_not_proposed(pair):
    assert spelling.reason(*pair) is None
    assert proposals.propose(Counter(pair), {}, {}) == []


@settings(deadline=None)
@given(st.text(max_size=12), st.text(max_size=12))
def test_reasons_hold_both_ways_for_any_text(first, second):
    assert spelling.reason(first, second) == spelling.reason(second, first)


def test_labels_that_are_one_have_the_same_initial():
    """Only labels of one initial are compared."""
    pairs = [pair for kind in proposals.REASONS for pair in _of(kind)]
    initials = [{spelling.initial(label) for label in pair} for pair in pairs]
    assert [pair for pair, found in zip(pairs, initials, strict=True) if len(found) > 1] == []


def _short(rows: list[dict]) -> list[tuple]:
    return [(row["label"], row["standard"], row["reason"]) for row in rows]


def test_the_commoner_label_is_the_standard_unless_the_mapping_has_one():
    found = Counter({"Renal": 5, "renal": 9, "Renals": 1, "Nephrology": 2, "Lung": 3})
    assert _short(proposals.propose(found, {}, {})) == [
        ("Renal", "renal", "case"),
        ("Renals", "renal", "plural"),
    ]
    assert _short(proposals.propose(found, {"Nephrology": "Renal"}, {})) == [
        ("renal", "Renal", "case"),
        ("Renals", "Renal", "plural"),
    ]


def test_decided_labels_are_not_proposed_and_lend_their_standard():
    mapping = {"Skin": "Dermatopathology", "Pathology": None, "Lungs": "Lungs"}
    found = Counter({"Skin": 3, "skin": 2, "pathology": 4, "Lung": 1, "Lungs": 7})
    rows = proposals.propose(found, mapping, {})
    assert _short(rows) == [
        ("pathology", "", "case"),
        ("skin", "Dermatopathology", "case"),
        ("Lung", "Lungs", "plural"),
    ]
    assert rows[2]["count_standard"] == 7


def test_embeddings_propose_what_letters_cannot(tmp_path):
    vectors = np.array([[1, 0, 0], [0.99, 0.1, 0], [0, 1, 0], [0, 0.6, 0.8]], "float32")
    labels = ["Kidney", "Renal", "Lung", "Bone"]
    table = pa.table({"label": labels, "embedding": tables.vectors(vectors)})
    tables.write(tmp_path / "e.parquet", table, {})
    similar = proposals._similar(tmp_path / "e.parquet", 0.9, labels)
    assert similar.keys() == {("Kidney", "Renal"), ("Renal", "Kidney")}
    found = Counter({"Kidney": 1, "Renal": 8, "Lung": 2, "Bone": 3})
    rows = proposals.propose(found, {}, similar)
    assert _short(rows) == [("Kidney", "Renal", "synonym")]
    assert rows[0]["similarity"] == "0.995"
    similar = proposals._similar(tmp_path / "e.parquet", 0.9, ["Renal", "Bone", "Lung"])
    rows = proposals.propose(found, {"Kidney": "Kidneys"}, similar)  # a decided one lends its own
    assert _short(rows) == [("Renal", "Kidneys", "synonym")]


NAMES = ["Renal", "renal", "Renals", "Kidney", "Lung", "lung", "Lungs", "Bone", "=Bone", "GI"]
words = st.sampled_from(NAMES)
counters = st.dictionaries(words, st.integers(1, 9), max_size=8).map(Counter)


@settings(deadline=None)
@given(counters, st.dictionaries(words, st.sampled_from(["X", "Y", None]), max_size=3))
def test_accepting_every_proposal_gives_a_mapping_that_is_read(tmp_path_factory, found, mapping):
    folder = tmp_path_factory.mktemp("merges")
    rows = proposals.propose(found, mapping, {})
    assert not {row["label"] for row in rows} & set(mapping)
    if not rows:
        return
    path = folder / "map.csv"
    text = "".join(f"{label},{standard or ''},given\n" for label, standard in mapping.items())
    path.write_text("label,standard,reason\n" + text) if mapping else None
    table = pd.DataFrame(rows).map(sheets.guarded).assign(accept="yes")
    table.to_csv(folder / "p.csv", index=False)
    merges.accept(str(folder / "p.csv"), str(path))
    after, _ = labels_map.read(str(path))
    assert after == mapping | {row["label"]: row["standard"] or None for row in rows}
    assert proposals.propose(found, after, {}) == []


def test_writing_proposals_reads_the_dataset_and_guards_against_formulas(tmp_path):
    rows = [f"{i}.png,{label}" for i, label in enumerate(["=a", "=A", "=A", "b"])]
    (tmp_path / "labels.csv").write_text("\n".join(["path,label", *rows]))
    entry = {"reader": "table", "root": str(tmp_path)}
    proposals.write(entry, None, tmp_path / "p.csv")
    assert (tmp_path / "p.csv").read_text() == (
        "label,count,standard,count_standard,reason,similarity,accept\n'=a,1,'=A,2,case,1.000,\n"
    )


MAP = "label,standard,reason,who\nskin,Dermatopathology,organ,me\nJunk,,no class,me\n"
HEADING = "label,count,standard,count_standard,reason,similarity,accept\n"


def _accept(folder, *rows: str, mapping: str | None = MAP) -> str:
    (folder / "p.csv").write_text(HEADING + "\n".join(rows) + "\n")
    if mapping is not None:
        (folder / "map.csv").write_text(mapping)
    return merges.accept(str(folder / "p.csv"), str(folder / "map.csv"))


def test_labels_that_are_too_many_to_compare_are_counted_in_the_log(tmp_path, monkeypatch, capsys):
    found = Counter({"Tumour": 9, "tumour": 5, "TUMOUR": 1, "colon": 7})
    monkeypatch.setattr(proposals, "counts", lambda entry: found)
    proposals.write({}, None, tmp_path / "p.csv")
    assert capsys.readouterr().out == "4 of 4 undecided labels compared, 2 merges proposed\n"
    monkeypatch.setattr(proposals, "MOST", 3)
    proposals.write({}, None, tmp_path / "p.csv")
    counted, rest = capsys.readouterr().out.splitlines()
    assert counted == "3 of 4 undecided labels compared, 1 merges proposed"
    assert rest.startswith("The 1 rarest were not")


def test_the_memory_grows_with_the_labels_that_are_compared(tmp_path, monkeypatch):
    labels = [f"{number:04}" for number in range(3000)]
    vectors = np.random.default_rng(0).normal(size=(3000, 3)).astype("float32")
    vectors[[9, 10, 2999]] = vectors[0]
    table = pa.table({"label": labels, "embedding": tables.vectors(vectors)})
    tables.write(tmp_path / "e.parquet", table, {})
    monkeypatch.setattr(proposals, "MOST", 10)
    tracemalloc.start()
    similar = proposals._similar(tmp_path / "e.parquet", 0.99999, labels[:2999])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert {("0000", "0009"), ("0000", "2999"), ("0009", "2999")} < similar.keys()
    assert {one for one, _ in similar} <= set(labels[:10])
    assert {other for _, other in similar} <= {*labels[:10], "2999"}
    assert peak < 3000 * 3000  # all cosines would be four bytes each


def test_answers_are_added_sorted_and_other_columns_kept(tmp_path):
    said = _accept(
        tmp_path,
        "Lungs,1,Lung,2,plural,0.9,Yes ",
        "lung,1,Lung,2,case,1.0,NO",
        "bone,1,Bone,2,case,1.0,",
        "General,1,,,synonym,0.9,x",
    )
    assert said == (
        f"{tmp_path}/map.csv: 2 labels merged, 1 kept apart; 1 of 4 proposals are undecided"
    )
    assert (tmp_path / "map.csv").read_text() == (
        "label,standard,reason,who\nGeneral,,synonym,\nJunk,,no class,me\n"
        "skin,Dermatopathology,organ,me\nlung,lung,not Lung,\nLungs,Lung,plural,\n"
    )
    mapping, _ = labels_map.read(str(tmp_path / "map.csv"))
    assert mapping["lung"] == "lung" and mapping["General"] is None


def test_the_same_answers_twice_change_nothing(tmp_path):
    rows = ["Lungs,1,Lung,2,plural,0.9,yes", "lung,1,Lung,2,case,1.0,no"]
    _accept(tmp_path, *rows)
    once = (tmp_path / "map.csv").read_bytes()
    assert ": 0 labels merged, 0 kept apart" in _accept(tmp_path, *rows, mapping=None)
    assert (tmp_path / "map.csv").read_bytes() == once


def test_a_mapping_that_is_not_there_is_made(tmp_path):
    _accept(tmp_path, "Lungs,1,Lung,2,plural,0.9,yes", mapping=None)
    assert (tmp_path / "map.csv").read_text() == "label,standard,reason\nLungs,Lung,plural\n"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            ["a,1,b,1,case,1,maybe"],
            "p.csv, row 2: the answer 'maybe' is neither yes nor no. "
            "Write yes or no, or leave it empty",
        ),
        (
            ["a,1,b,1,case,1,", "skin,1,Skin,1,case,1,yes"],
            "p.csv, row 3: 'skin' is already mapped to 'Dermatopathology'. "
            "Keep one, here or in {folder}/map.csv",
        ),
        (
            ["a,1,b,1,case,1,yes", "a,1,c,1,case,1,yes"],
            "p.csv, row 3: 'a' is already mapped to 'b'. Keep one, here or in {folder}/map.csv",
        ),
        (
            ["a,1,b,1,case,1,yes", "b,1,c,1,case,1,yes"],
            "p.csv, row 2: the standard 'b' is itself mapped to 'c'. Use that as the standard",
        ),
        (
            ["a,1,b,1,case,1,yes", "b,1,a,1,case,1,yes"],
            "p.csv, row 2: the standard 'b' is itself mapped to 'a'. Use that as the standard",
        ),
        (
            ["a,1,Junk,1,case,1,yes"],
            "p.csv, row 2: the standard 'Junk' is itself mapped to nothing (dropped). "
            "Use that as the standard",
        ),
        (
            ["Dermatopathology,1,Derm,1,case,1,yes"],
            "p.csv, row 2: 'Dermatopathology' is the standard of 'skin'. "
            "Map 'skin' to another first",
        ),
        (
            [",1,b,1,case,1,yes"],
            "p.csv, row 2: the cell 'label' is empty. Fill it or remove the row",
        ),
    ],
)
def test_answers_that_contradict_leave_the_mapping_as_it_was(tmp_path, rows, message):
    with pytest.raises(InputError) as error:
        _accept(tmp_path, *rows)
    assert str(error.value) == f"{tmp_path}/{message.format(folder=tmp_path)}"
    assert (tmp_path / "map.csv").read_text() == MAP


def test_the_command_says_what_it_did_or_one_line_of_what_is_wrong(tmp_path):
    (tmp_path / "p.csv").write_text(HEADING + "Lungs,1,Lung,2,plural,0.9,yes\n")
    arguments = [sys.executable, COMMANDS, "accept-merges"]
    arguments += [tmp_path / "p.csv", tmp_path / "map.csv"]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("1 labels merged, 0 kept apart; 0 of 1 proposals are undecided\n")
    (tmp_path / "p.csv").write_text("label\n")
    failed = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert failed.returncode == 1
    assert failed.stderr.startswith(f"histopair: {tmp_path}/p.csv: there is no column")
    assert failed.stderr.count("\n") == 1
