"""A reader's answer reaches the labels, audited; published labels and test verdicts stay."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from histopair.datasets import amendments, consensus, labels, resplit
from histopair.errors import InputError
from histopair.files import answers, tables
from histopair.files.answers import Answer
from histopair.plan import data
from recompute import artifacts
from recompute import data as recomputed

COMMANDS = Path(__file__).parents[1] / "workflow" / "commands"
SPLITS = ["train"] * 12 + ["val"] * 4 + ["test"] * 4


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """20 tiles in the current folder, named by their split; the labels as published are written."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def dataset(multi: bool = False, **more) -> dict:
    """The entry of a dataset of 20 tiles of a and b in turns, or of a, or b and c."""
    Path("tiles").mkdir(exist_ok=True)
    names = ["b;c" if multi and n % 2 else "ab"[n % 2] for n in range(20)]
    rows = [f"{n}.png,{names[n]},g{n},{SPLITS[n]}" for n in range(20)]
    heading = "path,labels,group,split" if multi else "path,label,group,split"
    Path("tiles/labels.csv").write_text("\n".join([heading, *rows]) + "\n")
    for n in range(20):
        Image.fromarray(np.full((4, 4, 3), 10 * n + 5, np.uint8)).save(f"tiles/{n}.png")
    return {"reader": "table", "root": "tiles"} | more


def clean(entry: dict, name: str = "mine") -> pd.DataFrame:
    """The labels table by path; the audit lies beside it."""
    paths = [f"results/labels/{name}{end}.parquet" for end in ("", ".audit", ".away", ".counts")]
    if "of" in entry:
        source = f"results/labels/{entry['of']}"
        resplit.resplit(f"{source}.parquet", f"{source}.counts.parquet", entry, name, *paths, {})
    else:
        labels.clean(entry, name, *paths, {"params": {"entry": entry}})
    return tables.read(paths[0]).set_index("path")


def audited(name: str = "mine") -> list[list]:
    table = tables.read(f"results/labels/{name}.audit.parquet")
    columns = ["action", "subject", "before", "after", "reason"]
    return table[table.step == "amend"][columns].to_numpy().tolist()


def unexplained() -> list[str]:
    """What `histopair audit` says of the labels."""
    artifacts.forget()
    lines = recomputed.labels(Path("results")).disagreements
    return [line for line in lines if "no amendment explains" in line]


def answer(number: int, before: dict, file: str = "answers.csv", reader: str = "Ada", **more):
    sha256 = clean(dataset()).sha256[f"{number}.png"] if number < 20 else "f" * 64
    answers.append(file, Answer(reader, "m", "f", sha256, f"{number}.png", before, **more))


def accept(*words: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(COMMANDS), "accept-labels", "answers.csv", "--dataset", "mine"]
    return subprocess.run([*command, *words], capture_output=True, text=True)


def test_an_answer_reaches_the_labels_and_their_audit(folder):
    before = clean(dataset())
    published = Path("tiles/labels.csv").read_bytes()
    answer(0, {"a": 0.9, "b": 0.1}, removed=["a"], added=[], accepted=["b"])
    answer(1, {"b": 0.8}, accepted=["b"])
    answer(19, {"b": 0.8}, removed=["b"], added=["a"])
    process = accept()
    assert process.returncode == 0, process.stderr
    assert process.stdout.splitlines() == [
        "config/labels/mine.amendments.csv: 2 images amended, 1 confirmed; "
        "1 of 3 answers only accept what the model found",
        "1 of the amended are test: their labels stay as published unless `amended_splits` names "
        "test",
        "In the config: datasets.mine.amendments: config/labels/mine.amendments.csv",
    ]
    after = clean(dataset(amendments="config/labels/mine.amendments.csv"))
    changed = [
        path for path in after.index if list(after.labels[path]) != list(before.labels[path])
    ]
    assert changed == ["0.png"] and list(after.labels["0.png"]) == ["b"]
    assert after.split.equals(before.split)
    assert [list(names) for names in after.published] == [list(names) for names in before.labels]
    assert Path("tiles/labels.csv").read_bytes() == published
    time = answers.read("answers.csv").time
    assert audited() == [
        ["amended", "0.png", "a", "b", f"amended by Ada, {time[0]}"],
        ["kept", "1.png", "b", "b", f"confirmed by Ada, {time[1]}"],
        ["kept", "19.png", "b", "b", f"test labels stay as published; a by Ada, {time[2]}"],
    ]
    counts = tables.read("results/labels/mine.counts.parquet").set_index("label")
    assert counts.train.to_dict() == {"a": 5, "b": 7}
    assert unexplained() == []
    # Accepted again, from the labels that are amended by now, the file stays as it is.
    written = Path("config/labels/mine.amendments.csv").stat().st_mtime_ns
    assert accept().stdout == process.stdout
    assert Path("config/labels/mine.amendments.csv").stat().st_mtime_ns == written


