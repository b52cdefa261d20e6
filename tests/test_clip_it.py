"""CLIP-IT's ablations and the faults of its published code: what each switch changes, by hand."""

import copy
import math

import numpy as np
import pytest
import test_methods
import torch
from test_methods import LORA, make
from torch.nn.functional import normalize

from histopair.analyses import representations
from histopair.encoders import prompts
from histopair.files import tables
from histopair.images import pixels
from histopair.methods import clip_it, contrastive, text_prompts, zero_shot
from histopair.methods.clip_it import students, text_stage
from histopair.plan import recipes
from histopair.retrieval import paired_texts
from histopair.training import loop, one_run
from histopair.training.tasks import single

world = test_methods.world
TEXT = {"lora": LORA, "text_lora": LORA, "text_epochs": 1, "epochs": 1}


def stages(run, recipe=clip_it):
    """The stages of a run, each trained before the next is made."""
    torch.manual_seed(0)
    found = []
    for stage in recipe.build(run):
        if stage.epochs:
            loop.fit(stage, 0, "unused", run.device)
        found.append(stage)
    return found


def test_a_frozen_text_tower_is_never_loaded(world, monkeypatch):
    run = make(world, "clip_it", **(TEXT | {"text_lora": None}))
    monkeypatch.setattr(type(run), "retriever", None)
    text, main = stages(run)
    assert {name.split(".")[0] for name, _ in text.model.named_parameters()} == {"head"}
    assert main.history


def test_cached_embeddings_are_those_of_the_frozen_tower(world):
    run = make(world, "clip_it", **(TEXT | {"text_lora": None}))
    cached = text_stage.vectors(run)
    del run.artifacts["text_embeddings"]
    computed = text_stage.vectors(run)
    torch.testing.assert_close(cached.vectors, computed.vectors, atol=1e-5, rtol=1e-4)
    assert torch.equal(cached.index, computed.index)


def test_the_published_text_stage_trains_the_head_alone(world):
    text, main = stages(make(world, "clip_it", **(TEXT | {"text_stage": "head"})))
    assert all(name.startswith("head") for name, _ in text.model.named_parameters())
    frozen = stages(make(world, "clip_it", **(TEXT | {"text_lora": None})))[1]
    assert main.history == frozen.history


def test_the_architecture_alone_has_every_layer_and_no_text(world):
    (alone,) = stages(make(world, "clip_it", **(TEXT | {"teacher": "none"})))
    _, taught = stages(make(world, "clip_it", **TEXT))
    sizes = [
        {name: p.shape for name, p in stage.model.named_parameters()} for stage in (alone, taught)
    ]
    assert sizes[0] == sizes[1]
    assert set(alone.fetch(torch.tensor([0]))) == {"rows", "targets", "images"}
    assert "train_distillation" not in alone.history[0]


def test_the_retrievers_view_of_the_image_teaches_in_the_place_of_a_text(world, monkeypatch):
    run = make(world, "clip_it", **(TEXT | {"teacher_of": "image"}))
    assert "text_embeddings" not in run.artifacts
    del run.artifacts["reports"], run.artifacts["pairs"]  # it reads no report
    monkeypatch.setattr(type(run), "retriever", None)  # and loads no tower
    text, main = stages(run)
    images = normalize(torch.from_numpy(tables.matrix(run.artifacts["teacher_images"])), dim=1)
    rows = torch.tensor([3, 1, 5])
    position = tables.positions(run.samples["image_id"], _ids(run), "images", "{}", "")
    torch.testing.assert_close(main.fetch(rows)["text"], images[position[rows]])
    assert all(name.startswith("head") for name, _ in text.model.named_parameters())


def _ids(run):
    return tables.read(run.artifacts["teacher_images"], ["image_id"])["image_id"]


