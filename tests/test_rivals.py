"""What CLIP-IT and LoRA have to beat, by hand and against reference implementations."""

import numpy as np
import pytest
import test_methods
import torch
from sklearn.linear_model import RidgeCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler
from test_methods import make
from torch import nn
from torch.nn.functional import normalize

from histopair import encoders
from histopair.encoders import embed
from histopair.errors import InputError
from histopair.files import tables
from histopair.methods import (
    clip_adapter,
    distil_frozen,
    nearest_neighbours,
    prompt_tuning,
    simple_shot,
    tip_adapter,
)

world = test_methods.world


@pytest.fixture
def features():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(40, 6, generator=generator)


@pytest.mark.parametrize("k", [1, 3, 7])
def test_nearest_neighbours_decide_as_those_of_scikit_learn(features, k):
    labels = torch.arange(30) % 3
    model = nearest_neighbours.Neighbours(features[:30], nn.functional.one_hot(labels), k, True)
    theirs = KNeighborsClassifier(k, metric="cosine").fit(features[:30], labels)
    shares = theirs.predict_proba(features[30:])
    expected = (k * shares + 1 / 3) / (k + 1)
    np.testing.assert_allclose(model(features[30:]).softmax(1).detach(), expected, rtol=1e-5)


def test_simple_shot_is_the_nearest_mean_of_centred_unit_features():
    """The centre is (1, 0); u of the queries is (0, 1) and (0.6, 0.8)."""
    centre, means = torch.tensor([1.0, 0.0]), torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    logits = simple_shot.NearestMean(centre, means, 2.0)(torch.tensor([[1.0, 5.0], [1.6, 0.8]]))
    distances = torch.tensor([[0.0, 2.0], [0.36 + 0.04, 0.16 + 0.64]])
    torch.testing.assert_close(logits.detach(), 2 * (1 - distances))


def test_class_means_of_a_class_without_samples_are_the_origin():
    indicator = torch.tensor([[True, False, False], [True, False, False], [False, True, False]])
    means = simple_shot.class_means(torch.tensor([[1.0, 0], [3.0, 2.0], [5.0, 5.0]]), indicator)
    torch.testing.assert_close(means, torch.tensor([[2.0, 1.0], [5.0, 5.0], [0.0, 0.0]]))


def test_tip_adapter_adds_the_cache_to_the_prompts_as_in_its_equation():
    prompts = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    keys, labels = torch.tensor([[0.6, 0.8]]), torch.tensor([[0, 1]])
    model = tip_adapter.Cached(prompts, keys, labels, alpha=2.0, beta=5.0)
    cosine = 0.96  # of (0.8, 0.6) and the key
    expected = torch.tensor([[80.0, 60.0 + 2 * np.exp(-5 * (1 - cosine))]], dtype=torch.float32)
    torch.testing.assert_close(model(torch.tensor([[8.0, 6.0]])).detach(), expected)


def test_clip_adapter_mixes_the_adapted_with_the_features():
    prompts = torch.eye(4)
    model = clip_adapter.Adapted(prompts, residual=0.25)
    with torch.no_grad():
        model.adapter[0].weight.copy_(torch.tensor([[0.0, 2.0, 0.0, 0.0]]))
        model.adapter[2].weight.copy_(torch.tensor([[1.0], [-1.0], [0.0], [3.0]]))
    unit = torch.tensor([0.6, 0.8, 0.0, 0.0])
    adapted = 1.6 * torch.tensor([1.0, 0.0, 0.0, 3.0])  # ReLU(1.6 (1, -1, 0, 3))
    expected = 100 * normalize(0.25 * adapted + 0.75 * unit, dim=0)
    torch.testing.assert_close(model(5 * unit[None])[0].detach(), expected)


def test_clip_adapter_without_its_adapter_is_zero_shot(world):
    run = make(world, "clip_adapter", "clip", residual=0.0)
    (stage,) = clip_adapter.build(run)
    (zero,) = make(world, "zero_shot", "clip", aggregation="embedding").recipe.build(
        make(world, "zero_shot", "clip", aggregation="embedding")
    )
    rows = run.rows("test")
    ours = stage.scores(stage.model, stage.fetch(rows))
    torch.testing.assert_close(ours, zero.scores(zero.model, zero.fetch(rows)))


