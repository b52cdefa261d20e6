"""Fine-tuning: whole towers by hand, layers' rates, mixed weights, memory, against references."""

import copy

import pytest
import test_methods
import test_split_towers as examples
import timm
import torch
from test_methods import make
from timm.optim import param_groups_layer_decay
from torch import nn
from torch.nn.functional import cross_entropy

from histopair import encoders
from histopair.encoders import embed
from histopair.encoders.activations import split_towers
from histopair.errors import InputError
from histopair.jobs import devices
from histopair.methods import (
    cross_attention,
    fine_tune,
    fusion_partial,
    image_only,
    linear_probe,
    text_only,
)
from histopair.training import checkpoint, layer_rates, loop, one_run, recomputed, wise_ft

world = test_methods.world
CPU = torch.device("cpu")
ONE_STEP = {"epochs": 1, "batch_size": 100, "clip": 1e9, "learning_rate": 1e-3}


def one_step_by_hand(run, tower, head, inputs):
    """Adam's first step on the train split, in the order that the loop draws."""
    torch.manual_seed(devices.seed_of(run.seed, "main", 0))
    rows = run.rows("train")
    rows = rows[torch.randperm(len(rows))]
    model = nn.Sequential(tower, head).train().requires_grad_(True)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    cross_entropy(model(inputs(rows)), run.targets[rows]).backward()
    optimizer.step()


