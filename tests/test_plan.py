"""Planning: who reads what, asked as the rules ask it, on the small config."""

import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from histopair import plan
from histopair.errors import InputError
from histopair.plan import (
    analyses,
    data,
    encoders,
    entries,
    exports,
    fingerprint,
    lineage,
    page,
    pairs,
    recipes,
    runs,
    studies,
    tunings,
)
from histopair.plan.load import load
from histopair.plan.places import pattern, there
from workflow import CONFIG, ROOT


@pytest.fixture(scope="module")
def config():
    return load(yaml.safe_load((ROOT / CONFIG).read_text(encoding="utf-8")))


def run(method, dataset="phantom-crc", encoder="phantom-vit", seed="0"):
    return SimpleNamespace(dataset=dataset, encoder=encoder, method=method, seed=seed)


def test_a_method_without_text_waits_for_no_report(config):
    assert runs.artifacts(config, run("lora")) == {"labels": "results/labels/phantom-crc.parquet"}


@pytest.mark.parametrize("file", [CONFIG, "config/config.yaml"])
def test_a_seed_decides_only_where_files_lie(file):
    """So the rules ask once for all seeds, and Snakemake fills them in."""
    config = load(yaml.safe_load((ROOT / file).read_text(encoding="utf-8")))
    for study in config["studies"]:
        for each in entries.runs(config, study):
            one, every = SimpleNamespace(**each), SimpleNamespace(**each | {"seed": "{seed}"})
            for file, path in runs.paths(config, every).items():
                assert path.format(seed=each["seed"]) == runs.paths(config, one)[file]
            assert runs.encoder_files(config, every) == runs.encoder_files(config, one)
            assert runs.spec(config, every) == runs.spec(config, one)
            assert runs.modules(config, every) == runs.modules(config, one)


def test_a_frozen_method_reads_embeddings_and_no_weights(config):
    found = runs.artifacts(config, run("linear-probe"))
    assert found["image_embeddings"] == "results/embeddings/phantom-vit/phantom-crc.images.parquet"
    assert runs.encoder_files(config, run("linear-probe")) == []


def test_clip_it_reads_pairs_and_chunks_of_its_retriever(config):
    found = runs.artifacts(config, run("clip-it"))
    assert found["pairs"] == "results/pairs/phantom-clip/phantom-crc.phantom-colon.parquet"
    assert found["reports"] == "results/chunks/phantom-clip/phantom-colon.parquet"
    assert runs.encoder_files(config, run("clip-it")) == [
        "results/encoders/phantom-vit",
        "results/encoders/phantom-clip",
    ]
    assert runs.spec(config, run("clip-it"))["retriever"]["name"] == "phantom-clip"
    assert runs.spec(config, run("lora"))["retriever"] is None


def test_random_pairing_reads_reports_and_no_pairs(config):
    found = runs.artifacts(config, run("clip-it-random"))
    assert "reports" in found
    assert "pairs" not in found


@pytest.mark.parametrize(
    ("method", "name", "kind"),
    [
        ("clip-it-image", "teacher_images", "images"),
        ("clip-it-label", "teacher_prompts", "prompts"),
    ],
)
def test_a_teacher_that_is_no_report_is_read_in_its_place(config, method, name, kind):
    found = runs.artifacts(config, run(method))
    assert found[name] == f"results/embeddings/phantom-clip/phantom-crc.{kind}.parquet"
    assert "reports" not in found


