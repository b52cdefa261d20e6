"""What CLIP-IT and LoRA have to beat, by hand and against reference implementations."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import test_methods
import torch
from safetensors.torch import load_file, save_file
from sklearn.linear_model import RidgeCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler
from test_methods import LORA, make
from torch import nn
from torch.nn.functional import normalize
from torchvision import transforms

from histopair import encoders
from histopair.encoders import embed
from histopair.encoders.activations import cache, source
from histopair.errors import InputError
from histopair.evaluation import convergence
from histopair.export import layers
from histopair.files import tables
from histopair.methods import (
    clip_adapter,
    distil_frozen,
    distil_lora,
    fixmatch,
    modality_dropout,
    nearest_neighbours,
    prompt_tuning,
    simple_shot,
    tip_adapter,
    zero_shot,
)
from histopair.methods.attentive_probe import pooling
from histopair.methods.fixmatch import views
from histopair.plan import recipes
from histopair.training import checkpoint, chosen, logistic, loop, lora, one_run
from histopair.training.standardised import Standardised, folded

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
    found = model(features[30:]).softmax(1).detach().numpy()
    np.testing.assert_allclose(found, expected, atol=0.03 / (k + 1))
    first, second = np.sort(shares)[:, -1], np.sort(shares)[:, -2]
    clear = first > second
    assert clear.any() and (found.argmax(1) == shares.argmax(1))[clear].all()


@pytest.mark.parametrize("near", [0, 1])
@pytest.mark.parametrize("others", [1, 49])
def test_of_tied_classes_the_one_with_more_similar_neighbours_wins(near, others):
    """Each class has half of the k votes; `near` lies at .99, the other at .98 of the image."""
    cosines = torch.tensor([0.99] * (others + 1) + [0.98] * (others + 1) + [0.0])
    bank = torch.stack([cosines, (1 - cosines**2).sqrt()], dim=1)
    numbers = torch.tensor([near] * (others + 1) + [1 - near] * (others + 1) + [2])
    labels = nn.functional.one_hot(numbers)
    k, image = 2 * others + 2, torch.tensor([[2.0, 0.0]])
    layer = layers.Neighbours(2, *labels.shape, k, True)
    layer.bank.data, layer.labels.data = bank, labels.float()
    for logits in (nearest_neighbours.Neighbours(bank, labels, k, True)(image), layer(image / 2)):
        found = logits.softmax(1)[0]
        assert found.argmax() == near and found[2] < 1 / (2 * k)
        assert 0 < found[near] - found[1 - near] < 0.03 / (k + 1)


@pytest.mark.parametrize("k", [20, 50, 100])
def test_ties_are_decided_where_all_cosines_are_alike(k):
    """As of tiles of one stain: cosines of .96 to .99, and classes of a third of the samples."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(900, 128)) * 0.15 + 1
    labels = np.arange(500) % 3
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    cosines = unit[500:] @ unit[:500].T
    assert 0.95 < cosines.min() < cosines.max() < 0.99
    order = np.argsort(-cosines, axis=1)[:, :k]
    voted = labels[order][..., None] == np.arange(3)
    votes, similar = voted.sum(1), (voted * np.take_along_axis(cosines, order, 1)[..., None]).sum(1)
    expected = np.lexsort((similar, votes))[:, -1]
    features, known = torch.tensor(features).float(), nn.functional.one_hot(torch.tensor(labels))
    model = nearest_neighbours.Neighbours(features[:500], known, k, True)
    found = model(features[500:]).argmax(1).numpy()
    tied = (votes == votes.max(1, keepdims=True)).sum(1) > 1
    assert tied.sum() > 20
    assert (found == expected)[~tied].all() and (found == expected)[tied].mean() > 0.98


