"""The orders of a queue against cases by hand, and the queue of finished runs."""

import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from PIL import Image

from histopair import images, jobs
from histopair.analyses import reading_queue
from histopair.errors import InputError
from histopair.evaluation import informative
from histopair.export import read
from histopair.files import tables

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow"))

from commands import make_queue
from serve.reading_list import ReadingList


def test_uncertainty_is_the_entropy_of_the_classes():
    shares = np.array([[1, 0], [0.5, 0.5], [0.9, 0.1]])
    expected = [0, np.log(2), -0.9 * np.log(0.9) - 0.1 * np.log(0.1)]
    assert np.allclose(informative.uncertainty(shares), expected, atol=1e-9)
    # Two labels that are as likely as not are twice as unsure as one.
    several = informative.uncertainty(np.array([[0.5, 0.5], [0.5, 1], [0, 1]]), several=True)
    assert np.allclose(several, [2 * np.log(2), np.log(2), 0], atol=1e-9)


def test_disagreement_counts_where_models_differ_not_where_they_are_unsure():
    one = np.array([[1.0, 0.0], [0.5, 0.5], [0.9, 0.1]])
    other = np.array([[0.0, 1.0], [0.5, 0.5], [0.9, 0.1]])
    assert np.allclose(informative.disagreement([one, other]), [np.log(2), 0, 0], atol=1e-9)
    assert np.allclose(informative.disagreement([one]), 0)
    several = informative.disagreement([one, other], several=True)
    assert np.allclose(several, [2 * np.log(2), 0, 0], atol=1e-9)


def test_the_farthest_comes_first():
    line = np.array([[0.0], [1], [2], [10], [11]])
    order, reach = informative.farthest_first(line, 4, np.array([True, False, False, False, False]))
    assert order.tolist() == [4, 2, 1, 3] and reach.tolist() == [11, 2, 1, 1]
    # The mean is 4.8; the nearest to it is 2, then 11 is farthest, then 0.
    order, reach = informative.farthest_first(line, 3)
    assert order.tolist() == [2, 4, 0] and np.allclose(reach, [2.8, 9, 2])
    assert len(informative.farthest_first(line, 9)[0]) == 5
    assert len(informative.farthest_first(line, 9, np.ones(5, bool))[0]) == 0


def test_the_farthest_of_many_are_those_of_a_plain_search():
    draw = np.random.default_rng(0)
    vectors, labelled = draw.normal(size=(60, 5)), np.arange(60) < 7
    order, _ = informative.farthest_first(vectors, 10, labelled)
    chosen = list(range(7))
    for row in order:
        apart = np.linalg.norm(vectors[:, None] - vectors[chosen][None], axis=2).min(1)
        assert np.isclose(apart[row], apart.max())
        chosen.append(row)


SAMPLES = ["s0", "s1", "s2", "s3", "t0"]


