"""Encoders load from folders alone and keep their own preprocessing."""

import json
import sys
import types
from pathlib import Path

import pytest
import tiny
import torch
import yaml
from PIL import Image

from histopair import encoders
from histopair.encoders import embed
from histopair.encoders.libraries import transformers
from histopair.errors import InputError
from histopair.plan import entries
from histopair.plan.load import load


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
    other = encoders.load(
        {**tiny.vit_entry(tmp_path / "vit"), "pixels": {"mean": [0, 0, 0], "std": [1, 1, 1]}}
    )
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


def sentences(folder, **modes):
    """A tower of texts, in a folder of sentence-transformers."""
    entry = tiny.bert_entry(folder)
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(modes))
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 16}')
    return {key: entry[key] for key in ("name", "library", "model")}


@pytest.mark.parametrize(
    ("modes", "remedy"),
    [
        ({"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}, "Set .pooling: mean"),
        ({"pooling_mode": "mean"}, "Set .pooling: mean"),
        ({"pooling_mode_max_tokens": True}, "Set the .pooling. that you want"),
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True}, "Set the .pooling."),
    ],
)
def test_a_sentence_encoder_that_pools_otherwise_is_refused(tmp_path, modes, remedy):
    entry = sentences(tmp_path / "bert", **modes)
    with pytest.raises(InputError, match=f"1_Pooling/config.json pools by.*{remedy}"):
        encoders.load(entry)
    assert encoders.load(entry | {"pooling": "mean"}).context == 16
    assert encoders.counter(entry)[1] == 16  # chunks are cut by an entry without its pooling


def test_a_sentence_encoder_reads_as_much_as_it_says_unless_the_entry_does(tmp_path):
    entry = sentences(tmp_path / "bert", pooling_mode_cls_token=True)
    assert encoders.load(entry).context == encoders.counter(entry)[1] == 16
    assert encoders.load(entry | {"max_length": 24}).context == 24


class FakeConch(torch.nn.Module):
    """The package `conch` as far as it is used: towers that give (embedding, tokens)."""

    embed_dim = 4

    def __init__(self):
        super().__init__()
        self.logit_scale = torch.nn.Parameter(torch.tensor(56.0).log())
        self.visual = FakeVisual()
        self.text = FirstOf(torch.nn.Embedding(9, 4))
        self.seen = []
        self.text.register_forward_pre_hook(lambda _, inputs: self.seen.append(inputs[0]))


class FakeVisual(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 4))
        self.proj_contrast = torch.nn.Parameter(torch.randn(4, 4))
        self.attn_pool_caption = torch.nn.Linear(4, 4)

    def forward_no_head(self, pixels, normalize=False):
        found = self.trunk(pixels)
        return torch.nn.functional.normalize(found, dim=1) if normalize else found

    def forward(self, pixels):
        return self.forward_no_head(pixels) @ self.proj_contrast, None


class FirstOf(torch.nn.Sequential):
    def forward(self, inputs):
        features = super().forward(inputs)
        return features.flatten(1)[:, :4], features


@pytest.fixture
def conch(monkeypatch, tmp_path):
    """A model of that package, what it loads its weights from, and its config entry."""
    model, tokenizer = FakeConch(), types.SimpleNamespace(pad_token_id=0)
    state = dict(model.state_dict())

    def create(name, path):
        model.path = path
        model.load_state_dict(state, strict=False)  # as the package does, in silence
        return model, lambda image: torch.full((3, 2, 2), 0.5)

    package = types.ModuleType("conch.open_clip_custom")
    package.create_model_from_pretrained = create
    package.get_tokenizer = lambda: tokenizer
    package.tokenize = lambda _, texts: torch.tensor([[1, 2] + [0] * 126 for _ in texts])
    monkeypatch.setitem(sys.modules, "conch", types.ModuleType("conch"))
    monkeypatch.setitem(sys.modules, "conch.open_clip_custom", package)
    (tmp_path / "pytorch_model.bin").write_bytes(b"read by the package")
    return model, state, {"name": "conch", "library": "conch", "model": f"local-dir:{tmp_path}"}


@pytest.mark.parametrize("start", ["local-dir:", ""])
@pytest.mark.parametrize("end", ["", "/pytorch_model.bin"])
def test_conch_reads_a_folder_or_a_file(conch, tmp_path, start, end):
    model, _, entry = conch
    encoders.load(entry | {"model": f"{start}{tmp_path}{end}"})
    assert model.path == str(tmp_path / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"there is no '.*nowhere'\). Correct `model`"):
        encoders.load(entry | {"model": f"{start}{tmp_path}/nowhere"})