def test_the_prompt_of_the_label_teaches_in_the_place_of_a_text(world):
    run = make(world, "clip_it", **(TEXT | {"teacher_of": "label-prompt"}))
    del run.artifacts["reports"], run.artifacts["pairs"]
    words, index = text_stage._words(run)
    assert [words[i] for i in index] == ["".join(labels) for labels in run.samples["labels"]]
    *_, main = stages(run)
    taught = main.fetch(torch.arange(len(run.samples)))["text"]
    for label in run.classes:
        own = taught[[labels[0] == label for labels in run.samples["labels"]]]
        torch.testing.assert_close(own, own[:1].expand_as(own))
    assert len(taught.unique(dim=0)) == len(run.classes)


def test_several_labels_share_a_prompt():
    about = {"class_names": {"a": "gland"}}
    found = prompts.of_samples([["a", "b"], ["b"]], about, "an image of {}")
    assert found == ["an image of gland, b", "an image of b"]


@pytest.mark.parametrize("branch", ["late", "early", "none"])
def test_every_branch_is_taught_and_predicts_without_text(world, branch):
    *_, main = stages(make(world, "clip_it", **(TEXT | {"text_branch": branch})))
    assert main.history[0]["train_distillation"] > 0
    assert not any("tower" in name for name in main.model.state_dict())
    batch = {"images": main.fetch(torch.tensor([0, 1]))["images"]}
    assert main.scores(main.model, batch).shape == (2, 2)


@pytest.mark.parametrize("branch", ["late", "none"])
def test_soft_labels_are_those_of_the_text_stage(world, branch):
    method = TEXT | {"distillation": "logits", "temperature": 2.0, "text_branch": branch}
    run = make(world, "clip_it", **method, distillation_weight=0.5)
    build = clip_it.build(run)
    text = next(build)
    loop.fit(text, 0, "unused", run.device)
    rows = torch.tensor([0, 1, 2])
    with torch.no_grad():
        expected = text.model.eval()(*text.fetch(rows)["inputs"])
    main = next(build)
    batch = main.fetch(rows)
    torch.testing.assert_close(batch["text"], expected, atol=1e-5, rtol=1e-4)
    loop.fit(main, 0, "unused", run.device)  # trains the text head on, but not its soft labels
    torch.testing.assert_close(main.fetch(rows)["text"], batch["text"])
    losses = main.loss(main.model.eval(), batch)
    soft = students.soft_labels(expected, main.model(batch["images"])[0], 2.0)
    torch.testing.assert_close(losses["distillation"], soft)
    torch.testing.assert_close(losses["loss"], losses["task"] + 0.5 * soft)


def test_soft_labels_need_a_fixed_teacher_and_a_temperature():
    method = {"recipe": "clip_it"}
    method |= recipes.parameters(method) | {"distillation": "logits"}
    assert not recipes.mistakes(method) and not recipes.distilled(method)
    assert list(recipes.mistakes(method | {"teacher": "joint"})) == ["distillation"]
    assert list(recipes.mistakes(method | {"temperature": 0.0})) == ["temperature"]


def test_early_fusion_is_one_linear_layer_on_both_features():
    model = students.EarlyFusion(torch.nn.Identity(), 3, 2, 4)
    features = torch.randn(5, 3)
    logits, predicted = model(features)
    joined = torch.cat([features, normalize(model.to_text(features), dim=1)], dim=1)
    torch.testing.assert_close(logits, model.head(joined))
    torch.testing.assert_close(predicted, model.to_text(features))


def test_one_branch_distils_into_the_features_themselves():
    same = students.OneBranch(torch.nn.Identity(), 3, 3, 2)
    features = torch.randn(4, 3)
    torch.testing.assert_close(same(features)[1], features)
    wider = students.OneBranch(torch.nn.Identity(), 3, 8, 2)
    torch.testing.assert_close(wider(features)[1].norm(dim=1), features.norm(dim=1))
    assert not any(p.requires_grad for p in wider.to_text.parameters())


