"""The phantom's grades: what decides a class, how an observer errs, and what texts may say."""

import numpy as np
import pandas as pd
import pytest

from histopair.files import tables
from histopair.phantom import grades, oracle, own_reports, phrases

SIZE = {"train": 600, "val": 90, "test": 150, "tiles_per_patient": 6, "reports": 40, "pairs": 30}
SIZE |= {"pixels": 16, "microns_per_pixel": 8.0, "noise": [0.2, 0.4]}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The table as readers see it, the truth, and the reports."""
    folder = tmp_path_factory.mktemp("grades")
    size = SIZE | {"train": 120}
    grades.tiles(str(folder / "tiles"), str(folder / "l.csv"), str(folder / "t"), size, 0, {})
    grades.reports(str(folder / "r.csv"), str(folder / "rt"), size, 0, {})
    return folder


def drawn(seed=0):
    parts = [grades._split(split, SIZE, seed) for split in ("train", "val", "test")]
    table = pd.concat(parts, ignore_index=True)
    limits = np.quantile(table.loc[table["split"] == "train", "score"], [1 / 3, 2 / 3])
    return table.assign(label=grades._classes(table["score"].to_numpy(), limits)), limits


def test_the_score_by_hand():
    row = {"architecture": "cribriform", "nuclear_grade": 3, "necrosis": 0.125}
    assert grades.score(pd.DataFrame([row]))[0] == pytest.approx(0.5 + 1 + 0.5)


def test_thirds_of_the_scores_are_the_classes():
    table, _ = drawn()
    train = table[table["split"] == "train"]
    assert set(train["label"].value_counts()) <= {199, 200, 201}
    lowest = table.groupby("label")["score"].agg(["min", "max"]).loc[list(grades.CLASSES)]
    assert (lowest["max"].to_numpy()[:-1] < lowest["min"].to_numpy()[1:]).all()


def test_every_class_has_every_architecture_so_no_attribute_gives_it_away():
    table, _ = drawn()
    seen = pd.crosstab(table["label"], table["architecture"])
    assert (seen > 0).all().all()


@pytest.mark.parametrize("share", [0.2, 0.4])
def test_the_observer_errs_so_often_and_most_near_the_limits(share):
    table, limits = drawn()
    observed = grades._observed(table, limits, share, 0)
    wrong = pd.Series(observed != table["label"].to_numpy()).groupby(table["split"]).mean()
    assert wrong["train"] == pytest.approx(share, abs=0.01) and wrong["test"] == 0
    train = (table["split"] == "train").to_numpy()
    off = np.abs(table["score"].to_numpy()[train, None] - limits).min(1)
    mistaken = (observed != table["label"].to_numpy())[train]
    assert off[mistaken].mean() < off[~mistaken].mean()


def test_patients_are_in_one_split_and_their_tiles_are_alike():
    table, _ = drawn()
    assert (table.groupby("group")["split"].nunique() == 1).all()
    within = table.groupby("group")["score"].std().mean()
    assert within < 0.9 * table["score"].std()


def test_reports_name_the_attributes_and_never_the_class(made):
    reports, truth = pd.read_csv(made / "r.csv"), tables.read(made / "rt")
    for text, row in zip(reports["text"], truth.to_dict("records"), strict=True):
        said = text.lower()
        assert not any(name in said for name in grades.CLASSES)
        for words in (
            phrases.ARCHITECTURE[row["architecture"]],
            phrases.GRADE[int(row["nuclear_grade"])],
        ):
            assert any(word.lower() in said for word in words)
        assert "necro" in said


def test_the_table_has_a_label_for_each_share_of_noise(made):
    table = pd.read_csv(made / "l.csv")
    assert {"path", "group", "split", "label", "label_20", "label_40"} == set(table)
    assert all((made / path).is_file() for path in table["path"])
    truth = tables.read(made / "t")
    assert (truth["label"].to_numpy() == table["label"].to_numpy()).all()


def test_captions_are_of_other_patients(made, tmp_path):
    grades.captions(str(tmp_path / "c"), str(tmp_path / "c.csv"), SIZE, 0)
    captions, table = pd.read_csv(tmp_path / "c.csv"), pd.read_csv(made / "l.csv")
    assert len(captions) == 30 and not set(captions["group"]) & set(table["group"])
    assert captions["label"].nunique() > 1 and captions["caption"].str.len().min() > 20


def test_the_attributes_of_a_captioned_tile_are_those_that_its_caption_names(tmp_path):
    grades.captions(str(tmp_path / "c"), str(tmp_path / "c.csv"), SIZE, 0)
    amounts = dict(zip(("no", "focal", "extensive"), phrases.NECROSIS.values(), strict=True))
    for row in pd.read_csv(tmp_path / "c.csv").itertuples():
        shape, grade, necrosis = row.attributes.split(";")
        assert shape == row.label
        grade, amount = int(grade.removeprefix("grade ")), necrosis.removesuffix(" necrosis")
        for words in (phrases.ARCHITECTURE[shape], phrases.GRADE[grade], amounts[amount]):
            assert any(word.lower() in row.caption.lower() for word in words)


@pytest.fixture(scope="module")
def own(made):
    own_reports.write(str(made / "o.csv"), str(made / "t"), str(made / "ot"), 0, {})
    return made


def test_own_reports_say_what_their_tile_shows(own):
    reports, truth = pd.read_csv(own / "o.csv"), tables.read(own / "t")
    assert list(reports["id"]) == list(truth["path"])
    for text, shape in zip(reports["text"], truth["architecture"], strict=True):
        assert any(word.lower() in text.lower() for word in phrases.ARCHITECTURE[shape])


def test_pairing_by_truth_gives_each_tile_its_own_report_or_one_that_is_alike(own):
    truth = tables.read(own / "t")
    samples = pd.DataFrame({"image_id": truth["path"], "path": truth["path"]})
    tables.write(own / "labels", samples, {})
    tables.write(own / "reports", pd.DataFrame({"report_id": truth["path"]}), {})
    files = [str(own / name) for name in ("labels", "reports", "t", "ot")]
    oracle.pair(*files, 1, str(own / "pairs"), {})
    pairs = tables.read(own / "pairs")
    assert (pairs["similarity"] > 0.9999).all()
    attributes = truth.set_index("path")[["architecture", "nuclear_grade", "necrosis", "score"]]
    its, of_report = (attributes.loc[pairs[key]].to_numpy() for key in ("image_id", "report_id"))
    assert (its == of_report).all() and (pairs["image_id"] == pairs["report_id"]).mean() > 0.9
