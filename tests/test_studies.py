"""Study tables: what is averaged, paired, left null, and concluded."""

from pathlib import Path

import fake_artifacts
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from histopair.errors import InputError
from histopair.evaluation import calibration, class_tables, metrics, orders, score, study_tables
from histopair.evaluation.tasks.labelled import truth_matrix
from histopair.files import tables
from histopair.pages import study_page, templates

CLASSES = ["a", "b"]


def write_run(root, method, seed, right, groups=None, dataset="d", ids=None):
    """A run whose test sample i is right where `right[i]`."""
    right = np.asarray(right, bool)
    ids = ids or [f"s{i}" for i in range(len(right))]
    labels = [[CLASSES[i % 2]] for i in range(len(right))]
    truth = truth_matrix(labels, CLASSES)
    scores = np.where(right[:, None], truth, ~truth).astype("float32")
    scores += 0.001 * (seed + 1)  # seeds differ in scores even where they decide alike
    folder = root / dataset / method / str(seed)
    table = pa.table(
        {
            "sample_id": ids,
            "split": ["test"] * len(ids),
            "labels": labels,
            "scores": tables.vectors(scores),
        }
    )
    tables.write(folder / "p.parquet", table, {"task": "single", "classes": CLASSES})
    tables.write(folder / "h.parquet", pd.DataFrame({"stage": []}), {})
    score.score(folder / "p.parquet", folder / "h.parquet", folder / "m.json", {})
    labelled = pd.DataFrame({"sample_id": ids, "image_id": ids, "group": groups or ids})
    tables.write(root / f"{dataset}.parquet", labelled, {})
    key = {"dataset": dataset, "encoder": "e", "method": method, "seed": seed}
    return key | {"predictions": folder / "p.parquet", "metrics": folder / "m.json"}


def tabulate(root, runs, **study):
    labels = {run["dataset"]: root / f"{run['dataset']}.parquet" for run in runs}
    return study_tables.tabulate(runs, labels, "s", {"metric": "accuracy"} | study)


def rows_of(table, metric="accuracy"):
    return table[table["metric"] == metric].set_index("method")


def test_mean_and_std_over_seeds_by_hand(tmp_path):
    runs = [
        write_run(tmp_path, "m", 0, [1, 1, 1, 1]),
        write_run(tmp_path, "m", 1, [1, 1, 1, 0]),
        write_run(tmp_path, "m", 2, [1, 1, 0, 0]),
    ]
    row = rows_of(tabulate(tmp_path, runs)["table"]).loc["m"]
    assert row["mean"] == pytest.approx(0.75)
    assert row["std"] == pytest.approx(0.25)
    assert (row["n_seeds"], row["n_test"], row["n_groups"]) == (3, 4, 4)
    assert row["values"] == "1.000000;0.750000;0.500000"


def test_one_seed_has_no_std(tmp_path):
    row = rows_of(tabulate(tmp_path, [write_run(tmp_path, "m", 0, [1, 0, 1, 1])])["table"]).loc["m"]
    assert row["std"] is None and row["n_seeds"] == 1
    assert row["low"] < 0.75 < row["high"]


def test_seeds_that_predict_alike_count_once(tmp_path):
    first = write_run(tmp_path, "zero-shot", 0, [1, 0, 1, 1])
    again = first | {"seed": 1}
    row = rows_of(tabulate(tmp_path, [first, again])["table"]).loc["zero-shot"]
    assert row["n_seeds"] == 1 and row["std"] is None


def test_seeds_of_which_only_some_predict_alike_are_all_weighed_and_paired(tmp_path):
    """Means are 5/6 and 2/3; paired by seed, one gains 0, 0.25 and 0.25."""
    first = write_run(tmp_path, "m", 0, [1, 1, 1, 1])
    runs = [first, first | {"seed": 1}, write_run(tmp_path, "m", 2, [1, 1, 0, 0])]
    less = ([1, 1, 1, 1], [1, 1, 1, 0], [1, 0, 0, 0])
    runs += [write_run(tmp_path, "n", seed, right) for seed, right in enumerate(less)]
    claim = {"claim": "m gains", "better": "m", "worse": "n", "expect": "gain", "paper": ""}
    made = tabulate(tmp_path, runs, claims=[claim])
    row, verdict = rows_of(made["table"]).loc["m"], made["claims"].iloc[0]
    assert row["n_seeds"] == 3 and row["mean"] == pytest.approx(5 / 6)
    assert row["values"] == "1.000000;1.000000;0.500000"
    assert (verdict["seeds_agreeing"], verdict["n_seeds"]) == (2, 3)
    assert verdict["gain"] == pytest.approx(1 / 6)


