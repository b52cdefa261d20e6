"""Each preset reads an encoder in its real layout, prepares images as its card says, and is exact.

No weights are needed: layouts.py builds each architecture narrow and random, with the classes, the
arguments, the names of files and of keys that the real one has.
"""

import re

import jsonschema
import layouts
import pytest
import test_configuration
import torch
from layouts import (
    bare,
    beside_head,
    built_in,
    cls_and_mean,
    in_chunks,
    of_dinov2,
    of_images,
    quiltnet,
    repository,
    under,
    with_bert,
)
from PIL import Image

import commands.presets
from histopair import encoders
from histopair.datasets import licences
from histopair.encoders import conv_stem
from histopair.encoders.activations import split_towers
from histopair.errors import InputError
from histopair.export import architectures, preprocessing
from histopair.plan import presets
from histopair.plan import schema as plan_schema
from histopair.plan.encoders import NOT_COMPUTING
from histopair.plan.load import load
from histopair.training import lora

TEXTS = ["a tumour of colon", "no tumour", "normal colon of a a a a"]
DYNAMIC = {"dynamic_img_size": True}
UNI = {"init_values": 1e-5} | DYNAMIC
TOKENS = {"img_size": 224, "init_values": 1e-5, "global_pool": ""} | DYNAMIC
VIRCHOW = {"model_args": TOKENS | {"mlp_ratio": 5.3375}}
VIRCHOW2 = {"model_args": TOKENS | {"mlp_ratio": 5.3375, "reg_tokens": 4}}
MINI = {"model_args": TOKENS | {"mlp_ratio": 5.33334, "reg_tokens": 4}}
GIGAPATH = {"img_size": 224, "patch_size": 16, "mlp_ratio": 5.33334}
GIGAPATH |= {"embed_dim": 1536, "depth": 40, "num_heads": 24}
UNI2 = UNI | {"img_size": 224, "patch_size": 14, "mlp_ratio": 5.33334, "no_embed_class": True}
FLASH = {"mlp_ratio": 5.33334, "init_values": 1e-5, "reg_tokens": 0}
CROWN = {"img_size": 224, "init_values": 1.0, "mlp_ratio": 5472 / 1024}
L16, S16, GIANT = "vit_large_patch16_224", "vit_small_patch16_224", "vit_giant_patch14_reg4_dinov2"
STAGES = {"embed_dim": 24, "depths": [1, 1, 1, 1]}
BOTTLENECKS = {"layers": [1, 1, 1, 1]}
HUGE = {"pretrained_cfg": {"input_size": [3, 518, 518]}}
BIN, TOKEN = "pytorch_model.bin", {"global_pool": "token"}
FIRST = {"pooling": lambda states: states[:, 0]}


def resnet(file: str, named=dict):
    return bare("resnet50", named, file, sizes=BOTTLENECKS)


def hibou(architecture="Dinov2WithRegisters"):
    first, own = (lambda states: states[:, 0]), layouts.with_own_code
    sizes = {"image_size": 224, "patch_size": 14, "use_swiglu_ffn": True}
    return of_images(architecture, first, own, num_register_tokens=4, **sizes)


def phikon(name, **sizes):
    return of_images(name, lambda states: states[:, 0], image_size=224, **sizes)


