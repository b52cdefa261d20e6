"""Frozen and trained blocks: together they are the tower, and one pooled token is as exact."""

import copy

import pytest
import torch
from torch import nn

from histopair.encoders.activations import split_towers, towers
from histopair.encoders.libraries.open_clip import _allow_cut_tokens
from histopair.encoders.libraries.transformers import PooledText
from histopair.encoders.plain_attention import rewritten
from histopair.errors import InputError
from histopair.export import predictor
from histopair.training import checkpoint

LAYERS = 3
VISION = {"image_size": 32, "layers": LAYERS, "width": 32, "head_width": 16, "patch_size": 16}
TEXT = {"context_length": 12, "vocab_size": 40, "width": 16, "heads": 2, "layers": LAYERS}


def clip(**changes):
    import open_clip

    arguments = {"embed_dim": 8, "vision_cfg": VISION, "text_cfg": TEXT} | changes
    model = open_clip.CustomTextCLIP(**arguments)
    _allow_cut_tokens(model.text)
    return rewritten(model)


def vit(**changes):
    import timm

    sizes = {"img_size": 32, "patch_size": 16, "embed_dim": 24, "depth": LAYERS, "num_heads": 2}
    return timm.create_model("vit_tiny_patch16_224", num_classes=0, **(sizes | changes))


def resnet():
    import timm

    return timm.models.ResNet(timm.models.resnet.BasicBlock, [1, 1, 1, 1], num_classes=0)


def bert(**changes):
    from transformers import BertConfig, BertModel

    sizes = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32}
    return BertModel(
        BertConfig(
            vocab_size=40, num_hidden_layers=LAYERS, max_position_embeddings=32, **sizes, **changes
        )
    )


def distilbert():
    from transformers import DistilBertConfig, DistilBertModel

    sizes = {"dim": 16, "n_heads": 2, "hidden_dim": 32, "n_layers": LAYERS}
    return DistilBertModel(DistilBertConfig(vocab_size=40, max_position_embeddings=32, **sizes))


def locked(folder, pooler: str):
    """open_clip's towers around a timm and a transformers model, as the locked CLIP has them."""
    import open_clip

    bert().save_pretrained(folder)
    image = open_clip.timm_model.TimmModel(
        "vit_tiny_patch16_224", 8, image_size=32, pool="token", proj="linear"
    )
    image.trunk, image.head = vit(), nn.Linear(24, 8, bias=False)
    encoder = open_clip.hf_model.HFTextEncoder(
        str(folder), 8, pooler_type=pooler, proj_type="linear", pretrained=False
    )
    return image, encoder


IMAGES = {
    "clip": lambda _: clip().visual,
    "clip, QuickGELU": lambda _: clip(quick_gelu=True).visual,
    "clip, mean": lambda _: clip(vision_cfg=VISION | {"pool_type": "avg"}).visual,
    "clip, attention pool": lambda _: (
        clip(vision_cfg=VISION | {"attentional_pool": True, "attn_pooler_heads": 2}).visual
    ),
    "vit": lambda _: vit(),
    "vit, mean": lambda _: vit(global_pool="avg"),
    "vit, map": lambda _: vit(global_pool="map", class_token=False),
    "vit, registers and layer scale": lambda _: vit(
        reg_tokens=2, init_values=0.5, no_embed_class=True, dynamic_img_size=True
    ),
    "vit, norms": lambda _: vit(scale_attn_norm=True, pre_norm=True, qkv_bias=False),
    "vit, norm of keys": lambda _: vit(qk_norm=True),
    "resnet": lambda _: resnet(),
    "locked": lambda folder: locked(folder, "mean_pooler")[0],
}
TEXTS = {
    "clip": lambda _: clip().text,
    "clip, QuickGELU": lambda _: clip(quick_gelu=True).text,
    "clip, end token": lambda _: clip(text_cfg=TEXT | {"pool_type": "eos", "eos_id": 39}).text,
    "bert, cls": lambda _: PooledText(bert(), "cls", 0),
    "bert, mean": lambda _: PooledText(bert(), "mean", 0),
    "bert, pooler": lambda _: PooledText(bert(), "pooler", 0),
    "distilbert, cls": lambda _: PooledText(distilbert(), "cls", 0),
    "distilbert, mean": lambda _: PooledText(distilbert(), "mean", 0),
    "locked, mean": lambda folder: locked(folder, "mean_pooler")[1],
    "locked, cls": lambda folder: locked(folder, "cls_last_hidden_state_pooler")[1],
    "locked, pooler": lambda folder: locked(folder, "cls_pooler")[1],
}
TOWERS = {f"image: {name}": make for name, make in IMAGES.items()}
TOWERS |= {f"text: {name}": make for name, make in TEXTS.items()}