def test_one_vote_more_decides_however_similar_the_others_are():
    cosines = torch.tensor([1.0, 1.0, -0.9, -0.9, -0.9])
    bank = torch.stack([cosines, (1 - cosines**2).sqrt()], dim=1)
    labels = nn.functional.one_hot(torch.tensor([0, 0, 1, 1, 1]))
    model = nearest_neighbours.Neighbours(bank, labels, 5, True)
    assert model(torch.tensor([[1.0, 0.0]])).argmax() == 1


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
    model = tip_adapter.Cached(prompts, keys, labels, scale=10.0, alpha=2.0, beta=5.0)
    cosine = 0.96  # of (0.8, 0.6) and the key
    expected = torch.tensor([[8.0, 6.0 + 2 * np.exp(-5 * (1 - cosine))]], dtype=torch.float32)
    torch.testing.assert_close(model(torch.tensor([[8.0, 6.0]])).detach(), expected)


def test_clip_adapter_mixes_the_adapted_with_the_features():
    prompts = torch.eye(4)
    model = clip_adapter.Adapted(prompts, residual=0.25, scale=20.0)
    with torch.no_grad():
        model.adapter[0].weight.copy_(torch.tensor([[0.0, 2.0, 0.0, 0.0]]))
        model.adapter[2].weight.copy_(torch.tensor([[1.0], [-1.0], [0.0], [3.0]]))
    unit = torch.tensor([0.6, 0.8, 0.0, 0.0])
    adapted = 1.6 * torch.tensor([1.0, 0.0, 0.0, 3.0])  # ReLU(1.6 (1, -1, 0, 3))
    expected = 20 * normalize(0.25 * adapted + 0.75 * unit, dim=0)
    torch.testing.assert_close(model(5 * unit[None])[0].detach(), expected)


def test_clip_adapter_without_its_adapter_is_zero_shot_at_the_scale_of_the_clip(world):
    run = make(world, "clip_adapter", "clip", residual=0.0)
    (stage,) = clip_adapter.build(run)
    image = normalize(run.embeddings("image_embeddings"), dim=1)
    expected = run.encoder().scale * image @ zero_shot.class_vectors(run).T
    torch.testing.assert_close(stage.model(run.embeddings("image_embeddings")), expected)
    assert 14 < run.encoder().scale < 15  # not that of zero_shot


@pytest.mark.parametrize("recipe", ["tip_adapter", "clip_adapter", "prompt_tuning"])
def test_similarities_to_prompts_have_the_scale_that_the_clip_learnt(world, recipe, monkeypatch):
    run = make(world, recipe, "clip")
    encoder = run.encoder()
    monkeypatch.setattr(one_run.Run, "encoder", lambda run: replace(encoder, scale=30.0))
    *_, stage = run.recipe.build(run)
    assert stage.model.scale == 30


def test_a_clip_without_a_learnt_scale_has_that_of_zero_shot_and_says_so(world, capsys):
    plain = encoders.Encoder("plain")
    assert zero_shot.scale(plain) == 100
    assert "encoder plain: it has no learnt scale" in capsys.readouterr().out
    assert zero_shot.scale(replace(plain, scale=30.0)) == 30
    assert not capsys.readouterr().out


class Fixed(nn.Module):
    """One logit, whatever is read."""

    def __init__(self, logit):
        super().__init__()
        self.logit = nn.Parameter(torch.tensor(logit))

    def forward(self, features):
        return self.logit * nn.functional.one_hot(torch.zeros(len(features)).long(), 2)


@pytest.mark.parametrize("edge, told", [(0.0, "share"), (1.0, "")])
def test_a_choice_at_the_end_of_its_search_is_told(world, capsys, edge, told):
    """Half of the validation samples are of each class: the logit 0 is best."""
    run = make(world, "linear_head")
    candidates = [(Fixed(share), {"share": share}) for share in (0.0, 5.0)]
    stage = chosen.stage(
        run, candidates, lambda rows: (torch.zeros(len(rows)),), {"share": (edge,)}
    )
    [row] = stage.history
    assert row["share"] == 0 and row["at_edge"] == told
    line = "main stage: share = 0 is best, and the search ends there"
    assert (line in capsys.readouterr().out) == bool(told)