MAKERS = {
    "uni": repository(L16, file=BIN, **UNI),
    "uni2-h": repository("vit_giant_patch14_224", file=BIN, swiglu=True, reg_tokens=8, **UNI2),
    "virchow": repository("vit_huge_patch14_224", VIRCHOW, pooling=cls_and_mean(1), swiglu=True),
    "virchow2": repository("vit_huge_patch14_224", VIRCHOW2, pooling=cls_and_mean(5), swiglu=True),
    "h-optimus-0": repository(GIANT, file=BIN, img_size=224, init_values=1e-5),
    "h-optimus-1": repository(GIANT, img_size=224, init_values=1e-5),
    "h0-mini": repository("vit_base_patch14_reg4_dinov2", MINI, swiglu=True, **FIRST),
    "prov-gigapath": repository(
        "vit_giant_patch14_dinov2", {"model_args": GIGAPATH}, BIN, **DYNAMIC
    ),
    "gigapath-flash": bare(S16, dict, BIN, swiglu=True, **FLASH),
    "path-orchestra": repository(L16, file=BIN, **UNI),
    "mstar": repository(L16, **UNI),
    "kaiko-s16": repository(S16, **DYNAMIC),
    "kaiko-s8": repository("vit_small_patch8_224", **DYNAMIC),
    "kaiko-b16": repository("vit_base_patch16_224", **DYNAMIC),
    "kaiko-b8": repository("vit_base_patch8_224", **DYNAMIC),
    "kaiko-l14": repository("vit_large_patch14_reg4_dinov2", HUGE, **DYNAMIC),
    "lunit-dino-s16": repository(S16),
    "lunit-dino-s8": repository("vit_small_patch8_224"),
    "lunit-bt": resnet("bt_rn50_ep200.torch"),
    "lunit-mocov2": resnet("mocov2_rn50_ep200.torch"),
    "lunit-swav": resnet("swav_rn50_ep200.torch"),
    "prost40m": repository(S16, **DYNAMIC),
    "ctranspath": repository(
        "swin_tiny_patch4_window7_224", sizes=STAGES, embed_layer=conv_stem.ConvStem
    ),
    "gpfm": bare("vit_large_patch14_dinov2", dict, "GPFM.pth", img_size=224, init_values=1e-5),
    "openmidnight": bare(GIANT, of_dinov2, "teacher_checkpoint_load.pt", img_size=224),
    "openpath": bare(
        GIANT,
        lambda state: beside_head("backbone.", "dino_head")(in_chunks(of_dinov2(state))),
        "teacher_checkpoint.pth",
        img_size=224,
    ),
    "crown": bare(
        L16, lambda state: in_chunks(of_dinov2(state)), "CROWN.pth", swiglu=True, **CROWN
    ),
    "sp22m": bare(S16, lambda state: under("encoder.", state), BIN),
    "retccl": resnet("retccl.pth", lambda state: under("module.encoder_q.", state)),
    "hipt": bare(S16, beside_head("module.backbone.", "module.head"), "vit.pth", **DYNAMIC),
    "phikon": phikon("ViT", patch_size=16),
    "phikon-v2": phikon("Dinov2", patch_size=16),
    "midnight": of_images(
        "Dinov2", cls_and_mean(1), image_size=518, patch_size=14, use_swiglu_ffn=True
    ),
    "hibou-b": hibou(),
    "hibou-l": hibou(),
    "quiltnet-b32": quiltnet(32),
    "quiltnet-b16": quiltnet(16),
    "quiltnet-b16-pmb": with_bert(24),
    "biomedclip": with_bert(24),
    "plip": layouts.plip,
    "medsiglip": layouts.medsiglip,
    "keep": layouts.keep,
    "openai-clip-b32": built_in("ViT-B-32-quickgelu"),
    "openai-clip-l14": built_in("ViT-L-14-quickgelu"),
    "siglip-b16": built_in("ViT-B-16-SigLIP"),
    "biobert": layouts.of_texts,
    "biomedbert": layouts.of_texts,
    "dinov2-l14": repository("vit_large_patch14_dinov2", HUGE, img_size=224, **DYNAMIC),
    "dinov3-b16": repository("vit_base_patch16_dinov3", **TOKEN),
    "resnet50": resnet("w.pth"),
}
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
HALF = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
CLIP = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
HOPTIMUS = (0.707223, 0.578729, 0.703617), (0.211883, 0.230117, 0.177517)
HIBOU = (0.7068, 0.5755, 0.722), (0.195, 0.2316, 0.1816)
LUNIT = (0.70322989, 0.53606487, 0.66096631), (0.21716536, 0.26081574, 0.20723464)
# What the cards say: resize to, crop to, filter, mean and std. Others are the libraries' own.
CARDS = {
    **dict.fromkeys(["uni", "uni2-h", "path-orchestra", "mstar"], (224, 224, "bilinear", IMAGENET)),
    **dict.fromkeys(
        ["virchow", "virchow2", "gpfm", "sp22m", "ctranspath"], (224, 224, "bicubic", IMAGENET)
    ),
    **dict.fromkeys(["h-optimus-0", "h-optimus-1"], (224, 224, "bicubic", HOPTIMUS)),
    "h0-mini": (224, 224, "bicubic", HOPTIMUS),
    **dict.fromkeys(["prov-gigapath", "gigapath-flash"], (256, 224, "bicubic", IMAGENET)),
    **dict.fromkeys([name for name in MAKERS if "kaiko" in name], (224, 224, "bilinear", HALF)),
    **dict.fromkeys(["lunit-dino-s16", "lunit-dino-s8"], (224, 224, "bicubic", LUNIT)),
    **dict.fromkeys(["lunit-bt", "lunit-mocov2", "lunit-swav"], (224, 224, "bilinear", LUNIT)),
    **dict.fromkeys(["openmidnight", "openpath", "crown"], (224, 224, "bilinear", IMAGENET)),
    "retccl": (256, 256, "bilinear", IMAGENET),
    "hipt": (256, 256, "bicubic", HALF),
    "phikon": (224, 224, "bilinear", IMAGENET),
    "phikon-v2": (224, 224, "bicubic", IMAGENET),
    "midnight": (224, 224, "bilinear", HALF),
    **dict.fromkeys(["hibou-b", "hibou-l"], (224, 224, "bicubic", HIBOU)),
    **dict.fromkeys(
        ["quiltnet-b32", "quiltnet-b16", "quiltnet-b16-pmb", "biomedclip", "plip"],
        (224, 224, "bicubic", CLIP),
    ),
    "medsiglip": ([448, 448], 448, "bilinear", HALF),
    "keep": (224, 224, "bicubic", IMAGENET),
    **dict.fromkeys(["openai-clip-b32", "openai-clip-l14"], (224, 224, "bicubic", CLIP)),
    "dinov2-l14": (224, 224, "bicubic", IMAGENET),
    "resnet50": (224, 224, "bilinear", IMAGENET),
}


