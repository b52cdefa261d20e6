"""Labels are cleaned with every loss accounted for, and bad input stops with one clear line."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from histopair.datasets import label_tables, labels, resplit, standardise
from histopair.errors import InputError
from histopair.files import audit, tables
from histopair.jobs import job

REAL = Path(__file__).parents[2] / "shared" / "real" / "images" / "lc25000-colon"


def _tiles(folder, rows: list[str], heading: str = "path,label,group", bad: int = 0) -> dict:
    """A folder of tiles of different pixels and its labels.csv; the last `bad` are truncated."""
    folder.mkdir(exist_ok=True)
    (folder / "labels.csv").write_text("\n".join([heading, *rows]) + "\n")
    names = list(dict.fromkeys(row.split(",")[0] for row in rows))
    for number, name in enumerate(names):
        pixels = np.full((4, 4, 3), 2 + number % 250, dtype=np.uint8)
        pixels[0, 0] = number // 250
        Image.fromarray(pixels).save(folder / name)
    for name in names[len(names) - bad :]:
        (folder / name).write_bytes((folder / name).read_bytes()[:40])
    return {"reader": "table", "root": str(folder)}


def _clean(folder, entry: dict, name: str = "mine"):
    paths = [str(folder / f"{name}.{part}.parquet") for part in "laqf"]
    labels.clean(entry, name, *paths, {"rule": "clean_labels"})
    return [tables.read(path) for path in paths], paths


def _said(folder, entry: dict) -> str:
    with pytest.raises(InputError) as error:
        _clean(folder, entry)
    left = [str(path) for path in folder.glob("*.parquet")]
    assert left == ([str(error.value.audit)] if error.value.audit else [])
    said, _, audit_named = str(error.value).partition(". What was found until then: ")
    assert audit_named == "".join(left)
    assert "\n" not in said
    return said.replace(f"({folder}/t/", "(")


def test_the_audit_that_a_failed_step_leaves_holds_no_formula(tmp_path):
    log = tmp_path / "log.txt"
    step = SimpleNamespace(rule="clean_labels", threads=1, resources={}, log=[log])
    step.wildcards = step.params = {}
    label = '=HYPERLINK("https://example.org")'
    error = InputError("labels.csv", "no row is left", "Add some")
    error.audit = tmp_path / "a.parquet"
    row = audit.row("clean", "dropped", label, "no class", before="-", count=2)
    tables.write(error.audit, audit.table([row]), {})
    with pytest.raises(SystemExit), job(step):
        raise error
    [row] = pd.read_csv(log.with_suffix(".audit.csv")).to_dict("records")
    assert (row["subject"], row["before"], row["count"]) == (f"'{label}", "'-", 2)


def _rows(n: int = 40, classes: str = "ab") -> list[str]:
    return [f"t{i:03}.png,{classes[i % len(classes)]},g{i // 2}" for i in range(n)]


def test_clean_writes_the_four_tables_of_the_contract(tmp_path):
    (clean, rows, away, counts), paths = _clean(tmp_path, _tiles(tmp_path / "t", _rows()))
    assert list(clean) == label_tables.LABELS.names
    assert list(rows) == [*audit.TEXTS, "count"]
    assert list(away) == ["path", "row", "reason", "remedy"]
    assert len(away) == 0
    assert clean.sha256.str.len().eq(64).all()
    expected = [["a", 20, 20], ["b", 20, 20]]
    assert counts[["label", "raw", "cleaned"]].to_numpy().tolist() == expected
    assert (counts.train + counts.val + counts.test == counts.cleaned).all()
    about = tables.about(paths[0])
    assert about["task"] == "single"
    assert about["classes"] == ["a", "b"]
    assert about["class_names"] == {"a": "a", "b": "b"}
    assert about["official"] == []


def test_cleaning_twice_gives_the_same_bytes(tmp_path):
    entry = _tiles(tmp_path / "t", _rows())
    first = [Path(path).read_bytes() for path in _clean(tmp_path, entry)[1]]
    assert first == [Path(path).read_bytes() for path in _clean(tmp_path, entry)[1]]


def test_unreadable_images_are_set_aside_and_the_run_goes_on(tmp_path):
    entry = _tiles(tmp_path / "t", _rows(), bad=1) | {"max_quarantined": 0.05}
    (clean, rows, away, counts), _ = _clean(tmp_path, entry)
    assert len(clean) == 39
    assert away.path.tolist() == ["t039.png"]
    assert away.row.tolist() == [41]
    assert away.reason[0].startswith("unreadable (")
    found = rows[rows.action == "quarantined"]
    assert found[["subject", "count"]].to_numpy().tolist() == [["t039.png", 1]]
    assert counts.raw.sum() - counts.cleaned.sum() == 1


def test_strips_are_set_aside(tmp_path):
    """Prepared for an encoder, 100,000 x 1 pixels would become 22 million x 224."""
    entry = _tiles(tmp_path / "t", _rows())
    Image.new("RGB", (100_000, 1)).save(tmp_path / "t" / "t005.png")
    (clean, rows, away, _), _ = _clean(tmp_path, entry)
    reason = "100000 x 1 pixels are too narrow a strip"
    remedy = "Cut it into tiles of sides of 1:20 at most"
    assert away.to_numpy().tolist() == [["t005.png", 7, reason, remedy]]
    assert rows[rows.action == "quarantined"].reason.to_list() == [reason]
    assert len(clean) == 39 and "t005.png" not in set(clean.path)


def test_missing_images_are_set_aside(tmp_path):
    entry = _tiles(tmp_path / "t", _rows()) | {"max_quarantined": 0.05}
    (tmp_path / "t" / "t005.png").unlink()
    away = _clean(tmp_path, entry)[0][2]
    assert away.to_numpy().tolist() == [
        ["t005.png", 7, "there is no such file", "Restore it or remove its row"]
    ]


def test_too_many_bad_images_stop_the_run_with_count_and_examples(tmp_path):
    entry = _tiles(tmp_path / "t", _rows())
    (tmp_path / "t" / "t005.png").unlink()
    assert _said(tmp_path, entry | {"max_quarantined": 0.01}) == (
        "mine (labels.csv): 1 of 40 images cannot be used, more than the allowed share of 0.01: "
        "t005.png (there is no such file). Restore it or remove its row, or raise `max_quarantined`"
    )


def test_an_image_linked_from_outside_the_root_stops_the_run(tmp_path):
    entry = _tiles(tmp_path / "t", _rows())
    (tmp_path / "t" / "t000.png").rename(tmp_path / "out.png")
    (tmp_path / "t" / "t000.png").symlink_to(tmp_path / "out.png")
    assert _said(tmp_path, entry) == (
        f"t000.png: the image lies outside its dataset's root {tmp_path}/t. "
        "Put it inside, or name a root that contains it"
    )


def _mapped(tmp_path, text: str, rows: list[str], **entry):
    (tmp_path / "map.csv").write_text(text)
    entry |= _tiles(tmp_path / "t", rows) | {"labels_map": str(tmp_path / "map.csv")}
    return _clean(tmp_path, entry)[0]


def test_mapping_merges_renames_and_drops_and_says_so(tmp_path):
    text = "label,standard,reason\nImmunology,Immunopathology,synonym\nold,new,\njunk,,no class\n"
    names = ["Immunology", "Immunopathology", "old", "junk"]
    lines = [f"t{i}.png,{names[i % 4]},g{i}" for i in range(80)]
    clean, rows, _, counts = _mapped(tmp_path, text, lines)
    assert len(clean) == 60
    found = rows[rows.step == "standardise"].drop(columns="step")
    assert found.astype(object).where(found.notna(), None).to_numpy().tolist() == [
        ["merged", "Immunology", "Immunology", "Immunopathology", "synonym", 20],
        ["dropped", "junk", "junk", None, "no class", 20],
        ["renamed", "old", "old", "new", "renamed by the mapping", 20],
        ["dropped", "rows 5, 9, 13 and 17 more", None, None, "no label is left", 20],
    ]
    table = counts.set_index("label")
    assert table.loc["Immunology", ["raw", "cleaned"]].tolist() == [20, 0]
    assert table.loc["Immunopathology", ["raw", "cleaned"]].tolist() == [20, 40]


def test_labels_of_the_mapping_that_no_sample_has_are_told(tmp_path):
    text = "label,standard,reason\nIntresting,new,\nabsent,,\nold,new,\nkept,kept,\n"
    lines = [f"t{i}.png,{'old' if i % 2 else 'kept'},g{i}" for i in range(40)]
    rows = _mapped(tmp_path, text, lines)[1]
    [row] = rows[rows.action == "warned"].to_dict("records")
    assert (row["subject"], row["count"]) == ("Intresting, absent", 0)
    assert row["reason"] == "the mapping names labels that no sample has: look at their spelling"


def test_labels_that_mapping_makes_equal_are_united(tmp_path):
    text = "label,standard\nx,y\n"
    (tmp_path / "map.csv").write_text(text)
    entry = _tiles(tmp_path / "t", [f"t{i}.png,x;y;z,g{i}" for i in range(20)], "path,labels,group")
    clean = _clean(tmp_path, entry | {"labels_map": str(tmp_path / "map.csv")})[0][0]
    assert [list(names) for names in clean.labels] == [["y", "z"]] * 20


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "label,standard\na,x\na,y\n",
            "map.csv, row 2 and 3: the label 'a' has several standards: 'x', 'y'. Keep one",
        ),
        (
            "label,standard\na,b\nb,c\n",
            "map.csv: 'b' is both a standard and mapped to another. Map it to itself",
        ),
        (
            "from,to\na,b\n",
            "map.csv: there is no column 'label', 'standard'; the columns found are 'from', 'to'. "
            "Rename a column, or give its name in the config",
        ),
    ],
)
def test_ambiguous_mapping_is_refused(tmp_path, text, message):
    (tmp_path / "map.csv").write_text(text)
    entry = _tiles(tmp_path / "t", _rows()) | {"labels_map": str(tmp_path / "map.csv")}
    assert _said(tmp_path, entry) == f"{tmp_path}/{message}"


def test_unknown_labels_are_listed_where_classes_are_fixed(tmp_path):
    entry = _tiles(tmp_path / "t", _rows(classes="abcd")) | {"classes": ["a", "b"]}
    assert _said(tmp_path, entry) == (
        "mine (labels.csv), row 4: unknown label 'c' (10), 'd' (10); the classes are 'a', 'b'. "
        "Map it in `labels_map`, or correct `classes`"
    )


def test_rare_labels_are_dropped_where_asked(tmp_path):
    entry = _tiles(tmp_path / "t", [*_rows(), "r.png,rare,gr"]) | {"min_count": 2}
    (clean, rows, _, _), _ = _clean(tmp_path, entry)
    assert len(clean) == 40
    assert rows.reason.tolist() == ["rarer than min_count", "no label is left"]


def test_nothing_left_is_an_error(tmp_path):
    entry = _tiles(tmp_path / "t", _rows()) | {"min_count": 100}
    assert _said(tmp_path, entry) == (
        "mine (labels.csv): no sample with a label is left. Check `labels_map`, `min_count`"
    )


def test_nothing_left_by_the_reader_says_what_was_lost(tmp_path):
    text = "caption,image_path,corrected_text,pathology\na,b.jpg,c,no list\nd,e.jpg,,['x']\n"
    (tmp_path / "quilt_1M_lookup.csv").write_text(text)
    assert _said(tmp_path, {"reader": "quilt", "root": str(tmp_path)}) == (
        f"{tmp_path}: no sample is left after reading (1 rows dropped: no corrected_text; "
        "1 rows dropped: pathology is not a list such as \"['Renal', 'Pulmonary']\"). "
        "Correct the data"
    )


def test_one_id_for_two_images_is_an_error(tmp_path):
    rows = [f"{row},id{i if i else 1}" for i, row in enumerate(_rows())]
    entry = _tiles(tmp_path / "t", rows, "path,label,group,id")
    assert _said(tmp_path, entry) == (
        "mine (labels.csv), row 2 and 3: the id 'id1' "
        "stands for different samples: t000.png and t001.png. "
        "Give each sample an id of its own"
    )


def test_a_class_without_train_samples_is_an_error(tmp_path):
    rows = [f"{row},{'test' if ',b,' in row else 'train'}" for row in _rows()]
    entry = _tiles(tmp_path / "t", rows, "path,label,group,split")
    assert _said(tmp_path, entry) == (
        "mine: the class b has no train sample. "
        "Move samples to train, give it more groups, or drop it with `labels_map`"
    )


def test_a_split_without_samples_is_an_error(tmp_path):
    entry = _tiles(tmp_path / "t", [f"t{i}.png,{'ab'[i % 2]},g" for i in range(10)])
    assert _said(tmp_path, entry) == (
        "mine: no sample falls into test and val (10 samples in 1 groups). "
        "Give it more groups, or set larger shares under `split`"
    )


def test_a_single_class_is_an_error(tmp_path):
    assert _said(tmp_path, _tiles(tmp_path / "t", _rows(classes="a"))) == (
        "mine (labels.csv): 'a' is its only class. Give it samples of at least two classes"
    )


def test_labels_that_a_split_lacks_are_warned_of(tmp_path):
    rows = [f"{row},{('train', 'val', 'test')[i % 3]}" for i, row in enumerate(_rows(42))]
    rows += ["z.png,lonely,gz,train", "y.png,untested,gy,train", "x.png,untested,gx,val"]
    found = _clean(tmp_path, _tiles(tmp_path / "t", rows, "path,label,group,split"))[0][1]
    told = found[["action", "subject", "reason", "count"]].to_numpy().tolist()
    assert ["warned", "lonely", "occurs in train only", 1] in told
    assert ["warned", "untested", "occurs in train and val only", 2] in told
    crossing = "groups in more than one split: scores may be too good"
    assert ["warned", "group", crossing, 21] in told


def test_unknown_groups_are_warned_of(tmp_path):
    rows = [row.rsplit(",", 1)[0] for row in _rows()]
    found = _clean(tmp_path, _tiles(tmp_path / "t", rows, "path,label"))[0][1]
    assert found["count"].tolist() == [40]
    assert found.reason[0].startswith("no group is known")


def test_labels_and_images_that_may_be_mistakes_are_warned_of(tmp_path):
    entry = _tiles(tmp_path / "t", [*_rows(classes=["a", "b", "B"]), "x.png,a,gx", "y.png,b,gy"])
    (tmp_path / "t" / "x.png").write_bytes((tmp_path / "t" / "y.png").read_bytes())
    (clean, found, _, _), _ = _clean(tmp_path, entry)
    assert found[["action", "subject", "reason", "count"]].to_numpy().tolist() == [
        ["merged", "B", "the same label written in another way", 13],
        ["warned", "mine", "identical images have different labels", 1],
    ]
    twins = clean[clean.path.isin(["x.png", "y.png"])]
    assert twins.split.nunique() == 1


def test_class_names_of_no_class_are_refused_with_the_nearest(tmp_path):
    entry = _tiles(tmp_path / "t", _rows(classes=["tumour", "normal"]))
    assert _said(tmp_path, entry | {"class_names": {"tumor": "a tumour"}}) == (
        "mine (labels.csv): class_names: 'tumor' is no class of the dataset (did you mean "
        "'tumour'?). The classes are 'normal', 'tumour'"
    )


def test_a_label_that_cleaning_dropped_may_have_a_class_name(tmp_path):
    entry = _tiles(tmp_path / "t", [*_rows(), "x.png,rare,gx"])
    entry |= {"min_count": 2, "class_names": {"rare": "seldom", "a": "an A"}}
    _, paths = _clean(tmp_path, entry)
    assert tables.about(paths[0])["class_names"] == {"a": "an A", "b": "b"}


NAMED = "path,label,label_name"


@pytest.mark.parametrize("own", [{}, {"x": "an X"}, {"neo": "a neoplasm"}, {"TUM": "a tumour"}])
def test_the_name_of_a_label_is_that_of_the_class_that_it_becomes(tmp_path, own):
    (tmp_path / "map.csv").write_text("label,standard\nneo,TUM\nca,TUM\n")
    names = {"neo": "tumour epithelium", "Neo": "tumour epithelium", "ca": "", "x": ""}
    rows = [f"t{i:03}.png,{label},{names[label]}" for i, label in enumerate([*names] * 20)]
    entry = _tiles(tmp_path / "t", rows, NAMED) | {"labels_map": str(tmp_path / "map.csv")}
    (_, found, *_), paths = _clean(tmp_path, entry | {"class_names": own})
    tumour = own.get("TUM") or own.get("neo") or "tumour epithelium"
    assert tables.about(paths[0])["class_names"] == {"TUM": tumour, "x": own.get("x", "x")}
    assert "warned" not in set(found.action[found.step == "standardise"])


def test_a_class_of_labels_with_different_names_has_none_of_them_and_the_audit_says_so(tmp_path):
    (tmp_path / "map.csv").write_text("label,standard\na,AB\nb,AB\n")
    rows = [f"t{i:03}.png,{'abc'[i % 3]},name {'abc'[i % 3]}" for i in range(60)]
    entry = _tiles(tmp_path / "t", rows, NAMED) | {"labels_map": str(tmp_path / "map.csv")}
    (_, found, *_), paths = _clean(tmp_path, entry)
    assert tables.about(paths[0])["class_names"] == {"AB": "AB", "c": "name c"}
    reason = "its labels have different names, so it has none: give it one in `class_names`"
    told = found[(found.step == "standardise") & (found.action == "warned")]
    assert told[["subject", "before", "reason", "count"]].to_numpy().tolist() == [
        ["AB", "name a; name b", reason, 40]
    ]
    (_, found, *_), paths = _clean(tmp_path, entry | {"class_names": {"AB": "both"}})
    assert tables.about(paths[0])["class_names"] == {"AB": "both", "c": "name c"}
    assert reason not in set(found.reason)


def test_a_resplit_names_classes_of_its_dataset_alone(tmp_path):
    _, paths = _clean(tmp_path, _tiles(tmp_path / "t", _rows()))
    entry = {"of": "mine", "split": {}, "class_names": {"c": "a C"}}
    with pytest.raises(InputError, match=r"rows: class_names: 'c' is no class of the dataset"):
        resplit.resplit(paths[0], paths[3], entry, "rows", *"laqf", {})


def test_only_the_commonest_labels_are_kept_where_the_config_counts_them():
    lists = [["a", "b"], ["a"], ["b"], ["c"], ["d"], ["c"]]
    frame = pd.DataFrame({"labels": lists, "row": range(2, 8), "path": "p"})
    clean, rows = standardise.apply(frame, {"most_classes": 2}, "any", None)
    assert clean.labels.tolist() == [["a", "b"], ["a"], ["b"]]
    assert [(row["subject"], row["count"]) for row in rows if row["subject"] in "abcd"] == [
        ("c", 2),
        ("d", 1),
    ]
    assert rows[0]["reason"] == "not among the 2 commonest (most_classes)"
    assert rows[-1]["reason"] == "no label is left" and rows[-1]["count"] == 3


def test_patients_and_labels_are_never_split_by_spelling(tmp_path):
    spelled = ["{0}", "{0}.0", " {0} ", "0{0}", "{0}\u200b"]
    rows = [f"t{i:03}.png,{spelled[i % 5].format(i // 5 % 2)},{spelled[i % 5].format(i // 5)}"
            for i in range(50)]  # fmt: skip
    (clean, found, _, _), _ = _clean(tmp_path, _tiles(tmp_path / "t", rows))
    assert set(clean.labels.str[0]) == {"0", "1"}
    assert clean.group.tolist() == [str(i // 5) for i in range(50)]
    assert (clean.groupby("group").split.nunique() == 1).all()
    assert {"merged", "renamed"} <= set(found.action)


def test_a_word_for_a_missing_value_is_no_class_unless_the_config_names_it(tmp_path):
    rows = [f"t{i:03}.png,{('a', 'b', 'None')[i % 3]},g{i}" for i in range(60)]
    entry = _tiles(tmp_path / "t", rows)
    (clean, found, _, _), _ = _clean(tmp_path, entry)
    assert set(clean.labels.str[0]) == {"a", "b"}
    assert found[["reason", "count"]].to_numpy().tolist() == [
        ["a word for a missing value", 20],
        ["no label is left", 20],
    ]
    (tmp_path / "map.csv").write_text("label,standard\nnone,nothing seen\n")
    for named, label in (
        ({"classes": ["a", "b", "None"]}, "None"),
        ({"class_names": {"None": "no tumour"}}, "None"),
        ({"labels_map": str(tmp_path / "map.csv")}, "nothing seen"),
    ):
        (clean, *_), _ = _clean(tmp_path, entry | named)
        assert set(clean.labels.str[0]) == {"a", "b", label}


def test_labels_of_several_lose_words_for_missing_values(tmp_path):
    rows = [f"t{i:03}.png,{('a; NA', 'b;a', 'NA')[i % 3]},g{i}" for i in range(60)]
    (clean, found, _, _), _ = _clean(tmp_path, _tiles(tmp_path / "t", rows, "path,labels,group"))
    assert set(clean.labels.map(tuple)) == {("a",), ("b", "a")}
    assert found[["reason", "count"]].to_numpy().tolist()[:2] == [
        ["a word for a missing value", 20],
        ["a word for a missing value among labels", 20],
    ]


def test_empty_ids_are_the_paths_and_two_ids_that_are_one_stop_the_run(tmp_path):
    rows = [f"{row},{'NA' if i in (3, 4) else f'id{i}'}" for i, row in enumerate(_rows())]
    entry = _tiles(tmp_path / "t", rows, "path,label,group,id")
    (clean, *_), _ = _clean(tmp_path, entry)
    assert clean.sample_id.tolist()[2:6] == ["id2", "t003.png", "t004.png", "id5"]
    rows = [f"{row},{'7.0' if i == 3 else i}" for i, row in enumerate(_rows())]
    assert _said(tmp_path / "t", _tiles(tmp_path / "t", rows, "path,label,group,id")) == (
        f"{tmp_path}/t/labels.csv, row 5 and 9: the ids '7.0' and '7' are one, written in two "
        "ways. "
        "Give each sample an id of its own"
    )


@pytest.mark.parametrize("column", ["group", "id"])
def test_a_patient_or_id_that_a_program_rounded_stops_the_run(tmp_path, column):
    rows = [f"t{i}.png,{'ab'[i % 2]},{'1.23E+16' if i == 4 else i}" for i in range(20)]
    assert _said(tmp_path, _tiles(tmp_path / "t", rows, f"path,label,{column}")) == (
        f"{tmp_path}/t/labels.csv, row 6: the {column} '1.23E+16' is a number that a program "
        "rounded. Save this column as text"
    )


def test_a_resplit_has_the_same_samples_split_anew(tmp_path):
    entry = _tiles(tmp_path / "t", _rows())
    (clean, *_), paths = _clean(tmp_path, entry)
    out = [str(tmp_path / f"rows.{part}.parquet") for part in "laqf"]
    rows = {"of": "mine", "split": {"by": "row", "test": 0.5, "val": 0.25}}
    resplit.resplit(paths[0], paths[3], rows, "rows", *out, {"rule": "resplit"})
    split = tables.read(out[0])
    same = [name for name in label_tables.LABELS.names if name not in ("split", "labels")]
    pd.testing.assert_frame_equal(split[same], clean[same])
    assert split.split.value_counts().to_dict() == {"test": 20, "train": 10, "val": 10}
    assert tables.about(out[0])["classes"] == ["a", "b"]
    assert tables.about(out[0])["root"] == str(tmp_path / "t")
    assert len(tables.read(out[2])) == 0


def test_a_resplit_by_group_keeps_the_official_test(tmp_path):
    rows = [f"{row},{'test' if i < 10 else 'train'}" for i, row in enumerate(_rows())]
    (clean, *_), paths = _clean(tmp_path, _tiles(tmp_path / "t", rows, "path,label,group,split"))
    out = [str(tmp_path / f"rows.{part}.parquet") for part in "laqf"]
    entry = {"of": "mine", "split": {"val": 0.4, "seed": 3}}
    resplit.resplit(paths[0], paths[3], entry, "rows", *out, {})
    split = tables.read(out[0])
    assert ((split.split == "test") == (clean.split == "test")).all()
    assert (split.split == "val").sum() == 12


def _partly_split(tmp_path, split: dict | None = None):
    """Cleaned: 40 images of which `lab` is officially train, and 40 of no official split."""
    _tiles(tmp_path / "t", [f"t{i:03}.png,a" for i in range(80)], "path,label")
    for i in range(80):
        folder = tmp_path / "t" / ("lab", "extra")[i % 2] / "ab"[i // 2 % 2]
        folder.mkdir(parents=True, exist_ok=True)
        (tmp_path / "t" / f"t{i:03}.png").rename(folder / f"t{i:03}.png")
    entry = {"reader": "class_folders", "root": str(tmp_path / "t"), "split": split or {}}
    return _clean(tmp_path, entry | {"folders": {"lab": "train", "extra": None}})


def _resplit(tmp_path, paths, split: dict) -> pd.DataFrame:
    out = [str(tmp_path / f"other.{part}.parquet") for part in "laqf"]
    resplit.resplit(paths[0], paths[3], {"of": "mine", "split": split}, "other", *out, {})
    return tables.read(out[0])


@pytest.mark.parametrize("seed", range(3))
def test_few_labels_keep_the_splits_of_a_dataset_that_is_officially_split_in_part(tmp_path, seed):
    (whole, *_), paths = _partly_split(tmp_path, {"seed": seed})
    few = _resplit(tmp_path, paths, {"seed": seed, "labels": 2})
    pd.testing.assert_frame_equal(few, whole)
    lab = whole.path.str.startswith("lab/")
    assert set(whole.split[lab]) == {"train"} and set(whole.split) == {"train", "val", "test"}
    assert (whole.official.notna() == lab).all()


@pytest.mark.parametrize("first", [{"by": "row"}, {"by": "test"}, {"folds": 2}])
def test_a_resplit_has_the_official_split_whatever_the_split_of_its_dataset(tmp_path, first):
    _, paths = _partly_split(tmp_path, first)
    again = _resplit(tmp_path, paths, {})
    plain = _partly_split(tmp_path)[0][0]
    pd.testing.assert_series_equal(again.split, plain.split)


def test_a_resplit_of_labels_that_do_not_say_the_official_split_is_refused(tmp_path):
    _, paths = _clean(tmp_path, _tiles(tmp_path / "t", _rows()))
    tables.write(paths[0], tables.read(paths[0]).drop(columns="official"), tables.about(paths[0]))
    with pytest.raises(InputError) as error:
        _resplit(tmp_path, paths, {})
    assert str(error.value) == (
        f"{paths[0]}: an older version made it, without the column 'official'. "
        "Delete it, so that it is made again"
    )


names = st.lists(st.sampled_from(["a", "b", "c", "d", "e"]), max_size=4)
maps = st.dictionaries(
    st.sampled_from(["a", "b", "c"]), st.sampled_from(["d", "e", ""]), max_size=3
)


@given(st.lists(names, min_size=1, max_size=20), maps, st.integers(0, 3), st.integers(2, 4))
@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_standardised_labels_are_standard_unique_and_common_enough(
    tmp_path, lists, mapping, least, most
):
    path = tmp_path / "map.csv"
    path.write_text("label,standard\n" + "".join(f"{k},{v}\n" for k, v in mapping.items()))
    frame = pd.DataFrame({"labels": lists, "row": range(len(lists)), "path": "p"})
    entry = {"min_count": least, "most_classes": most}
    entry |= {"labels_map": str(path)} if mapping else {}
    try:
        clean, _ = standardise.apply(frame, entry, "any", None)
    except InputError:
        return
    kept = label_tables.counted(clean.labels)
    assert not set(kept) & set(mapping)
    assert min(kept.values()) >= least and len(kept) <= most
    assert all(len(found) == len(set(found)) > 0 for found in clean.labels)
    again, rows = standardise.apply(clean, entry, "any", None)
    assert again.labels.tolist() == clean.labels.tolist()
    assert {row["action"] for row in rows} <= {"warned"}  # labels that are mapped now


@pytest.mark.skipif(not REAL.is_dir(), reason="the real colon tiles are not here")
def test_real_colon_tiles_work_as_they_are(tmp_path):
    (_, rows, away, counts), paths = _clean(
        tmp_path, {"reader": "table", "root": str(REAL)}, "colon"
    )
    assert counts.set_index("label")[["train", "val", "test"]].to_numpy().tolist() == [
        [682, 159, 159],
        [707, 146, 147],
    ]
    assert len(rows) == len(away) == 0
    assert tables.about(paths[0])["class_names"]["colon_aca"] == "colon adenocarcinoma"
