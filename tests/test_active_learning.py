"""The simulated reader: a toy where uncertainty must win, what a reader says, and the table."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from histopair.analyses import active_figures, outputs
from histopair.analyses import active_learning as active
from histopair.analyses.active_learning import Pool, Reading
from histopair.errors import InputError
from histopair.files import tables

SEEDS = [0, 1]


@pytest.fixture(scope="module")
def toy() -> Pool:
    """Two classes: most samples lie far from their border, and those near it decide."""
    draw = np.random.default_rng(0)

    def some(count: int, near: float) -> tuple[np.ndarray, np.ndarray]:
        side = draw.integers(0, 2, count)
        away = np.where(draw.random(count) < near, draw.uniform(0.05, 0.4, count), 4)
        along = draw.normal(size=count)
        return np.stack([(2 * side - 1) * away + along, along], 1), side

    (train, right), (val, of_val), (test, _) = some(600, 0.1), some(200, 0.5), some(100, 1)
    first = {seed: np.argsort(np.random.default_rng(seed).random(600)).argsort() for seed in SEEDS}
    first = {seed: _in_class(place, right) for seed, place in first.items()}
    return Pool({"train": train, "val": val, "test": test}, right, right, of_val, first, 2)


def _in_class(place: np.ndarray, label: np.ndarray) -> np.ndarray:
    return pd.Series(place).groupby(label).rank().to_numpy(int) - 1


def _right(pool: Pool, scores: np.ndarray) -> float:
    """The share of the toy's test samples that are right: their class is the border's side."""
    test = pool.vectors["test"]
    return float((scores.argmax(1) == (test[:, 0] > test[:, 1])).mean())


def test_where_few_samples_decide_uncertainty_beats_chance(toy):
    reading = Reading(start=2, step=4, rounds=5)
    end = {
        order: np.mean(
            [_right(toy, list(active.simulate(toy, order, reading, seed))[-1][1]) for seed in SEEDS]
        )
        for order in ("random", "uncertainty")
    }
    assert end["uncertainty"] > end["random"] + 0.03
    assert end["uncertainty"] > 0.95


@pytest.mark.parametrize("order", active.ORDERS)
def test_each_round_asks_for_new_samples_until_none_is_left(toy, order):
    counts = [n for n, _ in active.simulate(toy, order, Reading(5, 295, 3), 0)]
    assert counts == [10, 305, 600, 600]
    counts = [n for n, _ in active.simulate(toy, order, Reading(5, 30, 2, "published"), 0)]
    assert counts == [0, 30, 60]


def test_all_orders_start_from_the_same_labels(toy):
    for pool in ("unlabelled", "published"):
        first = [
            next(active.simulate(toy, order, Reading(3, 5, 1, pool, 0.2), 1))[1]
            for order in active.ORDERS
        ]
        assert all(np.array_equal(first[0], other) for other in first[1:])


def test_a_reader_errs_at_the_stated_rate_and_never_by_chance_right(toy):
    pool = toy._replace(right=np.arange(3).repeat(2000), classes=3)
    draw = np.random.default_rng
    assert (active._answers(pool, 0, draw(0)) == pool.right).all()
    assert (active._answers(pool, 1, draw(0)) != pool.right).all()
    some = active._answers(pool, 0.2, draw(0))
    assert abs((some != pool.right).mean() - 0.2) < 0.02
    assert np.array_equal(some, active._answers(pool, 0.2, draw(0)))


def test_the_area_is_the_mean_over_the_labels_asked():
    labels = np.array([0.0, 10, 30])
    curves = np.array([[0.5, 1], [0.7, 1], [0.9, 1]])
    assert np.allclose(active.area(labels, curves), [(0.6 * 10 + 0.8 * 20) / 30, 1])


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A tiny phantom in files: 3 classes, one train label in three is wrong."""
    folder, draw, count = tmp_path_factory.mktemp("world"), np.random.default_rng(1), 240
    names = [f"{n:03}.png" for n in range(count)]
    right = np.arange(count) % 3
    split = np.array(["train"] * 140 + ["val"] * 40 + ["test"] * 60)
    wrong = (split == "train") & (np.arange(count) % 9 < 3)
    given = np.where(wrong, (right + 1) % 3, right)
    samples = pd.DataFrame(
        {
            "sample_id": names,
            "image_id": names,
            "path": names,
            "group": [f"p{n // 2}" for n in range(count)],
            "split": split,
            "labels": [["abc"[label]] for label in given],
        }
    )
    about = {"task": "single", "classes": list("abc"), "unit": "patient"}
    tables.write(folder / "labels.parquet", samples, about)
    truth = pd.DataFrame({"path": names, "label": ["abc"[label] for label in right]})
    tables.write(folder / "truth.parquet", truth, {})
    vectors = (np.eye(3)[right] * 3 + draw.normal(size=(count, 3))).astype("float32")
    embedded = pa.table({"image_id": names, "embedding": tables.vectors(vectors)})
    tables.write(folder / "images.parquet", embedded, {})
    paths = {name: folder / f"{name}.parquet" for name in ("labels", "truth")}
    paths["embeddings"] = folder / "images.parquet"
    return {"dataset": "tiny", "encoder": "vit", **paths}