def test_one_group_has_no_interval(tmp_path):
    runs = [write_run(tmp_path, name, 0, [1, 0, 1, 1], groups=["p"] * 4) for name in ("m", "n")]
    made = tabulate(tmp_path, runs, reference="m", order=["m", "n"])
    table, order = made["table"], made["order"]
    assert rows_of(table)[["low", "high", "difference_low"]].isna().all().all()
    assert order.iloc[0]["verdict"] == "not resolved"


def test_without_known_groups_each_image_is_one(tmp_path):
    rows = []
    for groups in (["s0", "s1", "s2", "s3"], [None] * 4):
        runs = [write_run(tmp_path, "m", 0, [1, 0, 1, 1], groups=groups)]
        rows.append(rows_of(tabulate(tmp_path, runs)["table"]).loc["m"])
    assert rows[0].drop("unit").equals(rows[1].drop("unit"))
    assert rows[1]["n_groups"] == 4
    assert (rows[0]["unit"], rows[1]["unit"]) == ("group", "image")


def test_differences_are_paired_on_the_same_resamples(tmp_path):
    noisy = np.tile([1, 0], 30)
    better = noisy.copy()
    better[1::4] = 1  # right wherever the reference is, and on a quarter more
    runs = [write_run(tmp_path, "base", 0, noisy), write_run(tmp_path, "better", 0, better)]
    row = rows_of(tabulate(tmp_path, runs, reference="base")["table"]).loc["better"]
    assert row["difference"] == pytest.approx(0.25)
    assert 0 < row["difference_low"] < 0.25 < row["difference_high"]
    assert row["difference_high"] - row["difference_low"] < row["high"] - row["low"] + 1e-9
    base = rows_of(tabulate(tmp_path, runs, reference="base")["table"]).loc["base"]
    assert np.isnan(base["difference"]) and np.isnan(base["difference_low"])


def order_of(tmp_path, lower, upper, **study):
    runs = [write_run(tmp_path, "low", 0, lower), write_run(tmp_path, "up", 0, upper)]
    return tabulate(tmp_path, runs, order=["low", "up"], **study)["order"].iloc[0]


def test_order_verdicts_follow_the_paired_interval(tmp_path):
    poor, good = np.tile([1, 0, 0, 0], 15), np.tile([1, 1, 1, 0], 15)
    assert order_of(tmp_path, poor, good)["verdict"] == "supported"
    assert order_of(tmp_path, good, poor)["verdict"] == "contradicted"
    assert order_of(tmp_path, good, np.roll(good, 1))["verdict"] == "not resolved"


def test_a_step_is_what_its_interval_says():
    assert orders.verdict(0.1, 0.2) == "supported"
    assert orders.verdict(-0.1, 0.2) == "not resolved"
    assert orders.verdict(-0.2, -0.1) == "contradicted"
    assert orders.verdict(None, None) == "not resolved"


def test_equal_methods_do_not_support_an_order(tmp_path):
    step = order_of(tmp_path, [1, 0, 1, 1], [1, 0, 1, 1])
    assert (step["verdict"], step["difference"], step["seeds_agreeing"]) == ("not resolved", 0, 0)


def test_where_lower_is_better_the_order_turns_round():
    cell = {
        "methods": {
            "bad": {"hamming": (np.array([0.3]), np.full(100, 0.3))},
            "good": {"hamming": (np.array([0.1]), np.linspace(0.09, 0.11, 100))},
        },
        "not_converged": {"bad": 0, "good": 0},
        "gate_failed": {"bad": "", "good": ""},
        "n_groups": 5,
    }
    step = orders._step(cell, "bad", "good", "hamming")
    assert step["difference"] == pytest.approx(-0.2)
    assert (step["verdict"], step["seeds_agreeing"]) == ("supported", 1)


def test_a_whole_order_is_as_good_as_its_weakest_step():
    assert orders.overall(["supported", "supported"]) == "supported"
    assert orders.overall(["supported", "not resolved"]) == "not resolved"
    assert orders.overall(["not resolved", "contradicted"]) == "contradicted"


def test_methods_a_dataset_lacks_are_left_out_of_its_order(tmp_path):
    runs = [write_run(tmp_path, name, 0, [1, 0, 1, 1]) for name in ("random", "retrieved")]
    order = tabulate(tmp_path, runs, order=["random", "retrieved", "oracle"])["order"]
    assert list(zip(order["lower"], order["upper"], strict=True)) == [("random", "retrieved")]


