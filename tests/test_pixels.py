"""JPEG through torchvision: Pillow's pixels, its messages, and batches in order."""

import io

import h5py
import numpy as np
import open_clip
import pytest
import timm
import torch
from PIL import Image
from torchvision import transforms

from histopair import images
from histopair.errors import InputError
from histopair.images import chain, pixels
from histopair.images.decoders import jpeg

CPU = torch.device("cpu")
MEAN, STD = [0.5, 0.4, 0.3], [0.2, 0.3, 0.4]


def tissue(width: int, height: int, seed: int = 0) -> Image.Image:
    """Blobs and grain."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize((width, height), 3)).astype(int)
    return Image.fromarray((smooth + rng.integers(-9, 9, smooth.shape)).clip(0, 255).astype("u1"))


def turned_by_exif() -> dict:
    exif = Image.Exif()
    exif[274] = 6
    return {"exif": exif}


KINDS = {
    "4:4:4": ("RGB", {"subsampling": 0}),
    "4:2:2": ("RGB", {"subsampling": 1}),
    "4:2:0": ("RGB", {"subsampling": 2}),
    "progressive": ("RGB", {"progressive": True}),
    "grey": ("L", {}),
    "cmyk": ("CMYK", {}),
    "rgb": ("RGB", {"keep_rgb": True}),
    "restarts": ("RGB", {"restart_marker_blocks": 3}),
    "exif": ("RGB", turned_by_exif()),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(160, 160), (101, 67), (1, 3)])
def test_decoded_pixels_are_those_of_pillow(tmp_path, kind, size):
    mode, options = KINDS[kind]
    tissue(*size).convert(mode).save(tmp_path / "a.jpg", **options)
    decoded = jpeg.read(tmp_path / "a.jpg").permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(decoded, np.asarray(images.load(tmp_path, "a.jpg")))


def of_timm(**options):
    return timm.data.create_transform((3, 64, 64), mean=MEAN, std=STD, **options)


def of_torchvision(*shapes):
    ends = transforms.ToTensor(), transforms.Normalize(MEAN, STD)
    return transforms.Compose([*shapes, *ends])


BICUBIC, BILINEAR = transforms.InterpolationMode.BICUBIC, transforms.InterpolationMode.BILINEAR
ORDINARY = {
    "open_clip": open_clip.image_transform(64, False, MEAN, STD),
    "open_clip squash": open_clip.image_transform(64, False, MEAN, STD, resize_mode="squash"),
    "timm bilinear": of_timm(interpolation="bilinear"),
    "timm bicubic": of_timm(interpolation="bicubic", crop_pct=0.9),
    "width and height": of_torchvision(transforms.Resize([48, 64], BICUBIC)),
    "larger crop": of_torchvision(transforms.Resize(32, BILINEAR), transforms.CenterCrop(64)),
    "no resizing": of_torchvision(transforms.CenterCrop(64)),
}


def grey_levels(change: torch.Tensor) -> torch.Tensor:
    return (change * torch.tensor(STD).view(3, 1, 1) * 255).abs().round()


@pytest.mark.parametrize("name", ORDINARY)
@pytest.mark.parametrize("size", [(150, 150), (101, 90), (64, 64), (40, 50), (64, 300)])
def test_images_of_pillow_keep_every_bit_and_jpegs_are_within_a_grey_level(tmp_path, name, size):
    preprocess = ORDINARY[name]
    assert chain.of(preprocess, CPU).whole is None
    for file in ("a.png", "a.jpg"):
        tissue(*size).save(tmp_path / file)
    assert torch.equal(pixels.read(tmp_path, "a.png", preprocess), preprocess(tissue(*size)))
    expected = preprocess(images.load(tmp_path, "a.jpg"))
    apart = grey_levels(pixels.read(tmp_path, "a.jpg", preprocess) - expected)
    assert apart.max() <= 2 and (apart > 1).float().mean() < 1e-3
    assert (apart > 0).float().mean() < (0.2 if size[1] < 300 else 1e-9)


UNUSUAL = {
    "longest side": open_clip.image_transform(64, False, MEAN, STD, resize_mode="longest"),
    "border": of_timm(crop_mode="border"),
    "nearest": of_torchvision(transforms.Resize(64, transforms.InterpolationMode.NEAREST)),
    "other step": of_torchvision(transforms.Resize((64, 64)), transforms.GaussianBlur(3)),
    "no transforms": lambda image: transforms.functional.to_tensor(image.resize((64, 64))),
}


@pytest.mark.parametrize("name", UNUSUAL)
def test_other_preprocessings_are_done_as_they_are(tmp_path, name):
    tissue(90, 80).save(tmp_path / "a.jpg")
    torch.manual_seed(0)
    made = pixels.read(tmp_path, "a.jpg", UNUSUAL[name])
    torch.manual_seed(0)
    assert torch.equal(made, UNUSUAL[name](images.load(tmp_path, "a.jpg")))
    assert pixels.way(UNUSUAL[name], CPU) == "Pillow"


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_a_strip_that_took_the_place_of_an_image_is_named(tmp_path, name):
    tissue(60_000, 1).save(tmp_path / name)
    with pytest.raises(InputError, match=f"{name}: 60000 x 1 pixels are too narrow a strip"):
        next(pixels.batches(tmp_path, [name], ORDINARY["open_clip"], 1, CPU))


def test_a_truncated_jpeg_is_named_as_pillow_names_it(tmp_path):
    stream = io.BytesIO()
    tissue(90, 80).save(stream, "JPEG")
    (tmp_path / "t.jpg").write_bytes(stream.getvalue()[:-30])
    with pytest.raises(images.Unreadable, match=r"^t.jpg: unreadable \(image file is truncated"):
        pixels.read(tmp_path, "t.jpg", ORDINARY["open_clip"])


@pytest.fixture
def mixed(tmp_path) -> list[str]:
    """Ten images of two sizes: JPEG, PNG and rows of an array."""
    for number in range(0, 8, 2):
        tissue(70 + number, 70, number).save(tmp_path / f"{number}.jpg")
        tissue(80, 70, number).save(tmp_path / f"{number + 1}.png")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = np.stack([np.asarray(tissue(66, 66, seed)) for seed in (8, 9)])
    names = [f"{n}.{end}" for n in range(0, 8, 2) for n, end in ((n, "jpg"), (n + 1, "png"))]
    return [*names, "a.h5#0", "a.h5#1"]


@pytest.mark.parametrize("decoding", ["cpu", "gpu"])
@pytest.mark.parametrize("name", ["open_clip", "border"])
def test_batches_are_the_images_in_their_order(tmp_path, mixed, decoding, name):
    """Here "gpu" is the processor, which decodes a whole batch as a GPU would."""
    preprocess = (ORDINARY | UNUSUAL)[name]
    parts = list(pixels.batches(str(tmp_path), mixed, preprocess, 4, CPU, decoding))
    assert list(map(len, parts)) == [4, 4, 2]
    assert all(part.is_contiguous(memory_format=torch.channels_last) for part in parts)
    alone = torch.stack([pixels.read(tmp_path, path, preprocess) for path in mixed])
    assert torch.equal(torch.cat(parts), alone)


def test_what_a_device_cannot_decode_goes_through_pillow(tmp_path, mixed, monkeypatch):
    """As nvJPEG does, it refuses the whole batch for one image in it."""
    decode, preprocess = jpeg.decode_jpeg, ORDINARY["open_clip"]
    expected = torch.cat(list(pixels.batches(str(tmp_path), mixed, preprocess, 10, CPU)))
    odd = len(jpeg.content(tmp_path / "2.jpg"))

    def refusing(contents, *arguments):
        if isinstance(contents, list) and odd in map(len, contents):
            raise RuntimeError("unsupported")
        return decode(contents, *arguments)

    monkeypatch.setattr(jpeg, "decode_jpeg", refusing)
    made = torch.cat(list(pixels.batches(str(tmp_path), mixed, preprocess, 10, CPU, "gpu")))
    assert torch.equal(made, expected)


def test_decoding_by_a_gpu_needs_one():
    with pytest.raises(InputError, match="this job has none"):
        pixels.way(ORDINARY["open_clip"], CPU, "gpu")


@pytest.mark.parametrize("cache_mb", [0, 10])
def test_pixels_by_row_are_those_of_the_images_kept_or_not(tmp_path, mixed, cache_mb):
    preprocess = ORDINARY["open_clip"]
    source = pixels.Source(str(tmp_path), mixed, preprocess, cache_mb, CPU)
    for _ in range(2):
        made = source(torch.tensor([9, 0, 3]))
        for image, row in zip(made, (9, 0, 3), strict=True):
            assert torch.equal(image, pixels.read(tmp_path, mixed[row], preprocess))
    kept = sorted(source.cache)
    assert kept == ([0, 3, 9] if cache_mb else [])
    assert all(row.untyped_storage().nbytes() == 64 * 64 * 3 for row in source.cache.values())