def entry_of(name: str, **keys) -> dict:
    """A preset's entry as the workflow gives it to the loader, with a config's own keys."""
    config = {"encoders": {"x": {"preset": name} | keys}}
    assert presets.fill(config) == []
    entry = config["encoders"]["x"]
    return {"name": "x"} | {key: entry[key] for key in entry.keys() - NOT_COMPUTING}


def made(name: str, folder, monkeypatch) -> tuple[encoders.Encoder, layouts.Made]:
    files = MAKERS[name](folder)
    for model, config in files.about.items():
        import open_clip

        monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, model, config)
    return encoders.load(entry_of(name, **files.keys)), files


@pytest.fixture
def picture() -> Image.Image:
    torch.manual_seed(1)
    return Image.fromarray((torch.rand(40, 40, 3) * 255).byte().numpy()).resize((300, 300))


def close(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    """Equal to 1e-5 of their size."""
    torch.testing.assert_close(ours, theirs, atol=1e-5 * float(theirs.abs().max()), rtol=1e-5)


@pytest.mark.parametrize("name", MAKERS)
@torch.no_grad()
def test_a_preset_gives_what_the_reference_gives(name, tmp_path, monkeypatch, picture):
    encoder, files = made(name, tmp_path, monkeypatch)
    if files.image is not None:
        pixels = encoder.preprocess(picture)[None]
        if name in CARDS:
            torch.testing.assert_close(pixels[0], prepared(picture, *CARDS[name]))
        vectors = encoder.image(pixels)
        close(vectors, files.image(pixels))
        assert vectors.shape == (1, encoder.image_dim) and vectors.std() > 1e-3
    if files.text is not None:
        close(encoder.text(encoder.tokenize(TEXTS)), files.text(TEXTS))
    assert bool(presets.read()[name]["context"] != 0) == (encoder.text is not None)


def prepared(picture, resize, crop, interpolation, norm) -> torch.Tensor:
    from torchvision import transforms
    from torchvision.transforms.functional import to_tensor

    mode = transforms.InterpolationMode(interpolation)
    cut = transforms.CenterCrop(crop)(transforms.Resize(resize, mode)(picture))
    mean, std = (torch.tensor(values)[:, None, None] for values in norm)
    return (to_tensor(cut) - mean) / std


def test_every_preset_is_built_here_but_those_that_need_a_package():
    assert presets.read().keys() - MAKERS.keys() == {"conch", "musk"}


ON_TIMM = [name for name, make in MAKERS.items() if hasattr(make, "architecture")]


@pytest.mark.parametrize("name", ON_TIMM)
def test_the_whole_architecture_can_be_built_and_is_as_wide_as_the_preset_says(name):
    """Its own depth and width, without memory: an argument that only fits narrow blocks shows."""
    import timm

    make, entry = MAKERS[name], entry_of(name)
    layers = {key: value for key, value in entry.get("kwargs", {}).items() if "_layer" not in key}
    if "mlp_layer" in entry.get("kwargs", {}):
        layers |= layouts.silu()
    if "embed_layer" in entry.get("kwargs", {}):
        layers["embed_layer"] = conv_stem.ConvStem
    with torch.device("meta"):
        model = timm.create_model(make.architecture, num_classes=0, **make.said | layers)
    times = 2 if entry.get("pooling") == "cls+mean" else 1
    assert presets.read()[name]["width"] == times * model.num_features


# One encoder of each family: what is trained, and what is exported.
SPLIT = ["uni2-h", "virchow2", "retccl", "phikon", "midnight", "hibou-b", "plip", "medsiglip"]
SPLIT += ["keep", "quiltnet-b32", "biomedclip"]


@pytest.mark.parametrize("name", SPLIT)
def test_frozen_and_trained_blocks_are_the_tower_and_adapters_learn(
    name, tmp_path, monkeypatch, picture
):
    encoder, _ = made(name, tmp_path, monkeypatch)
    inputs = {encoder.image: torch.stack([encoder.preprocess(picture)] * 2)}
    if encoder.text is not None:
        inputs[encoder.text] = encoder.tokenize(TEXTS)
    (tokens,) = split_towers.frozen(encoder.image, 0)(inputs[encoder.image])
    assert (tokens.dim() == 3) == (name != "retccl")
    for tower, x in inputs.items():
        whole = tower(x).detach()
        frozen, trained = split_towers.split(tower, 1)
        close(trained(*frozen(x)).detach(), whole)
        adapted = lora.adapt(tower, {"rank": 2, "alpha": 2, "targets": "all"})
        close(adapted(x).detach(), whole)
        adapted(x).square().sum().backward()
        lora.require_gradients(adapted)


EXPORTED = ["uni2-h", "virchow2", "midnight", "plip", "quiltnet-b32"]


@pytest.mark.parametrize("name", EXPORTED)
@torch.no_grad()
def test_an_export_builds_the_same_towers_and_pixels(name, tmp_path, monkeypatch, picture):
    (tmp_path / "files").mkdir()
    files = MAKERS[name](tmp_path / "files")
    entry = entry_of(name, **files.keys)
    encoder = encoders.load(entry)
    kept = architectures.save(encoder, entry, tmp_path / "out", {"image", "text"})
    again = architectures.load(kept, tmp_path / "out")
    pixels = encoder.preprocess(picture)[None]
    again.image.load_state_dict(encoder.image.state_dict())
    close(again.image.eval()(pixels), encoder.image(pixels))
    if encoder.text is not None:
        again.text.load_state_dict(encoder.text.state_dict())
        tokens = encoder.tokenize(TEXTS)
        assert torch.equal(again.tokenize(TEXTS), tokens)
        close(again.text.eval()(tokens), encoder.text(tokens))
    steps = preprocessing.describe(encoder.preprocess)
    written = torch.from_numpy(preprocessing.apply(steps, picture))
    torch.testing.assert_close(written[None], pixels, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", ["virchow2", "midnight", "plip"])
@torch.no_grad()
def test_an_image_tower_is_the_same_in_onnx_for_any_batch(name, tmp_path, monkeypatch):
    """Towers whose forward pass is histopair's own: the others are covered in test_export.py."""
    onnxruntime = pytest.importorskip("onnxruntime")
    encoder, _ = made(name, tmp_path, monkeypatch)
    batch = {"input_names": ["pixels"], "dynamic_shapes": ({0: torch.export.Dim("batch")},)}
    example = (torch.randn(2, 3, 224, 224),)
    program = torch.onnx.export(encoder.image, example, dynamo=True, verbose=False, **batch)
    program.save(tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    pixels = torch.randn(3, 3, 224, 224)
    close(torch.from_numpy(session.run(None, {"pixels": pixels.numpy()})[0]), encoder.image(pixels))


# The data file.

FACTS = {
    "width": {"type": "integer", "minimum": 1},
    "size": {"type": ["integer", "null"], "minimum": 0},
    "precision": {"enum": ["float32", "float16", "bfloat16", None]},
    "spacing": {"type": ["number", "array", "null"], "items": {"type": "number"}},
    "licence": {"type": ["string", "array"], "minItems": 2, "items": {"type": "string"}},
    "gated": {"enum": [True, False, None]},
    "context": {"type": ["integer", "null"], "minimum": 0},
    "citation": {"type": ["string", "null"], "pattern": r"^10\.\d{4,}/\S+$"},
    "reading": {"type": ["string", "null"], "pattern": r"\.$"},
}
REVISION = re.compile("[0-9a-f]{40}")


@pytest.mark.parametrize("name", presets.read())
def test_an_entry_of_the_data_file_has_every_fact_in_its_form(name):
    preset = presets.read()[name]
    keys = {"entry": {"type": "object"}} | FACTS
    form = {"properties": keys, "required": list(keys), "additionalProperties": False}
    jsonschema.validate(preset, form)
    entry, of_config = preset["entry"], plan_schema.read()["properties"]["encoders"]
    jsonschema.validate(entry, of_config["additionalProperties"])
    assert entry["description"].endswith(".") and "licence" not in entry
    for pinned in (entry, entry.get("text_model", {})):
        assert REVISION.fullmatch(pinned.get("revision", "0" * 40))
    if "revision" in entry:
        assert entry["library"] != "timm" or "hf-hub:" in entry["model"] + entry.get("weights", "")
    if len(presets.licences(name)) > 1:
        assert preset["reading"]
    if "size" in entry.get("pixels", {}):
        assert entry["pixels"]["size"] == preset["size"]


def test_there_are_enough_encoders_and_text_towers():
    assert len(presets.read()) >= 45
    assert sum(preset["context"] != 0 for preset in presets.read().values()) >= 12


def test_a_config_may_name_every_preset():
    config = test_configuration.small()
    config["encoders"] |= {f"by-{name}": {"preset": name} for name in presets.read()}
    encoders_of_config = load(config)["encoders"]
    assert encoders_of_config["by-uni2-h"]["kwargs"]["mlp_layer"] == "SwiGLUPacked"
    assert encoders_of_config["by-uni2-h"]["licence"] == "CC-BY-NC-ND-4.0"


def test_the_strictest_of_conflicting_licences_counts():
    assert licences.strictness(presets.licences("gpfm")[0]) > 1
    config = {"encoders": {"g": {"preset": "gpfm"}, "p": {"preset": "plip", "licence": "MIT"}}}
    presets.fill(config)
    assert config["encoders"]["g"]["licence"] == "CC-BY-NC-ND-4.0"
    assert config["encoders"]["p"]["licence"] == "MIT"


def test_each_key_can_be_set_otherwise_and_maps_key_by_key():
    entry = entry_of("virchow2", pooling="cls", kwargs={"depth": 2}, pixels={"size": 448})
    assert entry["pooling"] == "cls" and entry["revision"]
    assert entry["kwargs"] == {"mlp_layer": "SwiGLUPacked", "act_layer": "SiLU", "depth": 2}
    assert entry["pixels"]["size"] == 448 and entry["pixels"]["interpolation"] == "bicubic"
    assert presets.read()["virchow2"]["entry"]["pixels"]["size"] == 224


def test_weights_of_another_place_are_without_the_revision():
    assert "revision" not in entry_of("uni", model="local-dir:uni")
    assert not entry_of("gpfm", weights="GPFM.pth").keys() & {"revision", "sha256"}
    assert "revision" in entry_of("gpfm", model="vit_large_patch14_reg4_dinov2")
    assert entry_of("uni", model="hf-hub:a/b", revision="main")["revision"] == "main"


@pytest.mark.parametrize(
    ("preset", "near"), [("uni3", "'uni'"), ("H-optimus-0", "'h-optimus-0'"), (7, "allowed")]
)
def test_an_unknown_preset_is_one_line_with_its_neighbour(preset, near):
    config = test_configuration.small()
    config["encoders"]["mine"] = {"preset": preset}
    with pytest.raises(InputError, match=f"encoders.mine.preset: .*{near}") as mistake:
        load(config)
    assert "\n" not in str(mistake.value)


def test_the_command_lists_by_licence_gate_and_text(capsys):
    def listed(*words: str) -> list[str]:
        commands.presets.main(list(words))
        return [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:-1]]

    assert listed() == list(presets.read())
    assert set(listed("--open", "--text")) >= {"plip", "biomedclip"}
    assert not set(listed("--open")) & {"uni", "prost40m"} and "uni" in listed("--gated")
    assert "gpfm" in listed("--licence", "mit") and "gpfm" in listed("--licence", "by-nc-nd")


def test_the_command_shows_one_and_tells_neighbours_of_another(capsys):
    commands.presets.main(["h0-mini"])
    assert "cls+mean" in capsys.readouterr().out
    with pytest.raises(InputError, match=r"no preset 'h0-min' .did you mean 'h0-mini'"):
        commands.presets.main(["h0-min"])