@pytest.mark.parametrize("prefix", ["hf_hub:", "hf-hub:"])
def test_conch_of_a_hub_is_named_as_by_its_package_or_by_the_others(prefix):
    entry = {"name": "conch", "library": "conch", "model": f"{prefix}MahmoodLab/conch"}
    (repository,) = encoders.on_hub(entry)
    assert (repository.name, repository.file) == ("MahmoodLab/conch", "pytorch_model.bin")


def test_conch_reads_127_tokens_with_the_class_token_in_its_place(conch):
    model, _, entry = conch
    encoder = encoders.load(entry)
    tokens = encoder.tokenize(["a", "b"])
    assert tokens.shape == (2, 127)
    whole, cut = encoder.text(tokens), encoder.text(tokens[:, :2])
    torch.testing.assert_close(cut, whole)
    assert {seen.shape[1] for seen in model.seen} == {127}
    assert encoder.image(torch.zeros(1, 3, 2, 2)).shape == (1, encoder.image_dim)
    assert encoder.scale == pytest.approx(56)


def test_conch_is_projected_for_retrieval_and_not_as_a_backbone(conch):
    model, _, entry = conch
    pixels = torch.rand(5, 3, 2, 2)
    retriever, backbone = encoders.load(entry), encoders.load(entry | {"projected": False})
    plain = model.visual.forward_no_head(pixels)
    torch.testing.assert_close(backbone.image(pixels), plain)
    torch.testing.assert_close(retriever.image(pixels), plain @ model.visual.proj_contrast)
    assert backbone.text is None and retriever.text is not None


def test_conch_lacks_no_weights_but_those_of_captions(conch):
    _, state, entry = conch
    for key in [key for key in state if "caption" in key]:
        del state[key]
    encoders.load(entry)
    del state["visual.proj_contrast"]
    with pytest.raises(InputError, match=r"1 missing \(visual.proj_contrast\)"):
        encoders.load(entry)


def test_conch_without_its_package_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "conch", None)
    with pytest.raises(InputError, match="package `conch` is not installed"):
        encoders.load({"name": "conch", "library": "conch", "model": "x"})


@pytest.mark.parametrize("library", ["keep", "open_clip", "timm", "transformers"])
def test_a_missing_folder_is_one_line_with_a_remedy(tmp_path, library):
    entry = {"name": "x", "library": library, "model": f"local-dir:{tmp_path}/absent"}
    with pytest.raises(InputError, match=r"encoder x: .* cannot load .*absent does not exist"):
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


ROOT = Path(__file__).parents[1]
TEXTS = ["colon", "normal colon no tumour no tumour", "no tumour"]


def tokenizer(folder: Path, **options) -> None:
    """Replace a folder's tokenizer by one with other special tokens or sides."""
    from transformers import AutoTokenizer

    AutoTokenizer.from_pretrained(folder, **options).save_pretrained(folder)


def vectors(encoder, texts: list[str]) -> torch.Tensor:
    cpu = torch.device("cpu")
    found = embed.text_features(encoder.text, encoder.tokenize, encoder.pad_id, texts, 8, cpu)
    return torch.from_numpy(found)


@pytest.mark.parametrize("pooling", ["cls", "pooler", "mean"])
@pytest.mark.parametrize(
    "options",
    [
        {"padding_side": "left"},
        {"pad_token": "[SEP]"},  # the end of every text
        {"pad_token": "tumour"},  # a word
    ],
)
def test_the_vector_of_a_text_does_not_depend_on_its_batch(tmp_path, pooling, options):
    entry = tiny.bert_entry(tmp_path / "bert", pooling, layers=2)
    plain = vectors(encoders.load(entry), TEXTS)
    tokenizer(tmp_path / "bert", **options)
    encoder = encoders.load(entry)
    torch.testing.assert_close(vectors(encoder, TEXTS), plain, atol=1e-5, rtol=1e-4)
    for text, whole in zip(TEXTS, plain, strict=True):
        torch.testing.assert_close(vectors(encoder, [text])[0], whole, atol=1e-5, rtol=1e-4)


def test_a_tokenizer_needs_no_padding_token(tmp_path):
    entry = tiny.bert_entry(tmp_path / "bert")
    plain = vectors(encoders.load(entry), TEXTS)
    file = tmp_path / "bert/tokenizer_config.json"
    config = json.loads(file.read_text())
    config["pad_token"] = None
    file.write_text(json.dumps(config))
    torch.testing.assert_close(vectors(encoders.load(entry), TEXTS), plain, atol=1e-5, rtol=1e-4)