@pytest.mark.parametrize(
    "recipe, kind, encoder",
    [(fine_tune, "image", "vit"), (image_only, "image", "clip"), (text_only, "text", "bert")],
)
def test_a_step_of_a_whole_tower_is_that_of_the_same_model_by_hand(world, recipe, kind, encoder):
    run = make(world, recipe.__name__.rsplit(".")[-1], encoder, unfreeze="all", **ONE_STEP)
    (stage,) = recipe.build(run)
    loaded, head = encoders.load(world[encoder]), copy.deepcopy(stage.model.head)
    if kind == "image":
        inputs = run.pixels(loaded.preprocess)
    else:
        texts = list(run.samples["caption"])
        tokens, _ = embed.tokenize_all(loaded.tokenize, loaded.pad_id, texts)
        inputs = tokens.__getitem__
    tower = getattr(loaded, kind)
    before = copy.deepcopy(tower.state_dict())
    loop.fit(stage, run.seed, "unused", CPU)
    torch.manual_seed(0)
    one_step_by_hand(run, tower, head, inputs)
    ours = stage.model.backbone.state_dict()
    moved = [name for name, tensor in ours.items() if not torch.equal(tensor, before[name])]
    assert len(moved) > len(before) * 0.8
    for name, tensor in tower.state_dict().items():
        assert torch.equal(ours[name], tensor), name
    for mine, theirs in zip(stage.model.head.parameters(), head.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_the_image_tower_alone_is_unfrozen_wholly(world):
    run = make(world, "fusion_partial", "clip", unfreeze={"image": "all", "text": 0})
    (stage,) = fusion_partial.build(run)
    trained = {name for name, p in stage.model.named_parameters() if p.requires_grad}
    whole = encoders.load(world["clip"]).image
    images = {f"image.{name}" for name, _ in whole.named_parameters()}
    assert images == {name for name in trained if not name.startswith("head.")}
    rows = torch.tensor([2, 5])
    image, text = stage.fetch(rows)["inputs"]
    assert image[0].shape == (2, 3, 32, 32)
    torch.testing.assert_close(text[0], run.embeddings("caption_embeddings")[rows])


# --- layers' rates ---


def test_rates_of_two_blocks_by_hand():
    tower = examples.vit(depth=2)
    rates = layer_rates.of_backbone(tower, "backbone", 0.1, 0.5)
    assert rates == {
        "backbone.cls_token": 0.0125,
        "backbone.pos_embed": 0.0125,
        "backbone.patch_embed": 0.0125,
        "backbone.blocks.0": 0.025,
        "backbone.blocks.1": 0.05,
        "backbone.norm": 0.05,
    }


def test_rates_are_timms_where_its_grouping_is_right():
    tower = timm.create_model("vit_tiny_patch16_224", num_classes=2, depth=3)
    scales = {}
    for group in param_groups_layer_decay(tower, layer_decay=0.75):
        scales |= {id(p): group["lr_scale"] for p in group["params"]}
    tower.reset_classifier(0)
    rates = layer_rates.of_backbone(tower, "b", 1.0, 0.75)
    for name, parameter in tower.named_parameters():
        [rate] = [rate for part, rate in rates.items() if f"b.{name}.".startswith(f"{part}.")]
        assert rate == pytest.approx(scales[id(parameter)]), name


def test_register_tokens_and_a_norm_before_the_blocks_count_with_the_embedding():
    tower = examples.vit(reg_tokens=2, pre_norm=True)
    layers = layer_rates.layers_of(tower)
    assert {layers[name] for name in ("reg_token", "cls_token", "norm_pre.weight")} == {0}
    assert layers["norm.weight"] == 3


def named(text: str, tmp_path) -> nn.Module:
    return examples.TOWERS[f"image: {text}"](tmp_path)


@pytest.mark.parametrize(
    "name, lowest, highest",
    [
        ("clip", ("conv1.weight", "ln_pre.weight"), ("ln_post.weight", "proj")),
        ("resnet", ("conv1.weight",), ("layer4.0.conv1.weight",)),
        ("locked", ("trunk.pos_embed",), ("trunk.norm.weight", "head.weight")),
    ],
)
def test_every_tower_has_its_embedding_lowest(name, lowest, highest, tmp_path):
    tower = named(name, tmp_path)
    layers = layer_rates.layers_of(tower)
    assert set(layers) == {name for name, _ in tower.named_parameters()}
    assert {layers[name] for name in lowest} == {0}
    assert {layers[name] for name in highest} == {max(layers.values())}


def test_the_last_blocks_alone_have_the_rates_that_they_have_in_the_whole():
    _, trained = split_towers.split(examples.vit(), 2)
    rates = layer_rates.of_backbone(trained, "b", 1.0, 0.5)
    assert rates == {"b.blocks.0": 0.25, "b.blocks.1": 0.5, "b.end": 0.5}


def test_models_of_timm_that_cannot_be_split_have_timms_layers():
    tower = timm.create_model("efficientnet_lite0", num_classes=0)
    layers = layer_rates.layers_of(tower)
    assert layers["conv_stem.weight"] == 0 and layers["blocks.6.0.conv_pw.weight"] > 10


def test_a_tower_of_no_known_order_is_one_clear_line():
    with pytest.raises(InputError, match=r"no order of its layers.*layer_decay to 1"):
        layer_rates.of_backbone(nn.Linear(2, 2), "b", 1.0, 0.5)


def test_a_run_trains_each_layer_at_its_rate(world):
    run = make(world, "fine_tune", layer_decay=0.5, **ONE_STEP)
    (stage,) = fine_tune.build(run)
    before = checkpoint.weights(stage.model)
    loop.fit(stage, 0, "unused", CPU)
    after = checkpoint.weights(stage.model)
    # Adam's first step is as large as the rate wherever the gradient is not tiny.
    largest = {name: (after[name] - before[name]).abs().max().item() for name in before}
    for name, rate in (
        ("head.weight", 1e-3),
        ("backbone.blocks.1.mlp.fc2.weight", 5e-4),
        ("backbone.blocks.0.mlp.fc2.weight", 2.5e-4),
        ("backbone.pos_embed", 1.25e-4),
    ):
        assert largest[name] == pytest.approx(rate, rel=1e-2), name


# --- the head's start, and mixed weights ---


def test_the_head_starts_as_the_linear_probe(world):
    run = make(world, "fine_tune", start="probe")
    stage = next(fine_tune.build(run))
    (theirs,) = linear_probe.build(make(world, "linear_probe"))
    assert torch.equal(stage.model.head.weight, theirs.model.weight)
    val = run.rows("val")
    ours = loop.evaluate(stage, val, CPU)["task"]
    assert ours == pytest.approx(theirs.history[0]["val_task"], abs=1e-3)


def test_weights_are_mixed_by_hand():
    before = {"w": torch.tensor([1.0, 2.0]), "count": torch.tensor(3)}
    after = {"w": torch.tensor([5.0, 0.0]), "count": torch.tensor(7)}
    mixed = wise_ft.mixed(before, after, 0.25)
    torch.testing.assert_close(mixed["w"], torch.tensor([2.0, 1.5]))
    assert mixed["count"] == 7


@pytest.mark.parametrize("share", [0.0, 0.3, "choose"])
def test_a_run_predicts_with_the_mixed_weights(world, share):
    run = make(world, "fine_tune", start="probe", wise=share)
    stages = fine_tune.build(run)
    tuned = next(stages)
    before = checkpoint.weights(tuned.model)
    loop.fit(tuned, 0, "unused", CPU)
    after = checkpoint.weights(tuned.model)
    wise = next(stages)
    [row] = wise.history
    if share == "choose":
        losses = {}
        for tenth in range(11):
            weights = {n: before[n] * (1 - tenth / 10) + after[n] * tenth / 10 for n in before}
            tuned.model.load_state_dict(weights, strict=False)
            losses[tenth / 10] = loop.evaluate(tuned, run.rows("val"), CPU)["task"]
        assert losses[row["share"]] == pytest.approx(min(losses.values()), rel=1e-5)
        wise.model.load_state_dict(wise_ft.mixed(before, after, row["share"]), strict=False)
    else:
        assert row["share"] == share
        for name, tensor in checkpoint.weights(wise.model).items():
            expected = before[name] * (1 - share) + after[name] * share
            torch.testing.assert_close(tensor, expected)
    assert loop.evaluate(wise, run.rows("val"), CPU)["task"] == pytest.approx(row["val_task"])


@pytest.mark.parametrize(
    "parameters, key",
    [
        ({"layer_decay": 0.0}, "layer_decay"),
        ({"layer_decay": 1.1}, "layer_decay"),
        ({"wise": 1.5, "start": "probe"}, "wise"),
        ({"wise": "choose"}, "wise"),
        ({"wise": 0.5}, "wise"),
    ],
)
def test_parameters_that_do_not_fit_are_named(parameters, key):
    method = fine_tune.PARAMETERS | parameters
    assert list(fine_tune.mistakes(method)) == [key]
    assert not fine_tune.mistakes(fine_tune.PARAMETERS | {"wise": "choose", "start": "probe"})


# --- memory ---


def gradients(tower, inputs, switch: bool):
    tower = copy.deepcopy(tower).train().requires_grad_(True)
    if switch:
        recomputed.switch_on(tower, "vit")
    torch.manual_seed(1)
    tower(*inputs).square().sum().backward()
    return {name: parameter.grad for name, parameter in tower.named_parameters()}


@pytest.mark.parametrize("name", ["vit", "clip", "locked"])
@pytest.mark.parametrize("blocks", ["all", 2])
def test_gradients_are_the_same_if_activations_are_computed_again(name, blocks, tmp_path):
    torch.manual_seed(0)
    before, trained = split_towers.split(examples.random(named(name, tmp_path)), blocks)
    inputs = before(torch.randn(3, 3, 32, 32))
    kept = gradients(trained, inputs, False)
    for key, gradient in gradients(trained, inputs, True).items():
        torch.testing.assert_close(gradient, kept[key], msg=key)


def test_blocks_really_are_computed_again(tmp_path):
    calls = []
    tower = examples.vit()
    for block in tower.blocks:
        block.mlp.register_forward_pre_hook(lambda *_: calls.append(1))
    gradients(tower, (torch.randn(2, 3, 32, 32),), True)
    assert len(calls) == 2 * examples.LAYERS


@pytest.mark.parametrize("tower", [examples.resnet, lambda: nn.Linear(2, 2)])
def test_towers_whose_activations_cannot_be_computed_again_are_named(tower):
    with pytest.raises(InputError, match=r"encoder vit: .*checkpointing to false"):
        recomputed.switch_on(tower(), "vit")


def test_accumulated_gradients_are_those_of_the_large_batch(world):
    ends = []
    for settings in ({}, {"accumulate": 4}, {"accumulate": 4, "checkpointing": True}):
        run = make(world, "fine_tune", **ONE_STEP, **settings, optimizer="adamw")
        stage, _ = one_run.train(run, "unused")
        ends.append(torch.cat([w.flatten() for w in checkpoint.weights(stage.model).values()]))
    # Adam divides by the gradient's size, which blows up rounding where it is nearly zero.
    for other in ends[1:]:
        apart = (other - ends[0]).abs()
        assert apart.quantile(0.99) < 1e-6 and apart.max() < 1e-3


# --- cross-attention of whole towers ---


@pytest.mark.parametrize("blocks", ["all", {"image": "all", "text": 1}])
def test_cross_attention_of_whole_towers_asks_what_enters_their_first_block(world, blocks):
    run = make(world, "cross_attention", "clip", unfreeze=blocks, attention_heads=2)
    (stage,) = cross_attention.build(run)
    model, rows = stage.model.eval(), torch.tensor([3, 4, 9])
    clip = encoders.load(world["clip"])
    pixels = run.pixels(clip.preprocess)(rows)
    logits = model(*stage.fetch(rows)["inputs"])
    patches = clip.image._embeds(pixels)
    text = stage.fetch(rows)["inputs"][1]
    words, present = model.states("text", text)
    read = model.text(words, present)
    seen = model.asks["image"](clip.image(pixels), words, ~present)
    expected = model.head(torch.cat([seen, model.asks["text"](read, patches)], dim=1))
    torch.testing.assert_close(logits, expected)
    stage.loss(stage.model, stage.fetch(rows))["loss"].backward()
    unused = [name for name, p in model.named_parameters() if p.grad is None]
    assert unused == []
    images = {name for name, _ in model.named_parameters() if ".image." in f".{name}"}
    assert len(images) == len(list(clip.image.parameters())) + len(
        list(model.asks["image"].parameters())
    )
