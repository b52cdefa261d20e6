"""MUSK through its package, which is on no index: a stand-in has its names, and one layer.

Where the package is installed, its own small model is compared too.
"""

import importlib.util
import sys
import types

import layouts
import pytest
import tiny
import torch
from safetensors.torch import save_file
from torch import nn

from histopair import encoders
from histopair.encoders.libraries import musk as library
from histopair.errors import InputError
from histopair.training import lora

WIDTH = 8


class TwoWays(nn.Module):
    """As the package's MultiwayNetwork: A for images, B for texts, by the `split_position`."""

    def __init__(self, make):
        super().__init__()
        self.A, self.B, self.split_position = make(), make(), -1

    def forward(self, inputs):
        return self.A(inputs) if self.split_position == -1 else self.B(inputs)


class Beit(nn.Module):
    def __init__(self):
        super().__init__()
        self.text_embed = nn.Embedding(16, WIDTH)
        self.vision_embed = nn.Conv2d(3, WIDTH, 96, 96)
        self.layer = TwoWays(lambda: nn.Linear(WIDTH, WIDTH))

    def forward(self, visual_tokens=None, textual_tokens=None, text_padding_position=None):
        images = textual_tokens is None
        for module in self.modules():
            if hasattr(module, "split_position"):
                module.split_position = -1 if images else 0
        if images:
            states = self.vision_embed(visual_tokens).flatten(2).transpose(1, 2)
            return {"encoder_out": self.layer(states)}
        kept = (~text_padding_position).unsqueeze(-1).float()
        states = self.layer(self.text_embed(textual_tokens)) * kept
        return {"encoder_out": states + states.sum(1, keepdim=True)}


class Musk(nn.Module):
    def __init__(self):
        super().__init__()
        self.beit3 = Beit()
        self.vision_head = nn.Linear(WIDTH, WIDTH, bias=False)
        self.language_head = nn.Linear(WIDTH, WIDTH, bias=False)
        self.logit_scale = nn.Parameter(torch.tensor(3.0))


@pytest.fixture
def entry(monkeypatch, tmp_path):
    """A MUSK of the stand-in package with random weights in a file, as `x`."""
    package = types.ModuleType("musk.modeling")
    package.musk_large_patch16_384 = Musk
    monkeypatch.setitem(sys.modules, "musk", types.ModuleType("musk"))
    monkeypatch.setitem(sys.modules, "musk.modeling", package)
    tiny.bert_entry(tmp_path / "words")
    words = layouts._bert_words(tmp_path / "words")
    monkeypatch.setattr(library, "_words", lambda: words)
    model = layouts.random(Musk())
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    return {"name": "x", "library": "musk", "model": str(tmp_path)}, model


@torch.no_grad()
def test_both_towers_give_what_the_package_gives(entry):
    settings, model = entry
    encoder = encoders.load(settings)
    pixels = torch.rand(2, 3, 384, 384)
    plain = model.beit3(visual_tokens=pixels)["encoder_out"][:, 0]
    torch.testing.assert_close(encoder.image(pixels), model.vision_head(plain))
    tokens = encoder.tokenize(["tumour colon", "no"])
    for row in tokens:
        used = row[row >= 0][None]
        states = model.beit3(textual_tokens=used, text_padding_position=used < 0)
        wanted = model.language_head(states["encoder_out"][:, 0])
        torch.testing.assert_close(encoder.text(row[None]), wanted)
    backbone = encoders.load(settings | {"projected": False})
    torch.testing.assert_close(backbone.image(pixels), plain)
    assert backbone.text is None and encoder.scale == pytest.approx(model.logit_scale.exp().item())
    assert encoders.counter(settings)[1] == encoder.context == 100


def test_the_towers_share_no_weights_so_adapters_of_one_leave_the_other(entry):
    encoder = encoders.load(entry[0])
    images = {id(parameter) for parameter in encoder.image.parameters()}
    assert not images & {id(parameter) for parameter in encoder.text.parameters()}
    pixels = torch.rand(1, 3, 384, 384)
    before = encoder.image(pixels)
    adapted = lora.adapt(encoder.text, {"rank": 2, "alpha": 8.0, "targets": "all"})
    for parameter in adapted.parameters():
        parameter.data.add_(1.0)
    torch.testing.assert_close(encoder.image(pixels), before)


def test_weights_of_another_model_are_refused(entry, tmp_path):
    settings, model = entry
    state = model.state_dict()
    del state["beit3.layer.B.weight"]
    save_file(state, tmp_path / "model.safetensors")
    with pytest.raises(InputError, match=r"encoder x: .*1 missing \(beit3.layer.B.weight\)"):
        encoders.load(settings)


def test_without_its_package_it_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "musk", None)
    with pytest.raises(InputError, match="package `musk` cannot be imported") as told:
        encoders.load({"name": "x", "library": "musk", "model": str(tmp_path)})
    assert "\n" not in str(told.value)


def test_a_revision_is_of_the_hub_alone(entry):
    with pytest.raises(InputError, match="`revision` 'main' pins nothing"):
        encoders.load(entry[0] | {"revision": "main"})


@pytest.mark.skipif(importlib.util.find_spec("musk") is None, reason="no package musk")
def test_the_package_has_the_names_that_are_used():
    from musk import modeling

    with torch.device("meta"):
        model = modeling.musk_large_patch16_384()
    assert model.vision_head.in_features == model.language_head.in_features == 1024
    assert library._words().vocab_size <= model.beit3.text_embed.num_embeddings
