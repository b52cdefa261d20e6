"""From nothing to the page: every artifact opens, says what made it, keeps its promises."""

import html.parser
import json
import re

import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml
from safetensors import safe_open

import workflow
from histopair.files import tables
from histopair.plan import entries
from histopair.plan.load import load


@pytest.fixture(scope="module")
def results(finished_run):
    return finished_run / "results"


@pytest.fixture(scope="module")
def config(finished_run):
    return load(yaml.safe_load((finished_run / workflow.CONFIG).read_text()))


@pytest.fixture(scope="module")
def runs(config):
    return [run for study in config["studies"] for run in entries.runs(config, study)]


def folder_of(results, run):
    return results / "runs" / run["dataset"] / run["encoder"] / run["method"] / str(run["seed"])


def all_of(results, pattern):
    """Artifacts by pattern; the world's own files and the shards are not artifacts."""
    found = [path for path in results.rglob(pattern) if ".shards" not in path.parts]
    assert found
    return found


# Asked for by name alone, and run in tests of their own.
BY_NAME = {"analyses", "downloads", "export", "instrument", "tuning"}
BY_NAME_RULES = {"phantom_synthetic", "embed_labels", "phantom_cohort", "phantom_features"}
BY_NAME_RULES |= {"embed_bags", "join_folds", "teach", "distil"}
BY_NAME_RULES |= {"phantom_grades", "phantom_grades_captions", "gate"}
BY_NAME_RULES |= {"phantom_own_reports", "phantom_lesions"}


def test_every_rule_of_the_workflow_is_part_of_the_small_run(finished_run):
    rules = set()
    for path in (finished_run / "workflow/rules").glob("*.smk"):
        if path.stem not in BY_NAME:
            rules |= set(re.findall(r"^rule (\w+):", path.read_text(), re.M))
    assert set(workflow.planned(finished_run, "--forceall").values()) == rules - BY_NAME_RULES


def test_a_second_run_has_nothing_to_do(finished_run):
    process = workflow.run(finished_run)
    assert process.returncode == 0
    assert "Nothing to be done" in process.stdout


def test_every_parquet_opens_and_says_what_made_it(results):
    for path in all_of(results, "*.parquet"):
        about = tables.about(path)
        assert {"rule", "wildcards", "params", "code", "versions"} <= set(about), path
        assert re.fullmatch("[0-9a-f]{16}", about["code"]), path
        assert len(pd.read_parquet(path)) == pq.read_metadata(path).num_rows


def test_the_docs_name_the_columns_of_every_table(results):
    """docs/artifacts.md; "…" stands for columns that not all have."""
    rows, named = documented_columns(), {"study", "dataset", "encoder", "synthetic"}
    assert len(rows) > 15
    for name, columns in rows.items():
        pattern = re.compile(re.sub(r"\\\{\w+\\\}", "[^/.]+", re.escape(name)))
        files = [p for p in results.rglob("*.*") if pattern.fullmatch(str(p.relative_to(results)))]
        assert files, name
        for file in files:
            there = columns_of(file)
            if file.parent.name == "studies":
                there = [column for column in there if column not in named]
            if columns[-1] == "…":
                assert set(columns[:-1]) <= set(there), file
            else:
                assert there == columns, file


def documented_columns() -> dict[str, list[str]]:
    """Path below results/, with wildcards -> columns, of the tables in docs/artifacts.md."""
    text = (workflow.ROOT / "docs/artifacts.md").read_text(encoding="utf-8")
    row = re.compile(r"^\| `([^`]+\.(?:parquet|csv))` \|[^|]+\| ([^|]+) \|$", re.M)
    found = {}
    for section in text.split("\n## "):
        folder = re.search(r"^In `(.+?/)`", section, re.M)
        for name, columns in row.findall(section):
            found[(folder[1] if folder else "") + name] = columns.split(", ")
    return found


def columns_of(file) -> list[str]:
    if file.suffix == ".parquet":
        return pq.read_schema(file).names
    return list(pd.read_csv(file, nrows=0))


def test_no_artifact_holds_the_place_where_it_was_made(small_run, results):
    place = str(small_run).encode()
    held = [
        path for path in all_of(results, "*.*") if path.is_file() and place in path.read_bytes()
    ]
    assert held == []