@pytest.fixture
def finished(tmp_path, monkeypatch):
    """Two seeds of a method that predict two val and two test samples, and embeddings of all."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(jobs, "limit_threads", lambda count: None)
    labels = pd.DataFrame(
        {
            "sample_id": SAMPLES,
            "image_id": SAMPLES,
            "path": ["=a.png", "b.png", "c.png", "d.png", "e.png"],
            "sha256": [name * 32 for name in SAMPLES],
            "split": ["val", "val", "test", "test", "train"],
            "labels": [["x"], ["y"], ["x"], ["y"], ["x"]],
        }
    )
    tables.write("results/labels/data.parquet", labels, {})
    of_seeds = [
        [[0.9, 0.1], [0.5, 0.5], [0.6, 0.4], [1, 0]],
        [[0.9, 0.1], [0.5, 0.5], [0.2, 0.8], [1, 0]],
    ]
    for seed, scores in enumerate(of_seeds):
        run = Path(f"results/runs/data/vit/probe/{seed}")
        _predict(run, SAMPLES[:4], scores, labels["labels"][:4], labels["split"][:4])
    vectors = np.array([[1, 0], [0, 1], [1, 1], [-1, 0.1], [1, 0.1]], "float32")
    embedded = pa.table({"image_id": SAMPLES, "embedding": tables.vectors(vectors)})
    tables.write("results/embeddings/vit/data.images.parquet", embedded, {})
    return tmp_path


def _predict(run, ids, scores, labels, split, temperature=1.0):
    columns = {"sample_id": ids, "labels": list(labels), "split": list(split)}
    columns["scores"] = tables.vectors(np.array(scores, "float32"))
    about = {"task": "single", "classes": ["x", "y"]}
    tables.write(run / "predictions.parquet", pa.table(columns), about)
    tables.write_json(run / "metrics.json", {"calibration": {"temperature": temperature}})


def queue(*words):
    make_queue.main(["data/vit/probe", *words])
    return pd.read_csv("results/queues/data.csv")


def test_a_queue_has_the_most_informative_first(finished):
    table = queue()
    assert table.columns.to_list() == reading_queue.COLUMNS
    assert table.sample_id.to_list() == ["s1", "s2", "s0", "s3"]
    assert table["rank"].to_list() == [1, 2, 3, 4]
    assert table.path[2] == "'=a.png" and table.labels[0] == "y"
    assert table.finding[1] == "y" and np.isclose(table.probability[1], 0.6)
    assert np.allclose(table.uncertainty[:2], [np.log(2), 0.673012], atol=1e-5)
    table = queue("--order", "disagreement", "--split", "test", "--most", "1")
    assert table.sample_id.to_list() == ["s2"]
    # From the train sample t0, s3 lies on the other side, and then s1 is farther than s2.
    table = queue("--order", "diversity", "--most", "2")
    assert table.sample_id.to_list() == ["s3", "s1"] and (table.distance.diff()[1:] < 0).all()


def test_a_queue_is_of_calibrated_probabilities(finished):
    for seed in range(2):
        run = Path(f"results/runs/data/vit/probe/{seed}")
        tables.write_json(run / "metrics.json", {"calibration": {"temperature": 0.5}})
    table = queue().set_index("sample_id")
    # Logits doubled: .9 against .1 becomes .81 against .01.
    assert np.isclose(table.probability["s0"], 0.81 / 0.82, atol=1e-6)


def test_a_queue_of_joined_folds_has_each_ones_temperature(finished):
    for seed in (0, 1):
        run = Path(f"results/runs/data/vit/probe/{seed}")
        table = tables.read(run / "predictions.parquet")
        table["fold"] = [1, 2, 1, 2]
        about = tables.about(run / "predictions.parquet")
        whole = pa.Table.from_pandas(table.drop(columns="scores"), preserve_index=False)
        scores = tables.vectors(np.tile(np.float32([0.2, 0.8]), (4, 1)))
        tables.write(run / "predictions.parquet", whole.append_column("scores", scores), about)
        fitted = {"temperature": 0.75, "by_fold": {"1": 1.0, "2": 0.5}}
        tables.write_json(run / "metrics.json", {"calibration": fitted})
    found = queue().set_index("sample_id").probability[table["sample_id"]]
    assert np.allclose(found, [0.8, 16 / 17, 0.8, 16 / 17])


def test_predictions_that_were_not_scored_make_no_queue(finished):
    metrics = Path("results/runs/data/vit/probe/1/metrics.json")
    before = metrics.with_name("predictions.parquet").stat().st_mtime_ns - 1
    os.utime(metrics, ns=(before, before))
    with pytest.raises(InputError, match=r"probe/1: its predictions are newer than its metrics"):
        queue()


def test_runs_that_make_no_queue_are_named(finished):
    with pytest.raises(InputError, match="it has no finished and scored run"):
        make_queue.main(["data/vit/other"])
    with pytest.raises(InputError, match="is not DATASET/ENCODER/METHOD"):
        make_queue.main(["../../etc"])
    run = Path("results/runs/data/vit/fewer/0")
    _predict(run, SAMPLES[:2], [[1, 0], [0, 1]], [["x"], ["y"]], ["val", "val"])
    with pytest.raises(InputError, match="its samples or classes differ"):
        queue("data/vit/fewer")
    with pytest.raises(InputError, match="one run cannot disagree"):
        make_queue.main(["data/vit/fewer", "--order", "disagreement"])
    _predict(run, SAMPLES[:2], [[3, 0], [0, 1]], [["x"], ["y"]], ["val", "val"])
    with pytest.raises(InputError, match="its scores are no probabilities"):
        make_queue.main(["data/vit/fewer"])


@pytest.fixture
def pool(tmp_path, monkeypatch):
    """Exports of one dataset that see brightness, and images of which one has a label."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(jobs, "limit_threads", lambda count: None)
    levels = {"dark.png": 0, "grey.png": 127, "same.png": 127, "light.png": 255, "known.png": 90}
    Path("pool/sub").mkdir(parents=True)
    for name, level in levels.items():
        Image.new("RGB", (4, 4), (level,) * 3).save(f"pool/sub/{name}")
    Path("pool/broken.png").write_text("no image")
    labelled = pd.DataFrame({"sha256": [images.digest("pool", "sub/known.png")]})
    tables.write("results/labels/data.parquet", labelled, {})
    made = {"e/0": seeing(4), "e/1": seeing(-4), "notes": seeing(4), "other": seeing(4)}
    made["notes"].config["reads"] = ["image", "text"]
    made["other"].config["classes"] = ["x", "z"]
    monkeypatch.setattr(read, "load", made.__getitem__)
    return levels


