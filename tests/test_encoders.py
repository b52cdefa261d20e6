"""Encoders load from folders alone and keep their own preprocessing."""

import sys
import types

import pytest
import tiny
import torch
from PIL import Image

from histopair import encoders
from histopair.encoders import transformers
from histopair.errors import InputError


def test_open_clip_folder_gives_both_towers(tmp_path):
    encoder = encoders.load(tiny.clip_entry(tmp_path / "clip"))
    pixels = encoder.preprocess(Image.new("RGB", (50, 40)))
    assert pixels.shape == (3, 32, 32)
    assert encoder.image(pixels[None]).shape == (1, encoder.image_dim) == (1, 16)
    assert encoder.text(encoder.tokenize(["colon", "a tumour"])).shape == (2, 16)


def test_open_clip_text_may_be_cut_to_its_longest(tmp_path):
    encoder = encoders.load(tiny.clip_entry(tmp_path / "clip"))
    tokens = encoder.tokenize(["colon with tumour"])
    used = int((tokens != encoder.pad_id).sum())
    torch.testing.assert_close(encoder.text(tokens[:, :used]), encoder.text(tokens))


def test_timm_folder_gives_pooled_features_and_its_own_normalisation(tmp_path):
    encoder = encoders.load(tiny.vit_entry(tmp_path / "vit"))
    assert encoder.text is None
    pixels = encoder.preprocess(Image.new("RGB", (64, 64), (90, 120, 200)))
    assert encoder.image(pixels[None]).shape == (1, encoder.image_dim) == (1, 24)
    other = encoders.load({**tiny.vit_entry(tmp_path / "vit"), "mean": [0, 0, 0], "std": [1, 1, 1]})
    assert not torch.allclose(pixels, other.preprocess(Image.new("RGB", (64, 64), (90, 120, 200))))


def test_mean_pooling_ignores_padding(tmp_path):
    encoder = encoders.load(tiny.bert_entry(tmp_path / "bert"))
    alone = encoder.text(encoder.tokenize(["tumour"]))
    together = encoder.text(encoder.tokenize(["tumour", "normal colon no tumour no tumour"]))
    torch.testing.assert_close(alone[0], together[0], atol=1e-5, rtol=1e-4)


def test_cls_pooling_is_the_first_state(tmp_path):
    encoder = encoders.load(tiny.bert_entry(tmp_path / "bert", "cls"))
    tokens = encoder.tokenize(["tumour colon"])
    states = encoder.text.transformer(tokens).last_hidden_state
    torch.testing.assert_close(encoder.text(tokens), states[:, 0])


class FakeConch(torch.nn.Module):
    """The package `conch` as far as it is used: towers that give (embedding, tokens)."""

    embed_dim = 4

    def __init__(self):
        super().__init__()
        self.logit_scale = torch.nn.Parameter(torch.tensor(56.0).log())
        self.visual = FirstOf(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 4)))
        self.text = FirstOf(torch.nn.Embedding(9, 4))
        self.seen = []
        self.text.register_forward_pre_hook(lambda _, inputs: self.seen.append(inputs[0]))


class FirstOf(torch.nn.Sequential):
    def forward(self, inputs):
        features = super().forward(inputs)
        return features.flatten(1)[:, :4], features


def test_conch_reads_127_tokens_with_the_class_token_in_its_place(monkeypatch):
    model, tokenizer = FakeConch(), types.SimpleNamespace(pad_token_id=0)
    package = types.ModuleType("conch.open_clip_custom")
    package.create_model_from_pretrained = lambda name, path: (model, lambda image: image)
    package.get_tokenizer = lambda: tokenizer
    package.tokenize = lambda _, texts: torch.tensor([[1, 2] + [0] * 126 for _ in texts])
    monkeypatch.setitem(sys.modules, "conch", types.ModuleType("conch"))
    monkeypatch.setitem(sys.modules, "conch.open_clip_custom", package)
    encoder = encoders.load({"name": "conch", "library": "conch", "model": "x"})
    tokens = encoder.tokenize(["a", "b"])
    assert tokens.shape == (2, 127)
    whole, cut = encoder.text(tokens), encoder.text(tokens[:, :2])
    torch.testing.assert_close(cut, whole)
    assert [seen.shape[1] for seen in model.seen] == [127, 127]
    assert encoder.image(torch.zeros(1, 3, 2, 2)).shape == (1, encoder.image_dim)
    assert encoder.scale == pytest.approx(56)


def test_conch_without_its_package_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "conch", None)
    with pytest.raises(InputError, match="package `conch` is not installed"):
        encoders.load({"name": "conch", "library": "conch", "model": "x"})


@pytest.mark.parametrize("library", ["open_clip", "transformers"])
def test_a_missing_folder_is_one_line_with_a_remedy(tmp_path, library):
    entry = {"name": "x", "library": library, "model": f"local-dir:{tmp_path}/absent"}
    with pytest.raises(InputError, match=r"encoder x: .* cannot load .*local folder"):
        encoders.load(entry)


def test_absent_weights_are_named_with_their_key(tmp_path):
    file = str(tmp_path / "absent.pth")
    entry = {"name": "x", "library": "timm", "model": "resnet18", "weights": file}
    with pytest.raises(InputError) as told:
        encoders.load(entry)
    assert str(told.value) == (
        f"encoder x: there is no file {file!r}. Correct `weights` in the config"
    )


@pytest.mark.parametrize("model, near", [("VIT-B-32", "ViT-B-32"), ("ViT-L/41", "ViT-L-14")])
def test_an_unknown_open_clip_model_is_told_with_names_like_it(model, near):
    with pytest.raises(InputError) as told:
        encoders.load({"name": "x", "library": "open_clip", "model": model})
    said = str(told.value)
    assert "open_clip has no such model; similar names are" in said and f" {near}" in said
    assert len(said) < 300 and "Available" not in said


def test_a_model_like_no_other_gets_no_similar_names():
    with pytest.raises(InputError, match=r"\(open_clip has no such model\)"):
        encoders.load({"name": "x", "library": "open_clip", "model": "&&&&&&"})


@pytest.mark.parametrize(
    "model", ["./absent", "../absent", "/absent/bert", "a/b/c", "~/bert", "here/absent"]
)
def test_a_name_that_can_only_be_a_folder_is_not_sought_on_a_hub(monkeypatch, tmp_path, model):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=f"the folder {model} does not exist"):
        encoders.load({"name": "x", "library": "transformers", "model": model})


def test_a_hubs_name_is_no_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in ("bert-base-uncased", "dmis-lab/biobert-v1.1"):
        assert not transformers._is_path(name)


def test_weights_that_are_pickled_code_are_refused(tmp_path):
    import pickle

    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "touched"), "w"))

    (tmp_path / "weights.pth").write_bytes(pickle.dumps(Evil()))
    entry = {
        "name": "x",
        "library": "timm",
        "model": "resnet18",
        "weights": str(tmp_path / "weights.pth"),
    }
    with pytest.raises((InputError, pickle.UnpicklingError)):
        encoders.load(entry)
    assert not (tmp_path / "touched").exists()
