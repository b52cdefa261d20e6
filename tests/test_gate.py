"""The gate: what a world must show before methods are compared in it."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score

from histopair.errors import InputError
from histopair.evaluation import gate
from histopair.files import tables
from recompute import artifacts, gates

N = 600
RNG = np.random.default_rng(0)


@pytest.fixture
def world():
    """Two attributes decide the class; the retriever sees both, the backbone one of them."""
    shape = RNG.choice(["round", "long"], N)
    size = RNG.uniform(0, 1, N)
    label = np.where((shape == "round") & (size > 0.5), "a", "b")
    split = np.repeat(["train", "val", "test"], [400, 100, 100])
    samples = pd.DataFrame({"split": split, "labels": [[name] for name in label]})
    tiles = pd.DataFrame({"shape": shape, "size": size, "label": label})
    both = np.stack([shape == "round", size, RNG.normal(size=N)], axis=1).astype(float)
    vectors = {"backbone": both[:, [0, 2]], "retriever": both}
    return samples, tiles, label.copy(), vectors, ["shape", "size"]


def test_a_world_whose_retriever_sees_and_finds_passes(world):
    found = gate.judge(*world)
    assert found["reasons"] == []
    assert found["r2"]["shape"] > 0.99 and found["r2"]["size"] > 0.99
    assert found["probes"]["retriever"] > found["probes"]["backbone"]
    assert found["label_accuracy"] == found["report_agreement"] == 1


def test_the_probe_is_a_logistic_regression_on_test(world):
    _, tiles, _, vectors, _ = world
    found = gate.judge(*world)["probes"]["retriever"]
    train, test = slice(0, 400), slice(500, 600)
    model = LogisticRegression(C=100, max_iter=5000).fit(
        vectors["retriever"][train], tiles["label"][train]
    )
    expected = balanced_accuracy_score(
        tiles["label"][test], model.predict(vectors["retriever"][test])
    )
    assert found == pytest.approx(expected, abs=0.03)


def test_each_failing_is_named(world):
    samples, tiles, reports, vectors, decides = world
    blind = {"backbone": vectors["retriever"], "retriever": RNG.normal(size=(N, 3))}
    found = gate.judge(samples, tiles, RNG.permutation(reports), blind, decides)
    said = " | ".join(found["reasons"])
    assert "hardly sees shape" in said and "hardly sees size" in said
    assert "below that of the backbone" in said and "from chance to the tile's class" in said


def test_chance_is_the_agreement_of_two_tiles_drawn_at_random(world):
    tiles = world[1]
    share = (tiles["label"][:400] == "a").mean()
    assert gate.judge(*world)["chance"] == pytest.approx(share**2 + (1 - share) ** 2)


def test_noise_in_the_labels_is_told(world):
    samples, *rest = world
    wrong = samples.copy()
    wrong.loc[:99, "labels"] = pd.Series(
        [["b" if row[0] == "a" else "a"] for row in samples["labels"][:100]]
    )
    assert gate.judge(wrong, *rest)["label_accuracy"] == pytest.approx(0.75)


def test_a_truth_that_decides_nothing_is_one_clear_line(tmp_path):
    tables.write(tmp_path / "l", pd.DataFrame({"split": []}), {})
    tables.write(tmp_path / "t", pd.DataFrame({"path": []}), {})
    with pytest.raises(InputError, match="does not say which attributes decide"):
        gate.write(tmp_path / "l", tmp_path / "t", "", {}, "", "", {})


def test_a_truth_of_reports_without_their_class_is_one_clear_line(tmp_path):
    """As that of the phantom's TCGA reports, which say an entity."""
    names = {"image_id": ["i"], "path": ["i.png"]}
    tables.write(tmp_path / "l", pd.DataFrame(names | {"split": ["test"]}), {})
    tables.write(tmp_path / "t", pd.DataFrame(names | {"label": ["a"]}), {"decides": ["label"]})
    vectors = {"image_id": ["i"], "embedding": tables.vectors(np.ones((1, 2), np.float32))}
    tables.write(tmp_path / "e", pa.table(vectors), {})
    pair = pd.DataFrame({"image_id": ["i"], "rank": [1], "report_id": ["r"]})
    tables.write(tmp_path / "p", pair, {})
    tables.write(tmp_path / "r", pd.DataFrame({"report_id": ["r"], "entity": ["x"]}), {})
    files = [tmp_path / name for name in "ltr"]
    with pytest.raises(InputError, match="does not say the class of a report"):
        gate.write(*files, {"retriever": tmp_path / "e"}, tmp_path / "p", "", {})


GATE = "gates/vit/clip/d.c.json"


@pytest.fixture
def results(world, tmp_path):
    """A results folder with the gate's inputs, its file, and the table of a study."""
    samples, tiles, reports, vectors, decides = world
    folder, names = tmp_path / "results", [f"{number}.png" for number in range(N)]
    samples = samples.assign(image_id=names, path=names)
    paths = {
        "labels": folder / "labels/d.parquet",
        "truth": folder / "truth.parquet",
        "report_truth": folder / "reports.parquet",
        "pairs": folder / "pairs/clip/d.c.parquet",
    }
    tables.write(paths["labels"], samples, {"params": {"entry": {}}})
    tables.write(paths["truth"], tiles.assign(path=names), {"decides": decides})
    ids = [f"r{number}" for number in range(N)]
    report_truth = pd.DataFrame({"report_id": ids, "label": reports})
    tables.write(paths["report_truth"], report_truth, {})
    first = pd.DataFrame({"image_id": names, "rank": 1, "report_id": ids})
    tables.write(paths["pairs"], first, {})
    embeddings = {}
    for role, encoder in (("backbone", "vit"), ("retriever", "clip")):
        path = embeddings[role] = folder / f"embeddings/{encoder}/d.images.parquet"
        table = pa.table({"image_id": names}).append_column(
            "embedding", tables.vectors(vectors[role].astype(np.float32))
        )
        tables.write(path, table, {})
    about = {"wildcards": {"encoder": "vit", "retriever": "clip", "dataset": "d", "corpus": "c"}}
    files = [paths[name] for name in ("labels", "truth", "report_truth")]
    gate.write(*files, embeddings, paths["pairs"], folder / GATE, about)
    (folder / "studies").mkdir()
    (folder / "studies/s.csv").write_text("study\n")
    [row] = gate.rows({}, {"gates": [folder / GATE]})
    pd.DataFrame([row]).to_csv(folder / "studies/s.gate.csv", index=False, float_format="%.6g")
    return folder


def test_the_audit_finds_the_same_gate_by_other_code(results):
    artifacts.forget()
    tally = gates.gates(results)
    assert tally.checked >= 9 and tally.disagreements == []


@pytest.mark.parametrize(
    ("column", "value", "named"),
    [
        ("probe_retriever", 0.8, "probe of the retriever"),
        ("probe_backbone", 0.9, "probe of the backbone"),
        ("r2", "shape 1.00; size 0.50", "R² of size"),
        ("r2", "shape 1.00", "attributes"),
        ("label_accuracy", 0.9, "label_accuracy"),
        ("report_agreement", 0.9, "report_agreement"),
        ("chance", 0.4, "chance"),
        ("passed", False, "passed"),
        ("reasons", "the retriever hardly sees shape: R² 0.10, below 0.3", "reasons"),
    ],
)
def test_the_audit_names_what_a_gate_states_wrongly(results, column, value, named):
    file = results / "studies/s.gate.csv"
    pd.read_csv(file).astype(object).assign(**{column: value}).to_csv(file, index=False)
    artifacts.forget()
    assert any(named in line for line in gates.gates(results).disagreements)