def test_methods_with_encoders_of_their_own_share_a_column(tmp_path):
    own = write_run(tmp_path, "own", 0, [1, 1, 1, 0]) | {"encoder": "resnet", "column": "clip"}
    plain = write_run(tmp_path, "plain", 0, [1, 0, 1, 0]) | {"encoder": "clip", "column": "clip"}
    made = tabulate(tmp_path, [plain, own], reference="plain")
    rows = rows_of(made["table"])
    assert set(rows["encoder"]) == {"clip"}
    assert rows["own_encoder"].to_dict() == {"plain": "", "own": "resnet"}
    assert rows.loc["own", "difference"] == pytest.approx(0.25)


def test_a_study_whose_methods_all_have_encoders_of_their_own_has_one_cell(tmp_path):
    runs = [
        write_run(tmp_path, name, 0, [1, 0, 1, 1]) | {"encoder": f"of-{name}", "column": "any"}
        for name in ("m", "n")
    ]
    rows = rows_of(tabulate(tmp_path, runs, reference="m")["table"])
    assert set(rows["encoder"]) == {"any"} and rows.loc["n", "difference"] == 0


def test_the_papers_numbers_stand_beside_ours_and_a_file_of_other_methods_is_refused(tmp_path):
    runs = [write_run(tmp_path, name, 0, [1, 0, 1, 1]) for name in ("m", "n")]
    paper = tmp_path / "paper.csv"
    paper.write_text("method,metric,value,note\nm,accuracy,0.9,Table 9\n")
    rows = rows_of(tabulate(tmp_path, runs, published=str(paper))["table"])
    assert (rows.loc["m", "paper"], rows.loc["m", "paper_note"]) == (0.9, "Table 9")
    assert np.isnan(rows.loc["n", "paper"])
    paper.write_text("method,metric,value,note\nother,accuracy,0.9,\n")
    with pytest.raises(InputError, match="none of the study's"):
        tabulate(tmp_path, runs, published=str(paper))


def test_combined_tests_are_synthetic_only_if_every_dataset_is(tmp_path):
    runs = [
        write_run(tmp_path, name, 0, right, dataset=dataset)
        for dataset in ("d", "d2")
        for name, right in (("m", [1, 0, 1, 1]), ("n", [1, 1, 1, 0]))
    ]
    for synthetic in (["d"], ["d", "d2"]):
        study = {"reference": "m", "datasets": ["d", "d2"], "synthetic": synthetic}
        together = tabulate(tmp_path, runs, **study)["tests"].iloc[-1]
        assert together["cells"] == 2 and together["synthetic"] == (len(synthetic) == 2)


def test_class_tables_average_over_seeds_and_keep_the_support(tmp_path):
    runs = [
        write_run(tmp_path, "m", seed, right)
        for seed, right in ((0, [1, 1, 1, 1]), (1, [0, 1, 1, 1]))
    ]
    table = tabulate(tmp_path, runs)["classes"].set_index("class")
    assert table["support"].to_dict() == {"a": 2, "b": 2}
    # Seed 1 calls one of two a's a b: F1 of a is 2 / 3, of b 4 / 5; seed 0 is always right.
    assert table["f1"].to_dict() == pytest.approx({"a": (1 + 2 / 3) / 2, "b": (1 + 4 / 5) / 2})
    assert table["recall"].to_dict() == pytest.approx({"a": 0.75, "b": 1})


def test_runs_without_validation_or_probabilities_have_no_calibration_rows(tmp_path):
    made = tabulate(tmp_path, [write_run(tmp_path, "m", 0, [1, 0, 1, 1])])
    assert made["calibration"].empty and made["reliability"].empty


def test_runs_on_other_samples_are_refused(tmp_path):
    other = write_run(tmp_path, "n", 0, [1, 0, 1, 1], ids=["s0", "s1", "s2", "other"])
    runs = [write_run(tmp_path, "m", 0, [1, 0, 1, 1]), other]
    with pytest.raises(InputError, match="test samples, labels or folds differ"):
        tabulate(tmp_path, runs)


def test_sample_order_within_a_file_does_not_matter(tmp_path):
    a = write_run(tmp_path, "m", 0, [1, 1, 0, 0], ids=["s0", "s1", "s2", "s3"])
    b = write_run(tmp_path, "n", 0, [0, 0, 1, 1], ids=["s2", "s3", "s0", "s1"])
    assert rows_of(tabulate(tmp_path, [a, b], reference="m")["table"]).loc["n", "difference"] == 0