def test_the_pooler_is_berts_own_dense_layer_and_tanh(tmp_path):
    encoder = encoders.load(tiny.bert_entry(tmp_path / "bert", "pooler"))
    tokens = encoder.tokenize(["tumour colon"])
    bert = encoder.text.transformer
    first = bert(tokens).last_hidden_state[:, 0]
    torch.testing.assert_close(encoder.text(tokens), torch.tanh(bert.pooler.dense(first)))


def test_a_pooler_must_be_in_the_file_where_it_is_read_and_is_gone_where_not(tmp_path):
    from safetensors.torch import load_file, save_file

    entry = tiny.bert_entry(tmp_path / "bert", "pooler")
    assert encoders.load(entry | {"pooling": "cls"}).text.transformer.pooler is None
    file = tmp_path / "bert/model.safetensors"
    state = {key: value for key, value in load_file(file).items() if "pooler" not in key}
    save_file(state, file, {"format": "pt"})
    encoders.load(entry | {"pooling": "mean"})
    with pytest.raises(InputError, match=r"2 missing \(pooler.dense.bias, pooler.dense.weight\)"):
        encoders.load(entry)


def test_a_tokenizer_without_its_files_is_told(tmp_path):
    entry = tiny.bert_entry(tmp_path / "bert")
    for file in (tmp_path / "bert").iterdir():
        if "token" in file.name or "vocab" in file.name:
            file.unlink()
    with pytest.raises(InputError, match=r"knows no words.* Put tokenizer.json or vocab.txt"):
        encoders.load(entry)


def test_words_with_capitals_need_a_tokenizer_that_keeps_them(tmp_path):
    entry, folder = tiny.bert_entry(tmp_path / "bert"), tmp_path / "bert"
    for file in [*folder.glob("tokenizer*.json"), *folder.glob("special*.json")]:
        file.unlink()
    encoders.load(entry)
    words = (folder / "vocab.txt").read_text()
    (folder / "vocab.txt").write_text(words.replace("tumour", "Tumour"))
    with pytest.raises(InputError, match=r"lower case, and 1 of its words .*do_lower_case"):
        encoders.load(entry)
    (folder / "tokenizer_config.json").write_text('{"do_lower_case": false}')
    assert encoders.load(entry).tokenize(["Tumour"]).tolist() == [[2, 5, 3]]


@pytest.mark.parametrize("kind", ["T5", "CLIP", "GPT2"])
def test_models_that_are_no_text_encoder_are_told(tmp_path, kind):
    import transformers as library

    entry = tiny.bert_entry(tmp_path / "bert", "cls")
    sizes = {
        "T5": {"d_model": 8, "d_kv": 4, "d_ff": 8, "num_layers": 1, "num_heads": 1},
        "CLIP": {
            tower: {"hidden_size": 8, "num_hidden_layers": 1, "intermediate_size": 8}
            | {"num_attention_heads": 1}
            for tower in ("text_config", "vision_config")
        },
        "GPT2": {"n_embd": 8, "n_layer": 1, "n_head": 1, "bos_token_id": 2, "eos_token_id": 3},
    }
    config = getattr(library, f"{kind}Config")(**sizes[kind])
    getattr(library, f"{kind}Model")(config).save_pretrained(tmp_path / "bert")
    said = {"GPT2": "two texts the same vector.*`pooling`", "CLIP": "`pooling` 'cls' is not one"}
    said = said.get(kind, "not a single encoder")
    with pytest.raises(InputError, match=said):
        encoders.load(entry)


def siglip(folder: Path) -> dict:
    """open_clip's SigLIP architecture: no causal mask, and the last position is pooled."""
    import open_clip
    from safetensors.torch import save_file

    torch.manual_seed(0)
    folder.mkdir()
    text = tiny.CLIP["text_cfg"] | {"no_causal_mask": True, "pool_type": "last", "proj_bias": True}
    config = tiny.CLIP | {"text_cfg": text, "init_logit_bias": -10}
    save_file(open_clip.CustomTextCLIP(**config).state_dict(), folder / "model.safetensors")
    content = {"model_cfg": config | {"custom_text": True}, "preprocess_cfg": {"size": 32}}
    (folder / "open_clip_config.json").write_text(json.dumps(content))
    return {"name": "siglip", "library": "open_clip", "model": f"local-dir:{folder}"}


