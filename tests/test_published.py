"""The papers' own numbers: complete, consistent where the papers are, and bad files named."""

import re
from pathlib import Path

import pandas as pd
import pytest
import yaml

from histopair.errors import InputError
from histopair.evaluation import metrics, published

FOLDER = Path(__file__).parents[1] / "config" / "published"
MULTILABEL = published.read(FOLDER / "multilabel.csv")
CLIP_IT = published.read(FOLDER / "clip-it.csv")
TABLES_1_AND_2 = ("zero-shot", "resnet50", "bert", "final")


def value(method, metric):
    return published.find(MULTILABEL, "any", "any", method, metric)["paper"]


def write(tmp_path, text):
    path = tmp_path / "p.csv"
    path.write_text(text)
    return path


def test_tables_1_and_2_of_the_multi_label_paper_are_whole():
    metrics = {row["metric"] for row in MULTILABEL if row["method"] == "final"}
    assert len(metrics) == 7
    for method in TABLES_1_AND_2:
        assert {row["metric"] for row in MULTILABEL if row["method"] == method} == metrics
    assert (value("final", "top3_f1_micro"), value("resnet50", "hamming")) == (0.8628, 0.0258)
    frozen = [value(method, "label_accuracy_3") for method in ("fusion-frozen", "fusion-sum")]
    assert frozen == [0.55, 0.47]


@pytest.mark.parametrize("method", TABLES_1_AND_2)
def test_rows_satisfy_the_identities_but_the_one_marked_inconsistent(method):
    f1 = value(method, "top3_f1_micro")
    mean = sum(value(method, f"label_accuracy_{k}") for k in (1, 2, 3)) / 3
    consistent = abs(mean - f1) < 2e-4 and abs(6 * (1 - f1) / 60 - value(method, "hamming")) < 1e-4
    notes = {row["note"] for row in MULTILABEL if row["method"] == method}
    marked = all("Inconsistent" in note for note in notes)
    assert consistent == (not marked) == (method != "zero-shot")


def test_tables_1_and_2_of_clip_it_are_whole():
    first = [row for row in CLIP_IT if row["note"].startswith("Table 1")]
    cells = {(row["dataset"], row["encoder"], row["value"]) for row in first}
    assert len(cells) == 6 * 3 * 2 and all(row["std"] for row in first)
    second = [row for row in CLIP_IT if row["note"].startswith("Table 2")]
    assert len({(row["dataset"], row["encoder"], row["value"]) for row in second}) == 2 * 3 * 3
    found = published.find(CLIP_IT, "bach", "uni", "clip-it", "balanced_accuracy")
    assert (found["paper"], found["paper_std"]) == (0.8179, 0.0198)
    assert published.find(CLIP_IT, "phantom-crc", "uni", "clip-it", "balanced_accuracy") == {}


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.csv")), ids=lambda path: path.name)
def test_every_csv_opens_elsewhere_with_its_notes_whole(path):
    table = pd.read_csv(path)
    assert list(table["note"].str.strip()) == list(table["note"])
    assert table["note"].str.match(r"(.*\bTable \d|In the text|Section )").all()
    known = metrics.METRICS
    told = [row["note"] for row in published.read(path, known)]
    each = table["method"].str.split().explode().index
    assert told == list(table["note"][each])


def test_a_note_says_who_retrieved_where_the_papers_retriever_is_not_the_configs():
    by_conch = published.find(CLIP_IT, "pcam", "uni", "clip-it", "balanced_accuracy")
    by_quiltnet = published.find(CLIP_IT, "pcam", "uni", "clip-it-by-quiltnet", "balanced_accuracy")
    assert by_quiltnet["paper"] == 0.951
    assert by_conch["paper_note"] == "Table 1, paired by CONCH; by QuiltNet 0.9510 (Table 7)."
    taught = [row for row in CLIP_IT if "clip-it" in row["method"]]
    assert all(re.search("CONCH|Table 7", row["note"]) for row in taught)


@pytest.mark.parametrize("name", ["clip-it", "multilabel"])
def test_every_published_number_stands_in_a_study_of_its_config(name):
    text = (FOLDER.parent / f"{name}.yaml").read_text(encoding="utf-8")
    studies = yaml.safe_load(text)["studies"].values()
    shown = {
        (dataset, encoder, method)
        for study in studies
        if study.get("published", "").endswith(f"{name}.csv")
        for dataset in ("", *study["datasets"])
        for encoder in ("", *study["encoders"])
        for method in study["methods"]
    }
    told: dict[tuple, list] = {}
    for row in published.read(FOLDER / f"{name}.csv"):
        place = (row["dataset"], row["metric"], row["value"], row["note"])
        told.setdefault(place, []).append((row["dataset"], row["encoder"], row["method"]))
    assert [place for place, names in told.items() if not shown & set(names)] == []


def test_the_row_that_names_more_goes_before_the_general_one(tmp_path):
    rows = published.read(
        write(
            tmp_path,
            "method,metric,value,note,dataset,encoder\nm,accuracy,0.1,,,\nm,accuracy,0.2,,d,\n",
        )
    )
    assert published.find(rows, "d", "e", "m", "accuracy")["paper"] == 0.2
    assert published.find(rows, "other", "e", "m", "accuracy")["paper"] == 0.1
    assert published.find(rows, "d", "e", "n", "accuracy") == {}


def test_one_row_may_name_a_method_in_several_ways(tmp_path):
    rows = published.read(write(tmp_path, "method,metric,value,note\none two,accuracy,0.1,x\n"))
    for name in ("one", "two"):
        assert published.find(rows, "d", "e", name, "accuracy")["paper_note"] == "x"
    ours, faithful = (
        published.find(CLIP_IT, "pcam", "uni", method, "balanced_accuracy")
        for method in ("clip-it", "clip-it-faithful")
    )
    assert ours == faithful != {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("method,metric,value\n", "column 'note' is missing"),
        ("", "the file is empty"),
        ("method,metric,value,note,extra\n", "column 'extra' is unknown"),
        (
            "method,metric,value,note\nm,accuracy,0.1,a, b, c\n",
            "row 2: it has 6 cells, the heading has 4.*Quote",
        ),
        ("method,metric,value,note\nm,f2,0.1,\n", "row 2.*no metric 'f2'"),
        ("method,metric,value,note\nm,accuracy,high,\n", "row 2.*'high' is not a number"),
        ("method,metric,value,note\nm,accuracy,nan,\n", "'nan' is not a number"),
        ("method,metric,value,note\nm,accuracy,74.2,\n", "row 2.*'74.2' is not between 0 and 1"),
        ("method,metric,value,note,std\nm,accuracy,0.7,,1.2\n", "'1.2' is not between 0 and 1"),
        ("method,metric,value,note\nm,accuracy,1,\nm,accuracy,1,\n", "row 3.*occurs twice"),
    ],
)
def test_a_bad_file_is_named_with_its_row(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        published.read(write(tmp_path, text))


def test_a_file_of_other_methods_is_refused():
    with pytest.raises(InputError, match="none of the study's"):
        published.check(MULTILABEL, "p.csv", ["unimodal"])