def test_a_metric_of_the_other_task_is_named(tmp_path):
    run = write_run(tmp_path, "m", 0, [1, 0, 1, 1])
    with pytest.raises(InputError, match="hamming"):
        tabulate(tmp_path, [run], metric="hamming")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    root = tmp_path_factory.mktemp("world")
    return root, fake_artifacts.make(root, tiles_per_class=12)


def write(world, name, folder):
    root, config = world
    study = config["studies"][name]
    study |= {"synthetic": study["datasets"], "splits": fake_artifacts.splits(config, study)}
    labels = {d: root / f"results/labels/{d}.parquet" for d in study["datasets"]}
    made = fake_artifacts.study_files(folder, name)
    study_page.write_study(fake_artifacts.runs(root, study), labels, name, study, made)
    return made


def test_a_phantom_study_says_so_in_title_and_column(world, tmp_path):
    made = write(world, "clip-it", tmp_path)
    assert pd.read_csv(made.table)["synthetic"].all()
    for page in (made.html, made.svg):
        assert "phantom (synthetic)" in page.read_text()


def test_a_phantom_study_says_that_it_is_of_one_world(world, tmp_path):
    assert "from one synthetic world" in write(world, "clip-it", tmp_path).html.read_text()


def test_a_study_says_which_parameters_are_a_datasets_own(world, tmp_path):
    plain, study = write(world, "clip-it", tmp_path / "0"), world[1]["studies"]["clip-it"]
    (dataset,) = study["datasets"]
    study["different"] = {dataset: {"clip-it": {"epochs": 25, "lora": None}}}
    page = write(world, "clip-it", tmp_path / "1").html.read_text()
    said = f"On {dataset} these methods have parameters of their own:"
    assert said in page and "clip-it (epochs 25, lora null)." in page
    assert said not in plain.html.read_text()
    del study["different"]


def test_a_study_says_how_many_classes_the_paper_had(world, tmp_path):
    root, config = world
    study, plain = config["studies"]["multi-label"], write(world, "multi-label", tmp_path / "0")
    classes = len(tables.about(root / "results/labels/phantom-quilt.parquet")["classes"])
    assert "in the paper." not in plain.html.read_text()
    said = {}
    for name, count in (("other", 60), ("same", classes)):
        study["papers_data"] = {"phantom-quilt": {"classes": count, "samples": 43866}}
        page = " ".join(write(world, "multi-label", tmp_path / name).html.read_text().split())
        said[name] = "cannot be compared" in page
        assert f"{classes} classes here, {count} in the paper." in page
    del study["papers_data"]
    assert said == {"other": True, "same": False}


@pytest.mark.parametrize("name", ["clip-it", "multi-label"])
def test_writing_a_study_twice_gives_equal_bytes(world, tmp_path, name):
    first, second = (write(world, name, tmp_path / part) for part in ("1", "2"))
    for kind in (*study_tables.TABLES, "svg", "html"):
        one, other = getattr(first, kind).read_bytes(), getattr(second, kind).read_bytes()
        assert one == other and str(tmp_path).encode() not in one


def test_the_table_has_one_row_per_dataset_encoder_method_and_metric(world, tmp_path):
    table = pd.read_csv(write(world, "multi-label", tmp_path).table)
    assert list(table.columns) == ["study", "dataset", "encoder", *study_tables.TABLE, "synthetic"]
    assert len(table) == 2 * 1 * 2 * len(metrics.names("multi"))
    assert not table.duplicated(["dataset", "encoder", "method", "metric"]).any()
    known = table[table["low"].notna()]
    assert (known["low"] < known["high"]).all() and len(known) > len(table) / 2
    assert table[table["metric"] == "ece"]["low"].isna().all()
    single = table[table["method"] == "zero-shot"]
    assert single["std"].isna().all() and (single["n_seeds"] == 1).all()


