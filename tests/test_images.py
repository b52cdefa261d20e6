"""Images come as RGB whatever the file, stay inside their root, and damage is named."""

import hashlib
import io

import h5py
import numpy as np
import pytest
from PIL import Image

from histopair import images
from histopair.datasets import image_checks
from histopair.errors import InputError

PIXELS = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)


def _save(folder, name: str, array=PIXELS, **options) -> str:
    Image.fromarray(array).save(folder / name, **options)
    return name


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.bmp"])
def test_lossless_files_give_their_pixels(tmp_path, name):
    image = images.load(tmp_path, _save(tmp_path, name))
    assert image.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(image), PIXELS)


@pytest.mark.parametrize("name", ["grey.png", "grey.tif"])
def test_sixteen_bit_grey_keeps_its_range(tmp_path, name):
    grey = np.array([[0, 257, 32896, 65535]], dtype=np.uint16)
    image = images.load(tmp_path, _save(tmp_path, name, grey))
    np.testing.assert_array_equal(np.asarray(image)[0, :, 0], [0, 1, 128, 255])


def test_float_tiff_of_unit_range_is_scaled(tmp_path):
    grey = np.array([[0, 0.5, 1]], dtype=np.float32)
    image = images.load(tmp_path, _save(tmp_path, "f.tif", grey))
    np.testing.assert_array_equal(np.asarray(image)[0, :, 1], [0, 128, 255])


def test_transparency_lies_over_white_glass(tmp_path):
    array = np.zeros((1, 2, 4), dtype=np.uint8)
    array[0, 1] = [10, 20, 30, 255]
    image = images.load(tmp_path, _save(tmp_path, "a.png", array))
    np.testing.assert_array_equal(np.asarray(image), [[[255, 255, 255], [10, 20, 30]]])


def test_palette_transparency_lies_over_white_glass(tmp_path):
    palette = Image.new("P", (1, 1), 0)
    palette.putpalette([9, 9, 9] * 256)
    palette.save(tmp_path / "p.png", transparency=0)
    assert images.load(tmp_path, "p.png").getpixel((0, 0)) == (255, 255, 255)


def test_cmyk_becomes_rgb(tmp_path):
    Image.new("CMYK", (2, 2), (0, 255, 255, 0)).save(tmp_path / "c.tif")
    assert images.load(tmp_path, "c.tif").getpixel((0, 0)) == (255, 0, 0)


def test_truncated_jpeg_is_unreadable_and_says_why(tmp_path):
    stream = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(stream, "JPEG")
    (tmp_path / "t.jpg").write_bytes(stream.getvalue()[:1500])
    with pytest.raises(images.Unreadable, match=r"^t.jpg: unreadable \(image file is truncated"):
        images.load(tmp_path, "t.jpg")
    sha, _, reason, *_ = image_checks.check(tmp_path, "t.jpg")
    assert sha is None
    assert reason.startswith("unreadable (image file is truncated")


def test_reasons_hold_no_path_of_the_machine(tmp_path):
    (tmp_path / "text.png").write_text("not an image")
    for name, reason in (
        ("text.png", "unreadable (not an image of a known format)"),
        ("gone.png", "there is no such file"),
    ):
        assert image_checks.check(tmp_path, name)[:3] == (None, None, reason)


def test_a_folder_named_as_an_image_is_unreadable(tmp_path):
    (tmp_path / "folder.png").mkdir()
    assert image_checks.check(tmp_path, "folder.png").reason == "unreadable (Is a directory)"


def test_image_bomb_is_refused_before_its_pixels_are_decoded(tmp_path):
    _save(tmp_path, "a.png")
    with pytest.raises(InputError) as error:
        images.load(tmp_path, "a.png", max_pixels=19)
    assert str(error.value) == (
        "a.png: 5 x 4 pixels are above the limit of 19. Cut it into tiles, or raise `max_pixels`"
    )
    assert images.load(tmp_path, "a.png", max_pixels=20).size == (5, 4)


@pytest.mark.parametrize("size", [(100_000, 1), (1, 100_000), (41, 2)])
def test_a_strip_is_refused_before_its_pixels_are_decoded(tmp_path, size):
    Image.new("RGB", size).save(tmp_path / "a.png")
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(whole[:50])  # little more than the header
    with pytest.raises(images.Unreadable) as error:
        images.load(tmp_path, "a.png")
    assert str(error.value) == (
        f"a.png: {size[0]} x {size[1]} pixels are too narrow a strip. "
        "Cut it into tiles of sides of 1:20 at most"
    )
    (tmp_path / "a.png").write_bytes(whole)
    assert images.load(tmp_path, "a.png", strips=True).size == size


def test_an_image_of_1_to_20_is_no_strip(tmp_path):
    Image.new("RGB", (2, 40)).save(tmp_path / "a.png")
    assert images.load(tmp_path, "a.png").size == (2, 40)