@pytest.mark.parametrize("make", [siglip, tiny.clip_entry])
def test_texts_are_cut_only_where_that_changes_nothing(tmp_path, make):
    encoder = encoders.load(make(tmp_path / "clip"))
    whole = encoder.text(encoder.tokenize(TEXTS)).detach()
    torch.testing.assert_close(vectors(encoder, TEXTS), whole, atol=1e-5, rtol=1e-4)
    tokens, lengths = embed.tokenize_all(encoder.tokenize, encoder.pad_id, TEXTS)
    assert (lengths.max() == tokens.shape[1]) == (make is siglip)


def vit(folder: Path, kwargs: dict, **more) -> dict:
    return tiny.vit_entry(folder) | {"kwargs": kwargs} | more


@pytest.mark.parametrize(
    "kwargs, said",
    [
        ({"global_pool": ""}, r"gives \(1, 5, 24\).*`pooling` to cls"),
        ({"dynamic_img_sizes": True}, "takes no 'dynamic_img_sizes'; it takes dynamic_img_size,"),
        ({"mlp_layer": "SwiGLUPacke"}, "mlp_layer 'SwiGLUPacke' is not a layer of timm.layers"),
        ({"mlp_layer": "a.path.Mlp"}, "a class is needed.*mlp_layer: a.path.Mlp"),
        ({"img_size": 64}, r"cannot read a blank image of 32 x 32 .*`pixels: {size"),
        ({"num_classes": 3}, "num_classes cannot be set"),
        ({"depth": 2}, r"12 missing \(blocks.1.attn.proj.bias, .* and 9 more\)"),
    ],
)
def test_arguments_of_timm_that_do_not_fit_are_one_line(tmp_path, kwargs, said):
    with pytest.raises(InputError, match=said) as told:
        encoders.load(vit(tmp_path / "vit", kwargs))
    assert "\n" not in str(told.value) and told.value.__cause__ is not None


@pytest.mark.parametrize("name", ["SwiGLUPacked", "timm.layers.SwiGLUPacked"])
def test_a_layer_is_named_by_its_class(tmp_path, name):
    import timm

    size = {"img_size": 32, "patch_size": 16, "embed_dim": 24, "depth": 1, "num_heads": 2}
    own = {"mlp_layer": timm.layers.SwiGLUPacked, "act_layer": torch.nn.SiLU}
    model = timm.create_model("vit_tiny_patch16_224", num_classes=0, **size, **own).eval()
    torch.save(model.state_dict(), tmp_path / "w.bin")
    overlay = {"pretrained_cfg_overlay": {"input_size": [3, 32, 32]}}
    kwargs = size | overlay | {"mlp_layer": name, "act_layer": "torch.nn.SiLU"}
    entry = {"name": "x", "library": "timm", "model": "vit_tiny_patch16_224", "kwargs": kwargs}
    encoder = encoders.load(entry | {"weights": str(tmp_path / "w.bin")})
    pixels = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(encoder.image(pixels), model(pixels))


@pytest.mark.parametrize("architecture", ["mobilenetv3_small_050", "resnet18"])
@pytest.mark.parametrize("classes", [0, 7])
def test_weights_of_a_file_load_with_and_without_a_classifier(tmp_path, architecture, classes):
    import timm

    model = timm.create_model(architecture, num_classes=classes).eval()
    torch.save(model.state_dict(), tmp_path / "w.pth")
    entry = {"name": "x", "library": "timm", "model": architecture}
    encoder = encoders.load(entry | {"weights": str(tmp_path / "w.pth")})
    model.reset_classifier(0)
    pixels = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(encoder.image(pixels), model(pixels))
    assert encoder.image_dim == model(pixels).shape[1]


def test_towers_that_give_what_is_not_finite_are_told(tmp_path, monkeypatch):
    import timm

    entry = tiny.vit_entry(tmp_path / "vit")
    forward = timm.models.VisionTransformer.forward
    nan = lambda model, x: forward(model, x) * float("nan")  # noqa: E731
    monkeypatch.setattr(timm.models.VisionTransformer, "forward", nan)
    with pytest.raises(InputError, match="image tower gives values that are not finite"):
        encoders.load(entry)


@pytest.mark.parametrize("error", [TypeError, AttributeError, AssertionError, ZeroDivisionError])
def test_no_exception_of_a_library_passes_and_none_is_lost(tmp_path, monkeypatch, error):
    entry = tiny.vit_entry(tmp_path / "vit")

    def broken(*_, **__):
        raise error("some\n reason")

    monkeypatch.setattr("timm.create_model", broken)
    with pytest.raises(InputError, match=f"{error.__name__}: some reason") as told:
        encoders.load(entry)
    assert isinstance(told.value.__cause__, error)