def test_nothing_half_made_is_left(results):
    hidden = [path for path in results.rglob(".*") if path.is_file()]
    assert {path.name for path in hidden} <= {".snakemake_timestamp"}
    assert not list(results.rglob("*.partial"))
    assert not list((results / ".resume").rglob("*.pt"))


def test_every_run_of_every_study_has_its_four_artifacts(results, runs):
    assert {run["method"] for run in runs} >= {"linear-head", "lora", "clip-it", "zero-shot"}
    for run in runs:
        found = {path.name for path in folder_of(results, run).iterdir()}
        assert found == {
            "weights.safetensors",
            "history.parquet",
            "predictions.parquet",
            "metrics.json",
        }


def test_predictions_are_one_row_of_probabilities_per_sample_that_was_held_out(results, runs):
    for run in runs:
        path = folder_of(results, run) / "predictions.parquet"
        predictions = tables.read(path)
        labels = tables.read(results / "labels" / f"{run['dataset']}.parquet")
        held_out = labels[labels["split"] != "train"]
        assert sorted(predictions["sample_id"]) == sorted(held_out["sample_id"])
        merged = predictions.merge(held_out, on="sample_id", validate="one_to_one")
        assert (merged["split_x"] == merged["split_y"]).all()
        scores, about = tables.matrix(path, "scores"), tables.about(path)
        assert scores.shape[1] == len(about["classes"])
        assert ((scores >= 0) & (scores <= 1)).all()
        if about["task"] == "single":
            assert scores.sum(1) == pytest.approx(1, abs=1e-5)


def test_metrics_are_those_of_the_predictions(results, runs):
    for run in runs:
        folder = folder_of(results, run)
        metrics = tables.read_json(folder / "metrics.json")
        predictions = tables.read(folder / "predictions.parquet")
        assert metrics["n"] == len(predictions)
        for split, values in metrics["splits"].items():
            part = predictions[predictions["split"] == split]
            assert values["n"] == len(part)
            if metrics["task"] == "single":
                best = [metrics["classes"][row.argmax()] for row in part["scores"]]
                right = [
                    label[0] == guess for label, guess in zip(part["labels"], best, strict=True)
                ]
                assert values["accuracy"] == pytest.approx(sum(right) / len(right))
            else:
                reached = [values[f"label_accuracy_{k}"] for k in (1, 2, 3)]
                assert reached == sorted(reached, reverse=True)
                # Every sample has three labels among its top three, right or wrong.
                hits = sum(
                    len({metrics["classes"][c] for c in row.argsort(kind="stable")[-3:]} & set(own))
                    for row, own in zip(part["scores"], part["labels"], strict=True)
                )
                assert sum(reached) * len(part) == pytest.approx(hits)


def test_weights_hold_what_was_trained_and_its_size_is_told(results, runs):
    for run in runs:
        folder = folder_of(results, run)
        with safe_open(folder / "weights.safetensors", "pt") as weights:
            size = sum(weights.get_tensor(name).numel() for name in weights.keys())  # noqa: SIM118
        assert size == tables.about(folder / "predictions.parquet")["parameters"]["trained"]


def test_no_video_and_no_picture_is_on_both_sides_of_the_split(results):
    for dataset in ("phantom-quilt", "phantom-captions", "phantom-crc", "phantom-bach"):
        labels = tables.read(results / "labels" / f"{dataset}.parquet")
        for key in ("group", "sha256"):
            assert (labels.groupby(key)["split"].nunique() <= 1).all(), (dataset, key)
    by_row = tables.read(results / "labels/phantom-quilt-random.parquet")
    assert by_row.groupby("group")["split"].nunique().max() > 1


def test_a_damaged_picture_is_set_aside_with_its_reason(results):
    quarantine = tables.read(results / "labels/phantom-quilt.quarantine.parquet")
    assert quarantine["path"].nunique() == 1
    assert quarantine["reason"].str.len().min() > 10
    labels = tables.read(results / "labels/phantom-quilt.parquet")
    assert not set(quarantine["path"]) & set(labels["path"])