def test_calibration_of_a_study_is_the_mean_over_its_seeds(world, tmp_path):
    root, config = world
    made = write(world, "clip-it", tmp_path)
    row = pd.read_csv(made.calibration).set_index("method").loc["clip-it"]
    seeds = [
        tables.read_json(run["metrics"])["calibration"]
        for run in fake_artifacts.runs(root, config["studies"]["clip-it"])
        if run["method"] == "clip-it"
    ]
    assert row["temperature"] == pytest.approx(np.mean([s["temperature"] for s in seeds]), rel=1e-5)
    after = [s["splits"]["test"]["after"]["ece"] for s in seeds]
    assert row["ece_scaled"] == pytest.approx(np.mean(after), rel=1e-5)
    bins = pd.read_csv(made.reliability)
    bins = bins[(bins["method"] == "clip-it") & ~bins["scaled"]]
    n_test = tables.read_json(run_of(root)["metrics"])["splits"]["test"]["n"]
    assert bins["count"].sum() == 3 * n_test
    assert ((bins["lower"] <= bins["confidence"]) & (bins["confidence"] <= bins["upper"])).all()


def run_of(root):
    folder = fake_artifacts.run_folder(root, "phantom-crc", "phantom-vit", "clip-it", 0)
    return {"metrics": folder / "metrics.json"}


@pytest.mark.parametrize("name", ["clip-it", "multi-label"])
def test_the_page_of_a_study_shows_classes_and_calibration_folded(world, tmp_path, name):
    page = write(world, name, tmp_path).html.read_text()
    for words in ("Average precision per class", "Temperature", "Support"):
        assert words in page
    assert page.count("<details>") >= 3


def test_the_page_shows_claims_the_paper_the_leak_and_the_tests(world, tmp_path):
    made = write(world, "multi-label", tmp_path)
    page = made.html.read_text()
    for words in ("by a &lt;wide&gt; margin", "Inconsistent and no target", "Worth of the leak"):
        assert words in page
    assert "<wide>" not in page
    verdicts = pd.read_csv(made.claims)["verdict"].str.replace(" ", "-")
    assert len(verdicts) == 2 * 2 and all(f'class="chip {v}"' in page for v in verdicts)
    assert "<caption>The paper's claims</caption>" in page
    leak = pd.read_csv(made.leak)
    assert set(leak["method"]) == {"zero-shot", "fusion-frozen"}
    assert (leak["difference"] - (leak["by_row"] - leak["by_group"])).abs().max() < 1e-5
    tests = pd.read_csv(made.tests)
    assert list(tests["test_groups"]) == ["permutation", "permutation"]
    assert tests["synthetic"].all() and "Read the Holm column first" in page
    assert "1 on phantom-quilt, 1 on phantom-quilt-random." in " ".join(page.split())


def test_temperatures_at_the_bound_of_their_fit_are_counted(world, tmp_path):
    made = write(world, "clip-it", tmp_path)
    table = pd.read_csv(made.calibration).set_index("method")
    perfect = table.index[table["at_bound"] > 0]
    assert list(perfect) == ["clip-it-oracle"] and table.loc[perfect[0], "temperature"] < 0.05
    page = made.html.read_text()
    assert page.count(f"at bound: {table['at_bound'].max()} of 3") == 1
    assert "no better than chance" in page


def test_without_a_temperature_at_its_bound_none_is_spoken_of(world, tmp_path, monkeypatch):
    monkeypatch.setattr(calibration, "at_bound", lambda temperature: False)
    page = write(world, "clip-it", tmp_path).html.read_text()
    assert "at bound" not in page.casefold() and "no better than chance" not in page


def test_the_page_keeps_names_that_look_like_numbers_or_like_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(f"{__name__}.CLASSES", ["None", "01"])
    right = np.tile([1, 1, 1, 0], 5)
    runs = [write_run(tmp_path, name, 0, right, dataset="2020") for name in ("m", "n")]
    labels = {"2020": tmp_path / "2020.parquet"}
    samples = tables.read(labels["2020"]).assign(site=["02", "NA"] * 10)
    tables.write(labels["2020"], samples, {})
    claim = {"claim": "n/a", "paper": "0.610", "better": "m", "worse": "n", "expect": "gain"}
    study = {"metric": "accuracy", "reference": "m", "datasets": ["2020"], "claims": [claim]}
    made = fake_artifacts.study_files(tmp_path / "studies", "s")
    study_page.write_study(runs, labels, "s", study, made)
    again = study_page.read_study("s", study, labels, tmp_path / "studies")
    assert [row["class"] for row in again["blocks"][0]["classes"]] == ["01", "None"]
    assert [row["site"] for row in again["sites"][0]["rows"]] == ["02", "NA"]
    assert [(row["claim"], row["paper"]) for row in again["claims"]] == [("n/a", "0.610")]
    read = templates.render("study.html.j2", study=again)
    for name in ("None", "01", "02", "NA"):
        row = f'<th scope="row">{name}</th>'
        assert made.html.read_text().count(row) == read.count(row) > 0