@pytest.mark.parametrize(
    ("recipe", "parameters", "needed"),
    [
        ("linear_head", {}, "image_embeddings"),
        ("clip_it", {}, "images reports pairs retriever"),
        ("clip_it", {"text_lora": None}, "images reports pairs text_embeddings"),
        ("clip_it", {"text_stage": "head"}, "images reports pairs text_embeddings"),
        ("clip_it", {"text_lora": None, "word_dropout": 0.1}, "images reports pairs retriever"),
        (
            "clip_it",
            {"text_stage": "head", "teacher": "joint"},
            "images reports pairs text_embeddings retriever",
        ),
        ("clip_it", {"teacher": "none"}, "images retriever"),
        ("clip_it", {"teacher_of": "image"}, "images teacher_images"),
        ("clip_it", {"teacher_of": "label-prompt"}, "images teacher_prompts retriever"),
        ("lora", {"lora": {"blocks": 2}}, "image_activations"),
        ("lora", {"lora": {"blocks": 2}, "normalisation": "imagenet"}, "images"),
        ("lora", {"lora": None}, "image_embeddings"),
        ("lora", {"lora": None, "normalisation": "imagenet"}, "images"),
        (
            "clip_it",
            {"lora": {"blocks": 1}, "text_lora": None},
            "image_activations reports pairs text_embeddings",
        ),
        ("clip_it", {"lora": None, "teacher_of": "image"}, "image_embeddings teacher_images"),
        ("contrastive", {"lora": {"blocks": 1}}, "image_activations prompt_embeddings"),
        (
            "distil_lora",
            {"lora": {"blocks": 1}, "teacher_of": "image"},
            "image_activations teacher_images distilled_weights distilled_history "
            "distilled_vectors",
        ),
        ("fixmatch", {"lora": {"blocks": 1}}, "images"),
        ("text_reports", {}, "reports pairs retriever"),
        ("text_reports", {"text_lora": None}, "reports pairs text_embeddings"),
        ("attentive_probe", {}, "image_activations"),
        ("fusion_partial", {}, "image_activations caption_activations"),
        ("fusion_partial", {"unfreeze": 0}, "image_embeddings caption_embeddings"),
        (
            "fusion_partial",
            {"unfreeze": {"image": 1, "text": 0}},
            "image_activations caption_embeddings",
        ),
        ("image_only", {"unfreeze": "all"}, "images"),
        ("text_only", {"unfreeze": "all"}, "captions"),
        ("fine_tune", {}, "images"),
        ("fine_tune", {"unfreeze": 2}, "image_activations"),
        ("fine_tune", {"start": "probe"}, "images image_embeddings"),
    ],
)
def test_what_a_method_needs_follows_from_its_parameters(recipe, parameters, needed):
    method = {"recipe": recipe, **parameters}
    recipes.fill_parameters(method)
    assert set(recipes.needs(method)) == set(needed.split())


@pytest.mark.parametrize("recipe", recipes.known("methods"))
def test_every_recipe_says_what_it_needs(recipe):
    method = {"recipe": recipe}
    recipes.fill_parameters(method)
    assert recipes.needs(method)


def test_adapters_of_the_last_blocks_read_their_activations_and_weights(config):
    methods = config["methods"]
    last = methods["lora"] | {"lora": methods["lora"]["lora"] | {"blocks": 1}}
    config = config | {"methods": methods | {"last": last, "none": last | {"lora": None}}}
    activations = "results/activations/phantom-vit/phantom-crc.images.1"
    assert runs.artifacts(config, run("last"))["image_activations"] == activations
    assert runs.encoder_files(config, run("last")) == ["results/encoders/phantom-vit"]
    assert "image_embeddings" in runs.artifacts(config, run("none"))
    assert runs.encoder_files(config, run("none")) == []


def test_tokens_are_the_activations_after_all_blocks(config):
    probe = {"recipe": "attentive_probe"}
    recipes.fill_parameters(probe)
    found = runs.artifacts(config | {"methods": {"probe": probe}}, run("probe"))
    assert found["image_activations"].endswith("phantom-crc.images.0")


