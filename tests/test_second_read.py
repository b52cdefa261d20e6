"""Why a model says so, and when not to trust it: maps, words, sets and warnings."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import ndimage
from test_export import EXPORT, SOURCES, exported, world, write_export  # noqa: F401
from torch import nn
from torch.nn import functional

from histopair import images
from histopair.errors import InputError
from histopair.export import read
from histopair.export.predictor import Predictor
from histopair.export.second_read import (
    conformal,
    evidence,
    familiar,
    look,
    measured,
    saliency,
    seen,
    trust,
    words,
)


def predictor(tower, head):
    """An image tower and a linear head, as a predictor."""
    return Predictor(head, image=SimpleNamespace(image=tower, name="toy")).eval()


def of_toy(model, task="multi"):
    """The toy as an exported model that has no onnx file."""
    config = {"task": task, "classes": ["a", "b"], "reads": ["image"], "temperature": 1.0}
    answer = read._answer_of(model)
    one = read.Exported(Path(), config, [], answer, room=lambda note: 0)
    one.predictor = model
    return one


class UniformAttention(nn.Module):
    """A class token of zeros that attends to all patches alike; values are the patches' means."""

    def __init__(self, windows=1):
        super().__init__()
        self.windows = windows
        self.patches = nn.Conv2d(3, 2, 4, 4, bias=False)
        nn.init.zeros_(self.patches.weight)
        self.patches.weight.data[0] = 1 / 48
        self.patches.weight.data[1] = -1 / 48

    def forward(self, pixels):
        tokens = self.patches(pixels).flatten(2).transpose(1, 2)
        if self.windows == 1:
            tokens = functional.pad(tokens, (0, 0, 1, 0))
        tokens = tokens.reshape(self.windows * len(tokens), -1, 2)
        zeros = torch.zeros_like(tokens)[:, None]
        states = functional.scaled_dot_product_attention(zeros, zeros, tokens[:, None])[:, 0]
        return states.reshape(len(pixels), -1, 2)[:, 0]


def identity():
    head = nn.Linear(2, 2, bias=False)
    head.weight.data = torch.eye(2)
    return head


def bright(row, column, value=1.0):
    pixels = np.zeros((3, 16, 16), np.float32)
    pixels[:, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4] = value
    return pixels


def test_the_map_of_uniform_attention_is_the_brightness_of_the_patches():
    """Weights are 1/17 and their gradients the patch's mean: relevance is brightness / 17."""
    model = predictor(UniformAttention(), identity())
    pixels = bright(1, 2) + bright(3, 0, 0.5) + bright(0, 0, -1)
    relevance, method = saliency.by_gradient(model, pixels, 0)
    assert method == saliency.ROLLOUT
    expected = np.zeros((4, 4))
    expected[1, 2], expected[3, 0] = 1 / 17, 0.5 / 17
    np.testing.assert_allclose(relevance, expected, atol=1e-6)
    # The second finding is that of dark patches.
    expected = np.zeros((4, 4))
    expected[0, 0] = 1 / 17
    np.testing.assert_allclose(saliency.by_gradient(model, pixels, 1)[0], expected, atol=1e-6)


def test_a_rollout_by_hand():
    """R1 = I + A1; the class token reads the last A2 R1 + R1 - I, negative parts left out."""
    first = torch.tensor([[[0.0, 0.2, 0.4], [0, 0, 1], [0, -1, 0]]])
    last = torch.zeros(2, 3, 3)
    last[:, 0] = torch.tensor([[0.0, 0.5, 0], [0.0, 0.5, -0.3]])
    # A2 = row (0, 0.5, 0); A2 R1 = 0.5 (row 1 of R1 = (0, 1, 1)); R1 - I, row 0 = (0, 0.2, 0.4).
    np.testing.assert_allclose(saliency.rollout([first, last]), [0, 0.7, 0.9], atol=1e-6)
    # A pooling query in place of the last attention: A R1 alone.
    pooled = saliency.rollout([first, torch.tensor([[[0.5, 0, 0]]])])
    np.testing.assert_allclose(pooled, [0.5, 0.1, 0.2], atol=1e-6)


