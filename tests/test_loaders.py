"""What an encoder's entry can say of poolings, pixels, files and code, and what is refused."""

import hashlib
import json
from pathlib import Path

import layouts
import pytest
import tiny
import torch
from PIL import Image

from histopair import encoders
from histopair.encoders import hub, preparation
from histopair.errors import InputError
from histopair.export import architectures

SMALL = {"img_size": 32, "patch_size": 16, "embed_dim": 24, "depth": 2, "num_heads": 2}
COMMIT = "0123456789" * 4


def vit(folder: Path, **arguments) -> tuple[dict, torch.nn.Module]:
    """A file of weights, and the entry that reads it with these arguments."""
    import timm

    sizes = SMALL | arguments
    model = layouts.random(timm.create_model("vit_tiny_patch16_224", num_classes=0, **sizes))
    torch.save(model.state_dict(), folder / "w.pth")
    entry = {"name": "x", "library": "timm", "model": "vit_tiny_patch16_224", "kwargs": sizes}
    return entry | {"weights": str(folder / "w.pth"), "pixels": {"size": 32}}, model


def refused(entry: dict, match: str) -> None:
    with pytest.raises(InputError, match=match) as mistake:
        encoders.load({"name": "x"} | entry)
    assert "\n" not in str(mistake.value)


@pytest.mark.parametrize("registers", [0, 4])
@torch.no_grad()
def test_registers_and_the_class_token_are_no_patches(tmp_path, registers):
    entry, model = vit(tmp_path, reg_tokens=registers)
    pixels = torch.randn(2, 3, 32, 32)
    tokens = model.forward_features(pixels)
    patches = tokens[:, -4:]  # of 16 pixels each
    first, mean = tokens[:, 0], patches.sum(1) / 4
    expected = {"cls": first, "mean": mean, "cls+mean": torch.cat([first, mean], 1)}
    for pooling, vectors in expected.items():
        encoder = encoders.load(entry | {"pooling": pooling})
        torch.testing.assert_close(encoder.image(pixels), vectors)
        assert encoder.image_dim == vectors.shape[1]


def test_a_network_without_tokens_cannot_pool_them(tmp_path):
    import timm

    torch.save(timm.create_model("resnet18", num_classes=0).state_dict(), tmp_path / "w.pth")
    entry = {"library": "timm", "model": "resnet18", "weights": str(tmp_path / "w.pth")}
    refused(entry | {"pooling": "cls+mean"}, "`pooling`|global_pool")


@torch.no_grad()
def test_pixels_set_the_transform_and_the_towers_size(tmp_path):
    import timm

    entry, model = vit(tmp_path)
    encoder = encoders.load(entry | {"pixels": {"size": 64, "resize": 80, "mean": [0, 0, 0]}})
    picture = Image.effect_noise((160, 120), 60).convert("RGB")
    pixels = encoder.preprocess(picture)
    assert pixels.shape == (3, 64, 64)
    sizes = SMALL | {"img_size": 64}
    wide = timm.create_model("vit_tiny_patch16_224", num_classes=0, **sizes).eval()
    state = timm.models.vision_transformer.checkpoint_filter_fn(model.state_dict(), wide)
    wide.load_state_dict(state)
    torch.testing.assert_close(encoder.image(pixels[None]), wide(pixels[None]))
    resized = picture.resize((int(160 * 80 / 120), 80), Image.Resampling.BICUBIC)
    left = (resized.width - 64) // 2
    middle = resized.crop((left, 8, left + 64, 72))
    value = torch.tensor(middle.getpixel((0, 0))) / 255 / 0.5
    torch.testing.assert_close(pixels[:, 0, 0], value)


@pytest.mark.parametrize(
    ("checkpoint", "match"),
    [
        ({"key": "student"}, "`checkpoint.key`: .* has no state dict 'student'; it holds teacher"),
        (
            {"key": "teacher", "strip": ["modul."]},
            "`checkpoint.strip`: no key starts with 'modul.'",
        ),
        ({"key": "teacher", "drop": ["neck."]}, "`checkpoint.drop`: no key starts with 'neck.'"),
        ({"key": "teacher", "drop": ["module.norm."]}, r"2 missing \(norm.bias, norm.weight\)"),
        ({"key": "teacher", "strip": ["module.neck.", "module."]}, "two tensors have one name"),
    ],
)
def test_a_checkpoint_is_read_as_it_is_said_or_refused(tmp_path, checkpoint, match):
    entry, model = vit(tmp_path)
    state = layouts.under("module.", model.state_dict())
    extra = {"module.neck.module.norm.bias": torch.zeros(24)}
    torch.save({"teacher": state | extra, "epoch": 3}, entry["weights"])
    good = entry | {
        "checkpoint": {"key": "teacher", "drop": ["module.neck."], "strip": ["module."]}
    }
    pixels = torch.randn(1, 3, 32, 32)
    torch.testing.assert_close(encoders.load(good).image(pixels), model(pixels))
    refused(entry | {"checkpoint": checkpoint}, match)


