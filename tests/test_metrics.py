"""Metrics: hand-computed cases, scikit-learn on random cases, and the papers' own identities."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from histopair.errors import InputError
from histopair.evaluation import metrics, score, tasks
from histopair.evaluation.tasks.labelled import truth_matrix
from histopair.files import tables

# Table 1 and 2 of the multi-label paper: F1 micro, Hamming, 1-, 2-, 3-label accuracy.
PUBLISHED = {
    "zero-shot": (0.1317, 0.1140, 0.4460, 0.0263, 0.0001),
    "resnet-50": (0.7422, 0.0258, 0.9612, 0.8136, 0.4518),
    "biobert": (0.6842, 0.0316, 0.9533, 0.7633, 0.3363),
    "final": (0.8628, 0.0137, 0.9875, 0.9216, 0.6796),
}
CLASSES = ["a", "b", "c", "d", "e"]


def indicator(rows, classes=5):
    matrix = np.zeros((len(rows), classes), bool)
    for i, row in enumerate(rows):
        matrix[i, list(row)] = True
    return matrix


def random_case(seed, task, n=40, classes=6):
    random = np.random.default_rng(seed)
    scores = random.random((n, classes))
    if task == "single":
        return indicator([[c] for c in random.integers(0, classes, n)], classes), scores
    sizes = random.integers(0, 5, n)
    return indicator([random.permutation(classes)[:k] for k in sizes], classes), scores


def test_single_label_metrics_by_hand():
    truth = indicator([[0], [0], [0], [1], [1], [2]], 3)
    scores = np.array(
        [[9, 1, 0], [9, 1, 0], [0, 9, 1], [0, 9, 1], [9, 1, 0], [9, 1, 0]], float
    )  # decides 0 0 1 1 0 0
    found = tasks.of("single").judge(truth, scores, ["a", "b", "c"])
    assert found["accuracy"] == pytest.approx(3 / 6)
    assert found["balanced_accuracy"] == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)
    assert found["macro_f1"] == pytest.approx((4 / 7 + 2 / 4 + 0) / 3)
    assert found["per_class"]["a"] == {
        "support": 3,
        "decided": 4,
        "recall": pytest.approx(2 / 3),
        "precision": pytest.approx(2 / 4),
        "f1": pytest.approx(4 / 7),
        "auc": pytest.approx(0.5),  # of 9 pairs 2 won and 5 tied: (2 + 5 / 2) / 9
        "average_precision": pytest.approx((2 * 2 / 4 + 3 / 6) / 3),
    }
    assert found["per_class"]["c"]["precision"] is None


def test_multi_label_metrics_by_hand():
    truth = indicator([[0, 1, 2], [0, 1, 4], [3], []])
    scores = np.array([[5, 4, 3, 2, 1]] * 4, float)  # always decides a, b, c
    found = tasks.of("multi").judge(truth, scores, CLASSES)
    assert found["label_accuracy_1"] == pytest.approx(2 / 4)
    assert found["label_accuracy_2"] == pytest.approx(2 / 4)
    assert found["label_accuracy_3"] == pytest.approx(1 / 4)
    assert found["label_ceiling_3"] == pytest.approx(2 / 4)
    assert found["top3_f1_micro"] == pytest.approx(2 * 5 / (7 + 12))
    assert found["hamming"] == pytest.approx((0 + 2 + 4 + 3) / 20)


def test_balanced_accuracy_leaves_out_classes_that_the_split_lacks():
    truth = indicator([[0], [0], [1]], 4)
    scores = np.eye(4)[[0, 3, 1]]
    found = tasks.of("single").judge(truth, scores, ["a", "b", "c", "d"])
    assert found["balanced_accuracy"] == pytest.approx((1 / 2 + 1) / 2)
    assert (found["classes_present"], found["macro_auc_classes"]) == (2, 2)


def test_macro_auc_is_null_where_no_class_has_both_sides():
    found = tasks.of("single").judge(indicator([[0], [0]], 2), np.eye(2), ["a", "b"])
    assert found["macro_auc"] is None and found["macro_auc_classes"] == 0
    assert found["balanced_accuracy"] == pytest.approx(0.5)


def test_ties_go_to_the_first_classes_in_order():
    assert np.flatnonzero(tasks.of("multi").decide(np.ones((1, 6)))[0]).tolist() == [0, 1, 2]
    tied = np.array([[0.1, 0.3, 0.3, 0.3]])
    assert np.flatnonzero(tasks.of("single").decide(tied)[0]).tolist() == [1]


def test_a_class_that_the_split_lacks_lowers_no_method():
    """Both err once; one names the class that no sample has. Both average over the same two."""
    truth = indicator([[0], [0], [1], [1]], 3)
    decided = np.eye(3)[[0, 0, 1, 2]]
    found = tasks.of("single").judge(truth, decided, list("abc"))
    assert found["macro_f1"] == pytest.approx((1 + 2 / 3) / 2)


@pytest.mark.parametrize("seed", range(5))
def test_single_label_metrics_agree_with_scikit_learn(seed):
    truth, scores = random_case(seed, "single")
    found = tasks.of("single").judge(truth, scores, list("abcdef"))
    true, decided = truth.argmax(1), scores.argmax(1)
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(true, decided))
    assert found["balanced_accuracy"] == pytest.approx(sk.balanced_accuracy_score(true, decided))
    f1 = sk.f1_score(true, decided, labels=np.unique(true), average="macro")
    assert found["macro_f1"] == pytest.approx(f1)
    assert found["macro_auc"] == pytest.approx(sk.roc_auc_score(truth, scores, average="macro"))
    check_per_class(found, truth, np.eye(6, dtype=bool)[decided], scores)


def check_per_class(found, truth, decided, scores):
    precision, recall, f1, support = sk.precision_recall_fscore_support(truth, decided)
    average = sk.average_precision_score(truth, scores, average=None)
    assert found["macro_ap"] == pytest.approx(average.mean()) and found["macro_ap_classes"] == 6
    for c, row in enumerate(found["per_class"].values()):
        expected = (support[c], recall[c], precision[c], f1[c], average[c])
        names = ("support", "recall", "precision", "f1", "average_precision")
        assert tuple(row[name] for name in names) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(5))
def test_multi_label_metrics_agree_with_scikit_learn(seed):
    truth, scores = random_case(seed, "multi")
    found = tasks.of("multi").judge(truth, scores, list("abcdef"))
    decided = tasks.of("multi").decide(scores)
    micro = sk.f1_score(truth, decided, average="micro")
    present = np.flatnonzero(truth.any(0))  # scikit-learn counts a class without support as 0
    macro = sk.f1_score(truth, decided, labels=present, average="macro", zero_division=0)
    assert found["top3_f1_micro"] == pytest.approx(micro)
    assert found["top3_f1_macro"] == pytest.approx(macro)
    assert found["hamming"] == pytest.approx(sk.hamming_loss(truth, decided))
    assert found["micro_auc"] == pytest.approx(sk.roc_auc_score(truth, scores, average="micro"))
    assert found["macro_auc"] == pytest.approx(sk.roc_auc_score(truth, scores, average="macro"))
    check_per_class(found, truth, decided, scores)


def test_a_class_without_positives_is_left_out_of_the_mean_average_precision():
    truth = indicator([[0], [1], [0, 1]], 3)
    scores = np.array([[0.9, 0.2, 0.5], [0.1, 0.8, 0.5], [0.7, 0.6, 0.5]])
    found = tasks.of("multi").judge(truth, scores, ["a", "b", "c"])
    assert (found["macro_ap"], found["macro_ap_classes"]) == (1, 2)
    lacking = found["per_class"]["c"]
    assert (lacking["support"], lacking["decided"]) == (0, 2)
    assert lacking["average_precision"] is lacking["recall"] is lacking["auc"] is None


@pytest.mark.parametrize(("classes", "named"), [(2, 1), (3, 2), (4, 3), (60, 3)])
def test_a_decision_never_names_all_classes(classes, named):
    """Of three classes the three highest scores are right for any model."""
    random = np.random.default_rng(0)
    truth = random.random((50, classes)) < 0.4
    scores = random.random((50, classes))
    found = tasks.of("multi").judge(truth, scores, list(map(str, range(classes))))
    assert tasks.of("multi").decide(scores).sum(1).tolist() == [named] * 50
    assert found["top"] == named
    given_k = [k for k in (1, 2, 3) if found[f"label_accuracy_{k}"] is not None]
    assert given_k == list(range(1, named + 1))
    assert found["top3_f1_micro"] < 1


@pytest.mark.parametrize("task", ["single", "multi"])
def test_one_sample_and_equal_scores_give_defined_metrics(task):
    found = tasks.of(task).judge(indicator([[1]], 4), np.full((1, 4), 0.25), list("abcd"))
    assert found["macro_auc"] is None and found["macro_ap"] == 1
    truth = indicator([[0], [1], [1]], 2)
    found = tasks.of("single").judge(truth, np.full((3, 2), 0.5), ["a", "b"])
    assert found["macro_auc"] == pytest.approx(0.5)
    assert found["macro_ap"] == pytest.approx((1 / 3 + 2 / 3) / 2)


def test_scores_that_are_no_probabilities_have_no_calibration_error():
    truth, scores = random_case(0, "multi")
    assert tasks.of("multi").judge(truth, scores - 2, list("abcdef"))["ece"] is None
    assert tasks.of("multi").judge(truth, scores, list("abcdef"))["ece"] > 0


@given(st.integers(1, 30), st.integers(4, 60), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_with_exactly_three_labels_f1_and_hamming_follow_from_the_label_accuracies(n, c, seed):
    random = np.random.default_rng(seed)
    truth = indicator([random.permutation(c)[:3] for _ in range(n)], c)
    scores = random.integers(0, 4, (n, c)).astype(float)  # coarse, so that ties occur
    found = tasks.of("multi").judge(truth, scores, [str(i) for i in range(c)])
    accuracies = [found[f"label_accuracy_{k}"] for k in (1, 2, 3)]
    assert found["top3_f1_micro"] == pytest.approx(sum(accuracies) / 3)
    assert found["hamming"] == pytest.approx(6 * (1 - found["top3_f1_micro"]) / c)
    assert found["label_ceiling_3"] == 1


@pytest.mark.parametrize("row", ["resnet-50", "biobert", "final"])
def test_published_rows_satisfy_both_identities_with_sixty_classes(row):
    f1, hamming, *accuracies = PUBLISHED[row]
    assert abs(sum(accuracies) / 3 - f1) <= 1.01e-4  # each number is rounded at 5e-5
    assert abs(6 * (1 - f1) / 60 - hamming) <= 0.6e-4


def test_published_zero_shot_row_satisfies_neither_identity():
    f1, hamming, *accuracies = PUBLISHED["zero-shot"]
    assert abs(sum(accuracies) / 3 - f1) > 0.02
    assert abs(6 * (1 - f1) / 60 - hamming) > 0.02


def write_predictions(path, labels, scores, splits, task="single", classes=("a", "b")):
    table = pa.table(
        {
            "sample_id": [str(i) for i in range(len(labels))],
            "split": splits,
            "labels": labels,
            "scores": tables.vectors(np.asarray(scores, "float32")),
        }
    )
    tables.write(path, table, {"task": task, "classes": list(classes)})
    return path


def untrained(folder):
    """The history of a run that trained nothing."""
    tables.write(folder / "history.parquet", pd.DataFrame({"stage": []}), {})
    return folder / "history.parquet"


def test_score_writes_the_metrics_of_each_split(tmp_path):
    scores = [[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]]
    path = write_predictions(
        tmp_path / "p.parquet", [["a"], ["b"], ["b"]], scores, ["val", "test", "test"]
    )
    score.score(path, untrained(tmp_path), tmp_path / "metrics.json", {"rule": "score"})
    found = json.loads((tmp_path / "metrics.json").read_text())
    assert (found["task"], found["classes"], found["n"]) == ("single", ["a", "b"], 3)
    assert found["splits"]["val"]["accuracy"] == 1
    assert found["splits"]["test"]["accuracy"] == 0.5
    assert found["splits"]["test"]["macro_auc"] is None
    calibrated = found["calibration"]
    assert calibrated["fitted_on"] == "val" and 0 < calibrated["temperature"] < 1
    assert calibrated["splits"].keys() == {"val", "test"}
    assert calibrated["splits"]["test"]["before"]["ece"] == found["splits"]["test"]["ece"]
    assert found["convergence"]["converged"]


def test_score_names_a_label_that_is_no_class(tmp_path):
    path = write_predictions(tmp_path / "p.parquet", [["a"], ["z"]], [[1, 0], [0, 1]], ["test"] * 2)
    with pytest.raises(InputError, match="'z' is not one of the classes a, b"):
        score.score(path, untrained(tmp_path), tmp_path / "metrics.json", {})
    assert not (tmp_path / "metrics.json").exists()


def test_score_refuses_scores_that_are_not_numbers(tmp_path):
    scores = [[1, 0], [np.nan, 1]]
    path = write_predictions(tmp_path / "p.parquet", [["a"], ["b"]], scores, ["test"] * 2)
    with pytest.raises(InputError, match="not finite"):
        score.score(path, untrained(tmp_path), tmp_path / "metrics.json", {})


def test_scores_of_another_shape_or_an_empty_split_are_refused():
    with pytest.raises(ValueError, match="alike"):
        tasks.of("multi").judge(np.ones((2, 3), bool), np.ones((2, 4)), CLASSES)
    with pytest.raises(ValueError, match="alike"):
        tasks.of("multi").judge(np.ones((0, 3), bool), np.ones((0, 3)), CLASSES)


def test_metrics_json_holds_no_nan(tmp_path):
    path = write_predictions(tmp_path / "p.parquet", [["a"]], [[1, 0]], ["test"])
    score.score(path, untrained(tmp_path), tmp_path / "metrics.json", {})
    assert "NaN" not in (tmp_path / "metrics.json").read_text()


def test_every_scalar_metric_of_a_task_is_reported():
    for task in ("single", "multi"):
        truth, scores = random_case(0, task)
        scores /= scores.sum(1, keepdims=True)
        found = tasks.of(task).judge(truth, scores, list("abcdef"))
        assert all(np.isfinite(found[name]) for name in metrics.names(task))
        assert set(metrics.names(task)) <= set(metrics.titles())


def test_truth_matrix_marks_every_label_of_a_row():
    labels = pd.Series([["a", "c"], []])
    expected = [[True, False, True], [False, False, False]]
    assert truth_matrix(labels, ["a", "b", "c"]).tolist() == expected