def test_tuned_prompts_start_where_their_words_stand(world):
    """With the placeholder's own vectors as context, the class vectors are those of the words."""
    clip = encoders.load(world["clip"])
    tokens, start = prompt_tuning._tokens(clip, ["tumour", "normal tissue"], 3)
    model = prompt_tuning.Prompted(clip.text, tokens, start, 3)
    with torch.no_grad():
        model.context.copy_(model.embedding(tokens[0, start : start + 3]))
        words = ["x x x tumour.", "x x x normal tissue."]
        plain, _ = embed.tokenize_all(clip.tokenize, clip.pad_id, words)
        expected = normalize(clip.text(plain), dim=1)
        torch.testing.assert_close(model.class_vectors(), expected, atol=1e-6, rtol=1e-5)
        model.context.normal_(std=0.5)
        assert not torch.allclose(model.class_vectors(), expected, atol=1e-3)


def test_prompt_tuning_trains_the_context_alone(world):
    (stage,) = prompt_tuning.build(make(world, "prompt_tuning", "clip", context=2))
    loss = stage.loss(stage.model, stage.fetch(torch.arange(4)))["loss"]
    loss.backward()
    moved = [n for n, p in stage.model.named_parameters() if p.grad is not None]
    assert moved == ["context"] and stage.model.context.grad.abs().sum() > 0


def test_too_many_learnt_vectors_are_one_clear_line(world):
    run = make(world, "prompt_tuning", "clip", context=40)
    with pytest.raises(InputError, match=r"encoder clip: 40 learnt vectors .* 24 tokens"):
        next(prompt_tuning.build(run))


def test_a_frozen_student_is_held_against_its_teacher_on_unlabelled_images(world):
    run = make(world, "distil_frozen", hidden=8, epochs=1)
    run.about["labels_per_class"] = 2
    stages = distil_frozen.build(run)
    distillation = next(stages)
    assert len(distillation.train) == int((run.samples["split"] == "train").sum())
    rows = torch.arange(3)
    batch = distillation.fetch(rows)
    predicted = distillation.model(batch["features"])
    cosine = nn.functional.cosine_similarity(predicted, batch["text"]).mean()
    value = distillation.loss(distillation.model, batch)["loss"]
    torch.testing.assert_close(value, 1 - cosine)
    probe = next(stages)
    assert probe.epochs == 0 and len(probe.train) == 4
    logits = probe.model(batch["features"])
    read = torch.cat([batch["features"], normalize(predicted, dim=1)], dim=1)
    torch.testing.assert_close(logits, probe.model.head(read))


def test_the_prompt_of_a_label_teaches_labelled_images_alone(world):
    run = make(world, "distil_frozen", hidden=8, teacher_of="label-prompt")
    run.about["labels_per_class"] = 2
    assert len(next(distil_frozen.build(run)).train) == 4


def test_a_report_of_the_labels_class_teaches_labelled_images_alone(world, tmp_path):
    run = make(world, "distil_frozen", hidden=8, pairing="label")
    reports = tables.read(run.artifacts["reports"], ["report_id"]).drop_duplicates()
    classes = np.resize(run.classes, len(reports))
    tables.write(tmp_path / "truth", reports.assign(label=classes), {})
    run.artifacts = run.artifacts | {"pairs": str(tmp_path / "truth")}
    run.about["labels_per_class"] = 2
    assert len(next(distil_frozen.build(run)).train) == 4


def test_a_ridge_regression_teaches_without_training(world):
    run = make(world, "distil_frozen", hidden=8, regression="ridge")
    (stage,) = distil_frozen.build(run)
    assert stage.epochs == 0 and stage.history[0]["stage"] == "main"
    rows = run.rows("train")
    features = run.embeddings("image_embeddings").double()
    taught = normalize(run.teacher(rows).double(), dim=1)
    scaler = StandardScaler().fit(features[rows])
    model = RidgeCV(distil_frozen.PENALTIES).fit(scaler.transform(features[rows]), taught)
    expected = model.predict(scaler.transform(features))
    predicted = stage.model.to_text(features.float()).detach()
    np.testing.assert_allclose(predicted, expected, atol=1e-4)