def test_a_file_with_another_checksum_is_refused(tmp_path):
    entry, _ = vit(tmp_path)
    digest = hashlib.sha256(Path(entry["weights"]).read_bytes()).hexdigest()
    encoders.load(entry | {"sha256": digest})
    refused(entry | {"sha256": "0" * 64}, f"has the SHA-256 {digest}")


@pytest.mark.parametrize("keys", [{"sha256": "0" * 64}, {"checkpoint": {"key": "teacher"}}])
def test_what_is_said_of_a_file_needs_one(keys):
    entry = {"library": "timm", "model": "hf-hub:a/b"}
    refused(entry | keys, "are about a file, and the entry names none")


def test_a_mask_token_is_left_out_whatever_the_architecture(tmp_path):
    entry, model = vit(tmp_path)
    torch.save(model.state_dict() | {"mask_token": torch.zeros(1, 24)}, entry["weights"])
    pixels = torch.randn(1, 3, 32, 32)
    torch.testing.assert_close(encoders.load(entry).image(pixels), model(pixels))
    import timm

    small = {"embed_dim": 24, "depth": 1, "num_heads": 2}
    name = "eva02_tiny_patch14_224"
    eva = timm.create_model(name, num_classes=0, **small)
    torch.save(eva.state_dict() | {"mask_token": torch.zeros(1, 1, 24)}, entry["weights"])
    keys = {"model": name, "kwargs": small, "pixels": {"size": 224}}
    encoders.load(entry | keys)


@pytest.mark.parametrize("make", [tiny.vit_entry, tiny.clip_entry, tiny.bert_entry, layouts.keep])
def test_a_revision_of_local_files_is_refused(tmp_path, make):
    entry = make(tmp_path)
    keys = entry if isinstance(entry, dict) else {"library": "keep"} | entry.keys
    refused(keys | {"revision": COMMIT}, "`revision` .* pins nothing")


def test_texts_of_a_model_of_images_are_not_counted(tmp_path):
    keys = layouts.of_images("ViT", lambda x: x, image_size=32, patch_size=16)(tmp_path).keys
    with pytest.raises(InputError, match="ViTModel reads images and no texts"):
        encoders.counter({"name": "x", "library": "transformers"} | keys)


@pytest.mark.parametrize("make", [layouts.plip, layouts.medsiglip, layouts.keep])
def test_tokens_of_a_pair_are_counted_as_its_tower_reads_them(tmp_path, make):
    library = "keep" if make is layouts.keep else "transformers"
    entry = {"name": "x", "library": library} | make(tmp_path).keys
    count, context = encoders.counter(entry)
    encoder = encoders.load(entry)
    texts = ["a tumour", "no tumour of a normal colon"]
    assert context == encoder.context and count(texts) == encoder.count(texts)
    assert count(texts)[1] > count(texts)[0] > 2


def test_two_addresses_of_one_name_are_two_files(tmp_path, monkeypatch):
    monkeypatch.setattr("timm.models._hub.get_cache_dir", lambda: str(tmp_path))
    monkeypatch.setattr(
        "timm.models._hub.download_url_to_file",
        lambda address, file, *_, **__: Path(file).write_text(address),
    )
    addresses = ["https://a.org/dino/checkpoint.pth?x=1", "https://a.org/ibot/checkpoint.pth"]
    files = [hub.file(address) for address in [*addresses, *addresses]]
    assert [file.read_text() for file in files] == [*addresses, *addresses]
    assert all(file.name.endswith("-checkpoint.pth") for file in files)


def test_an_address_on_the_hub_names_a_file():
    with pytest.raises(ValueError, match="names no file"):
        hub.file("hf-hub:a/b")