SETTINGS = {
    "start": 2,
    "step": 45,
    "rounds": 3,
    "pools": ["unlabelled", "published"],
    "errors": [0.0],
}


@pytest.fixture(scope="module")
def table(world):
    return active.tabulate([world], SETTINGS, [0], "balanced_accuracy")


def test_the_table_has_each_curve_with_intervals_and_its_area(table):
    assert table.columns.to_list() == active.COLUMNS
    assert len(table) == 2 * len(active.ORDERS) * 4
    for (pool, order), curve in table.groupby(["pool", "order"]):
        asked = [6, 51, 96, 140] if pool == "unlabelled" else [0, 45, 90, 135]
        assert curve.labels.to_list() == asked
        assert np.allclose(curve.area, active.area(curve.labels.to_numpy(), curve.value.to_numpy()))
        assert (curve.low <= curve.value).all() and (curve.value <= curve.high).all()
        assert curve.gain.isna().all() == (order == "random")
    assert (table.gain.dropna() >= table.gain_low.dropna()).all()
    assert (
        set(table.n_test) == {60} and set(table.n_groups) == {30} and set(table.unit) == {"patient"}
    )


def test_the_truth_of_all_samples_mends_what_wrong_labels_spoil(table):
    curve = table[(table.pool == "published") & (table.order == "random")].set_index("labels").value
    assert curve[135] > curve[0] + 0.05
    whole = table[(table.pool == "unlabelled") & (table.labels == 140)].value
    assert whole.nunique() == 1  # with all labels the order no longer matters


def test_a_metric_of_order_is_refused(world):
    with pytest.raises(InputError, match="macro_auc does not follow from counts"):
        active.tabulate([world], SETTINGS, [0], "macro_auc")


def test_curves_without_intervals_are_drawn(table):
    assert "<svg" in active_figures.curves(table.assign(low=None, high=None))


def test_the_figure_has_a_curve_for_each_order(table):
    svg = active_figures.curves(table.assign(synthetic=True))
    assert svg.count("labels asked") >= 1
    for order in active.ORDERS:
        assert f">{order}" in svg or f"<!-- {order}" in svg


def test_the_page_shows_each_curve_once_and_every_point(table, tmp_path):
    frame = table.assign(study="ask", synthetic=True)
    csv, svg = tmp_path / "a.csv", tmp_path / "a.svg"
    frame.to_csv(csv, index=False)
    svg.write_text(active_figures.curves(frame))
    study = {"title": "Ask <first>", "datasets": ["tiny"]}
    outputs.write_page("ask", study, {"active_learning": (csv, svg)}, tmp_path / "a.html")
    page = (tmp_path / "a.html").read_text()
    summary, points = page.split("<details>")
    assert summary.count("<tr><td") == 2 * len(active.ORDERS)
    assert points.count("<tr><td") == len(table)
    assert "Ask &lt;first&gt;" in page and "phantom" in page


def test_the_page_shows_each_curve_once_where_no_sample_is_left_to_ask_for(table, tmp_path):
    labels = table["labels"].clip(upper=table["labels"].median())
    frame = table.assign(study="ask", synthetic=True, labels=labels)
    other = frame.assign(dataset="other", n_test=7, n_groups=3)
    csv, svg = tmp_path / "a.csv", tmp_path / "a.svg"
    pd.concat([frame, other]).to_csv(csv, index=False)
    svg.write_text(active_figures.curves(frame))
    outputs.write_page("ask", {}, {"active_learning": (csv, svg)}, tmp_path / "a.html")
    summary = (tmp_path / "a.html").read_text().split("<details>")[0]
    assert summary.count("<tr><td") == 2 * 2 * len(active.ORDERS)
    every = frame["n_test"].iloc[0], frame["n_groups"].iloc[0]
    assert f"7 to {every[0]} test samples in 3 to {every[1]} groups" in summary
