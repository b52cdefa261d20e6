"""Methods: what trains, what predicts, and that text is gone at inference."""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import tiny
import torch
from safetensors.torch import load_file
from torch import nn

from histopair import encoders
from histopair.encoders import embed, prompts
from histopair.errors import InputError
from histopair.files import tables
from histopair.methods import (
    clip_it,
    cross_attention,
    fusion_frozen,
    fusion_partial,
    linear_head,
    linear_probe,
    zero_shot,
)
from histopair.methods.cross_attention import asking
from histopair.plan import recipes
from histopair.retrieval import paired_texts
from histopair.training import logistic, loop, one_run, optimizers, unlabelled

SETTINGS = {
    "batch_size": 8,
    "precision": "float32",
    "storage": "float32",
    "shard_size": 64,
    "decoding": "cpu",
}
LORA = {"rank": 2, "alpha": 1, "targets": "all"}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A labelled set with captions, reports, embeddings of both, and pairs."""
    folder = tmp_path_factory.mktemp("world")
    labels = tiny.dataset(folder / "data", captions=True)
    clip = tiny.clip_entry(folder / "clip", layers=2)
    vit = tiny.vit_entry(folder / "vit", depth=2)
    bert = tiny.bert_entry(folder / "bert", "cls", layers=2)
    reports = tiny.reports(folder)
    artifacts = {"labels": str(labels), "reports": str(reports)}
    about = {"code": "x"}
    for name, entry in (("clip", clip), ("vit", vit)):
        out = folder / f"{name}.images.parquet"
        embed.embed_images(
            str(labels),
            str(folder / "data"),
            entry,
            SETTINGS,
            str(folder / "s1"),
            str(out),
            dict(about),
        )
    for table, keys, column, out in (
        (str(labels), ["sample_id"], "caption", "caption_embeddings"),
        (
            prompts.of_classes(str(labels), ["{}", "an image of {}"]),
            ["label", "template"],
            "prompt",
            "prompt_embeddings",
        ),
        (str(reports), ["report_id", "chunk"], "text", "text_embeddings"),
    ):
        artifacts[out] = str(folder / f"{out}.parquet")
        embed.embed_texts(
            table, keys, column, clip, SETTINGS, str(folder / out), artifacts[out], dict(about)
        )
    ids = [f"i{i}" for i in range(24)]
    pairs = {
        "image_id": ids,
        "rank": pa.array([1] * 24, pa.int32()),
        "report_id": ["r0" if i % 2 else "r1" for i in range(24)],
        "chunk": pa.array([0] * 24, pa.int32()),
        "similarity": pa.array([0.5] * 24, pa.float32()),
    }
    tables.write(folder / "pairs.parquet", pa.table(pairs), {})
    artifacts["pairs"] = str(folder / "pairs.parquet")
    return {"folder": folder, "clip": clip, "vit": vit, "bert": bert, "artifacts": artifacts}


def make(world, recipe, encoder="vit", device="cpu", **parameters) -> one_run.Run:
    method = {
        "recipe": recipe,
        "epochs": 2,
        "batch_size": 8,
        "learning_rate": 0.01,
        "optimizer": "adam",
        "weight_decay": 0.0,
        "clip": 0.5,
        "schedule": "constant",
        "precision": "float32",
    }
    method |= parameters
    recipes.fill_parameters(method)
    embeddings = {"image_embeddings": str(world["folder"] / f"{encoder}.images.parquet")}
    artifacts = world["artifacts"] | embeddings
    if "text_embeddings" not in recipes.needs(method):
        del artifacts["text_embeddings"]
    if method.get("teacher_of") == "image":
        artifacts["teacher_images"] = str(world["folder"] / "clip.images.parquet")
    if method.get("teacher_of") == "label-prompt":
        artifacts["teacher_prompts"] = artifacts["prompt_embeddings"]
    if recipes.distils_first(method):
        artifacts = artifacts | _distilled(world, method, artifacts, device)
    return _run(world, encoder, method, artifacts, device)


def _distilled(world, method, artifacts, device) -> dict:
    """What the method learns from all images, as its job writes it."""
    folder = Path(tempfile.mkdtemp(dir=world["folder"]))
    names = ("weights", "history", "vectors")
    out = {name: str(folder / name) for name in names}
    run = _run(world, "vit", method, artifacts, device)
    unlabelled.execute(run, str(folder / "resume"), out, {})
    return {f"distilled_{name}": out[name] for name in names}


def _run(world, encoder, method, artifacts, device) -> one_run.Run:
    return one_run.Run(
        artifacts=artifacts,
        root=str(world["folder"] / "data"),
        encoder_entry=world[encoder],
        retriever_entry=world["clip"],
        method=method,
        seed=0,
        device=torch.device(device),
        image_cache_mb=100,
    )


# Buffers: not trained, but kept with a run's weights.
KEPT = {"running_mean", "running_var", "num_batches_tracked", "k", "alpha", "beta"}
KEPT |= {"mean", "spread"}
METHODS = {
    "student": {},
    "fine_tune": {"start": "probe", "wise": "choose", "layer_decay": 0.75},
    "linear_probe": {"inputs": "image"},
    "linear_head": {},
    "lora": {"lora": LORA},
    "clip_it": {"lora": LORA, "text_lora": LORA, "text_epochs": 1},
    "fusion_frozen": {"encoder": "clip"},
    "cnn": {},
    "image_only": {"augmentations": 8},
    "text_only": {"encoder": "bert", "unfreeze": 1, "head_learning_rate": 0.02},
    "fusion_partial": {"encoder": "clip", "unfreeze": 1, "head_learning_rate": 0.02},
    "cross_attention": {"encoder": "clip", "unfreeze": 1, "attention_heads": 2},
    "zero_shot": {"encoder": "clip"},
    "text_reports": {"text_lora": None},
    "text_prompts": {"encoder": "clip", "k": 2},
    "contrastive": {"encoder": "clip", "lora": LORA, "text_lora": LORA},
    "nearest_neighbours": {},
    "simple_shot": {},
    "distil_frozen": {"hidden": 8, "regression": "mlp"},
    "distil_lora": {"hidden": 8, "lora": LORA, "distillation_epochs": 1},
    "modality_dropout": {},
    "fixmatch": {"lora": LORA, "unlabelled_ratio": 2},
    "attentive_probe": {"attention_heads": 2},
    "tip_adapter": {"encoder": "clip", "train_keys": True},
    "clip_adapter": {"encoder": "clip"},
    "prompt_tuning": {"encoder": "clip", "context": 4},
}


def execute(world, tmp_path, recipe, **parameters):
    out = {name: str(tmp_path / name) for name in ("weights", "history", "predictions")}
    one_run.execute(make(world, recipe, **parameters), str(tmp_path / "resume"), out, {})
    return out


@pytest.mark.parametrize("recipe", METHODS)
def test_a_run_writes_weights_history_and_predictions(world, tmp_path, recipe):
    out = execute(world, tmp_path, recipe, **METHODS[recipe])
    predictions = tables.read(out["predictions"])
    assert set(predictions["split"]) == {"val", "test"}
    scores = tables.matrix(out["predictions"], "scores")
    assert scores.shape == (len(predictions), 2) and np.isfinite(scores).all()
    about = tables.about(out["predictions"])
    trained = sum(
        tensor.numel()
        for name, tensor in load_file(out["weights"]).items()
        if name.split(".")[-1] not in KEPT
    )
    assert about["parameters"]["trained"] == trained
    assert (trained > 0) == (recipe != "zero_shot")


@pytest.mark.parametrize("recipe", METHODS)
def test_a_run_repeats_bit_for_bit(world, tmp_path, recipe):
    first, second = (
        execute(world, tmp_path / name, recipe, **METHODS[recipe]) for name in ("a", "b")
    )
    for name in first:
        assert Path(first[name]).read_bytes() == Path(second[name]).read_bytes()


@pytest.mark.parametrize("recipe", METHODS)
def test_logits_are_float32_whatever_a_method_trains_in(world, recipe, monkeypatch):
    seen = []

    def recording(name):
        plain = getattr(one_run.Run, name)

        def record(run, logits, *others):
            seen.append(logits.dtype)
            return plain(run, logits, *others)

        monkeypatch.setattr(one_run.Run, name, record)

    recording("scores")
    recording("task_loss")
    run = make(world, recipe, **METHODS[recipe] | {"precision": "bfloat16"})
    stage, _ = one_run.train(run, "unused")
    scores = loop.predict(stage, run.rows("test"), run.device)
    assert set(seen) <= {torch.float32} and (seen or recipe == "zero_shot")
    assert scores.dtype == torch.float32


FROZEN = {
    "joint text tower": ("clip_it", {"text_lora": None, "teacher": "joint"}),
    "head of the text stage": ("clip_it", {"text_stage": "head", "teacher": "joint"}),
    "word dropout": ("clip_it", {"text_lora": None, "word_dropout": 0.5}),
    "prompts": ("contrastive", {"encoder": "clip", "text_lora": None}),
    "image": ("lora", {"lora": None, "normalisation": "imagenet"}),
    "one of two towers": (
        "fusion_partial",
        {"encoder": "clip", "unfreeze": {"image": 1, "text": 0}},
    ),
}


@pytest.mark.parametrize(
    ("recipe", "parameters"), [*METHODS.items(), *FROZEN.values()], ids=[*METHODS, *FROZEN]
)
def test_what_is_frozen_stays_in_evaluation_mode(world, recipe, parameters, monkeypatch):
    """Each tower gets a dropout; a module without a trainable parameter must not apply one."""
    plain = encoders.load

    def load(*arguments):
        encoder = plain(*arguments)
        for tower in filter(None, (encoder.image, encoder.text)):
            tower.add_module("marker", nn.Dropout(0.5).eval())
        return encoder

    monkeypatch.setattr(encoders, "load", load)
    run = make(world, recipe, **{"epochs": 1, "text_epochs": 1} | parameters)
    for stage in run.recipe.build(run):
        if stage.epochs:
            loop.fit(stage, 0, "unused", run.device)
        stage.model.train()
        for module in stage.model.modules():
            parts = list(module.parameters())
            if parts and not any(part.requires_grad for part in parts):
                dropouts = [m for m in module.modules() if isinstance(m, nn.Dropout)]
                assert not any(dropout.training for dropout in dropouts)


def test_every_method_has_a_test_here():
    of_bags = {"mil", "mil_clip_it"}  # in test_mil.py
    assert set(METHODS) | of_bags == set(recipes.known("methods"))


def test_text_reaches_clip_it_only_while_it_trains(world):
    stages = list(_trained(make(world, "clip_it", **METHODS["clip_it"])))
    main = stages[-1]
    assert not any("tower" in name for name in main.model.state_dict())
    pixels = main.fetch(torch.tensor([8, 9]))["images"]
    with torch.no_grad():
        main.model.eval()
        assert main.scores(main.model, {"images": pixels}).shape == (2, 2)


def _trained(run):
    for stage in clip_it.build(run):
        loop.fit(stage, 0, "unused", run.device)
        yield stage


def test_the_targets_of_distillation_are_the_paired_texts(world):
    run = make(world, "clip_it", **METHODS["clip_it"])
    _, main = _trained(run)
    batch = main.fetch(torch.tensor([0, 1, 2]))
    assert torch.allclose(batch["text"].norm(dim=1), torch.ones(3), atol=1e-5)
    assert torch.equal(batch["text"][0], batch["text"][2])
    assert not torch.allclose(batch["text"][0], batch["text"][1])
    assert not batch["text"].requires_grad


def test_distillation_weight_is_lambda(world):
    for weight in (0.0, 2.0):
        run = make(world, "clip_it", **METHODS["clip_it"], distillation_weight=weight)
        stage = list(_trained(run))[-1]
        losses = loop.evaluate(stage, stage.val, run.device)
        assert losses["loss"] == pytest.approx(
            losses["task"] + weight * losses["distillation"], rel=1e-5
        )


def test_lora_has_no_text_and_linear_head_a_linear_head_alone(world):
    (stage,) = list(_stages(make(world, "linear_head")))
    assert {name: tuple(p.shape) for name, p in stage.model.named_parameters()} == {
        "weight": (2, 24),
        "bias": (2,),
    }


def _stages(run):
    return linear_head.build(run)


def test_a_linear_probe_is_the_best_of_all_strengths_on_validation(world):
    run = make(world, "linear_probe")
    (stage,) = linear_probe.build(run)
    features, truth = run.embeddings("image_embeddings").double(), run.indicator.numpy()
    train, val = run.rows("train"), run.rows("val")
    found = logistic.path(features[train].numpy(), truth[train], True, logistic.STRENGTHS)
    losses = [
        torch.nn.functional.cross_entropy(head.double()(features[val]), run.targets[val]).item()
        for head, _ in found
    ]
    [row] = stage.history
    assert row["val_task"] == pytest.approx(min(losses), rel=1e-4, abs=1e-6)
    assert row["strength"] == logistic.STRENGTHS[int(np.argmin(losses))]
    assert loop.evaluate(stage, val, run.device)["task"] == pytest.approx(min(losses), abs=1e-6)


def test_a_linear_probe_needs_two_classes(world, tmp_path):
    run = make(world, "linear_probe")
    run.samples["labels"] = [[run.classes[0]] for _ in run.samples["labels"]]
    with pytest.raises(InputError, match="have the same classes"):
        next(linear_probe.build(run))


def test_zero_shot_is_the_mean_similarity_to_the_prompts(world):
    run = make(world, "zero_shot", "clip")
    images = tables.matrix(run.artifacts["image_embeddings"], normalise=True)
    prompts = tables.matrix(run.artifacts["prompt_embeddings"], normalise=True)
    labels = tables.read(run.artifacts["prompt_embeddings"])["label"]
    expected = np.stack([(images @ prompts[labels == c].T).mean(1) for c in run.classes], axis=1)
    ours = images @ zero_shot.class_vectors(run).numpy().T
    np.testing.assert_allclose(ours, expected, atol=1e-6)


def test_fusion_without_captions_is_one_clear_line(world, tmp_path):
    labels = tiny.dataset(tmp_path / "data", n=12)
    run = make(world, "fusion_frozen", "clip")
    table = tables.read(labels)
    table["sample_id"] = "other" + table["sample_id"]
    tables.write(labels, table, tables.about(labels))
    run.artifacts = run.artifacts | {"labels": str(labels)}
    with pytest.raises(InputError, match=r"no embedding of 'otheri0'.*caption"):
        run.embeddings("caption_embeddings")


def test_random_pairing_draws_the_corpus_evenly_and_by_seed():
    samples = pd.DataFrame({"image_id": [f"i{i}" for i in range(4000)]})

    def draw(seed, folder, rank=1):
        return paired_texts.texts_of(samples, "random", rank, seed, folder, None)

    with tempfile.TemporaryDirectory() as folder:
        reports = str(tiny.reports(Path(folder)))
        _, index = draw(0, reports)
        counts = np.bincount(index)
        assert len(counts) == 8 and counts.min() > 400
        assert (draw(0, reports)[1] == index).all() and (draw(1, reports)[1] != index).any()
        again = draw(0, reports, 2)[1]
        assert 0.1 < (again == index).mean() < 0.15  # by chance, one in eight


@pytest.mark.parametrize("share", [0.25, 1.0])
def test_of_a_pairing_as_many_are_wrong_as_asked_for_by_seed(tmp_path, share):
    """A wrong pair is any of eight texts, so one in eight of them is right by chance."""
    samples = pd.DataFrame({"image_id": [f"i{i}" for i in range(4000)]})
    reports = tables.read(tiny.reports(tmp_path)).iloc[[0] * len(samples)].reset_index(drop=True)
    pairs = reports[["report_id", "chunk"]].assign(image_id=samples["image_id"], rank=1)
    tables.write(tmp_path / "pairs", pairs, {})
    files = str(tiny.reports(tmp_path)), str(tmp_path / "pairs")

    def wrong(seed):
        rows, index = paired_texts.texts_of(samples, "retrieved", 1, seed, *files, share)
        return rows[index] != 0

    assert wrong(0).mean() == pytest.approx(share * 7 / 8, abs=0.02)
    assert (wrong(0) == wrong(0)).all() and (wrong(0) != wrong(1)).any()


def test_a_share_of_wrong_pairs_that_is_no_sample_is_told(tmp_path):
    samples = pd.DataFrame({"image_id": [f"i{i}" for i in range(90)]})
    reports = str(tiny.reports(tmp_path))
    with pytest.raises(InputError, match=r"0.001 is none of 90 samples. Set it to 0.011 or more"):
        paired_texts.texts_of(samples, "random", 1, 0, reports, None, 0.001)


def labelled_reports(folder, classes="aabb"):
    """Samples of two classes, and a corpus of these classes with its truth."""
    ids = [f"r{number}" for number in range(len(classes))]
    truth = pd.DataFrame({"report_id": ids, "label": list(classes)})
    tables.write(folder / "reports", pd.DataFrame({"report_id": ids, "chunk": 0}), {})
    tables.write(folder / "truth", truth, {})
    samples = pd.DataFrame({"labels": [["a"], ["b"]] * 500})
    return samples, str(folder / "reports"), str(folder / "truth")


def test_pairing_by_label_draws_reports_of_the_class_evenly_and_nothing_else(tmp_path):
    samples, *files = labelled_reports(tmp_path, "abba")
    rows, index = paired_texts.texts_of(samples, "label", 1, 0, *files)
    chosen = rows[index]
    counts = [np.bincount(chosen[start::2], minlength=4) for start in (0, 1)]
    assert counts[0][[1, 2]].sum() == counts[1][[0, 3]].sum() == 0
    assert min(counts[0][[0, 3]].min(), counts[1][[1, 2]].min()) > 200
    again = paired_texts.texts_of(samples, "label", 1, 1, *files)
    assert (again[0][again[1]] != chosen).any()


def test_a_class_without_reports_is_one_clear_line(tmp_path):
    samples, *files = labelled_reports(tmp_path, "aaaa")
    with pytest.raises(InputError, match="no report of it is of class 'b'"):
        paired_texts.texts_of(samples, "label", 1, 0, *files)


def test_a_truth_without_classes_is_one_clear_line(tmp_path):
    samples, reports, truth = labelled_reports(tmp_path)
    tables.write(truth, tables.read(truth).drop(columns="label"), {})
    with pytest.raises(InputError, match="does not say the class of a report"):
        paired_texts.texts_of(samples, "label", 1, 0, reports, truth)


def test_a_rank_that_was_not_kept_is_one_clear_line(world):
    samples = tables.read(world["artifacts"]["labels"])
    with pytest.raises(InputError, match=r"no report at rank 2.*retrieval.k"):
        paired_texts.texts_of(
            samples, "retrieved", 2, 0, world["artifacts"]["reports"], world["artifacts"]["pairs"]
        )


def test_a_report_of_another_corpus_is_one_clear_line(world, tmp_path):
    samples = tables.read(world["artifacts"]["labels"])
    reports = tables.read(world["artifacts"]["reports"])
    tables.write(tmp_path / "reports.parquet", reports[reports["report_id"] != "r1"], {})
    files = str(tmp_path / "reports.parquet"), world["artifacts"]["pairs"]
    with pytest.raises(InputError, match=r"chunk \('r1', 0\) are not in the corpus"):
        paired_texts.texts_of(samples, "retrieved", 1, 0, *files)


def test_a_sum_of_features_of_two_widths_is_one_clear_line(world):
    run = make(world, "fusion_partial", "clip", unfreeze=1, fusion="sum")
    run.encoder_entry, run.text_encoder_entry = world["vit"], world["bert"]
    with pytest.raises(InputError, match=r"fusion 'sum': the image's features are 24 wide, .* 16"):
        next(fusion_partial.build(run))


def test_a_retriever_that_a_recipe_did_not_ask_for_is_one_clear_line(world):
    run = make(world, "linear_head")
    run.retriever_entry = None
    with pytest.raises(InputError, match=r"recipe linear_head: it takes the retriever.*NEEDS"):
        run.retriever()


def test_attention_leaves_padding_out(world):
    torch.manual_seed(0)
    ask = asking.Question(16, 8, 2)
    vector, tokens = torch.randn(3, 16), torch.randn(3, 5, 8)
    padding = torch.tensor([[False] * 4 + [True]] * 3)
    without = ask(vector, tokens[:, :4])
    torch.testing.assert_close(ask(vector, tokens, padding), without)


def test_heads_that_cannot_share_the_features_are_one_clear_line(world):
    run = make(world, "cross_attention", "clip", unfreeze=1, attention_heads=7)
    with pytest.raises(InputError, match=r"attention_heads: 7 heads cannot share .*divisor"):
        next(cross_attention.build(run))


def test_attention_that_starts_at_random_learns_at_the_heads_rate(world):
    run = make(world, "cross_attention", **METHODS["cross_attention"], head_learning_rate=0.02)
    groups = optimizers.of_stage(next(cross_attention.build(run))).param_groups
    assert [group["lr"] for group in groups] == [0.01, 0.02, 0.02]


def test_probabilities_of_half_precision_logits_do_not_tie(world):
    run = make(world, "linear_head")
    for task, kept in (("single", torch.float32), ("multi", torch.float64)):
        run.about["task"] = task
        found = run.scores(torch.tensor([[7.0, 8.0, 9.0]], dtype=torch.bfloat16))
        assert found.dtype == kept and len(found.unique()) == 3


def test_a_tower_of_which_no_block_trains_is_its_cached_embeddings(world):
    run = make(world, "fusion_partial", "clip", unfreeze={"image": 1, "text": 0})
    stage = next(fusion_partial.build(run))
    model, rows = stage.model.eval(), torch.tensor([3, 4])
    assert {name.split(".")[0] for name, _ in model.named_parameters()} == {"image", "head"}
    image, text = stage.fetch(rows)["inputs"]
    torch.testing.assert_close(text[0], run.embeddings("caption_embeddings")[rows])
    joined = torch.cat([model.image(*image), text[0]], dim=1)
    torch.testing.assert_close(model(image, text), model.head(joined))


def test_with_no_block_of_either_tower_it_is_the_frozen_fusion(world):
    frozen, none = (
        next(recipe.build(make(world, name, "clip", **parameters)))
        for recipe, name, parameters in (
            (fusion_frozen, "fusion_frozen", {}),
            (fusion_partial, "fusion_partial", {"unfreeze": 0}),
        )
    )
    none.model.head.load_state_dict(frozen.model.state_dict())
    rows = torch.arange(4)
    first, second = (part.model.eval()(*part.fetch(rows)["inputs"]) for part in (frozen, none))
    torch.testing.assert_close(first, second)


def test_the_last_blocks_and_the_head_train_and_nothing_else(world):
    run = make(world, "fusion_partial", "clip", unfreeze=1)
    model = next(fusion_partial.build(run)).model
    blocks = {
        name.split(".blocks.")[1][0] for name, _ in model.named_parameters() if ".blocks." in name
    }
    assert blocks == {"0"}
    assert all(parameter.requires_grad for parameter in model.parameters())
    trained = [type(layer) for layer in model.head if isinstance(layer, torch.nn.Linear)]
    assert len(trained) == 4
