"""Adapters: a low-rank update through peft, no change at the start, merged without a trace."""

import copy
import re
from pathlib import Path

import pytest
import test_split_towers as examples
import timm
import torch
from torch import nn

from histopair.errors import InputError
from histopair.training import lora


def settings(rank, alpha, targets="all") -> dict:
    return {"rank": rank, "alpha": alpha, "targets": targets}


def tower():
    torch.manual_seed(0)
    return timm.create_model(
        "vit_tiny_patch16_224",
        img_size=32,
        patch_size=8,
        embed_dim=32,
        depth=2,
        num_heads=2,
        num_classes=0,
    ).eval()


def trainable(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: p for name, p in module.named_parameters() if p.requires_grad}


def test_an_adapted_tower_starts_where_it_was():
    pixels = torch.randn(2, 3, 32, 32)
    model = tower()
    before = model(pixels)
    torch.testing.assert_close(lora.adapt(model, settings(4, 2))(pixels), before)


def test_only_adapters_train_and_their_number_is_that_of_the_ranks():
    model = lora.adapt(nn.Sequential(nn.Linear(6, 5)), settings(2, 1))
    trained = {name: p.shape for name, p in model.named_parameters() if p.requires_grad}
    assert sum(p.numel() for p in trainable(model).values()) == 2 * (6 + 5)
    assert all("lora_" in name for name in trained)


def test_the_update_is_alpha_over_rank_times_b_a():
    model = lora.adapt(nn.Sequential(nn.Linear(3, 2, bias=False)), settings(2, 6))
    layer = model[0]
    a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    with torch.no_grad():
        b.normal_()
    x = torch.randn(4, 3)
    expected = x @ layer.base_layer.weight.T + 6 / 2 * x @ a.T @ b.T
    torch.testing.assert_close(model(x), expected)


def test_merging_changes_no_output():
    model = lora.adapt(tower(), settings(4, 2))
    for name, p in model.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(p, std=0.1)
    pixels = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        before = model(pixels)
        torch.testing.assert_close(lora.merge(model)(pixels), before, atol=1e-4, rtol=1e-4)


def test_no_linear_means_embeddings_and_convolutions():
    assert lora.target_names(tower(), "no-linear") == ["patch_embed.proj"]


def test_projections_of_attention_are_adapted_like_any_linear_layer():
    tower = nn.ModuleDict({"attn": nn.MultiheadAttention(8, 2), "fc": nn.Linear(8, 8)})
    model = lora.adapt(tower, settings(2, 1))
    trained = {name.split(".lora_")[0]: p for name, p in trainable(model).items()}
    assert set(trained) == {"attn.in_proj", "attn.out_proj", "fc"}
    numbers = sum(p.numel() for p in trainable(model).values())
    assert numbers == 2 * (8 + 24) + 2 * (8 + 8) + 2 * (8 + 8)


def test_names_are_those_of_the_layers_and_not_ends_of_others():
    tower = nn.ModuleDict(
        {"fc": nn.Embedding(3, 2), "head": nn.ModuleDict({"fc": nn.Linear(2, 2)})}
    )
    model = lora.adapt(tower, settings(2, 1, "no-linear"))
    assert set(lora.adapted_layers(model)) == {"fc"}


def towers(folder) -> dict:
    """One of each family, and an input of it."""
    found = {
        name: (lambda make=make: make(folder / "locked"), examples.example(name))
        for name, make in examples.TOWERS.items()
    }
    small = torch.randn(2, 3, 64, 64)
    sizes = {"img_size": 64, "depth": 1, "embed_dim": 24, "num_heads": 2}
    stages = {"img_size": 64, "embed_dim": 12, "depths": (1, 1), "num_heads": (2, 2)}
    stages |= {"drop_path_rate": 0.0}  # a block that is dropped passes no gradient
    clip = {"layers": [1, 1, 1, 1], "width": 16, "head_width": 16, "image_size": 32}
    pooled = {"attentional_pool": True, "attn_pooler_heads": 2, "attn_pooler_queries": 3}
    layer = nn.TransformerEncoderLayer(16, 4, 32, 0.0, batch_first=True)
    made = {
        "eva": ("eva_giant_patch14_224", sizes | {"img_size": 56}),
        "eva02": ("eva02_tiny_patch14_224", sizes | {"img_size": 56}),
        "beit": ("beit_base_patch16_224", sizes),
        "swin": ("swin_tiny_patch4_window7_224", stages | {"img_size": 56}),
        "swin v2": ("swinv2_tiny_window8_256", stages),
    }
    for name, (model, arguments) in made.items():
        size = arguments.get("img_size", 64)
        found[name] = (
            lambda model=model, arguments=arguments: timm.create_model(
                model, num_classes=0, **arguments
            ),
            torch.randn(2, 3, size, size),
        )
    found |= {
        "convnext": (
            lambda: timm.models.ConvNeXt(depths=(1, 1, 1, 1), dims=(8,) * 4, num_classes=0),
            small,
        ),
        "convolutions that do more": (
            lambda: nn.Sequential(
                timm.layers.StdConv2d(3, 4, 3),
                timm.layers.ScaledStdConv2d(4, 4, 3),
                timm.layers.Conv2dSame(4, 4, 3, 2),
                nn.Conv2d(4, 4, 3, dilation=2, padding=1, padding_mode="circular"),
            ),
            small[:, :, :16, :16],
        ),
        "open_clip's resnet": (
            lambda: examples.clip(vision_cfg=clip).visual,
            small[:, :, :32, :32],
        ),
        "open_clip's pool of one width": (
            lambda: examples.clip(vision_cfg=examples.VISION | pooled, embed_dim=32).visual,
            examples.example("image"),
        ),
        "torch's encoder": (lambda: nn.TransformerEncoder(layer, 2), torch.randn(2, 5, 16)),
        "torch's attention": (lambda: Asking(nn.MultiheadAttention(16, 4)), torch.randn(5, 2, 16)),
        "torch's attention, other widths": (
            lambda: Asking(nn.MultiheadAttention(16, 4, kdim=12, vdim=8, add_bias_kv=True)),
            torch.randn(5, 2, 16),
        ),
        "one layer twice": (lambda: Twice(nn.Linear(16, 16)), torch.randn(5, 16)),
    }
    return found