@pytest.mark.parametrize("branch", ["late", "none"])
def test_what_a_run_predicts_of_texts_is_found_again_from_its_weights(world, branch, tmp_path):
    run = make(world, "clip_it", **(TEXT | {"text_branch": branch}))
    *_, main = stages(run)
    weights, made, out = (str(tmp_path / name) for name in ("weights", "predictions", "out"))
    one_run.write_weights(main.model, weights, {})
    tables.write(made, one_run._predictions(run, main), {})
    again = make(world, "clip_it", **(TEXT | {"text_branch": branch}))
    again.artifacts["text_embeddings"] = world["artifacts"]["text_embeddings"]
    representations.represent(again, weights, made, out, {})
    rows = run.rows("test")
    with torch.inference_mode():
        _, predicted = main.model.eval()(main.fetch(rows)["images"])
    np.testing.assert_allclose(tables.matrix(out, "predicted"), predicted, atol=2e-3, rtol=2e-3)


def test_fusion_starts_as_the_mean_of_both_branches_or_at_random():
    vision, text = torch.tensor([[1.0, 3.0]]), torch.tensor([[5.0, -1.0]])
    both = torch.cat([vision, text], dim=1)
    torch.testing.assert_close(students.fusion(2)(both), (vision + text) / 2)
    assert students.fusion(2, "random").bias.abs().sum() > 0


def cosines(vectors: torch.Tensor) -> float:
    """Mean cosine of all pairs: 1 when all vectors have one direction."""
    unit = normalize(vectors, dim=1)
    return (unit @ unit.T).mean().item()


@pytest.mark.parametrize("detached", [True, False])
def test_an_undetached_teacher_can_collapse_and_a_detached_one_cannot(detached):
    torch.manual_seed(0)
    texts = torch.randn(16, 4)
    teacher = torch.nn.Linear(4, 4)
    before = copy.deepcopy(teacher.state_dict())
    constant = torch.nn.Parameter(torch.randn(4))
    optimizer = torch.optim.Adam([*teacher.parameters(), constant], lr=0.05)
    for _ in range(300):
        loss = students.distillation(teacher(texts), constant.expand(16, 4), detached)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    collapsed = cosines(teacher(texts)) > 0.99
    assert collapsed == (not detached)
    assert (loss.item() < 0.01) == collapsed
    unchanged = all(torch.equal(before[name], p) for name, p in teacher.state_dict().items())
    assert unchanged == detached


def test_a_joint_teacher_trains_on_and_is_not_kept(world):
    run = make(world, "clip_it", **(TEXT | {"teacher": "joint"}))
    found = []
    for stage in clip_it.build(run):
        if stage.epochs:
            before = copy.deepcopy(stage.model.state_dict())
            loop.fit(stage, 0, "unused", run.device)
            after = stage.model.state_dict()
            found.append({name for name in after if not torch.equal(before[name], after[name])})
    assert any("teacher" in name and "lora" in name for name in found[1])
    assert stage.epochs == 0 and isinstance(stage.model, students.Distilled)
    assert not any("teacher" in name for name in stage.model.state_dict())


def test_a_joint_teacher_starts_from_the_pretrained_tower_if_the_text_stage_left_it(world):
    faithful = TEXT | {"teacher": "joint", "text_stage": "head", "fusion_start": "random"}
    run = make(world, "clip_it", **faithful, loss="double-softmax")
    text, both, _ = clip_it.build(run)
    assert text.model.head is both.model.student.text_head
    update = [p for name, p in both.model.teacher.named_parameters() if "lora_B" in name]
    assert update and not any(p.any() for p in update)


def test_double_softmax_by_hand():
    logits = torch.tensor([[0.0, np.log(3.0)]])
    by_hand = -np.log(np.exp(0.75) / (np.exp(0.75) + np.exp(0.25)))
    value = single.loss(logits, torch.tensor([1]), "double-softmax")
    assert value.item() == pytest.approx(by_hand)