@pytest.mark.parametrize(
    "logits, found",
    [
        ([0.5, 1.0, 2.0, 3.0, 0.1], 0.1),  # the loss rises first
        ([1.0, 0.999, 2.0, 3.0, 4.0, 0.1], 0.1),  # it has hardly fallen
        ([1.0, 0.5, 2.0, 3.0, 4.0, 0.1], 0.5),  # it has fallen, and rises three times
    ],
)
def test_a_search_ends_only_after_the_loss_has_fallen(world, logits, found):
    """The larger a logit of a class that half of the samples have, the larger the loss."""
    run = make(world, "linear_head")
    asked = ((Fixed(logit), {"logit": logit}) for logit in logits)
    stage = chosen.stage(run, asked, lambda rows: (torch.zeros(len(rows)),), {}, worse=3)
    assert stage.history[0]["logit"] == found


@pytest.mark.parametrize("plain, found", [(True, 1.1), (False, 0.0)])
def test_a_search_among_fitted_models_is_by_the_loss_that_they_are_fitted_to(world, plain, found):
    """Three of four have the first class: 1.1 are its log odds, which logit adjustment adds."""
    run = make(world, "linear_head", loss="logit-adjustment")
    place = run.samples.groupby("split").cumcount()
    run.samples["labels"] = [["c1"] if i % 4 == 3 else ["c0"] for i in place]
    asked = ((Fixed(logit), {"logit": logit}) for logit in (0.0, 1.1))
    stage = chosen.stage(run, asked, lambda rows: (torch.zeros(len(rows)),), {}, plain=plain)
    assert stage.history[0]["logit"] == found


def with_ruined_epochs(run) -> list:
    """The stages of a staged method whose labels' stage only gets worse: its rate is 10."""
    stages = []
    for stage in distil_lora.build(run):
        if stage.name == "adapt":
            stage.learning_rate = 10.0
        if stage.epochs:
            loop.fit(stage, 0, "unused", run.device)
        stages.append(stage)
    return stages


def test_the_start_of_an_adapted_student_is_held_against_its_epochs_by_one_loss(world):
    """Epochs of a loss near 0 would always seem better than a start judged by another loss."""
    run = make(world, "distil_lora", **STAGED | {"loss": "double-softmax"})
    stages = with_ruined_epochs(run)
    _, probe, adapt, predicting = stages
    vectors, val = run.embeddings("distilled_vectors"), run.rows("val")
    start = run.task_loss(probe.model(vectors[val]), {"targets": run.targets[val]}).item()
    assert min(row["val_task"] for row in adapt.history) > start > probe.history[0]["val_task"]
    after = loop.evaluate(predicting, val, run.device)["task"]
    assert after == pytest.approx(start, rel=1e-5)


@pytest.mark.parametrize(
    ("recipe", "settings", "remedy"),
    [
        ("linear_probe", {}, "take recipe: linear_head"),
        ("distil_frozen", {}, "take recipe: distil_lora"),
        ("distil_lora", {"last_stage": "probe"}, "set last_stage to adapt"),
        ("nearest_neighbours", {}, "take recipe: linear_head"),
        ("simple_shot", {}, "take recipe: linear_head"),
        ("zero_shot", {}, "take recipe: clip_adapter"),
        ("tip_adapter", {}, "set train_keys to true"),
    ],
)
def test_a_loss_that_nothing_is_fitted_to_is_one_clear_line(recipe, settings, remedy):
    method = {"recipe": recipe, "loss": "logit-adjustment"} | settings
    recipes.fill_parameters(method)
    assert remedy in recipes.mistakes(method)["loss"]
    assert not recipes.mistakes(method | {"loss": "plain"})
    trained = {"distil_lora": {"last_stage": "adapt"}, "tip_adapter": {"train_keys": True}}
    assert recipe not in trained or not recipes.mistakes(method | trained[recipe])