class Asking(nn.Module):
    """Attention of an input to parts of itself."""

    def __init__(self, attention):
        super().__init__()
        self.attention = attention

    def forward(self, x):
        key, value = (x[..., : getattr(self.attention, width)] for width in ("kdim", "vdim"))
        whole = self.attention.kdim == x.shape[-1]
        return self.attention(x, *((x, x) if whole else (key, value)), need_weights=False)[0]


class Twice(nn.Module):
    """A layer in two places under two names."""

    def __init__(self, layer):
        super().__init__()
        self.shared, self.inner = layer, nn.ModuleDict({"shared": layer})

    def forward(self, x):
        return self.inner["shared"](x).tanh()


NAMES = list(towers(Path("any")))


def draw(model) -> None:
    for _, parameter in model.named_parameters():
        if parameter.requires_grad:
            nn.init.normal_(parameter, std=0.1)


def matrices(layer) -> tuple[torch.Tensor, torch.Tensor]:
    """B (out, rank) and A (rank, ...) of an adapted layer."""
    if layer.lora_embedding_A:
        return layer.lora_embedding_B["default"], layer.lora_embedding_A["default"]
    return layer.lora_B["default"].weight, layer.lora_A["default"].weight


def product(layer) -> torch.Tensor:
    """B A in the form of the layer's weight."""
    b, a = matrices(layer)
    found = torch.einsum("or,ri...->oi...", b.flatten(1), a)
    return found.T if layer.lora_embedding_A else found


def library_name(layer: str, known) -> str:
    """The name of a layer's weight in the tower as its library made it."""
    name = f"{layer}.weight"
    return name if name in known else re.sub(r"_proj\.weight$", "_proj_weight", name)


@pytest.fixture(params=NAMES)
def family(request, tmp_path):
    """A tower as its library made it, another with adapters drawn at random, and an input."""
    torch.manual_seed(0)
    make, x = towers(tmp_path)[request.param]
    tower = make().double().eval()
    for parameter in tower.parameters():  # many are 0 at the start, and pass no gradient
        parameter.data.add_(0.05 * torch.randn_like(parameter))
    adapted = lora.adapt(copy.deepcopy(tower), settings(2, 6)).eval()
    draw(adapted)
    return tower, adapted, x.double() if x.is_floating_point() else x


RATIO = 6 / 2  # alpha over rank


def test_forward_gradient_and_merge_are_those_of_the_formula(family):
    """W + alpha / rank B A, written out (Hu 2022, Section 4.1)."""
    tower, adapted, x = family
    weights, layers = dict(tower.named_parameters()), lora.adapted_layers(adapted)
    names = {name: library_name(name, weights) for name in layers}
    with torch.no_grad():
        for name, layer in layers.items():
            weights[names[name]] += RATIO * product(layer)
    expected, found = tower(x), adapted(x)
    torch.testing.assert_close(found, expected, atol=1e-10, rtol=1e-9)
    direction = torch.randn_like(expected)
    for output in (expected, found):
        output.backward(direction)
    for name, layer in layers.items():
        b, a = matrices(layer)
        gradient = RATIO * weights[names[name]].grad
        gradient = gradient.T if layer.lora_embedding_A else gradient
        of_b = torch.einsum("oi...,ri...->or", gradient, a).view_as(b)
        of_a = torch.einsum("or,oi...->ri...", b.flatten(1), gradient)
        for ours, by_hand in ((b.grad, of_b), (a.grad, of_a)):
            assert (ours - by_hand).abs().max() <= 1e-11 * by_hand.abs().max(), name
    merged = lora.merge(adapted)
    assert not lora.adapted_layers(merged) and not trainable(merged)
    assert merged.state_dict().keys() == tower.state_dict().keys()
    for name, tensor in merged.state_dict().items():
        torch.testing.assert_close(tensor, tower.state_dict()[name], atol=1e-12, rtol=1e-12)
    with torch.no_grad():
        torch.testing.assert_close(merged(x), expected, atol=1e-10, rtol=1e-9)