def test_double_softmax_never_falls_below_its_bound():
    logits = torch.tensor([[1000.0, 0.0, 0.0]])
    value = single.loss(logits, torch.tensor([0]), "double-softmax")
    assert value.item() == pytest.approx(np.log(1 + 2 / np.e), rel=1e-6)


def test_dropped_words_are_in_no_cache(world):
    """A tuning tries word dropout beside the embeddings of whole texts."""
    whole = make(world, "clip_it", text_lora=None)
    less = make(world, "clip_it", text_lora=None, word_dropout=0.5)
    less.artifacts["text_embeddings"] = whole.artifacts["text_embeddings"]
    found, read = text_stage.vectors(less).vectors, text_stage.vectors(whole).vectors
    del less.artifacts["text_embeddings"]
    torch.testing.assert_close(found, text_stage.vectors(less).vectors)
    assert found.shape != read.shape or not torch.allclose(found, read, atol=0.01)


def test_word_dropout_removes_its_share_and_keeps_the_order():
    text = "a b c d e f g h i j"
    left = paired_texts.without_words(text, 0.3, np.random.default_rng(0)).split()
    assert len(left) == 7 and left == sorted(left)
    assert paired_texts.without_words("one", 0.5, np.random.default_rng(0)) == "one"
    assert paired_texts.without_words(text, 0.0, np.random.default_rng(0)) == text


def test_dropped_words_reach_the_tower(world):
    frozen = TEXT | {"text_lora": None}
    whole, half = (
        text_stage.vectors(make(world, "clip_it", **frozen, word_dropout=share))
        for share in (0.0, 0.5)
    )
    assert not torch.allclose(whole.vectors, half.vectors)
    assert torch.equal(whole.index, half.index)


def test_one_normalisation_replaces_the_encoders_own():
    from torchvision import transforms

    own = transforms.Compose([transforms.ToTensor(), transforms.Normalize([0.5] * 3, [0.5] * 3)])
    image = np.full((2, 2, 3), 255, np.uint8)
    assert pixels.normalised(own, "own") is own
    value = pixels.normalised(own, "imagenet")(image)[:, 0, 0]
    expected = [(1 - mean) / std for mean, std in zip(*IMAGENET, strict=True)]
    torch.testing.assert_close(value, torch.tensor(expected))


IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@pytest.mark.parametrize(
    "changes, cached",
    [
        ({}, False),
        ({"text_lora": None}, True),
        ({"text_stage": "head"}, True),
        ({"text_lora": None, "word_dropout": 0.1}, False),
        ({"text_lora": None, "teacher": "none"}, False),
    ],
)
def test_cached_embeddings_are_asked_for_only_where_they_are_read(changes, cached):
    method = {"recipe": "clip_it"}
    method |= recipes.parameters(method) | changes
    assert ("text_embeddings" in recipes.needs(method)) == cached


# prompts


def test_both_aggregations_by_hand():
    prompts = torch.tensor([[[1.0, 0.0], [0.0, 1.0]], [[0.6, 0.8], [0.6, 0.8]]])
    image = torch.tensor([0.8, 0.6])
    by_similarity = image @ zero_shot.ensemble(prompts, "similarity").T
    torch.testing.assert_close(by_similarity, torch.tensor([(0.8 + 0.6) / 2, 0.48 + 0.48]))
    by_embedding = image @ zero_shot.ensemble(prompts, "embedding").T
    torch.testing.assert_close(by_embedding, torch.tensor([1.4 / np.sqrt(2), 0.96]).float())
    assert by_similarity.argmax() == 1 and by_embedding.argmax() == 0


def test_the_best_prompts_of_an_image_by_hand():
    prompts = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    images = torch.tensor([[2.0, 1.0], [0.0, 3.0]])
    torch.testing.assert_close(
        text_prompts.best_prompts(images, prompts, 1), torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    )
    best = text_prompts.best_prompts(images, prompts, 2)[0]
    torch.testing.assert_close(best, torch.tensor([0.5, 0.5]) * np.sqrt(2))