def test_test_labels_change_only_if_the_config_says_so(folder):
    clean(dataset())
    answer(19, {"b": 0.8}, removed=["b"], added=["a"])
    accept()
    entry = dataset(amendments="config/labels/mine.amendments.csv")
    after = clean(entry | {"amended_splits": ["train", "val", "test"]})
    assert list(after.labels["19.png"]) == ["a"] and audited()[0][0] == "amended"


@pytest.mark.parametrize("test_too", [False, True])
def test_a_resplit_decides_by_its_own_split(folder, test_too):
    clean(dataset())
    for number in range(20):
        wrong, right = ("a", "b") if number % 2 == 0 else ("b", "a")
        answer(number, {wrong: 1}, removed=[wrong], added=[right])
    accept()
    entry = dataset(amendments="config/labels/mine.amendments.csv")
    clean(entry | ({"amended_splits": ["test"]} if test_too else {}))
    rows = clean({"of": "mine", "split": {"by": "row", "test": 0.4, "val": 0.2}}, "rows")
    assert set(rows.split) == {"train", "val", "test"}
    for path, row in rows.iterrows():
        swapped = (row.split == "test") == test_too
        number = int(path.removesuffix(".png"))
        assert list(row.labels) == ["ba"[number % 2] if swapped else "ab"[number % 2]]


def test_a_fold_that_is_held_out_is_tested_as_published(folder):
    settings = {"folds": 2, "val": 0.2}
    clean(dataset(split=settings))
    for number in range(0, 20, 2):
        answer(number, {"a": 1}, removed=["a"], added=["b"])
    for number in range(1, 20, 2):
        answer(number, {"b": 1}, removed=["b"], added=["a"])
    accept()
    entry = dataset(split=settings, amendments="config/labels/mine.amendments.csv")
    whole = clean(entry)
    assert all(list(row.labels) == list(row.published) for row in whole.itertuples())
    fold = clean({"of": "mine", "split": settings | {"fold": 1}}, "mine-fold-1")
    same = [list(row.labels) == list(row.published) for row in fold.itertuples()]
    assert same == (fold.split == "test").to_list() and set(same) == {True, False}


def test_with_several_labels_silence_changes_nothing(folder):
    entry = dataset(multi=True)
    clean(entry)
    sha256 = clean(entry).sha256
    for number, before, more in (
        (0, {"a": 1}, {"accepted": ["a"], "added": ["c"]}),
        (1, {"b": 1}, {"removed": ["b"], "added": ["a"]}),  # of the published c it says nothing
        (2, {"a": 1}, {"removed": ["a"]}),
    ):
        file = f"{number}.png"
        answers.append("answers.csv", Answer("Ada", "m", "f", sha256[file], file, before, **more))
    process = accept()
    assert process.returncode == 1
    assert process.stderr == ("accept-labels: answers.csv, row 4: it leaves the image no label\n")
    after = clean(entry | {"amendments": "config/labels/mine.amendments.csv"})
    assert [list(after.labels[f"{n}.png"]) for n in range(3)] == [["a", "c"], ["c", "a"], ["a"]]