def test_one_step_reaches_every_adapter(family):
    _, adapted, x = family
    model = adapted.train()
    model(x).square().sum().backward()
    lora.require_gradients(model)
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert [name for name, p in trained.items() if p.grad is None or not p.grad.any()] == []
    before = {name: p.detach().clone() for name, p in trained.items()}
    frozen = {n: p.detach().clone() for n, p in model.named_parameters() if not p.requires_grad}
    torch.optim.SGD(trained.values(), lr=1.0).step()
    assert not any(torch.equal(p, before[name]) for name, p in trained.items())
    now = dict(model.named_parameters())
    assert all(torch.equal(now[name], tensor) for name, tensor in frozen.items())


class Unread(nn.Module):
    """A layer whose output nobody reads, one that reads another input, and one that counts."""

    def __init__(self):
        super().__init__()
        self.read, self.unread, self.other = (nn.Linear(4, 4) for _ in range(3))

    def forward(self, x):
        self.unread(x)
        return self.other(x) if x.sum() > 1e6 else self.read(x)


def test_an_adapter_that_nobody_reads_is_one_line_and_an_expert_of_other_inputs_is_none():
    tower = Unread()
    tower.encoder_name = "odd"
    model = nn.ModuleDict({"backbone": lora.adapt(tower, settings(2, 1))})
    model["backbone"](torch.randn(3, 4)).sum().backward()
    with pytest.raises(InputError) as told:
        lora.require_gradients(model)
    assert str(told.value) == (
        "encoder odd: the adapter of its layer 'backbone.unread' gets no gradient, and would never "
        "train. Set the method's `lora` (of a text tower, `text_lora`) to null, or choose another "
        "encoder"
    )
    tower.unread = nn.Identity()
    lora.require_gradients(model)


def test_a_tower_without_targets_is_one_clear_line():
    with pytest.raises(InputError, match=r"no layer to adapt is of targets 'all'"):
        lora.adapt(nn.Sequential(nn.ReLU()), settings(2, 1))
    with pytest.raises(InputError, match=r"targets 'no-linear'.*Set .*`lora.targets`"):
        lora.adapt(tower(), settings(2, 1, "no-linear") | {"blocks": 1})


def test_without_settings_the_tower_is_frozen_and_nothing_more():
    model = lora.adapt(tower(), None)
    assert not trainable(model)


@pytest.mark.parametrize("name", examples.TOWERS)
@pytest.mark.parametrize("blocks", [1, 2])
def test_adapters_of_the_last_blocks_train_from_the_output_of_the_others(name, blocks, tmp_path):
    """Output, gradients and names are those of the whole tower with the same adapters."""
    torch.manual_seed(0)
    whole = examples.random(examples.TOWERS[name](tmp_path)).double()
    chosen = settings(2, 6) | {"blocks": blocks}
    other, x = copy.deepcopy(whole), examples.example(name)
    x = x.double() if x.is_floating_point() else x
    whole = lora.adapt(whole, chosen)
    draw(whole)
    frozen, rest = lora.split(other, chosen)
    kept = {key: tensor for key, tensor in whole.state_dict().items() if "lora_" in key}
    rest.load_state_dict(kept, strict=False)
    assert trainable(rest).keys() == trainable(whole).keys() == kept.keys()
    ours, theirs = rest(*frozen(x)), whole(x)
    torch.testing.assert_close(ours, theirs)
    for output in (ours, theirs):
        output.square().sum().backward()
    for key, parameter in trainable(rest).items():
        torch.testing.assert_close(parameter.grad, trainable(whole)[key].grad, msg=key)
    lora.require_gradients(rest)
    torch.testing.assert_close(lora.merge(other)(x), theirs)


def test_only_the_last_blocks_have_adapters():
    model = lora.adapt(examples.vit(), settings(2, 1) | {"blocks": 2})
    layers = ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2")
    expected = {f"blocks.{block}.{layer}" for block in (1, 2) for layer in layers}
    assert set(lora.adapted_layers(model)) == expected


def test_blocks_of_a_tower_that_has_none_are_one_clear_line():
    chosen = settings(2, 1) | {"blocks": 1}
    with pytest.raises(InputError, match=r"cannot be split.*`blocks` of `lora`: all"):
        lora.adapt(timm.create_model("efficientnet_lite0", num_classes=0), chosen)