def test_embeddings_cover_each_picture_and_caption_once(results):
    labels = tables.read(results / "labels/phantom-quilt.parquet")
    place = results / "embeddings/phantom-clip"
    images = tables.read(place / "phantom-quilt.images.parquet", ["image_id"])["image_id"]
    captions = tables.read(place / "phantom-quilt.captions.parquet", ["sample_id"])["sample_id"]
    assert sorted(images) == sorted(set(labels["image_id"]))
    assert sorted(captions) == sorted(labels["sample_id"])
    assert tables.about(place / "phantom-quilt.images.parquet")["normalised"] is False


def test_every_picture_is_paired_with_reports_in_order_of_similarity(results, config):
    for pair in entries.pairings(config):
        name = "pairs/{encoder}/{dataset}.{corpus}{correction}.parquet".format(**pair)
        pairs = tables.read(results / name)
        labels = tables.read(results / f"labels/{pair['dataset']}.parquet")
        reports = tables.read(results / f"reports/{pair['corpus']}.parquet")
        assert set(pairs["image_id"]) == set(labels["image_id"])
        assert set(pairs["report_id"]) <= set(reports["report_id"])
        for _, own in pairs.groupby("image_id"):
            assert list(own["rank"]) == list(range(1, config["retrieval"]["k"] + 1))
            assert own.get("score", own["similarity"]).is_monotonic_decreasing
            assert own["report_id"].is_unique


def test_a_study_tells_mean_spread_interval_and_seeds(results, config):
    for study, entry in config["studies"].items():
        table = pd.read_csv(results / f"studies/{study}.csv")
        assert set(table["method"]) == set(entry["methods"])
        assert {"mean", "std", "n_seeds", "low", "high", "reference"} <= set(table)
        seeds = table.groupby("method")["n_seeds"].first().drop("zero-shot", errors="ignore")
        assert (seeds == len(entry["seeds"])).all()
        main = table[table["metric"] == entry["metric"]].dropna(subset=["low"])
        assert len(main)
        assert (main["low"] <= main["mean"] + 1e-9).all()
        assert (main["high"] >= main["mean"] - 1e-9).all()


class Loads(html.parser.HTMLParser):
    """What a page would fetch, and the text that it shows."""

    def __init__(self):
        super().__init__()
        self.fetched, self.text = [], []

    def handle_starttag(self, tag, attrs):
        names = ("src", "srcset", "data", "poster") + (("href",) if tag == "link" else ())
        self.fetched += [value for name, value in attrs if name in names and value]

    def handle_data(self, data):
        self.text.append(data)


def test_the_report_is_one_file_that_shows_every_study(results, config):
    page = (results / "page.html").read_text(encoding="utf-8")
    parser = Loads()
    parser.feed(page)
    assert [value[:60] for value in parser.fetched if not value.startswith("data:")] == []
    assert not re.search(r"@import|url\((?!['\"]?(data:|#))", page)
    shown = " ".join(parser.text)
    for study in config["studies"].values():
        assert study["title"] in shown
    assert "Elsewhere: phantom-hospitals" in shown
    for name in (*config["methods"], "phantom-quilt-random", "phantom-breast"):
        assert name in shown


def test_the_record_of_where_the_time_went_is_complete(results, runs):
    for run in runs:
        name = "/".join(str(run[key]) for key in ("dataset", "encoder", "method", "seed"))
        record = pd.read_csv(results / f"benchmarks/run/{name}.tsv", sep="\t")
        assert record["s"].iloc[0] > 0


def test_metrics_are_readable_json(results):
    for path in all_of(results, "*.json"):
        json.loads(path.read_text(encoding="utf-8"))


SAME = [
    "results/labels/phantom-quilt-random.parquet",
    "results/pairs/oracle/phantom-crc.phantom-colon.parquet",
    "results/encoders/phantom-bert",
    "results/runs/phantom-pcam/phantom-vit/lora/0/predictions.parquet",
]


def test_the_same_config_gives_the_same_bits_in_another_folder(finished_run, tmp_path):
    folder = workflow.copy_to(tmp_path / "again")
    process = workflow.run(folder, *SAME)
    assert process.returncode == 0, process.stdout[-3000:]
    first, second = (workflow.contents(place / "results") for place in (finished_run, folder))
    made = {name for name in second if not name.startswith("benchmarks/")}
    assert len(made) > len(SAME)
    assert [name for name in sorted(made) if first.get(name) != second[name]] == []