def test_captions_that_a_whole_tower_reads_come_with_its_weights(config):
    whole = config["methods"]["fusion-partial"] | {"unfreeze": {"image": "all", "text": "all"}}
    other = {**config, "methods": {**config["methods"], "whole": whole}}
    w = run("whole", "phantom-quilt", "phantom-clip")
    assert set(runs.artifacts(other, w)) == {"labels"}
    assert runs.encoder_files(other, w) == ["results/encoders/phantom-clip"] * 2
    assert runs.spec(other, w)["text_encoder"]["name"] == "phantom-clip"
    assert exports.reads_notes(other, w)
    assert recipes.reads(whole) == {"image", "caption"}


def test_an_architecture_that_nobody_teaches_is_made_of_no_report(config):
    untaught = config["methods"]["clip-it"] | {"teacher": "none"}
    other = {**config, "methods": {**config["methods"], "untaught": untaught}}
    assert set(runs.artifacts(other, run("untaught"))) == {"labels"}
    made_from = {source["role"] for source in lineage.sources(other, vars(run("untaught")))}
    assert "reports" not in made_from
    assert "untaught" not in analyses.distilled_methods(other)


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        (
            "return ('image_embedding',)",
            r"'image_embedding' is not allowed.*mean 'image_embeddings",
        ),
        ("return (WIDTH,)", "'needs' does not run alone .NameError: name 'WIDTH'"),
        ("return (method['width'],)", "'needs' does not run alone .KeyError: 'width'"),
    ],
)
def test_needs_that_cannot_be_read_are_one_clear_line(tmp_path, monkeypatch, said, problem):
    folder = tmp_path / "histopair" / "methods"
    folder.mkdir(parents=True)
    (folder / "own.py").write_text(f"WIDTH = 2\n\ndef needs(method):\n    {said}\n")
    monkeypatch.setattr(fingerprint, "SCRIPTS", tmp_path)
    fingerprint.function.cache_clear()
    with pytest.raises(InputError, match=rf"own.py: .*{problem}"):
        recipes.needs({"recipe": "own"})
    fingerprint.function.cache_clear()


def test_a_view_shares_embeddings_with_its_base_and_has_labels_of_its_own(config):
    found = runs.artifacts(config, run("fusion-frozen", "phantom-quilt-random", "phantom-clip"))
    assert found["labels"] == "results/labels/phantom-quilt-random.parquet"
    assert found["image_embeddings"].endswith("phantom-quilt.images.parquet")


def test_methods_that_learn_the_same_from_all_images_share_it(config):
    staged = {"recipe": "distil_lora", "retriever": "phantom-clip", "last_stage": "probe"}
    later = {"last_stage": "adapt", "epochs": 9}
    differ = {"probe": {}, "adapted": later, "image": {"teacher_of": "image"}}
    for name, parameters in differ.items():
        config["methods"][name] = staged | parameters
        recipes.fill_parameters(config["methods"][name])
    read = {name: runs.paths(config, run(name))["distilled_weights"] for name in differ}
    assert "/probe/0/" in read["probe"] and read["probe"] == read["adapted"]
    assert "/image/0/" in read["image"]


def test_only_what_a_recipe_names_is_left_out_of_what_it_distils():
    theirs = {"recipe": "distil_frozen", "epochs": 9, "last_stage": "probe"}
    assert recipes.distillation(theirs) == theirs


def test_a_study_scores_the_seeds_that_it_asks_for_and_no_others(config):
    place = "results/runs/phantom-crc/phantom-vit/linear-head"
    for study, seeds in (("clip-it", [0]), ("frozen", [0, 1])):
        w = SimpleNamespace(study=study, **vars(run("linear-head")))
        files = [f"{place}/{seed}/metrics.json" for seed in seeds]
        assert studies.of_seeds(config, w, "metrics.json") == files
    (scores,) = studies.scores(config, SimpleNamespace(study="frozen"))
    assert scores == "results/scores/frozen/phantom-crc/phantom-vit/linear-head.json"


def test_a_tuning_reads_what_its_runs_read(config):
    w = SimpleNamespace(tuning="small")
    assert tunings.artifacts(config, w) == runs.artifacts(config, run("lora"))
    assert tunings.modules(config, w) == runs.modules(config, run("lora"))