def prompted(positives_of_words: torch.Tensor) -> contrastive.PromptedClip:
    """A CLIP whose image tower is the identity and whose word i has a given embedding."""
    text = torch.nn.Sequential(
        torch.nn.Embedding.from_pretrained(positives_of_words), torch.nn.Flatten()
    )
    tokens = torch.tensor([[[0]], [[1]]])
    return contrastive.PromptedClip(torch.nn.Identity(), text, tokens, "similarity", 10.0)


def test_as_published_an_image_is_pushed_from_its_own_words_when_another_shows_them():
    """Two images of one class and one prompt: nothing can be better than chance, log 2."""
    model = prompted(torch.eye(2))
    pixels, targets = torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.tensor([0, 0])
    assert model.loss(pixels, targets, "own").item() == pytest.approx(np.log(2))
    mixed, both = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 1])
    assert model.loss(mixed, both, "own").item() == pytest.approx(np.log(1 + np.exp(-10)), abs=1e-6)
    triple = torch.cat([pixels, mixed[1:]]), torch.tensor([0, 0, 1])
    own, same = (model.loss(*triple, kind).item() for kind in ("own", "class"))
    rows = np.log(2 + np.exp(-10)), np.log(2 + np.exp(-10)), np.log(1 + 2 * np.exp(-10))
    assert own == pytest.approx(np.mean(rows), rel=1e-5)
    assert same == pytest.approx(np.mean(rows), rel=1e-5)


def test_with_class_positives_it_does_not_matter_which_of_them_a_row_prefers():
    """A text tower that tells two prompts of a class apart gains nothing from the wrong one."""
    model = prompted(torch.eye(2))
    pixels = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.0, 1.0]])
    targets = torch.tensor([0, 0, 1])
    image = normalize(pixels, dim=1)
    logits = 10 * image @ torch.eye(2)[targets].T
    same = targets[:, None] == targets
    rows = -(logits.log_softmax(1) * same).sum(1) / same.sum(1)
    columns = -(logits.log_softmax(0) * same).sum(0) / same.sum(0)
    expected = (rows.mean() + columns.mean()) / 2
    torch.testing.assert_close(model.loss(pixels, targets, "class"), expected)


def test_prompts_are_encoded_once_per_evaluation_and_again_after_training(world):
    run = make(world, "contrastive", "clip", lora=LORA, text_lora=LORA)
    (stage,) = contrastive.build(run)
    calls = []
    stage.model.text.register_forward_hook(lambda *_: calls.append(1))
    loop.evaluate(stage, torch.arange(24), run.device)
    assert len(calls) == 1
    loop.predict(stage, torch.arange(24), run.device)
    assert len(calls) == 2
    loop.fit(stage, 0, "unused", run.device)
    assert stage.model.class_vectors().shape == (2, 16)


def test_similarities_to_prompts_are_float32_under_an_autocast(world):
    run = make(world, "contrastive", "clip", lora=LORA, text_lora=LORA)
    (stage,) = contrastive.build(run)
    model = stage.model.eval()
    model.log_scale.data.fill_(math.log(100))
    batch = stage.fetch(run.rows("train")[:6])
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        found = model(batch["images"])
        image = model.image(batch["images"]).double()
        value = model.loss(batch["images"], batch["targets"], "class")
    expected = 100 * torch.nn.functional.normalize(image, dim=1) @ model.vectors.double().T
    assert found.dtype == model.vectors.dtype == value.dtype == torch.float32
    torch.testing.assert_close(found.double(), expected, atol=1e-4, rtol=0)


def test_contrastive_training_starts_at_the_scale_of_the_clip(world):
    run = make(world, "contrastive", "clip", lora=LORA, text_lora=LORA)
    (stage,) = contrastive.build(run)
    assert stage.model.scale().item() == pytest.approx(run.encoder().scale, rel=1e-5)
