"""Adapters: a low-rank update through peft, no change at the start, merged without a trace."""

import pytest
import timm
import torch
from torch import nn

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


def test_an_adapted_tower_starts_where_it_was():
    pixels = torch.randn(2, 3, 32, 32)
    model = tower()
    before = model(pixels)
    torch.testing.assert_close(lora.adapt(model, settings(4, 2))(pixels), before)


def test_only_adapters_train_and_their_number_is_that_of_the_ranks():
    model = lora.adapt(nn.Sequential(nn.Linear(6, 5)), settings(2, 1))
    trained = {name: p.shape for name, p in model.named_parameters() if p.requires_grad}
    assert sum(p.numel() for p in lora.trainable(model).values()) == 2 * (6 + 5)
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


def test_attention_modules_are_adapted_whole():
    names = lora.target_names(
        nn.ModuleDict({"attn": nn.MultiheadAttention(8, 2), "fc": nn.Linear(8, 8)}), "all"
    )
    assert names == ["attn", "fc"]


def test_passes_leave_the_frozen_weights_of_attention_as_they_were():
    torch.manual_seed(0)
    attention = nn.ModuleDict({"attn": nn.MultiheadAttention(8, 2)})
    model = lora.adapt(attention, settings(2, 1))["attn"]
    nn.init.normal_(model.lora_B["default"].weight)
    nn.init.normal_(model.base_layer.out_proj.lora_B["default"].weight)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    x = torch.randn(3, 2, 8)
    for _ in range(20):
        model(x, x, x)[0].sum().backward()
    after = model.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert model.lora_A["default"].weight.grad.abs().sum() > 0


def test_a_tower_without_targets_is_an_error():
    with pytest.raises(ValueError, match="no such layer"):
        lora.adapt(nn.Sequential(nn.ReLU()), settings(2, 1))


def test_without_settings_the_tower_is_frozen_and_nothing_more():
    model = lora.adapt(tower(), None)
    assert not lora.trainable(model)