def remote(folder: Path, place: str = "modeling_own.Own") -> dict:
    """A model whose class is in its own folder; running its code leaves a file."""
    (folder / "modeling_own.py").write_text(
        f"""
import torch
from pathlib import Path
from transformers import PretrainedConfig, PreTrainedModel

Path({str(folder / "ran")!r}).touch()


class Config(PretrainedConfig):
    model_type = "own"
    image_size = 32


class Own(PreTrainedModel):
    config_class = Config
    main_input_name = "pixel_values"

    def __init__(self, config):
        super().__init__(config)
        self.layer = torch.nn.Linear(3, 8)
        self.post_init()

    def forward(self, pixel_values):
        return self.layer(pixel_values.flatten(2).transpose(1, 2))
"""
    )
    code = {"AutoConfig": place.replace(".Own", ".Config"), "AutoModel": place}
    content = {"model_type": "own", "auto_map": code}
    (folder / "config.json").write_text(json.dumps(content))
    layer = {"layer.weight": torch.randn(8, 3), "layer.bias": torch.randn(8)}
    layouts.save(folder / "model.safetensors", layer)
    pixels = {"size": 32, "interpolation": "bicubic", "mean": [0.0] * 3, "std": [1.0] * 3}
    return {"library": "transformers", "model": str(folder), "pixels": pixels}


def test_code_of_others_runs_only_with_consent(tmp_path, monkeypatch):
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "m"))
    entry = remote(tmp_path) | {"pooling": "cls+mean", "prefix_tokens": 9}
    refused(entry, "brings its own code, which is not run.*`remote_code: true` and `revision`")
    assert not (tmp_path / "ran").exists()
    encoder = encoders.load({"name": "x", "remote_code": True} | entry)
    assert (tmp_path / "ran").exists()
    pixels = torch.randn(2, 3, 32, 32)
    states = encoder.image.model(pixels)
    mean = states[:, 9:].mean(1)
    torch.testing.assert_close(encoder.image(pixels), torch.cat([states[:, 0], mean], 1))
    with pytest.raises(InputError, match="code of its authors"):
        architectures.save(
            encoder, {"name": "x", "remote_code": True} | entry, tmp_path / "o", set()
        )


@pytest.mark.parametrize("revision", [None, "main", "v1", COMMIT[:7], COMMIT + "0", "g" * 40])
def test_code_from_the_hub_needs_a_whole_commit(revision):
    entry = {"library": "transformers", "model": "a/b", "remote_code": True}
    pinned = {"revision": revision} if revision else {}
    refused(entry | pinned, "`remote_code` needs a commit of 40 digits")


def test_code_of_a_third_repository_is_refused(tmp_path):
    entry = remote(tmp_path, "other/code--modeling_own.Own") | {"remote_code": True}
    refused(entry, "code is in another repository")


def test_an_export_cannot_ask_for_code(tmp_path):
    entry = remote(tmp_path)
    with pytest.raises(InputError, match="brings its own code"):
        architectures.load({"name": "x", "library": "transformers", "remote_code": True}, tmp_path)
    assert entry and not (tmp_path / "ran").exists()


def test_an_architecture_that_transformers_lacks_is_named_with_its_like(tmp_path):
    entry = remote(tmp_path) | {"architecture": "Dinov2WithRegisterModel"}
    refused(entry, "has no model 'Dinov2WithRegisterModel'; similar names are Dinov2WithRegisters")


@torch.no_grad()
def test_images_of_a_pair_are_taken_before_or_after_their_projection(tmp_path):
    keys = layouts.plip(tmp_path).keys
    entry = {"name": "x", "library": "transformers"} | keys
    pair, alone = encoders.load(entry), encoders.load(entry | {"projected": False})
    pixels = torch.randn(1, 3, 224, 224)
    before = pair.image.model(pixel_values=pixels).pooler_output
    torch.testing.assert_close(alone.image(pixels), before)
    torch.testing.assert_close(pair.image(pixels), pair.image.projection(before))
    assert alone.text is None and (alone.image_dim, pair.image_dim) == (32, 24)


@pytest.mark.parametrize("make", [tiny.clip_entry, layouts.with_bert(24)])
@torch.no_grad()
def test_images_of_open_clip_are_taken_before_their_projection(tmp_path, make):
    files = make(tmp_path)
    keys = files if isinstance(files, dict) else {"library": "open_clip"} | files.keys
    pair = encoders.load({"name": "x"} | keys)
    alone = encoders.load({"name": "x", "projected": False} | keys)
    pixels = pair.preprocess(Image.effect_noise((64, 64), 60).convert("RGB"))[None]
    before = alone.image(pixels)
    project = getattr(pair.image, "proj", None)
    after = pair.image.head(before) if project is None else before @ project
    torch.testing.assert_close(after, pair.image(pixels))
    assert alone.text is None and alone.image_dim == before.shape[1]