def test_only_a_correction_looks_at_the_train_split(config):
    names = {"encoder": "phantom-clip", "dataset": "phantom-crc", "corpus": "phantom-colon"}
    assert pairs.train_split(config, SimpleNamespace(**names, correction="")) == {}
    corrected = SimpleNamespace(**names, correction=".csls")
    assert pairs.train_split(config, corrected) == {"labels": "results/labels/phantom-crc.parquet"}
    assert "csls" in pairs.settings(config, corrected)
    assert "sinkhorn" not in pairs.settings(config, corrected)


def test_pairs_by_truth_that_no_run_reads_are_one_line(config):
    w = SimpleNamespace(encoder="oracle", dataset="phantom-bach", corpus="phantom-colon")
    with pytest.raises(InputError, match="no run reads them by truth"):
        pairs.chunks_judged(config, w)


def test_the_page_shows_the_runs_of_its_studies_once(config):
    shown = page.shown(config)
    assert list(shown["runs"]) == plan.entries.shown_studies(config)
    files = page.outputs(config, "history.parquet")
    assert len(files) == len(set(files))
    assert {f"results/labels/{name}.parquet" for name in shown["datasets"]} >= {
        path for study in shown["runs"] for path in studies.labels(config, of(study))
    }


def test_the_page_waits_for_the_audit_of_a_base_that_it_does_not_show():
    config = load(yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8")))
    config["page"] = ["when-text-helps", "multi-label"]
    assert page.bases(config) == ["phantom-grades-noise-20"]
    assert {"phantom-quilt", "phantom-quilt-random"} <= set(page.shown(config)["datasets"])


def of(study):
    return SimpleNamespace(study=study)


def test_few_labels_of_a_synthetic_dataset_are_synthetic_and_so_is_the_whole():
    config = load(yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8")))
    names = studies.synthetic(config, of("when-text-helps"))
    assert "phantom-grades-noise-20" in names
    assert "phantom-grades-noise-20-5-labels" in names


def test_methods_without_chance_run_once(config):
    found = [r for r in studies.runs(config, of("clip-it")) if r["method"] == "linear-probe"]
    assert len({run["seed"] for run in found}) == 1


def test_a_method_is_held_against_probes_that_read_no_more_of_the_same_encoders():
    default = load(yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8")))
    probes = {
        run["method"]: run["probes"]
        for run in studies.judged(default, of("tables"))
        if run["dataset"] == "phantom-quilt"
    }
    assert probes["final"] == ["linear-probe", "linear-probe-both"]
    assert probes["bert"] == ["linear-probe-bert"]  # it reads captions with phantom-bert
    assert probes["resnet50"] == probes["linear-probe-both"] == []
    assert probes["zero-shot"] == ["linear-probe"]


def test_a_probe_that_runs_with_several_seeds_is_named_once():
    """Where labels are few, each seed draws its own: the probe has a run for each."""
    default = load(yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8")))
    runs = studies.judged(default, of("frozen-teachers"))
    few = [run for run in runs if run["dataset"].endswith("-labels")]
    assert {run["seed"] for run in few if run["method"] == "linear-probe"} == {0, 1, 2}
    assert all(r["probes"] == ["linear-probe"] for r in few if r["method"] != "linear-probe")


def test_clip_it_is_held_against_the_image_alone(config):
    runs = studies.judged(config, of("clip-it"))
    assert next(r["probes"] for r in runs if r["method"] == "clip-it") == ["linear-probe"]


def test_an_export_asks_for_no_text_of_the_training(config):
    assert list(exports.artifacts(config, run("clip-it"))) == ["labels"]
    assert exports.encoder_files(config, run("clip-it")) == ["results/encoders/phantom-vit"]
    captioned = run("fusion-frozen", "phantom-quilt", "phantom-clip")
    assert exports.reads_notes(config, captioned)
    assert exports.spec(config, captioned)["text_encoder"]["name"] == "phantom-clip"
    assert exports.spec(config, run("clip-it"))["retriever"] is None


def test_evidence_brings_the_reports_and_their_licence_only_if_asked(config):
    asked = config | {"export": config["export"] | {"evidence": True}}
    assert exports.artifacts(asked, run("clip-it"))["evidence"] == (
        "results/reports/phantom-colon.parquet"
    )
    sources = exports.described(asked, run("clip-it"))["sources"]
    assert sources[-1]["role"] == "reports as evidence"
    assert sources[-1]["licence"] == config["corpora"]["phantom-colon"]["licence"]
    roles = [source["role"] for source in exports.described(config, run("clip-it"))["sources"]]
    assert "reports as evidence" not in roles


def test_a_study_has_the_analyses_that_its_methods_allow(config):
    assert "distillation" in analyses.of_study(config, "clip-it")
    assert "distillation" not in analyses.of_study(config, "multi-label")
    assert "clip-it" in analyses.distilled_methods(config)
    assert "clip-it-image" not in analyses.distilled_methods(config)


def test_how_an_encoder_is_described_computes_nothing_again(config):
    entry = encoders.entry_of(config, "phantom-clip")
    assert not {"licence", "description", "templates", "train"} & set(entry)
    changed = {**config["encoders"]["phantom-clip"], "description": "other words"}
    other = {**config, "encoders": {**config["encoders"], "phantom-clip": changed}}
    assert encoders.entry_of(other, "phantom-clip") == entry


def test_a_split_is_not_read_and_cleans_again(config):
    w = SimpleNamespace(dataset="phantom-crc")
    assert "split" in data.cleaned_dataset(config, w)
    assert "split" not in data.reading(config, w)
    assert "licence" not in data.cleaned_dataset(config, w)


def test_what_is_not_there_is_one_line(tmp_path):
    assert there("results//later.csv") == "results/later.csv"
    with pytest.raises(InputError, match="there is no such file"):
        there(str(tmp_path / "absent.csv"))


def test_a_pattern_of_nothing_matches_nothing():
    import re

    assert re.fullmatch(pattern([]), "") is None
    assert re.fullmatch(pattern(["a", "b"]), "b")


def test_planning_needs_neither_torch_nor_snakemake():
    code = (
        "import sys; from histopair.plan import analyses, load, page, tunings;"
        "print(sorted({'torch', 'snakemake', 'pandas'} & set(sys.modules)))"
    )
    made = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT / "workflow/scripts",
        stdout=-1,
        text=True,
        check=True,
    )
    assert made.stdout.strip() == "[]"


def test_what_needs_one_model_takes_a_fold_of_a_dataset_that_is_cross_validated():
    default = load(yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8")))
    w = run("mil", "phantom-cohort")
    with pytest.raises(InputError, match="Export a fold's: phantom-cohort-fold-1"):
        exports.artifacts(default, w)
    files = runs.of_folds(default, w, "history.parquet")
    assert files[1] == "results/runs/phantom-cohort-fold-2/phantom-vit/mil/0/history.parquet"
    assert entries.trained(default, "phantom-cohort") == "phantom-cohort-fold-1"
    assert entries.trained(default, "phantom-crc") == "phantom-crc"


@pytest.mark.parametrize(("root", "refused"), [("data/tiles", True), ("results/phantom/x", False)])
def test_headings_are_judged_of_files_that_the_workflow_does_not_make(
    root, refused, tmp_path, monkeypatch
):
    """Another version may make a table of the phantom anew, with the column that it lacks."""
    monkeypatch.chdir(tmp_path)
    Path(root).mkdir(parents=True)
    Path(root, "labels.csv").write_text("path,label\na.png,x\n")
    entry = {"reader": "table", "root": root, "columns": {"label": "attributes"}}
    with pytest.raises(InputError) if refused else nullcontext():
        data.check_headings(entry)