def test_the_cam_of_a_linear_convolution_is_its_weighted_channels():
    convolution = nn.Conv2d(3, 2, 4, 4, bias=False)
    convolution.weight.data = UniformAttention().patches.weight.data
    model = predictor(nn.Sequential(convolution, nn.AdaptiveAvgPool2d(1), nn.Flatten()), identity())
    pixels = bright(1, 2) + bright(3, 0, 0.5) + bright(0, 0, -1)
    relevance, method = saliency.by_gradient(model, pixels, 0)
    assert method == saliency.GRAD_CAM
    expected = np.zeros((4, 4))
    expected[1, 2], expected[3, 0] = 1 / 16, 0.5 / 16  # the mean over 16 places has gradient 1/16
    np.testing.assert_allclose(relevance, expected, atol=1e-6)


def test_a_tower_that_sees_windows_is_asked_by_hiding_squares():
    """The first of four windows gives the class; nothing outside of it counts."""
    one = of_toy(predictor(UniformAttention(windows=4), identity()))
    pixels = bright(0, 1) + bright(2, 2)
    found, method = saliency.of(one, pixels, 0)
    assert method == saliency.OCCLUSION and found.max() == 1
    assert found[:4, 4:8].mean() > 0.8 and found[6:].max() == 0


class Attention(nn.Module):
    def forward(self, *inputs, **options):
        return functional.scaled_dot_product_attention(*inputs, **options)


@pytest.mark.parametrize("kind", ["none", "boolean", "added", "causal"])
def test_attention_with_weights_is_torchs(kind):
    torch.manual_seed(0)
    query, key, value = torch.randn(3, 2, 4, 5, 8)
    mask = {"boolean": torch.rand(5, 5) > 0.2, "added": torch.randn(5, 5)}.get(kind)
    options = {"attn_mask": mask, "is_causal": kind == "causal"}
    if kind == "boolean":
        mask[:, 0] = True
    expected = functional.scaled_dot_product_attention(query, key, value, **options)
    with seen.by(attention := Attention()) as passed:
        torch.testing.assert_close(attention(query, key, value, **options), expected)
    torch.testing.assert_close(passed.attentions[0] @ value, expected)


def test_log_odds_by_hand():
    logits = np.log([[0.2, 0.3, 0.5]])
    assert saliency.log_odds(logits, 0, "single") == pytest.approx(np.log(0.2 / 0.8))
    assert saliency.log_odds(logits, 0, "multi") == pytest.approx(np.log(0.2))


def test_blocks_that_ran_without_gradients_are_asked_by_hiding_squares(exported):  # noqa: F811
    pixels = np.random.default_rng(0).normal(size=(3, 32, 32)).astype(np.float32)
    for recipe in ("cross_attention", "nearest_neighbours"):
        one = read.load(exported(recipe)[0])
        note = "tumour" if "text" in one.reads else None
        assert saliency.of(one, pixels, 0, note)[1] == saliency.OCCLUSION


@pytest.mark.parametrize("recipe", ["linear_head", "lora", "fusion_partial", "cnn"])
def test_exported_towers_have_maps_that_other_weights_change(exported, recipe):  # noqa: F811
    one = read.load(exported(recipe)[0])
    pixels = np.random.default_rng(0).normal(size=(3, 32, 32)).astype(np.float32)
    note = "tumour colon" if "text" in one.reads else None
    found, method = saliency.of(one, pixels, 1, note)
    assert found.shape == (32, 32) and found.min() >= 0 and found.max() in (0, 1)
    expected = saliency.GRAD_CAM if recipe == "cnn" else saliency.ROLLOUT
    assert method == expected
    if recipe in ("lora", "cnn"):
        torch.manual_seed(1)
        for parameter in one.predictor.parameters():
            parameter.data = torch.randn_like(parameter) * parameter.std().nan_to_num()
        other, _ = saliency.of(one, pixels, 1, note)
        assert np.abs(other - found).mean() > 0.02


def test_without_torch_a_map_is_made_by_hiding_squares(exported, monkeypatch):  # noqa: F811
    one = read.load(exported("clip_it")[0])
    monkeypatch.setattr(read.Exported, "has_torch", False)
    pixels = np.random.default_rng(0).normal(size=(3, 32, 32)).astype(np.float32)
    assert saliency.of(one, pixels, 0)[1] == saliency.OCCLUSION