def test_a_pair_without_a_projection_says_so(tmp_path):
    keys = layouts.medsiglip(tmp_path).keys
    refused({"library": "transformers", "projected": False} | keys, "projects no images")


def test_a_second_repository_is_only_for_a_text_tower_of_transformers(tmp_path):
    entry = tiny.clip_entry(tmp_path) | {"text_model": {"model": str(tmp_path)}}
    refused(entry, "`text_model`: its text tower is one of open_clip")


def test_a_model_without_a_class_token_cannot_pool_it(tmp_path):
    from transformers import SiglipVisionConfig, SiglipVisionModel

    config = SiglipVisionConfig(**layouts.TOWER, image_size=32, patch_size=16)
    layouts.random(SiglipVisionModel(config)).save_pretrained(tmp_path)
    pixels = {"size": 32, "interpolation": "bicubic", "mean": [0.0] * 3, "std": [1.0] * 3}
    entry = {"library": "transformers", "model": str(tmp_path), "pixels": pixels}
    refused(entry, "`pooling` 'cls': SiglipVisionModel has no class token")
    encoder = encoders.load({"name": "x", "pooling": "mean"} | entry)
    batch = torch.randn(2, 3, 32, 32)
    states = encoder.image.model(pixel_values=batch).last_hidden_state
    torch.testing.assert_close(encoder.image(batch), states.mean(1))


def test_an_image_model_says_how_its_images_are_prepared(tmp_path):
    keys = layouts.of_images("ViT", lambda x: x, image_size=32, patch_size=16)(tmp_path).keys
    refused({"library": "transformers"} | keys, "no preprocessor_config.json.*Set all of `pixels`")
    from transformers import ViTImageProcessor

    size = {"height": 32, "width": 32}
    layouts.processor(ViTImageProcessor(size=size, resample=3, image_mean=[0.1] * 3), tmp_path)
    encoder = encoders.load({"name": "x", "library": "transformers"} | keys)
    resize, _, _, norm = encoder.preprocess.transforms
    assert resize.size == [32, 32] and resize.interpolation.value == "bicubic"
    assert list(norm.mean) == [0.1] * 3 and list(norm.std) == [0.5] * 3


STEPS = {"do_resize": False, "do_rescale": False, "rescale_factor": 0.5, "resample": 0}


SIZES = [{"size": None}, {"size": {"longest_edge": 32}}]


@pytest.mark.parametrize("step", [*({key: STEPS[key]} for key in STEPS), {"crop_pct": 0.9}, *SIZES])
def test_a_step_of_a_preprocessor_that_is_not_known_is_refused(step):
    usual = {"size": {"height": 32, "width": 32}, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    assert preparation.of_processor(usual).size == 32
    with pytest.raises(ValueError, match=next(iter(step))):
        preparation.of_processor(usual | step)


@pytest.mark.parametrize(
    ("processor", "settings"),
    [
        ("MobileViT", {"size": {"shortest_edge": 36}, "crop_size": {"height": 32, "width": 32}}),
        ("Levit", {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}),
        ("EfficientNet", {"size": {"height": 32, "width": 32}, "crop_size": None}),
        ("ViT", {"size": {"height": 32, "width": 64}}),
    ],
)
def test_a_preprocessor_that_does_more_than_its_file_says_is_refused(tmp_path, processor, settings):
    import transformers

    keys = layouts.of_images("ViT", lambda x: x, image_size=32, patch_size=16)(tmp_path).keys
    kind = getattr(transformers, f"{processor}ImageProcessor")
    layouts.processor(kind(**settings), tmp_path)
    refused({"library": "transformers"} | keys, f"{processor}ImageProcessor has steps.*`pixels`")


def test_what_pixels_leave_of_open_clips_preprocessing_stays(tmp_path):
    entry = tiny.clip_entry(tmp_path) | {"pixels": {"mean": [0.4] * 3}}
    config = json.loads((tmp_path / "open_clip_config.json").read_text())

    def resized(mode):
        config["preprocess_cfg"]["resize_mode"] = mode
        (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
        return encoders.load(entry).preprocess.transforms[0].size

    assert (resized("shortest"), resized("squash")) == (32, [32, 32])
    with pytest.raises(InputError, match="resized by 'longest'"):
        resized("longest")