def test_each_table_of_curves_says_the_labels_of_its_own_dataset(tmp_path):
    runs, labels, splits = [], {}, {}
    for whole, every in (("a", 20), ("b", 50)):
        for name, few in ((f"{whole}-2-labels", 2), (whole, None)):
            runs += [write_run(tmp_path, method, 0, [1, 0, 1, 1], dataset=name) for method in "mn"]
            train = {"split": ["train"] * 2 * every, "labels": [["a"]] * 2 * every}
            train["sample_id"] = train["image_id"] = [f"t{i}" for i in range(2 * every)]
            labels[name] = tmp_path / f"{name}.parquet"
            samples = pd.concat([tables.read(labels[name]), pd.DataFrame(train)])
            tables.write(labels[name], samples, {"classes": CLASSES})
            splits[name] = {"of": whole, "by": "group", "whole": whole, "labels": few}
    study = {"metric": "accuracy", "reference": "m", "datasets": list(labels), "splits": splits}
    made = fake_artifacts.study_files(tmp_path / "studies", "s")
    study_page.write_study(runs, labels, "s", study, made)
    heads = made.html.read_text().split("Area under the curve")[1:]
    said = [head.partition(" labelled samples")[0].partition('"muted">')[2] for head in heads]
    assert said == ["2, 20", "2, 50"]


@pytest.mark.parametrize("papers", [("", ""), ("2 points", "")])
def test_the_page_shows_claims_as_the_studys_own_page_does(world, tmp_path, papers):
    root, config = world
    study = config["studies"]["multi-label"]
    claims = [claim | {"paper": said} for claim, said in zip(study["claims"], papers, strict=True)]
    changed = config | {"studies": {"multi-label": study | {"claims": claims}}}
    page = write((root, changed), "multi-label", tmp_path).html.read_text()
    labels = {d: root / f"results/labels/{d}.parquet" for d in study["datasets"]}
    again = study_page.read_study("multi-label", study | {"claims": claims}, labels, tmp_path)
    read = templates.render("study.html.j2", study=again)
    for html in (page, read):
        table = html[html.index('<table class="wordy">') :].partition("</table>")[0]
        assert ">nan<" not in table
        assert ("<caption>Claims</caption>" in table) == ("<th>Paper</th>" not in table)
        assert ("2 points" in table) == ("The paper's claims" in table) == any(papers)


def test_the_share_of_wrong_labels_is_told_of_validation_and_test(tmp_path):
    truth = pd.DataFrame({"path": list("abcd"), "label": ["x", "y", "x", "y"]})
    split = ["val", "val", "test", "train"]
    given = pd.DataFrame({"path": list("abcd"), "split": split, "labels": [["x"]] * 4})
    for name, frame in (("truth", truth), ("labels", given)):
        tables.write(tmp_path / f"{name}.parquet", frame, {})
    paths = tmp_path / "labels.parquet", tmp_path / "truth.parquet"
    expected = {"val_wrong": 0.5, "test_wrong": 0.0}
    assert class_tables.wrong_labels(*paths) == expected
    tables.write(paths[1], truth.rename(columns={"label": "entity"}), {})
    assert class_tables.wrong_labels(*paths) == {}


def test_the_page_says_what_was_resampled_and_on_which_labels_a_temperature_was_fitted(
    world, tmp_path
):
    root, config = world
    labels = tables.read(root / "results/labels/phantom-crc.parquet")
    wrong = labels["labels"].str[0].where(labels["split"] != "val", "none")
    tables.write(tmp_path / "truth.parquet", labels[["path"]].assign(label=wrong), {})
    alone = tmp_path / "labels.parquet"
    tables.write(alone, labels.assign(group=None), {})
    study = config["studies"]["clip-it"] | {"truths": {"phantom-crc": tmp_path / "truth.parquet"}}
    runs = fake_artifacts.runs(root, study)
    made = fake_artifacts.study_files(tmp_path, "clip-it")
    study_page.write_study(runs, {"phantom-crc": alone}, "clip-it", study, made)
    told = Path(made.html).read_text(encoding="utf-8")
    assert "judged on clean" in told and "count each image as its own" in told
    for table in ("table", "order"):
        assert set(pd.read_csv(getattr(made, table))["unit"]) == {"image"}
    calibrated = pd.read_csv(made.calibration)
    assert (calibrated["val_wrong"] == 1).all() and (calibrated["test_wrong"] == 0).all()