def seeing(factor: float) -> read.Exported:
    """A model of the classes x and y whose only feature is the brightness, 0 to 1."""

    def answer(values, notes):
        features = values.mean((2, 3))[:, :1]
        return np.hstack([features - 0.5, 0.5 - features]) * factor, features * [[1, 0]] + [[0, 1]]

    config = {"run": {"dataset": "data"}, "task": "single", "classes": ["x", "y"]}
    config |= {"temperature": 1.0, "reads": ["image"], "preprocessing": []}
    return read.Exported(Path(f"e{factor}"), config, [], answer, len)


def test_a_pool_is_queued_without_labels_and_each_image_once(pool, capsys):
    make_queue.main(["e/0", "--pool", "pool"])
    said = capsys.readouterr()
    assert (
        said.out == "results/queues/data.csv: 3 unlabelled images by uncertainty, from 1 exports\n"
    )
    assert said.err.startswith("make-queue: broken.png: unreadable")
    table = pd.read_csv("results/queues/data.csv")
    assert table.columns.to_list() == reading_queue.COLUMNS
    assert table.path[0] == "sub/grey.png" and set(table.path[1:]) == {
        "sub/dark.png",
        "sub/light.png",
    }
    assert set(table.split) == {"unlabelled"} and table.labels.isna().all()
    finding = table.set_index("path").finding
    assert (finding["sub/dark.png"], finding["sub/light.png"]) == ("y", "x")
    assert table.sha256[0] == images.digest("pool", "sub/grey.png")
    samples = ReadingList(Path("results/queues/data.csv"), Path("pool"))
    assert samples.take(1, 100).image.getpixel((0, 0)) == (127, 127, 127)


def test_a_link_to_nothing_and_a_name_that_is_no_text_are_told_and_left_out(pool, capsys):
    Path("pool/gone.png").symlink_to("nowhere.png")
    Path("pool/sub/light.png").rename(os.fsdecode(b"pool/\xff.png"))
    make_queue.main(["e/0", "--pool", "pool"])
    said = capsys.readouterr().err
    assert "make-queue: gone.png: there is no such file" in said
    assert r"make-queue: \udcff.png: its name is not UTF-8. Rename the file" in said
    assert len(pd.read_csv("results/queues/data.csv")) == 2


def test_exports_disagree_on_a_pool_and_its_farthest_come_first(pool):
    make_queue.main(["e/0", "e/1", "--pool", "pool", "--order", "disagreement", "--most", "2"])
    table = pd.read_csv("results/queues/data.csv")
    assert set(table.path) == {"sub/dark.png", "sub/light.png"} and (table.disagreement > 0.5).all()
    make_queue.main(["e/0", "--pool", "pool", "--order", "diversity"])
    table = pd.read_csv("results/queues/data.csv")
    assert table.path.to_list() == ["sub/grey.png", "sub/dark.png", "sub/light.png"]


def test_exports_that_make_no_queue_are_named(pool):
    for words, message in (
        (["e/0", "other"], "its classes differ from those of"),
        (["notes"], "it reads notes, and the pool has none"),
        (["e/0", "--order", "disagreement"], "one run cannot disagree"),
    ):
        with pytest.raises(InputError, match=message):
            make_queue.main([*words, "--pool", "pool"])
    with pytest.raises(InputError, match="there is no such folder"):
        make_queue.main(["e/0", "--pool", "elsewhere"])
    Path("empty").mkdir()
    Path("pool/sub/known.png").rename("empty/known.png")
    with pytest.raises(InputError, match="it has no readable image beside those of"):
        make_queue.main(["e/0", "--pool", "empty"])