@pytest.mark.parametrize("recipe", ["tip_adapter", "simple_shot", "linear_probe"])
def test_a_search_marks_an_end_that_validation_likes(world, recipe):
    """The history names each parameter whose value is the first or last that is tried."""
    encoder = "clip" if recipe == "tip_adapter" else "vit"
    *_, stage = make(world, recipe, encoder).recipe.build(make(world, recipe, encoder))
    [row] = stage.history
    tried = {"alpha": tip_adapter.ALPHAS, "beta": tip_adapter.BETAS}
    tried |= {"sharpness": simple_shot.SHARPNESS, "strength": logistic.STRENGTHS}
    ends = [
        name for name in tried if name in row and row[name] in (tried[name][0], tried[name][-1])
    ]
    assert row["at_edge"] == ", ".join(ends)


@pytest.mark.parametrize("context", [1, 3])
def test_tuned_prompts_start_where_their_words_stand(world, context):
    """With the placeholder's own vectors as context, the class vectors are those of the words."""
    clip = encoders.load(world["clip"])
    tokens, start = prompt_tuning._tokens(clip, ["tumour", "normal tissue"], context)
    model = prompt_tuning.Prompted(clip.text, tokens, start, context, clip.scale)
    assert start == 1  # behind the start of the text
    with torch.no_grad():
        model.context.copy_(model.embedding(tokens[0, start : start + context]))
        words = [f"{'x ' * context}{name}." for name in ("tumour", "normal tissue")]
        plain, _ = embed.tokenize_all(clip.tokenize, clip.pad_id, words)
        expected = normalize(clip.text(plain), dim=1)
        torch.testing.assert_close(model.class_vectors(), expected, atol=1e-6, rtol=1e-5)
        model.context.normal_(std=0.5)
        assert not torch.allclose(model.class_vectors(), expected, atol=1e-3)


def test_descriptions_follow_the_name_of_their_class(world):
    words = {"c1": "Nuclei are large."}
    run = make(world, "prompt_tuning", "clip", context=2, descriptions=words)
    run.about["class_names"] = {"c1": "tumour"}
    assert prompt_tuning.described(run) == ["c0", "tumour. Nuclei are large"]
    model = prompt_tuning.prompted(run, run.encoder())
    plain = run.encoder().tokenize(["x x c0.", "x x tumour. Nuclei are large."])
    assert torch.equal(model.tokens, plain[:, : model.tokens.shape[1]])
    run.method["descriptions"] = {"c7": "unknown"}
    with pytest.raises(InputError, match=r"descriptions: .* has no class 'c7'.*c0, c1"):
        prompt_tuning.described(run)


def test_prompt_tuning_trains_the_context_alone(world):
    (stage,) = prompt_tuning.build(make(world, "prompt_tuning", "clip", context=2))
    loss = stage.loss(stage.model, stage.fetch(torch.arange(4)))["loss"]
    loss.backward()
    moved = [n for n, p in stage.model.named_parameters() if p.grad is not None]
    assert moved == ["context"] and stage.model.context.grad.abs().sum() > 0


def test_the_frozen_text_tower_of_learnt_prompts_drops_nothing_in_training(world):
    class Dropping(nn.Module):
        def __init__(self, tower):
            super().__init__()
            self.tower, self.dropout = tower, nn.Dropout(0.5)

        def forward(self, tokens):
            return self.dropout(self.tower(tokens))

    run = make(world, "prompt_tuning", "clip", context=2)
    clip = run.encoder()
    model = prompt_tuning.prompted(run, replace(clip, text=Dropping(clip.text)))
    expected = model.eval().class_vectors()
    assert model.train().training and torch.equal(model.class_vectors(), expected)


