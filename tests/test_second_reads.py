"""The truth of lesions, and what an export says held against it."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score
from test_export import exported, world  # noqa: F401

from histopair.analyses.second_reads import intervals, pointing, questions, readings, shifted
from histopair.export import read
from histopair.export.second_read import look
from histopair.files import tables
from histopair.phantom import lesions

SIZE = {"train": 4, "val": 2, "test": 2, "tiles_per_patient": 2}
SIZE |= {"pixels": 48, "microns_per_pixel": 2.0}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """The phantom's lesions, a few."""
    folder = tmp_path_factory.mktemp("lesions")
    paths = [str(folder / name) for name in ("tiles", "masks", "labels.csv", "truth.parquet")]
    lesions.tiles(*paths, SIZE, 3, {})
    return folder


def test_masks_lie_where_the_lesions_of_the_table_are(drawn):
    listed = pd.read_csv(drawn / "labels.csv")
    truth = tables.read(drawn / "truth.parquet")
    assert list(listed["path"]) == list(truth["path"]) and len(listed) == 8
    assert not set(listed.group[listed.split == "train"]) & set(
        listed.group[listed.split == "test"]
    )
    for _, row in truth.iterrows():
        mask = np.asarray(Image.open(drawn / "masks" / row["mask"]))
        present = {lesions.LESIONS[value - 1] for value in np.unique(mask) if value}
        assert present == set(row["labels"])
        assert Image.open(drawn / row["path"]).size == mask.shape == (48, 48)


def test_a_lesions_pixels_differ_from_the_stroma_and_are_drawn_again_alike():
    row = {"labels": ["mucin"], "places": [(0.5, 0.5, 0.24)], "group": "a"}
    pixels, mask = lesions.draw(row, 0, SIZE, 1)
    again, _ = lesions.draw(row, 0, SIZE, 1)
    np.testing.assert_array_equal(pixels, again)
    inside = mask == 1 + lesions.LESIONS.index("mucin")
    assert inside[24, 24] and not inside[:4].any()
    assert pixels[inside].mean() > pixels[~inside].mean() + 20  # mucin is pale


def test_notes_name_their_lesions_and_no_others():
    table = lesions._split("train", SIZE | {"train": 60}, 1)
    for _, row in table.iterrows():
        named = {one for one in lesions.LESIONS if lesions.named(row["caption"], one)}
        assert named == set(row["labels"]), row["caption"]
    text = "Notice focal necrosis and many lymphocytes."
    assert [text[a:b] for a, b in lesions.named(text, "necrosis")] == ["focal necrosis"]


def test_pointing_and_mass_by_hand():
    mask = np.zeros((2, 4), bool)
    mask[0, :2] = True
    one = np.array([[0.2, 1.0, 0.4, 0.4], [0, 0, 0, 0]])
    assert pointing.scores(one, mask) == (1.0, pytest.approx(0.6))
    assert pointing.scores(1 - one, mask)[0] == 0.0
    assert pointing.scores(np.zeros((2, 4)), mask) == pointing.scores(None, mask) == (0.25, 0.25)
    # Of equal highest places one is drawn.
    assert pointing.scores(np.ones((2, 4)), mask)[0] == 0.25


def test_words_that_name_a_finding_by_hand():
    note = "Notice focal necrosis here"
    spots = [(0, 6), (7, 12), (13, 21), (22, 26)]
    naming = readings.named(note, spots, "necrosis")
    assert naming.tolist() == [False, True, True, False]
    assert readings.scores(np.array([0.1, -0.2, 0.3, 0.0]), naming) == (1.0, pytest.approx(0.75))
    assert readings.scores(np.array([0.4, 0.1, 0.3, 0.0]), naming) == (0.0, pytest.approx(0.5))
    assert readings.scores(np.full(4, -1.0), naming) == readings.scores(None, naming) == (0.5, 0.5)