def test_what_cannot_be_applied_is_named_and_the_rest_is_applied(folder):
    clean(dataset())
    answer(0, {"a": 1}, removed=["a"], added=["b"])
    answer(99, {"a": 1}, accepted=["a"])
    answer(2, {"a": 1}, removed=["a"], added=["bb"])
    answer(4, {"a": 1}, removed=["a"], added=["b"], region="0,0,2,2")
    answer(6, {"a": 0.5, "b": 0.5}, accepted=["a", "b"])
    answer(8, {"a": 1}, removed=["a"])
    process = accept()
    assert process.returncode == 1
    one = "findings, and an image of this dataset has one label"
    assert process.stderr.splitlines() == [
        "accept-labels: answers.csv, row 3: the dataset has no image with the bytes of '99.png'",
        "accept-labels: answers.csv, row 4: 'bb' is no label of the dataset (did you mean 'b'?)",
        "accept-labels: answers.csv, row 5: it is about a region of '4.png', and labels are of a "
        "whole image",
        f"accept-labels: answers.csv, row 6: it has 2 {one}",
        f"accept-labels: answers.csv, row 7: it has 0 {one}",
    ]
    table = amendments.read("config/labels/mine.amendments.csv")
    assert table.labels.to_list() == [["b"]]


@pytest.mark.parametrize(
    ("says", "agree", "remedy"),
    [
        ("aab", 1, "--agree 2 lets the majority decide"),
        ("aabbb", 2, "--agree 3 lets the majority decide"),
        ("aab", 3, "--agree 2 lets the majority decide"),
        ("ab", 2, "One more reader lets a majority decide"),
        ("aabb", 2, "One more reader lets a majority decide"),
    ],
)
def test_the_remedy_where_readers_differ_decides(folder, says, agree, remedy):
    clean(dataset())
    for reader, label in enumerate(says):
        answer(0, {label: 1}, reader=f"R{reader}", accepted=[label])
    files, labels = ["answers.csv"], "results/labels/mine.parquet"
    rule = consensus.Rule(agree=agree)
    _, (line,) = consensus.accept(files, labels, "amended.csv", rule)
    assert f". {remedy}, --by NAME one of them" in line


def test_readers_who_differ_are_named_until_a_rule_decides(folder):
    clean(dataset())
    for reader in ("Ada", "Bob", "Eve"):
        more = {"accepted": ["a"]} if reader == "Bob" else {"removed": ["a"], "added": ["b"]}
        answer(0, {"a": 1}, reader=reader, **more)
    for reader in ("Ada", "ADA "):  # one reader
        answer(2, {"a": 1}, reader=reader, removed=["a"], added=["b"])
    process = accept()
    assert process.returncode == 1 and process.stderr == (
        "accept-labels: answers.csv, row 2: readers differ on '0.png': Ada says b; Eve says b; "
        "Bob says a. --agree 2 lets the majority decide, --by NAME one of them\n"
    )

    def amended(*words):
        Path("config/labels/mine.amendments.csv").unlink(missing_ok=True)
        process = accept(*words)
        file = "config/labels/mine.amendments.csv"
        rows = amendments.read(file) if Path(file).exists() else None
        return process, rows

    process, rows = amended("--agree", "2")
    assert rows.reader.to_list() == ["Ada and Eve"] and rows.labels.to_list() == [["b"]]
    assert process.stderr == (
        "accept-labels: answers.csv, row 6: fewer than 2 readers on '2.png': ADA says b\n"
    )
    process, rows = amended("--by", "Bob")
    assert process.returncode == 0 and rows.labels.to_list() == [["a"]]
    process, rows = amended("--agree", "3")
    assert rows is None and "no answer can be applied" in process.stdout
    process, _ = amended("--by", "Bop")
    assert process.stderr.strip() == (
        "histopair: answers.csv: there is no answer by 'Bop' (did you mean 'Bob'?). "
        "The readers are ADA, Ada, Bob, Eve"
    )


def test_a_reader_whom_a_rule_names_is_one_in_all_spellings(folder):
    """Else an earlier answer would count where a later one is spelled otherwise."""
    answer(0, {"a": 1}, removed=["a"], added=["b"])
    answer(0, {"a": 1}, reader="ada ", accepted=["a"])
    for name in ("Ada", "ADA"):
        assert accept("--by", name).returncode == 0
        assert amendments.read("config/labels/mine.amendments.csv").labels.to_list() == [["a"]]