def test_too_many_learnt_vectors_are_one_clear_line(world):
    run = make(world, "prompt_tuning", "clip", context=40)
    with pytest.raises(InputError, match=r"encoder clip: 40 learnt vectors .* 24 tokens.*shorten"):
        next(prompt_tuning.build(run))


def test_a_frozen_student_is_held_against_its_teacher_on_unlabelled_images(world):
    run = make(world, "distil_frozen", regression="mlp", hidden=8, epochs=1)
    run.about["labels_per_class"] = 2
    stages = distil_frozen.build(run)
    distillation = next(stages)
    assert len(distillation.train) == int((run.samples["split"] == "train").sum())
    rows = torch.arange(3)
    batch = distillation.fetch(rows)
    predicted = distillation.model(batch["inputs"])
    cosine = nn.functional.cosine_similarity(predicted, batch["text"]).mean()
    value = distillation.loss(distillation.model, batch)["loss"]
    torch.testing.assert_close(value, 1 - cosine)
    probe = next(stages)
    assert probe.epochs == 0 and len(probe.train) == 4
    logits = probe.model(batch["inputs"])
    read = torch.cat([batch["inputs"], normalize(predicted, dim=1)], dim=1)
    torch.testing.assert_close(logits, probe.model.head(read))


def test_the_prompt_of_a_label_teaches_labelled_images_alone(world):
    run = make(world, "distil_frozen", regression="mlp", hidden=8, teacher_of="label-prompt")
    run.about["labels_per_class"] = 2
    assert len(next(distil_frozen.build(run)).train) == 4


STAGED = {"hidden": 8, "lora": LORA, "distillation_epochs": 2, "learning_rate": 0.02}


def _trained(run):
    """The stages of a run, each trained before the next is built."""
    for stage in run.recipe.build(run):
        if stage.epochs:
            loop.fit(stage, 0, "unused", run.device)
        yield stage


def test_a_backbone_learns_the_teacher_from_unlabelled_images_before_it_sees_a_label(world):
    run = make(world, "distil_lora", **STAGED)
    run.about["labels_per_class"] = 2
    stages = distil_lora.build(run)
    distillation = next(stages)
    assert len(distillation.train) == int((run.samples["split"] == "train").sum())
    assert (distillation.epochs, len(distillation.history)) == (0, 2)
    moved = lora.adapted_layers(distillation.model).values()
    assert any(layer.get_delta_weight("default").abs().sum() > 0 for layer in moved)
    probe = next(stages)
    assert probe.epochs == 0 and len(probe.train) == 4
    with torch.no_grad():
        v = distillation.model[0](distillation.fetch(run.rows("test"))["inputs"])
        read = torch.cat([v, normalize(distillation.model[1](v), dim=1)], dim=1)
    torch.testing.assert_close(run.embeddings("distilled_vectors")[run.rows("test")], read)


def test_weights_that_are_not_of_the_distillation_are_one_clear_line(world, tmp_path):
    run = make(world, "distil_lora", **STAGED)
    weights = load_file(run.artifacts["distilled_weights"])
    weights.pop("1.2.bias")
    save_file(weights, tmp_path / "weights")
    run.artifacts["distilled_weights"] = str(tmp_path / "weights")
    with pytest.raises(InputError, match=r"it is not .* \(1.2.bias\). Delete it"):
        next(distil_lora.build(run))


def test_a_probe_that_no_epoch_improves_is_what_predicts(world):
    run = make(world, "distil_lora", **STAGED)
    stages = with_ruined_epochs(run)
    _, probe, adapt, predicting = stages
    assert min(row["val_task"] for row in adapt.history) > probe.history[0]["val_task"]
    judged = convergence.judge(pd.DataFrame([row for stage in stages for row in stage.history]))
    assert [stage["used"] for stage in judged["stages"]] == [True, True, False]
    assert not any("adapt" in reason for reason in judged["reasons"])
    after = loop.evaluate(predicting, run.rows("val"), run.device)["task"]
    assert after == pytest.approx(probe.history[0]["val_task"], rel=1e-5)


