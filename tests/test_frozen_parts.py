"""What stays frozen is computed once: training from a cache is training through the tower."""

import pytest
import test_methods
import torch
from safetensors.torch import load_file
from test_methods import LORA, make

from histopair.encoders import Encoder
from histopair.encoders.activations import cache as activation_cache
from histopair.export import finished
from histopair.files import tables
from histopair.images import pixels
from histopair.methods.clip_it import text_stage
from histopair.plan import recipes
from histopair.training import adapted_images, checkpoint, loop, lora, one_run

world = test_methods.world
SETTINGS = {"cache": True, "budget_gb": 1.0, "storage": "float32"}
TEXT = {"text_lora": LORA, "text_epochs": 1}
CASES = {
    "lora": ("vit", {}),
    "clip_it": ("vit", TEXT),
    "distil_lora": ("vit", {"hidden": 8, "distillation_epochs": 2}),
    "contrastive": ("clip", {"text_lora": LORA}),
    "fixmatch": ("vit", {"unlabelled_ratio": 2}),
}


@pytest.fixture(scope="module")
def activations(world, tmp_path_factory):
    """Of both encoders, folders of what the last of their two blocks takes."""
    folder, kept = tmp_path_factory.mktemp("activations"), {}
    for name in ("vit", "clip"):
        out, shards = str(folder / name), str(folder / f"{name}.shards")
        root, labels = str(world["folder"] / "data"), world["artifacts"]["labels"]
        about = {"code": "x"}
        activation_cache.make(
            "images", labels, root, world[name], 1, 1, SETTINGS, shards, out, about
        )
        kept[name] = out
    return kept


@pytest.fixture
def through_the_tower(monkeypatch):
    """Have methods run the whole tower on pixels in every step."""

    def tower(run, encoder: Encoder | None = None):
        start = torch.get_rng_state()
        encoder = encoder or run.encoder()
        if run.method["lora"] is None:
            torch.set_rng_state(start)  # embeddings need no tower, so heads start as without it
        preprocess = pixels.normalised(encoder.preprocess, run.method.get("normalisation", "own"))
        adapted = lora.adapt(encoder.image, run.method["lora"])
        return adapted, encoder.image_dim, run.pixels(preprocess)

    def switch():
        monkeypatch.setattr(adapted_images, "tower", tower)

    return switch


def trained(world, recipe, settings, folder, **artifacts):
    """A finished run: it, the history of its last job, its last stage."""
    encoder, parameters = CASES[recipe]
    world = world | {"artifacts": world["artifacts"] | artifacts}
    run = make(world, recipe, encoder, lora=settings, **parameters)
    stage, history = one_run.train(run, str(folder))
    return run, history, stage


def same_losses(ours: list[dict], theirs: list[dict], tolerance: float) -> None:
    assert len(ours) == len(theirs) > 1
    for one, other in zip(ours, theirs, strict=True):
        assert one.keys() == other.keys()
        for name in one.keys() - {"stage"}:
            assert one[name] == pytest.approx(other[name], abs=tolerance), name


@pytest.mark.parametrize("recipe", [name for name in CASES if name != "fixmatch"])
def test_losses_from_the_activation_cache_are_those_of_the_whole_tower(
    world, activations, recipe, tmp_path, through_the_tower, capsys
):
    settings, encoder = LORA | {"blocks": 1}, CASES[recipe][0]
    cached = {"image_activations": activations[encoder]}
    _, ours, stage = trained(world, recipe, settings, tmp_path / "a", **cached)
    assert "activations of the frozen blocks are read from" in capsys.readouterr().out
    through_the_tower()
    _, theirs, whole = trained(world, recipe, settings, tmp_path / "b")
    same_losses(ours, theirs, 1e-4)
    weights, expected = checkpoint.weights(stage.model), checkpoint.weights(whole.model)
    assert weights.keys() == expected.keys() and any("lora_A" in name for name in weights)
    for name, tensor in weights.items():
        torch.testing.assert_close(tensor, expected[name], atol=1e-4, rtol=1e-3, msg=name)


@pytest.mark.parametrize("recipe", [name for name in CASES if name != "fixmatch"])
def test_losses_of_a_frozen_tower_from_its_embeddings_are_those_of_the_tower(
    world, recipe, tmp_path, through_the_tower
):
    _, ours, stage = trained(world, recipe, None, tmp_path / "a")
    assert not any(name.startswith(("backbone", "image")) for name in stage.model.state_dict())
    through_the_tower()
    _, theirs, _ = trained(world, recipe, None, tmp_path / "b")
    same_losses(ours, theirs, 1e-5)


@pytest.mark.parametrize("recipe", CASES)
@pytest.mark.parametrize("settings", [LORA | {"blocks": 1}, None], ids=["last block", "frozen"])
def test_a_finished_run_predicts_from_pixels_what_it_did_from_caches(
    world, activations, recipe, settings, tmp_path
):
    cached = {"image_activations": activations[CASES[recipe][0]]}
    run, _, stage = trained(world, recipe, settings, tmp_path, **cached)
    rows = run.rows("test")
    expected = loop.predict(stage, rows, run.device)
    one_run.write_weights(stage.model, str(tmp_path / "weights"), {})
    model = finished.model_of(run, str(tmp_path / "weights"))
    assert not lora.adapted_layers(model)
    scores = run.scores(finished.logits_of(run, model, rows, run.device))
    torch.testing.assert_close(scores, expected, atol=1e-5, rtol=1e-4)
    if hasattr(run.recipe, "trained"):
        model, encoder = run.recipe.trained(run, load_file(tmp_path / "weights"))
        answers = model.eval()(run.pixels(encoder.preprocess)(rows))
        logits = answers[0] if isinstance(answers, tuple) else answers
        torch.testing.assert_close(run.scores(logits), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("settings", [LORA | {"blocks": 1}, None], ids=["last block", "frozen"])
def test_pixels_of_another_normalisation_are_in_no_cache(world, settings):
    run = make(world, "lora", lora=settings, normalisation="imagenet")
    assert recipes.needs(run.method) == ("images",)
    backbone, width, images = adapted_images.tower(run)
    encoder, rows = run.encoder(), torch.arange(3)
    source = run.pixels(pixels.normalised(encoder.preprocess, "imagenet"))
    torch.testing.assert_close(backbone(images(rows)), encoder.image(source(rows)))
    assert width == encoder.image_dim


def test_activations_that_are_not_kept_are_computed_in_each_step(world, activations, tmp_path):
    about = tables.read_json(f"{activations['vit']}/about.json")
    tables.write_json(tmp_path / "about.json", about | {"on": False, "reason": "of the disk"})
    run = make(world, "lora", lora=LORA | {"blocks": 1})
    run.artifacts |= {"image_activations": str(tmp_path)}
    backbone, _, images = adapted_images.tower(run)
    encoder, rows = run.encoder(), torch.arange(3)
    expected = encoder.image(run.pixels(encoder.preprocess)(rows))
    torch.testing.assert_close(backbone(images(rows)), expected)


def test_a_text_tower_may_have_adapters_in_its_last_blocks_alone(world):
    run = make(world, "clip_it", lora=None, text_lora=LORA | {"blocks": 1})
    model, _ = text_stage.classifier(run, frozen=False)
    adapted = lora.adapted_layers(model)
    assert adapted and all(".resblocks.1." in name for name in adapted)