def test_amendments_of_other_answers_are_not_lost(folder):
    clean(dataset())
    answer(0, {"a": 1}, removed=["a"], added=["b"], file="first.csv")
    answer(2, {"a": 1}, removed=["a"], added=["b"], file="second.csv")
    labels_of, output = "results/labels/mine.parquet", "amendments.csv"
    consensus.accept(["first.csv"], labels_of, output)
    content = Path(output).read_bytes()
    with pytest.raises(InputError, match="it amends 1 images of which these answers say nothing"):
        consensus.accept(["second.csv"], labels_of, output)
    assert Path(output).read_bytes() == content
    consensus.accept(["first.csv", "second.csv"], labels_of, output)
    assert len(amendments.read(output)) == 2


def test_a_reader_may_change_an_answer(folder):
    clean(dataset())
    answer(0, {"a": 1}, removed=["a"], added=["b"])
    answer(0, {"a": 1}, accepted=["a"])
    accept()
    assert amendments.read("config/labels/mine.amendments.csv").labels.to_list() == [["a"]]


def test_the_audit_finds_labels_that_nobody_gave(folder):
    clean(dataset())
    answer(0, {"a": 1}, removed=["a"], added=["b"])
    accept()
    clean(dataset(amendments="config/labels/mine.amendments.csv"))
    table, about = (
        tables.read("results/labels/mine.parquet"),
        tables.about("results/labels/mine.parquet"),
    )
    table["labels"] = [["b"]] * len(table)
    tables.write("results/labels/mine.parquet", table, about)
    assert len(unexplained()) == 1


AMENDED = "sha256,path,labels,removed,reader,time\n"


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ('{sha},0.png,"[""c""]",[],Ada,now', "row 2: 'c' is no label of the dataset"),
        ('{other},x.png,"[""b""]",[],Ada,now', "row 2: mine has no image with this sha256"),
        ("{sha},0.png,b,[],Ada,now", "row 2: the cell 'labels' is no list of labels"),
        ("{sha},0.png,[],[],Ada,now", "row 2: it has 0 findings"),
        ('{sha},0.png,"[""b""]",[],,now', "row 2: the cell 'reader' is empty"),
        ('{sha},0.png,"[""b""]",[],A,now\n{sha},0.png,"[""a""]",[],B,now', "rows are of one image"),
    ],
)
def test_amendments_that_were_edited_wrongly_stop_the_cleaning(folder, row, problem):
    sha = clean(dataset()).sha256["0.png"]
    Path("a.csv").write_text(AMENDED + row.format(sha=sha, other="f" * 64) + "\n")
    with pytest.raises(InputError, match=problem):
        clean(dataset(amendments="a.csv"))


def test_no_class_is_amended_away(folder):
    table = clean(dataset())
    train = table[(table.split == "train") & (table.labels.str[0] == "a")]
    rows = [f'{sha},x,"[""b""]",[],Ada,now\n' for sha in train.sha256]
    Path("a.csv").write_text(AMENDED + "".join(rows))
    with pytest.raises(InputError, match="leave the class 'a' without a train sample"):
        clean(dataset(amendments="a.csv"))


def test_amendments_belong_to_the_dataset_not_to_its_resplits(folder):
    clean(dataset())
    clean({"of": "mine", "split": {"by": "row"}}, "rows")
    table, about = tables.read("results/labels/rows.parquet"), {"params": {"entry": {"of": "mine"}}}
    tables.write("results/labels/rows.parquet", table, about)
    answer(0, {"a": 1}, accepted=["a"])
    with pytest.raises(InputError, match="Give --dataset mine"):
        consensus.accept(["answers.csv"], "results/labels/rows.parquet", "out.csv")


def test_only_what_reads_labels_depends_on_amendments():
    entry = {"reader": "table", "root": "tiles", "amendments": "a.csv", "amended_splits": ["val"]}
    assert data.published(entry)[-1] == "a.csv"
    config, w = {"datasets": {"mine": entry}}, SimpleNamespace(dataset="mine")
    assert data.reading(config, w) == {"reader": "table", "root": "tiles"}
    assert data.cleaned_dataset(config, w).keys() == entry.keys()