def test_the_best_epoch_predicts_if_it_is_better_than_the_probe(world):
    run = make(world, "distil_lora", **STAGED | {"learning_rate": 1e-3, "epochs": 8})
    _, probe, adapt, predicting = _trained(run)
    best = min(row["val_task"] for row in adapt.history)
    assert best < probe.history[0]["val_task"]
    assert not any("used" in row for row in adapt.history)
    after = loop.evaluate(predicting, run.rows("val"), run.device)["task"]
    assert after == pytest.approx(best, rel=1e-5)


def test_without_adapting_the_probe_predicts(world):
    run = make(world, "distil_lora", **STAGED | {"last_stage": "probe"})
    names = [stage.name for stage in _trained(run)]
    assert names == ["distillation", "main", "predict"]


def test_a_report_of_the_labels_class_teaches_labelled_images_alone(world, tmp_path):
    run = make(world, "distil_frozen", regression="mlp", hidden=8, pairing="label")
    reports = tables.read(run.artifacts["reports"], ["report_id"]).drop_duplicates()
    classes = np.resize(run.classes, len(reports))
    tables.write(tmp_path / "truth", reports.assign(label=classes), {})
    run.artifacts = run.artifacts | {"pairs": str(tmp_path / "truth")}
    run.about["labels_per_class"] = 2
    assert len(next(distil_frozen.build(run)).train) == 4


def plain(width):
    """Leaves features as they are."""
    return Standardised(torch.zeros(1, width))


def test_a_dropped_text_is_zeros_and_a_kept_one_is_read():
    """Dropout 0 and 1 in training; in evaluation the text is never read."""
    image, text = torch.tensor([[2.0]]), torch.tensor([[0.6, 0.8]])
    for dropout, expected in ((0.0, 2 + 0.6 * 10 + 0.8 * 100), (1.0, 2.0)):
        model = modality_dropout.ModalityDropout(plain(1), plain(2), 1, 1, dropout)
        with torch.no_grad():
            model.head[0].weight.copy_(torch.tensor([[1.0, 10.0, 100.0]]))
            model.head[0].bias.zero_()
            assert model.train()(image, text).item() == pytest.approx(expected)
            assert model.eval()(image, text).item() == model(image).item() == 2


def test_texts_are_dropped_anew_as_often_as_asked_for():
    torch.manual_seed(0)
    model = modality_dropout.ModalityDropout(plain(1), plain(1), 1, 1, 0.3).train()
    with torch.no_grad():
        model.head[0].weight.copy_(torch.tensor([[0.0, 1.0]]))
        model.head[0].bias.zero_()
        first, second = (model(torch.zeros(4000, 1), torch.ones(4000, 1)) for _ in range(2))
    assert set(first.unique().tolist()) == {0.0, 1.0} and not torch.equal(first, second)
    assert first.mean().item() == pytest.approx(0.7, abs=0.03)


def test_features_are_standardised_as_by_scikit_learn(features):
    features[:, 0] = 4.0
    rows = features[:30]
    theirs = StandardScaler().fit(rows).transform(features)
    standard, layer = Standardised(rows), nn.Linear(6, 2)
    np.testing.assert_allclose(standard(features), theirs, rtol=1e-4, atol=1e-6)
    raw = folded(standard, layer)
    torch.testing.assert_close(raw(features), layer(standard(features)), rtol=1e-4, atol=1e-5)