def test_a_rows_auc_is_scikit_learns_and_a_mean_leaves_out_what_is_missing():
    rng = np.random.default_rng(0)
    usual, unusual = rng.normal(size=40).round(1), rng.normal(0.8, 1, 40).round(1)
    row = intervals.auc(usual, unusual, np.repeat(np.arange(10), 4))
    truth = [0] * 40 + [1] * 40
    assert row["value"] == pytest.approx(roc_auc_score(truth, [*usual, *unusual]))
    assert row["low"] < row["value"] < row["high"] and row["n_groups"] == 10
    row = intervals.mean(np.array([1, 0, np.nan, 1.0]), np.array([5, 5, 7, 9]))
    assert (row["value"], row["n"], row["n_groups"]) == (pytest.approx(2 / 3), 3, 2)
    assert intervals.mean(np.array([np.nan]), np.array([0]))["value"] is None


def test_shifts_do_what_they_say():
    row = {"labels": ["lymphocytes"], "places": [(0.5, 0.5, 0.24)], "group": "a"}
    image = Image.fromarray(lesions.draw(row, 0, SIZE | {"pixels": 96}, 1)[0])
    shown = {name: shift(image, 96) for name, shift in shifted.SHIFTS.items()}
    assert {one.size for one in shown.values()} == {(96, 96)}
    pixels = {name: np.moveaxis(np.asarray(one), 2, 0) for name, one in shown.items()}
    before = np.moveaxis(np.asarray(image), 2, 0)
    assert look.focus(pixels["blurred"]) < look.focus(before) - 0.5
    assert look.scale(before) < look.scale(pixels["magnified"])
    small = before[:, ::2, ::2]
    assert np.abs(pixels["shrunk"][:, :48, :48].mean((1, 2)) - small.mean((1, 2))).max() < 3
    # The structure of a stain's image stays; its colours move.
    grey = [one.mean(0).ravel() for one in (before, pixels["stained"])]
    assert np.corrcoef(*grey)[0, 1] > 0.95
    assert np.abs(pixels["stained"].mean((1, 2)) - before.mean((1, 2))).max() > 4


def test_the_table_holds_an_export_against_the_truth(exported, monkeypatch, tmp_path):  # noqa: F811
    folder, run, _, files = exported("fusion_partial")
    monkeypatch.setattr(lesions, "LESIONS", ["c0", "c1"])
    monkeypatch.setattr(lesions, "PHRASES", {"c0": ["normal"], "c1": ["tumour"]})
    (tmp_path / "truth-masks").mkdir()
    table = run.samples[["path", "labels"]].drop_duplicates("path")
    for path, labels in zip(table["path"], table["labels"], strict=True):
        mask = np.zeros((40, 40), np.uint8)
        mask[:20] = 1 + int(labels[0][1])
        Image.fromarray(mask).save(tmp_path / "truth-masks" / path.replace("/", "-"))
    table = table.assign(mask=table["path"].str.replace("/", "-"))
    tables.write(tmp_path / "truth.parquet", table, {})
    given = {"labels": run.artifacts["labels"], "predictions": files["predictions"]}
    found = questions.tabulate(str(folder), given, run.root, str(tmp_path / "truth.parquet"))
    assert list(found["question"].unique()) == ["sets", "warnings", "where", "words"]
    chance = found[found["method"] == "chance"].set_index(["question", "measure"])["value"]
    assert chance["where", "mass inside"] == chance["where", "pointing game"] == 0.5
    assert chance["words", "top word names it"] == 0.5  # of two words one
    methods = set(found["method"][found["question"] == "where"])
    assert methods == {
        "attention rollout",
        "attention rollout, randomised model",
        "occlusion",
        "chance",
    }
    known = found.dropna(subset="low")
    assert (known["low"] <= known["value"] + 1e-9).all()
    assert (known["value"] <= known["high"] + 1e-9).all()
    auc = found[found["measure"].str.startswith("AUC")]["value"]
    assert len(auc) == 20 and auc.between(0, 1).all()
    without = questions.tabulate(str(folder), given, run.root, None)
    assert set(without["question"]) == {"sets", "warnings"}


def test_a_randomised_model_has_the_same_weights_in_another_order(exported):  # noqa: F811
    one = read.load(exported("fusion_partial")[0])
    other = dict(pointing.randomise(one, 0).named_parameters())
    for name, parameter in one.predictor.named_parameters():
        shuffled = other[name].flatten().sort().values
        assert shuffled.equal(parameter.flatten().sort().values), name
    assert not other["head.0.weight"].equal(one.predictor.head[0].weight)