@pytest.mark.parametrize("recipe", ["fusion_partial", "cross_attention", "text_only"])
def test_a_words_weight_is_what_its_absence_changes(exported, recipe):  # noqa: F811
    one = read.load(exported(recipe)[0])
    note = "No tumour,  normal colon."
    pixels = None
    if "image" in one.reads:
        pixels = np.random.default_rng(0).normal(size=(3, 32, 32)).astype(np.float32)
    places, changes = words.of(one, pixels, note)
    assert [note[a:b] for a, b in places] == ["No", "tumour", "normal", "colon"]
    batch = None if pixels is None else np.stack([pixels] * 2)
    values = one.probabilities(batch, [note, "No ,  normal colon."])
    np.testing.assert_allclose(changes[1], values[0] - values[1], atol=1e-5)
    top = int(changes[:, 0].argmax())
    if changes[top, 0] > 1e-6:
        without = words.without(note, *places[top])
        assert one.probabilities(batch, [note, without])[1, 0] < values[0, 0]


def test_a_note_without_words_has_no_weights_and_images_have_no_words(exported):  # noqa: F811
    places, changes = words.of(read.load(exported("text_only")[0]), None, "... !")
    assert places == [] and changes.shape == (0, 2)
    with pytest.raises(InputError, match="reads no note"):
        words.of(read.load(exported("linear_head")[0]), None, "a")
    with pytest.raises(InputError, match="reads no image"):
        saliency.of(read.load(exported("text_only")[0]), np.zeros((3, 8, 8)), 0)


def test_conformal_thresholds_by_hand():
    truth = np.eye(2, dtype=bool)[[0, 0, 0, 1]]
    p = np.array([0.9, 0.8, 0.6, 0.3])  # of the true class
    scores = np.where(truth, p[:, None], 1 - p[:, None])
    # Of 4: the ceil(5 * 0.6) = third largest; 5 * 0.9 lies beyond them.
    assert conformal.threshold(truth, scores, "single", 0.6) == 0.6
    assert conformal.threshold(truth, scores, "single", 0.9) == 0.0
    truth = np.array([[1, 1], [1, 0], [0, 0], [0, 1]], bool)
    scores = np.array([[0.2, 0.9], [0.8, 0.1], [0.9, 0.9], [0.5, 0.4]])
    # Sorted: 0.2 (half of an image), 0.4, 0.8, 0.9. At 0.4 R = 0.5/4: (0.5 + 1)/5 = 0.3.
    assert conformal.threshold(truth, scores, "multi", 0.7) == 0.4
    assert conformal.threshold(truth, scores, "multi", 0.69) == 0.4
    # At 0.8 R = 1.5/4: (1.5 + 1)/5 = 0.5.
    assert conformal.threshold(truth, scores, "multi", 0.5) == 0.8
    assert conformal.threshold(truth, scores, "multi", 0.81) == 0.0
    chosen = conformal.sets(scores, 0.4)
    np.testing.assert_allclose(conformal.covered(truth, chosen), [0.5, 1, 1, 1])


@pytest.mark.parametrize("task", ["single", "multi"])
def test_sets_hold_the_truth_as_often_as_stated(task):
    """Means over 300 draws of 99 validation and 200 test images, to about three standard errors."""
    rng = np.random.default_rng(0)
    means = []
    for _ in range(300):
        logits = rng.normal(size=(299, 4)) * 2
        if task == "single":
            p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
            truth = np.eye(4, dtype=bool)[[rng.choice(4, p=one) for one in p]]
        else:
            p = 1 / (1 + np.exp(-logits))
            truth = rng.random(p.shape) < p
        limit = conformal.threshold(truth[:99], p[:99], task, 0.8)
        means.append(conformal.covered(truth[99:], conformal.sets(p[99:], limit)).mean())
    # At most 1 / (n + 1) above for single; risk control loses at most 2 / (n + 1).
    assert 0.8 - 0.008 < np.mean(means) < 0.8 + 0.02 + 0.008