def test_modality_dropout_reads_the_paired_report_and_validates_without_it(world):
    run = make(world, "modality_dropout", text_dropout=0.0)
    (stage,) = modality_dropout.build(run)
    image, text = (stage.fetch(stage.train)["inputs"][kind] for kind in (0, 1))
    for scaled in (stage.model.image(image), stage.model.text(text)):
        torch.testing.assert_close(scaled.mean(0), torch.zeros(scaled.shape[1]), atol=1e-4, rtol=0)
        torch.testing.assert_close(scaled.std(0, correction=0), torch.ones(scaled.shape[1]))
    _, text = stage.fetch(torch.tensor([0, 1, 2]))["inputs"]
    assert torch.equal(text[0], text[2]) and not torch.allclose(text[0], text[1])
    stage.model.eval()
    batch = stage.fetch(stage.val)
    alone = {"inputs": batch["inputs"][:1], "targets": batch["targets"]}
    assert stage.loss(stage.model, batch)["task"] == stage.loss(stage.model, alone)["task"]
    stage.model.train()
    assert stage.loss(stage.model, batch)["task"] != stage.loss(stage.model, alone)["task"]


def test_a_query_pools_tokens_by_its_attention_by_hand():
    """Tokens become (1, -1) and (-1, 1); scores differ by log 3, so weights are 3/4 and 1/4."""
    pool = pooling.QueryPooling(2, 1)
    pool.ask.norm = nn.Identity()
    attention, first = pool.ask.attention, np.log(3) / np.sqrt(2)
    with torch.no_grad():
        pool.query.copy_(torch.tensor([[first, 0.0]]))
        attention.in_proj_weight.copy_(torch.eye(2).repeat(3, 1))
        attention.out_proj.weight.copy_(torch.eye(2))
        found = pool(torch.tensor([[[3.0, 1.0], [1.0, 3.0]]]))
    expected = torch.tensor([[first + 0.5, -0.5]], dtype=torch.float32)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_an_attentive_probe_reads_cached_tokens_as_it_reads_the_towers(world, tmp_path):
    run = make(world, "attentive_probe", attention_heads=2)
    out, kept = str(tmp_path / "tokens"), {"cache": True, "budget_gb": 1.0, "storage": "float32"}
    files = run.artifacts["labels"], run.root, world["vit"]
    cache.make("images", *files, 0, 1, kept, str(tmp_path / "shards"), out, {"code": "x"})
    width, fetch = run.tokens()
    run.artifacts["image_activations"] = out
    rows = torch.tensor([5, 2])
    (tokens,), (again,) = fetch(rows), run.tokens()[1](rows)
    assert tokens.shape == (2, 5, width) and width == 24  # a class token and four patches
    torch.testing.assert_close(again, tokens)
    tower, source = encoders.load(world["vit"]), run.pixels(run.encoder().preprocess)
    expected = tower.image.forward_features(source(rows))
    torch.testing.assert_close(tower.image.norm(tokens), expected, atol=1e-5, rtol=1e-4)


def test_a_tower_without_tokens_is_one_clear_line():
    with pytest.raises(InputError, match=r"encoder r: a convolutional .* recipe: linear_probe"):
        source.require_tokens(torch.zeros(1, 8, 2, 2), "r", "linear_probe")


def test_only_sure_weak_versions_teach_and_all_count_in_the_mean():
    """Weak probabilities .9 and .6; strong ones of the first's class are 1/4."""
    weak = torch.tensor([[0.9, 0.1], [0.4, 0.6]]).log().requires_grad_()
    strong = torch.tensor([[0.25, 0.75], [0.25, 0.75]]).log().requires_grad_()
    value = fixmatch.consistency(weak, strong, 0.8)
    assert value.item() == pytest.approx(-np.log(0.25) / 2)
    value.backward()
    assert weak.grad is None and not strong.grad[1].any() and strong.grad[0].any()
    both = fixmatch.consistency(weak, strong, 0.6 - 1e-6).item()
    assert both == pytest.approx(-(np.log(0.25) + np.log(0.75)) / 2)