def example(name: str) -> torch.Tensor:
    if name.startswith("image"):
        return torch.randn(3, 3, 32, 32)
    tokens = torch.randint(1, 38, (3, 9))
    for row, end in enumerate((4, 8, 2)):
        tokens[row, end] = 39
        tokens[row, end + 1 :] = 0
    return tokens


def random(tower: nn.Module) -> nn.Module:
    """Weights and statistics that are no longer those of the start, where many are 0 or 1."""
    for tensor in (*tower.parameters(), *tower.buffers()):
        if tensor.is_floating_point() and tensor.isfinite().all():
            tensor.data.add_(torch.rand_like(tensor) * 0.2)
    return tower.eval()


@pytest.fixture(params=TOWERS)
def named(request, tmp_path):
    torch.manual_seed(0)
    return request.param, random(TOWERS[request.param](tmp_path))


def test_trunk_and_top_are_the_tower(named):
    name, tower = named
    x = example(name)
    expected = tower(x).detach()
    for blocks in (1, 2):
        frozen, trained = split_towers.split(tower, blocks)
        torch.testing.assert_close(trained(*frozen(x)), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", IMAGES)
def test_without_blocks_that_train_the_tokens_are_what_the_tower_pools(name, tmp_path):
    tower = random(IMAGES[name](tmp_path))
    x = example("image")
    trunk, head = (tower.trunk, tower.head) if name == "locked" else (tower, nn.Identity())
    parts, (tokens,) = towers.parts(trunk), split_towers.frozen(tower, 0)(x)
    assert (tokens.dim() == 3) == (name != "resnet") and not tokens.requires_grad
    pooled = parts.leave(trunk, parts.take(tokens) if parts.take else tokens)
    torch.testing.assert_close(head(pooled), tower(x), atol=1e-5, rtol=1e-5)


def test_the_trunk_is_frozen_and_all_of_the_top_trains(named):
    name, tower = named
    frozen, trained = split_towers.split(tower, 1)
    model = nn.ModuleDict({"frozen": frozen, "trained": trained}).train()
    before = copy.deepcopy(frozen.state_dict())
    tensors = frozen(example(name))
    assert not any(module.training for module in frozen.modules())
    assert not any(p.requires_grad for p in frozen.parameters())
    assert not any(tensor.requires_grad for tensor in tensors)
    assert all(module.training for module in trained.modules())
    model["trained"](*tensors).sum().backward()
    assert [key for key, p in trained.named_parameters() if p.grad is None] == []
    assert all(torch.equal(value, before[key]) for key, value in frozen.state_dict().items())


def test_a_whole_tower_trains_itself_or_from_its_embedding_on(named):
    name, tower = named
    x = example(name)
    expected = tower(x).detach()
    before, whole = split_towers.split(tower, "all")
    assert whole is tower and torch.equal(whole(*before(x)), expected)
    start, trained = split_towers.entered(tower)
    torch.testing.assert_close(trained(*start(x)), expected, atol=1e-5, rtol=1e-5)
    trained(*start(x)).square().sum().backward()
    both = [*start.named_parameters(), *trained.named_parameters()]
    assert [key for key, p in both if p.grad is None] == []
    assert all(p.requires_grad for p in tower.parameters())


def test_weights_of_a_run_have_the_librarys_names_and_load_again(named):
    _, tower = named
    _, trained = split_towers.split(tower, 1)
    model = nn.ModuleDict({"trained": trained})
    kept = checkpoint.weights(model)
    assert not any(".in_proj." in key for key in kept)
    state = model.state_dict(keep_vars=True)
    assert kept.keys() == state.keys()  # all of it trains
    for parameter in model.parameters():
        nn.init.normal_(parameter)
    predictor.loaded(model, kept)
    assert all(torch.equal(tensor, kept[key]) for key, tensor in model.state_dict().items())
    kept.pop(next(key for key, value in state.items() if isinstance(value, nn.Parameter)))
    with pytest.raises(ValueError, match="unexpected or missing"):
        predictor.loaded(model, kept)


def test_one_token_has_the_outputs_and_gradients_of_the_whole_block(named):
    name, tower = named
    frozen, trained = split_towers.split(tower, 2)
    _, whole = split_towers.split(copy.deepcopy(tower), 2, alone=False)
    tensors = frozen(example(name))
    goal = torch.randn_like(trained(*tensors))
    for model in (trained, whole):
        nn.functional.mse_loss(model(*tensors), goal).backward()
    torch.testing.assert_close(trained(*tensors), whole(*tensors), atol=1e-5, rtol=1e-5)
    for (key, p), (_, q) in zip(trained.named_parameters(), whole.named_parameters(), strict=True):
        torch.testing.assert_close(p.grad, q.grad, atol=1e-5, rtol=1e-4, msg=key)


def test_one_token_alone_leaves_the_last_block_where_one_is_pooled(named):
    name, tower = named
    _, trained = split_towers.split(tower, 1)
    alone = getattr(trained, "trained", trained).alone
    assert (alone is None) == any(
        word in name for word in ("mean", "map", "pool", "resnet", "keys")
    ) or (name in ("text: locked, pooler", "text: bert, pooler") and alone is not None)


@pytest.mark.parametrize("name", [name for name in TOWERS if name.startswith("text")])
def test_padding_changes_nothing(name, tmp_path):
    torch.manual_seed(0)
    frozen, trained = split_towers.split(random(TOWERS[name](tmp_path)), 2)
    tokens = example(name)
    states, mask = frozen(tokens)
    for row, length in enumerate((5, 9, 3)):
        alone = trained(states[row : row + 1, :length], mask[row : row + 1, :length])
        padded = trained(states, mask)[row : row + 1]
        torch.testing.assert_close(alone, padded, atol=1e-5, rtol=1e-5)


def test_dropout_is_that_of_training_in_the_trained_blocks_alone(tmp_path):
    tower = PooledText(bert(), "cls", 0)
    frozen, trained = split_towers.split(tower.train(), 1)
    tokens = example("text")
    assert torch.equal(frozen(tokens)[0], frozen(tokens)[0])
    tensors = frozen(tokens)
    assert not torch.equal(trained(*tensors), trained(*tensors))
    trained.eval()
    assert torch.equal(trained(*tensors), trained(*tensors))


def test_dropout_of_one_token_has_the_distribution_of_the_whole_block():
    torch.manual_seed(0)
    tower = random(PooledText(bert(attention_probs_dropout_prob=0.5), "cls", 0))
    frozen, trained = split_towers.split(tower, 1)
    _, whole = split_towers.split(tower, 1, alone=False)
    tensors = frozen(example("text")[:1])
    states, mask = (tensor.expand(4000, *tensor.shape[1:]) for tensor in tensors)
    with torch.no_grad():
        one, all_of_them = (model.train()(states, mask) for model in (trained, whole))
    error = (2 / len(one)) ** 0.5 * one.std(0)
    assert ((one.mean(0) - all_of_them.mean(0)).abs() < 5 * error).all()
    torch.testing.assert_close(one.std(0), all_of_them.std(0), rtol=0.1, atol=1e-3)


@pytest.mark.parametrize("blocks", [0, LAYERS, LAYERS + 1])
def test_a_number_of_blocks_that_leaves_no_trunk_is_one_clear_line(blocks):
    with pytest.raises(InputError, match=r"3 blocks.*Set `unfreeze`.* to 1 \.\.\. 2, which"):
        split_towers.split(vit(), blocks)


def test_a_tower_that_cannot_be_split_is_named_with_those_that_can():
    for tower in (nn.Linear(2, 2), clip(text_cfg=TEXT | {"no_causal_mask": True}).text):
        with pytest.raises(InputError, match=rf"{type(tower).__name__}.*BERT, DistilBERT, ViT"):
            split_towers.split(tower, 1)


@pytest.mark.parametrize("pooling", ["cls", "pooler", "mean"])
def test_padding_that_is_no_token_is_masked_in_both_halves(pooling):
    tower = random(PooledText(bert(), pooling, -1))
    tokens = torch.tensor([[3, 0, 7, 5], [0, 8, -1, -1]])  # 0 is a word here
    frozen, trained = split_towers.split(tower, 1)
    whole = tower(tokens).detach()
    torch.testing.assert_close(trained(*frozen(tokens)).detach(), whole)
    torch.testing.assert_close(whole[1:], tower(tokens[1:, :2]).detach())