def test_distances_are_mahalanobis_and_those_of_training_are_about_one():
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(5, 5))
    features = rng.normal(size=(4000, 5)) @ mix + 3
    summary = familiar.fitted(features)
    point = np.full((1, 5), 4.0)
    covariance = mix.T @ mix
    apart = point[0] - 3
    expected = np.sqrt(apart @ np.linalg.inv(covariance) @ apart / 5)
    assert summary.distance(point)[0] == pytest.approx(expected, rel=0.05)
    assert np.sqrt((summary.distance(features) ** 2).mean()) == pytest.approx(1, abs=0.01)


def test_fewer_images_than_features_still_give_distances():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(20, 50))
    summary = familiar.fitted(features)
    assert summary.distance(features * 5).mean() > 2 * summary.distance(features).mean()


def test_blur_lowers_focus_and_magnification_enlarges_structures():
    rng = np.random.default_rng(0)
    image = ndimage.gaussian_filter(rng.normal(size=(3, 128, 128)), (0, 2, 2))
    blurred = ndimage.gaussian_filter(image, (0, 2, 2))
    assert look.focus(blurred) < look.focus(image) - 1
    large = ndimage.zoom(image[:, :64, :64], (1, 2, 2), order=1)
    small = ndimage.zoom(image, (1, 0.5, 0.5), order=1)
    assert look.scale(small) + 0.2 < look.scale(image) < look.scale(large) - 0.2
    assert np.isfinite([look.focus(np.zeros((3, 4, 4))), look.scale(np.zeros((3, 4, 4)))]).all()


def test_an_appearance_is_its_colours_and_differences():
    pixels = np.zeros((3, 8, 8))
    pixels[1] = np.arange(8)[:, None]
    numbers = look.appearance(pixels)
    assert numbers.shape == (15,) and numbers[:3].tolist() == [0, 3.5, 0]
    assert numbers[4] == pytest.approx(np.sqrt(5.25))
    assert np.exp(numbers[[7, 13]]) == pytest.approx([1, 4], rel=1e-4)
    assert np.isfinite(numbers).all()


def test_a_limit_is_exceeded_as_often_as_stated():
    values = np.arange(1.0, 20)
    assert measured.limit(values, 0.1) == 18  # ceil(20 * 0.9)
    assert measured.limit(values, 0.05) == 19
    assert measured.limit(values, 0.04) is None
    assert measured.limit(np.zeros(0), 0.5) is None


@pytest.mark.parametrize("recipe", ["clip_it", "fusion_partial"])
def test_an_export_says_how_far_it_can_be_trusted(exported, recipe):  # noqa: F811
    folder, run, *_ = exported(recipe)
    one = read.load(folder)
    believed = trust.load(one)
    assert believed.settings["validation"] == {"samples": 4, "images": 4}
    rows = run.samples.iloc[:2]
    pixels = np.stack([one.pixels(images.load(run.root, path)) for path in rows["path"]])
    notes = list(rows["caption"]) if "text" in one.reads else None
    logits, features = one.answer(pixels, notes)
    expected = one.predictor.image(torch.from_numpy(pixels)).detach()
    np.testing.assert_allclose(features, expected, atol=1e-4)
    names = [w["name"] for w in believed.warnings(pixels[0], features[0])]
    assert names == ["unfamiliar", "unusual", "blurred", "magnified", "shrunk"]
    far = believed.warnings(pixels[0] * 0, features[0] + 100)
    assert [w["holds"] for w in far][:3] == [True, True, True]
    answer = believed.findings(one.probabilities_of(logits)[0])
    assert answer["coverage"] == 0.5 and set(answer["set"]) <= {"c0", "c1"}
    assert answer["abstains"] == (len(answer["set"]) != 1)


def test_a_model_of_notes_warns_of_no_image(exported):  # noqa: F811
    one = read.load(exported("text_only")[0])
    believed = trust.load(one)
    assert believed.warnings(None, None) == [] and believed.familiar == {}
    assert believed.findings(np.array([1.0, 0.0]))["set"] is not None