def test_fixmatch_learns_from_all_images_but_from_few_labels(world):
    run = make(world, "fixmatch", lora=LORA, unlabelled_ratio=4, batch_size=2, threshold=0.0)
    run.about["labels_per_class"] = 2
    (stage,) = fixmatch.build(run)
    labelled, pool = run.rows("train"), run.rows("train", labelled=False)
    assert torch.equal(stage.train, pool) and len(stage.val) == len(run.rows("val"))
    assert len(labelled) == 4 < len(pool) and stage.batch_size == 8
    others = sorted(set(range(len(run.samples))) - set(labelled.tolist()))
    batch, known = stage.fetch(pool[:8]), run.targets.clone()
    values = []
    for change in (False, True):
        run.targets[others] = 1 - known[others] if change else known[others]
        torch.manual_seed(0)
        values.append(
            {name: v.item() for name, v in stage.loss(stage.model.train(), batch).items()}
        )
    assert values[0] == values[1] and values[0]["consistency"] > 0
    assert values[0]["loss"] == pytest.approx(values[0]["task"] + values[0]["consistency"])


def test_labelled_rows_are_drawn_in_proportion():
    labelled = torch.tensor([7, 9])
    rows = fixmatch.drawn(labelled, 2800, 7)
    assert len(rows) == 400 and set(rows.tolist()) == {7, 9}
    assert len(fixmatch.drawn(labelled, 2, 7)) == 1


@pytest.mark.parametrize("shape, ways", [((2, 2), 8), ((2, 3), 4)])
def test_a_weak_version_is_the_tile_in_another_position(shape, ways):
    tile = torch.rand(3, *shape)
    torch.manual_seed(0)
    found = views.weak(tile.expand(400, -1, -1, -1))
    assert len(found.unique(dim=0)) == ways and (found == tile).flatten(1).all(1).any()
    torch.testing.assert_close(found.flatten(2).sort().values[0], tile.flatten(1).sort().values)


def test_a_strong_version_has_a_grey_square_and_stays_in_the_range_of_pixels():
    steps = transforms.Compose([transforms.ToTensor(), transforms.Normalize([0.2] * 3, [0.4] * 3)])
    torch.manual_seed(0)
    plain = torch.rand(64, 3, 32, 32)
    found = views.Strong(steps)((plain - 0.2) / 0.4) * 0.4 + 0.2
    assert found.min() > -1e-5 and found.max() < 1 + 1e-5 and found.shape == plain.shape
    assert (found - plain).abs().mean() > 0.05
    grey = ((found - 0.5).abs() < 1e-5).all(1).flatten(1).float().mean(1)
    assert grey.max() > 0.1 and grey.mean() > 0.05


def test_a_ridge_regression_teaches_without_training(world):
    run = make(world, "distil_frozen", regression="ridge")
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
    exported = distil_frozen.predictor(run, checkpoint.weights(stage.model))
    logits = exported.of_features([features.float()])
    torch.testing.assert_close(logits, stage.model(features.float()))


def test_without_a_teacher_the_pool_whitens_the_features(world):
    run = make(world, "distil_frozen", teacher_of="pool")
    assert distil_frozen.needs(run.method) == ("image_embeddings",)
    run.about["labels_per_class"] = 2
    (stage,) = distil_frozen.build(run)
    pool = run.embeddings("image_embeddings")[run.rows("train", labelled=False)]
    white = stage.model.to_text(pool.float()).detach().double()
    np.testing.assert_allclose(white.mean(0), 0, atol=1e-3)
    np.testing.assert_allclose(np.cov(white.T), np.eye(white.shape[1]), atol=1e-2)
    exported = distil_frozen.predictor(run, checkpoint.weights(stage.model))
    logits = exported.of_features([pool.float()])
    torch.testing.assert_close(logits, stage.model(pool.float()))


def test_a_teacher_that_features_do_not_predict_gives_its_mean():
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(200, 5, generator=generator)
    taught = torch.randn(200, 3, generator=generator)
    layer, penalty = distil_frozen.ridge(features, taught)
    assert penalty == distil_frozen.PENALTIES[-1]
    assert not layer.weight.any()
    torch.testing.assert_close(layer.bias.detach(), taught.mean(0))