def test_rows_of_an_array_may_be_strips_too(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = np.zeros((3, 1, 21, 3), np.uint8)
    found = image_checks.check_all(tmp_path, ["a.h5#0", "a.h5#1"])
    assert [one.reason for one in found] == ["21 x 1 pixels are too narrow a strip"] * 2


@pytest.mark.parametrize("path", ["../out.png", "in/../../out.png", "link.png", "linked/out.png"])
def test_paths_outside_the_root_are_refused_also_through_links(tmp_path, path):
    root = tmp_path / "root"
    (root / "in").mkdir(parents=True)
    _save(tmp_path, "out.png")
    (root / "link.png").symlink_to(tmp_path / "out.png")
    (root / "linked").symlink_to(tmp_path)
    for use in (images.load, images.digest, image_checks.check):
        with pytest.raises(InputError, match="outside its dataset's root"):
            use(root, path)


def test_a_root_that_is_itself_a_link_is_fine(tmp_path):
    (tmp_path / "real").mkdir()
    _save(tmp_path / "real", "a.png")
    (tmp_path / "root").symlink_to(tmp_path / "real")
    assert image_checks.check(tmp_path / "root", "a.png").reason is None


def test_digest_is_of_the_bytes_of_the_file(tmp_path):
    _save(tmp_path, "a.png")
    expected = hashlib.sha256((tmp_path / "a.png").read_bytes()).hexdigest()
    assert images.digest(tmp_path, "a.png") == expected
    assert image_checks.check(tmp_path, "a.png").sha256 == expected


@pytest.fixture
def arrays(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (50, 8, 8, 3), dtype=np.uint8)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", data=pixels, chunks=(7, 8, 8, 3), compression="gzip")
    return tmp_path, pixels


def test_rows_of_arrays_are_images(arrays):
    root, pixels = arrays
    np.testing.assert_array_equal(np.asarray(images.load(root, "a.h5#17")), pixels[17])
    assert images.digest(root, "a.h5#17") == hashlib.sha256(pixels[17].tobytes()).hexdigest()


def test_a_row_past_the_array_is_unreadable(arrays):
    assert image_checks.check(arrays[0], "a.h5#50").reason == "unreadable (row 50 of 50)"
    assert image_checks.check(arrays[0], "a.h5#\u00b2").reason == "there is no such file"


@pytest.mark.parametrize("kind", ["link", "virtual", "outside"])
def test_an_array_whose_pixels_lie_in_another_file_is_refused(tmp_path, kind):
    (tmp_path / "root").mkdir()
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["x"] = np.zeros((2, 8, 8, 3), np.uint8)
    with h5py.File(tmp_path / "root/a.h5", "w") as file:
        if kind == "link":
            file["x"] = h5py.ExternalLink("../other.h5", "x")
        elif kind == "virtual":
            layout = h5py.VirtualLayout((2, 8, 8, 3), np.uint8)
            layout[:] = h5py.VirtualSource("../other.h5", "x", (2, 8, 8, 3))
            file.create_virtual_dataset("x", layout)
        else:
            place = [(str(tmp_path / "other.h5"), 0, 384)]
            file.create_dataset("x", (2, 8, 8, 3), np.uint8, external=place)
    checked = image_checks.check(tmp_path / "root", "a.h5#0")
    assert checked.reason == "its pixels lie in another file"


@pytest.mark.parametrize("rows", [range(4), (3, 1)])
def test_the_limit_of_pixels_holds_in_arrays_too(arrays, rows):
    root, _ = arrays
    paths = [f"a.h5#{row}" for row in rows]
    reasons = [found.reason for found in image_checks.check_all(root, paths, max_pixels=63)]
    assert reasons == ["8 x 8 pixels are above the limit of 63"] * len(paths)
    assert not any(found.reason for found in image_checks.check_all(root, paths, max_pixels=64))
    with pytest.raises(InputError, match=r"a.h5#1: 8 x 8 pixels are above the limit of 63"):
        images.load(root, "a.h5#1", max_pixels=63)


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1), slice(None, None, 3)])
def test_checking_all_equals_checking_each(arrays, order):
    root, _ = arrays
    for name in ("b.png", "c.png"):
        _save(root, name)
    (root / "d.png").write_bytes(b"")
    paths = [f"a.h5#{i}" for i in range(60)] + ["b.png", "gone.png", "d.png", "c.png"]
    paths = paths[order]
    assert list(image_checks.check_all(root, paths)) == [
        image_checks.check(root, path) for path in paths
    ]


def test_a_file_name_may_hold_a_hash(tmp_path):
    _save(tmp_path, "group#2.png")
    assert image_checks.check(tmp_path, "group#2.png").reason is None


def test_images_that_did_not_change_are_not_decoded_again(tmp_path, monkeypatch):
    root, shards = tmp_path / "root", tmp_path / "shards"
    root.mkdir()
    monkeypatch.setattr(image_checks, "SHARD", 2)
    paths = [f"{i}.png" for i in range(5)]
    for path in paths[:4]:
        _save(root, path)
    first = list(image_checks.check_all(root, paths, shards=shards))
    decoded = []
    load = images.load
    monkeypatch.setattr(images, "load", lambda *a: decoded.append(a[1]) or load(*a))
    assert list(image_checks.check_all(root, paths, shards=shards)) == first
    assert decoded == []
    (root / "2.png").write_bytes(b"no image")
    again = list(image_checks.check_all(root, paths, shards=shards))
    assert sorted(decoded) == ["2.png", "3.png"], "the shard of what changed, and no other"
    assert again[2].reason == "unreadable (not an image of a known format)"
    assert [*again[:2], *again[3:]] == [*first[:2], *first[3:]]
    assert len(list(shards.iterdir())) == 3, "shards of no use are cleared away"
    list(image_checks.check_all(root, paths, shards=shards, code="of another version"))
    assert len(decoded) == 7
    next(shards.iterdir()).write_bytes(b"half")
    code = "of another version"
    assert list(image_checks.check_all(root, paths, shards=shards, code=code)) == again
    assert 7 < len(decoded) <= 9, "a damaged shard is made again, and no other"