def test_several_labels_abstain_only_from_nothing():
    settings = {"coverage": 0.9, "threshold": 0.5, "limits": {}}
    believed = trust.Trust(settings, {}, "multi", ["a", "b"])
    assert believed.findings(np.array([0.9, 0.5])) == {
        "set": ["a", "b"],
        "coverage": 0.9,
        "abstains": False,
    }
    assert believed.findings(np.array([0.1, 0.2]))["abstains"]


def test_folders_of_before_say_nothing_and_broken_ones_say_so(exported, tmp_path):  # noqa: F811
    import shutil

    folder = shutil.copytree(exported("clip_it")[0], tmp_path / "export")
    (folder / trust.FILE).write_bytes(b"x")
    with pytest.raises(InputError, match="Export again"):
        trust.load(read.load(folder))
    config = json.loads((folder / "config.json").read_text())
    del config["trust"]
    (folder / "config.json").write_text(json.dumps(config))
    assert trust.load(read.load(folder)) is None


@pytest.fixture(scope="module")
def with_evidence(exported, world, tmp_path_factory):  # noqa: F811
    """Exports that carry a bank, of runs that were exported without one."""

    def of(recipe):
        folder, run, _, files = exported(recipe)
        assert not list(folder.glob("evidence*"))
        assert evidence.load(read.load(folder)) is None
        out = tmp_path_factory.mktemp(f"{recipe}-evidence") / "export"
        reports = {"evidence": world["artifacts"]["reports"]}
        terms = {"role": "reports as evidence", "name": "notes", "description": ""}
        sources = [*SOURCES, terms | {"licence": "CC-BY-4.0"}]
        write_export(run, files | reports, out, EXPORT | {"evidence": True}, sources)
        return out, run

    return of


def test_the_nearest_training_image_of_one_is_itself(with_evidence):
    folder, run = with_evidence("zero_shot")
    one = read.load(folder)
    bank = evidence.load(one)
    train = run.samples[run.samples["split"] == "train"]
    pixels = one.pixels(images.load(run.root, train["path"].iloc[3]))[None]
    features = one.answer(pixels, None)[1][0]
    nearest = bank.nearest({"image": features}, 3)
    first = nearest["images"][0]
    assert first["image"] == train["path"].iloc[3]
    assert first["labels"] == list(train["labels"].iloc[3])
    assert first["similarity"] == pytest.approx(1, abs=2e-3)
    assert (first["source"], first["licence"]) == ("tiles", "CC0-1.0")
    # A frozen CLIP's image tower is compared with its texts.
    text = run.encoder()
    words = nearest["reports"][0]["text"]
    cosine = torch.cosine_similarity(
        torch.from_numpy(features)[None], text.text(text.tokenize([words]))
    )
    assert nearest["reports"][0]["similarity"] == pytest.approx(cosine.item(), abs=2e-3)
    assert nearest["reports"][0]["licence"] == "CC-BY-4.0"
    card = (folder / "README.md").read_text()
    assert "16 training images (paths, labels, features) and 8 reports" in card


def test_a_note_asks_for_reports_and_a_trained_image_tower_for_none(with_evidence):
    folder, _ = with_evidence("text_only")
    one = read.load(folder)
    bank = evidence.load(one)
    assert list(bank.described) == ["reports"]
    encoder = one.predictor.encoders["text"]
    text = bank.described["reports"]["rows"][5]["text"]
    features = encoder.text(encoder.tokenize([text]))[0].detach().numpy()
    nearest = bank.nearest({"text": features}, 8)["reports"]
    similarities = {row["text"]: row["similarity"] for row in nearest}
    # A random tower tells texts hardly apart.
    assert similarities[text] == pytest.approx(1, abs=2e-3)
    assert nearest[0]["similarity"] == max(similarities.values()) <= 1.002
    assert bank.nearest({"image": features}) == {}
    assert list(evidence.load(read.load(with_evidence("lora")[0])).described) == ["images"]


def test_a_bank_that_does_not_fit_is_refused(with_evidence):
    folder, _ = with_evidence("linear_head")
    rows = json.loads((folder / evidence.ROWS).read_text())
    rows["images"]["rows"].pop()
    (folder / evidence.ROWS).write_text(json.dumps(rows))
    with pytest.raises(InputError, match="15 images have 16 vectors"):
        evidence.load(read.load(folder))