def test_weights_of_quick_gelu_in_a_model_of_gelu_are_refused(monkeypatch):
    import open_clip

    monkeypatch.setattr(open_clip.factory, "download_pretrained", lambda *_, **__: "absent")
    monkeypatch.setattr(encoders.repositories, "_make_ready", lambda _: None)
    entry = {"name": "x", "library": "open_clip", "model": "ViT-B-32", "pretrained": "openai"}
    with pytest.raises(InputError, match=r"QuickGELU mismatch.*Set `model` to ViT-B-32-quickgelu"):
        encoders.load(entry)


def test_a_file_of_weights_is_given_the_pixels_on_which_all_tags_of_its_model_agree(
    tmp_path, monkeypatch
):
    from open_clip import CustomTextCLIP, factory, pretrained

    half = {"mean": (0.5,) * 3, "std": (0.5,) * 3, "resize_mode": "squash"}
    torch.save(CustomTextCLIP(**tiny.CLIP).state_dict(), tmp_path / "w.pt")
    monkeypatch.setitem(factory._MODEL_CONFIGS, "tiny", tiny.CLIP)
    entry = {"name": "x", "library": "open_clip", "model": "tiny"}
    entry["pretrained"] = str(tmp_path / "w.pt")

    def read(tags):
        monkeypatch.setitem(pretrained._PRETRAINED, "tiny", tags)
        resize, *_, norm = encoders.load(entry).preprocess.transforms
        return resize.size, tuple(norm.mean)

    clip = 32, (0.48145466, 0.4578275, 0.40821073)
    assert read({"a": half, "b": half}) == ((32, 32), half["mean"])
    assert read({"a": half, "b": {}}) == read({}) == clip


@pytest.mark.parametrize("tag", [{}, {"pretrained": "opena"}])
def test_a_model_by_name_needs_one_of_its_tags(tag):
    with pytest.raises(InputError, match=r"`pretrained`.*such as openai"):
        encoders.load({"name": "x", "library": "open_clip", "model": "ViT-B-32"} | tag)


KAIKO = {
    name: entry
    for name, entry in yaml.safe_load((ROOT / "config/clip-it.yaml").read_text())[
        "encoders"
    ].items()
    if name.startswith("kaiko")
}


@pytest.mark.parametrize("name", KAIKO)
def test_kaikos_models_read_224_pixels_without_a_crop(tmp_path, name, capsys):
    """Narrow towers of their architectures, saved as the hub has them, through our entries."""
    import timm

    entry = KAIKO[name]
    architecture = entry["model"].split("/")[-1].split(".")[0]
    narrow = {"embed_dim": 12, "depth": 1, "num_heads": 2}
    model = timm.create_model(architecture, num_classes=0, **narrow)
    timm.models.save_for_hf(model, str(tmp_path), safe_serialization=True, model_args=narrow)
    encoder = encoders.load({"name": name, **entry, "model": f"local-dir:{tmp_path}"})
    # A border of white around black: whatever is cropped or padded would show in the corners.
    image = Image.new("RGB", (448, 448), "white")
    image.paste("black", (4, 4, 444, 444))
    pixels = encoder.preprocess(image)
    assert pixels.shape == (3, 224, 224)
    assert (pixels[:, 0] > 0.9).all() and (pixels[:, :, -1] > 0.9).all() and pixels.min() == -1
    patch = model.patch_embed.patch_size[0]
    tokens = encoder.image.forward_features(pixels[None]).shape[1]
    assert tokens == (224 // patch) ** 2 + model.num_prefix_tokens
    said = capsys.readouterr().out
    assert "Resize(size=224, interpolation=bicubic" in said and f"encoder {name}: reads 224" in said


def test_keys_that_a_library_does_not_read_are_found_when_the_config_is_read():
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    config["encoders"]["phantom-vit"]["max_length"] = 8
    with pytest.raises(
        InputError, match="phantom-vit: 'max_length' is read only for library: transformers"
    ):
        load(config)


def test_methods_of_images_alone_are_made_with_a_clips_backbone():
    config = load(yaml.safe_load((ROOT / "config/clip-it.yaml").read_text()))
    found = {
        run["method"]: run["encoder"]
        for run in entries.runs(config, "clips")
        if run["column"] == "conch"
    }
    backbone = {name for name, encoder in found.items() if encoder == "conch-backbone"}
    assert backbone == {"unimodal-published", "linear-probe", "lora", "clip-it"}
    assert set(found.values()) == {"conch", "conch-backbone"}
