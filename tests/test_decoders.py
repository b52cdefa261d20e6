"""Samples of any depth, type and layout are read by the range that the file says, or refused."""

import contextlib
import io
import struct
import zlib

import h5py
import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from histopair import images
from histopair.datasets import image_checks
from histopair.errors import InputError
from histopair.images.decoders import samples

BYTES = np.random.default_rng(0).integers(0, 256, (20, 24, 3), dtype=np.uint8)
DEEP = BYTES.astype(np.uint16) * 257  # the same colours in 16 bits
TWELVE = DEEP >> 4
PLANES = np.moveaxis(BYTES, -1, 0)
GREY = np.repeat(BYTES[..., :1], 3, -1)
RGBA = np.concatenate([BYTES, np.full((20, 24, 1), 128, np.uint8)], -1)
GLASS = np.rint(BYTES * (128 / 255) + 127)


def _tag(code: int, values: tuple, kind: str = "H") -> tuple:
    return code, kind, len(values), values, True


def _load(folder, array, **options) -> np.ndarray:
    tifffile.imwrite(folder / "a.tif", array, **options)
    return np.asarray(images.load(folder, "a.tif"))


def _reason(folder, name: str) -> str:
    with pytest.raises(images.Unreadable) as error:
        images.load(folder, name)
    assert str(error.value) == f"{name}: {error.value.reason}. {error.value.remedy}"
    return error.value.reason


READ = {
    "16 bits": (DEEP, {}, BYTES),
    "16 bits planar": (DEEP.transpose(2, 0, 1), {"planarconfig": "separate"}, BYTES),
    "planar tiles": (
        DEEP.transpose(2, 0, 1),
        {"planarconfig": "separate", "tile": (16, 16), "compression": "lzw", "byteorder": ">"},
        BYTES,
    ),
    "predictor": (DEEP, {"tile": (16, 16), "compression": "zlib", "predictor": True}, BYTES),
    "BigTIFF": (DEEP, {"bigtiff": True, "byteorder": ">"}, BYTES),
    "JPEG 2000": (DEEP, {"compression": "jpeg2000"}, BYTES),
    "Zstandard": (BYTES, {"compression": "zstd"}, BYTES),
    "doubles": (BYTES / 255, {}, BYTES),
    "half floats": ((BYTES / 255).astype(np.float16), {}, BYTES),
    "bytes as floats": (BYTES.astype(np.float32), {}, BYTES),
    "SMaxSampleValue": (TWELVE, {"extratags": [_tag(341, (4095,) * 3)]}, BYTES),
    "MaxSampleValue": (TWELVE, {"extratags": [_tag(281, (4095,) * 3)]}, BYTES),
    "negative black": (
        (DEEP.astype(int) - 32768).astype(np.int16),
        {"extratags": [_tag(340, (-32768,), "h"), _tag(341, (32767,), "h")]},
        BYTES,
    ),
    "unassociated alpha": (RGBA * np.uint16(257), {"extrasamples": ["unassalpha"]}, GLASS),
    "associated alpha": (
        np.concatenate([BYTES * (128 / 255), RGBA[..., 3:]], -1) / 255,
        {"extrasamples": ["assocalpha"]},
        GLASS,
    ),
}


@pytest.mark.parametrize("kind", READ)
def test_colours_of_any_layout_are_read(tmp_path, kind):
    array, options, expected = READ[kind]
    found = _load(tmp_path, array, photometric="rgb", **options)
    np.testing.assert_allclose(found, expected, atol=1)


OF_METADATA = {
    "SignificantBits of OME": (
        TWELVE[..., 0],
        {"ome": True, "metadata": {"axes": "YX", "SignificantBits": 12}},
        GREY,
    ),
    "range of ImageJ": (
        TWELVE[..., 0],
        {"imagej": True, "metadata": {"min": 0, "max": 4095}},
        GREY,
    ),
    "channels of ImageJ": (PLANES, {"imagej": True, "metadata": {"axes": "CYX"}}, BYTES),
    "channels of OME": (PLANES, {"ome": True, "metadata": {"axes": "CYX"}}, BYTES),
    "named channels": (
        PLANES,
        {"ome": True, "metadata": {"axes": "CYX", "Channel": {"Name": ["Red", "green", "B"]}}},
        BYTES,
    ),
    "white is zero": (65535 - DEEP[..., 0], {"photometric": "miniswhite"}, GREY),
    "white is zero, 8 bits": (255 - BYTES[..., 0], {"photometric": "miniswhite"}, GREY),
    "32 bits": (BYTES[..., 0] * np.uint32(0x01010101), {}, GREY),
}


@pytest.mark.parametrize("kind", OF_METADATA)
def test_what_metadata_say_of_range_and_channels_counts(tmp_path, kind):
    array, options, expected = OF_METADATA[kind]
    found = _load(tmp_path, array, **({"photometric": "minisblack"} | options))
    np.testing.assert_array_equal(found, expected)


UNKNOWN = "its range is unknown: {}, and the file does not say which is white"
NO_COLOURS = "it holds {} (MINISBLACK) but does not say that they are red, green and blue"
REFUSED = {
    "12 bits in 16": (TWELVE[..., 0], {}, UNKNOWN.format("uint16 values of 12 bits")),
    "12 bits in 16, colour": (
        TWELVE,
        {"photometric": "rgb"},
        UNKNOWN.format("uint16 values of 12 bits"),
    ),
    # The largest value found, which other programs write into this tag, is not the range.
    "statistics": (
        DEEP[..., 0] // 20,
        {"extratags": [_tag(281, (int(DEEP[..., 0].max()) // 20,))]},
        UNKNOWN.format("uint16 values of 12 bits"),
    ),
    "a display range": (
        TWELVE[..., 0],
        {"imagej": True, "metadata": {"min": 100.0, "max": 2000.0}},
        UNKNOWN.format("uint16 values of 12 bits"),
    ),
    "integers": (
        DEEP[..., 0].astype(np.int32),
        {},
        UNKNOWN.format("int32 values of 16 bits"),
    ),
    "unsigned": (
        DEEP[..., 0].astype(np.uint32),
        {},
        UNKNOWN.format("uint32 values of 16 bits"),
    ),
    "negative": (
        BYTES[..., 0] - np.float32(9),
        {},
        UNKNOWN.format("float32 values, some negative"),
    ),
    "percent": (
        BYTES[..., 0] / np.float32(2.55),
        {},
        UNKNOWN.format("float32 values beyond 1"),
    ),
    "12 bits as floats": (
        TWELVE[..., 0] / np.float32(65535),
        {},
        UNKNOWN.format("float32 values up to 0.25"),
    ),
    "NaN": (
        np.where(GREY[..., 0] > 250, np.nan, 0.5).astype(np.float32),
        {},
        "some of its values are NaN or infinite",
    ),
    "pages": (PLANES, {}, NO_COLOURS.format("3 grey pages")),
    "depth": (
        PLANES,
        {"imagej": True, "metadata": {"axes": "ZYX"}},
        NO_COLOURS.format("3 grey pages"),
    ),
    "stains": (
        PLANES,
        {"ome": True, "metadata": {"axes": "CYX", "Channel": {"Name": ["DAPI", "FITC", "Cy5"]}}},
        NO_COLOURS.format("3 grey pages"),
    ),
    "samples": (BYTES, {"planarconfig": "contig"}, NO_COLOURS.format("3 samples per pixel")),
    "a stack": (DEEP.reshape(5, 12, 24), {}, "it holds 5 images, not one"),
    "16-bit CMYK": (
        RGBA * np.uint16(257),
        {"photometric": "separated"},
        "it has uint16 samples in SEPARATED",
    ),
    "palette of bytes": (
        BYTES[..., 0],
        {"photometric": "palette", "colormap": np.tile(np.arange(256, dtype=np.uint16), (3, 1))},
        "its palette is nearly black: 8 bits stored as 16",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_the_file_does_not_say_is_refused_with_the_reason(tmp_path, kind):
    array, options, reason = REFUSED[kind]
    tifffile.imwrite(tmp_path / "a.tif", array, **({"photometric": "minisblack"} | options))
    assert _reason(tmp_path, "a.tif") == reason
    found = image_checks.check(tmp_path, "a.tif")
    assert (found.sha256, found.reason) == (None, reason)
    assert found.remedy


def test_every_orientation_is_as_pillow_turns_it(tmp_path):
    for orientation in range(1, 9):
        found = _load(tmp_path, BYTES, photometric="rgb", extratags=[_tag(274, (orientation,))])
        with Image.open(tmp_path / "a.tif") as image:
            np.testing.assert_array_equal(found, np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("reduced", [0, 1])
def test_a_reduced_copy_may_stand_beside_the_image_another_image_may_not(tmp_path, reduced):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(BYTES, photometric="rgb")
        file.write(BYTES[::2, ::2], photometric="rgb", subfiletype=reduced)
    if reduced:
        np.testing.assert_array_equal(np.asarray(images.load(tmp_path, "a.tif")), BYTES)
    else:
        assert _reason(tmp_path, "a.tif").startswith("it holds 2 images or more")


def test_a_tiff_without_some_of_its_tiles_is_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", BYTES, photometric="rgb", tile=(16, 16))
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+") as file:
        tag = file.pages[0].tags["TileByteCounts"]
        tag.overwrite((0, *tag.value[1:]))
    assert _reason(tmp_path, "a.tif") == "part of its pixels is not in the file"


def test_the_limit_of_pixels_holds_in_deep_files_before_they_are_decoded(tmp_path, monkeypatch):
    tifffile.imwrite(tmp_path / "a.tif", DEEP, photometric="rgb")
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(DEEP))
    (tmp_path / "a.jp2").write_bytes(imagecodecs.jpeg2k_encode(DEEP))
    monkeypatch.setattr(samples, "span", None)
    for name in ("a.tif", "a.png", "a.jp2"):
        with pytest.raises(InputError, match="24 x 20 pixels are above the limit of 479"):
            images.load(tmp_path, name, max_pixels=479)


def _png(array, significant: int | None = None) -> bytes:
    data = imagecodecs.png_encode(np.ascontiguousarray(array))
    if significant is None:
        return data
    body = b"sBIT" + bytes([significant] * array.shape[-1])
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return data[:33] + chunk + data[33:]


@pytest.mark.parametrize(
    "array, significant, expected",
    [
        (DEEP, None, BYTES),
        (DEEP[..., :1], None, GREY),
        (RGBA * np.uint16(257), None, GLASS),
        (TWELVE, 12, BYTES),
        (TWELVE << 4, 12, BYTES),  # scaled to 16 bits, as the standard says
    ],
)
def test_deep_png_is_read_by_its_significant_bits(tmp_path, array, significant, expected):
    (tmp_path / "a.png").write_bytes(_png(array, significant))
    np.testing.assert_allclose(np.asarray(images.load(tmp_path, "a.png")), expected, atol=1)


@pytest.mark.parametrize("array", [TWELVE, TWELVE[..., 0]])
def test_png_of_twelve_bits_is_refused_where_it_does_not_say_so(tmp_path, array):
    (tmp_path / "a.png").write_bytes(_png(array))
    assert _reason(tmp_path, "a.png") == UNKNOWN.format("uint16 values of 12 bits")


def test_deep_jpeg_2000_is_read_by_its_bits(tmp_path):
    for name, array, bits in (("a", DEEP, 16), ("b", TWELVE, 12), ("c", TWELVE, 16)):
        data = imagecodecs.jpeg2k_encode(array, level=0, reversible=True, bitspersample=bits)
        (tmp_path / f"{name}.jp2").write_bytes(data)
    for name in ("a.jp2", "b.jp2"):
        np.testing.assert_array_equal(np.asarray(images.load(tmp_path, name)), BYTES)
    assert _reason(tmp_path, "c.jp2") == UNKNOWN.format("uint16 values of 12 bits")


def test_deep_portable_maps_are_read_by_their_largest_value_or_refused(tmp_path):
    def save(kind: str, most: int, values) -> None:
        data = f"{kind} 24 20 {most}\n".encode() + values.astype(">u2").tobytes()
        (tmp_path / "a.pnm").write_bytes(data)

    save("P5", 4095, TWELVE[..., 0])
    np.testing.assert_array_equal(np.asarray(images.load(tmp_path, "a.pnm")), GREY)
    save("P5", 65535, TWELVE[..., 0])
    assert _reason(tmp_path, "a.pnm") == UNKNOWN.format("uint16 values of 12 bits")
    save("P6", 65535, TWELVE)
    assert _reason(tmp_path, "a.pnm") == "its colours have 16 bits"


@pytest.mark.parametrize("name", ["a.gif", "a.png", "a.webp"])
def test_animations_are_refused_and_one_frame_is_not(tmp_path, name):
    first, second = Image.fromarray(BYTES), Image.fromarray(255 - BYTES)
    first.save(tmp_path / name)
    assert images.load(tmp_path, name).size == first.size
    first.save(tmp_path / name, save_all=True, append_images=[second])
    assert _reason(tmp_path, name) == "it is an animation, not one image"


def test_the_first_image_of_a_jpeg_counts_others_in_it_are_previews(tmp_path):
    pages = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    pages[0].save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=pages[1:])
    assert images.load(tmp_path, "a.jpg").getpixel((8, 8)) == (254, 0, 0)


@pytest.mark.parametrize("array", [DEEP, BYTES / 255, BYTES[..., 0], BYTES[..., :2]])
def test_arrays_other_than_rgb_bytes_are_refused(tmp_path, array):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = array[None]
    assert _reason(tmp_path, "a.h5#0").startswith(f"an array of {array.dtype} of shape (1, 20, 24")


def test_an_array_of_lines_and_a_group_are_refused(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = BYTES[0][None]
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file.create_group("x")
    for name in ("a.h5#0", "b.h5#0"):
        assert image_checks.check(tmp_path, name).reason


def test_black_images_are_kept_with_a_doubt(tmp_path):
    Image.fromarray(BYTES // 255).save(tmp_path / "black.png")
    Image.fromarray(BYTES // 100).save(tmp_path / "dark.png")
    assert image_checks.check(tmp_path, "black.png").doubt == image_checks.BLACK
    assert image_checks.check(tmp_path, "dark.png").doubt is None


SCALES = [  # type, white, black, whole numbers
    ("u1", 255, 0),
    ("u2", 65535, 0),
    ("u2", 16383, 0),
    ("u2", 4095, 0),
    ("u2", 1023, 0),
    ("i2", 32767, -32768),
    ("i2", 4095, 0),
    ("u4", 2**32 - 1, 0),
    ("u4", 65535, 0),
    ("i4", 65535, 0),
    ("f4", 1, 0),
    ("f4", 255, 0),
    ("f4", 100, 0),
    ("f4", 1, -1),
    ("f8", 65535, 0),
]


@st.composite
def pictures(draw):
    """(true colours 0 to 1, samples as they are stored, black, white)."""
    kind, white, black = draw(st.sampled_from(SCALES))
    shape = draw(st.sampled_from([(9, 11), (9, 11, 3), (1, 1, 3), (33, 17)]))
    shares = np.random.default_rng(draw(st.integers(0, 99))).random(shape)
    shares *= draw(st.sampled_from([0.6, 1]))
    shares.flat[0] = draw(st.sampled_from([0.6, 1]))  # something in it is bright
    shares.flat[-1] = draw(st.sampled_from([0.1, 0]))  # and something dark: below 0 from -1 to 1
    values = black + shares * (white - black)
    if not kind.startswith("f") or draw(st.booleans()):
        values = np.rint(values)
        shares = (values - black) / (white - black)
    return shares, values.astype(kind), black, white


@st.composite
def layouts(draw, colour: bool):
    options = {
        "photometric": "rgb" if colour else draw(st.sampled_from(["minisblack", "miniswhite"])),
        "byteorder": draw(st.sampled_from("<>")),
        "compression": draw(st.sampled_from([None, "lzw", "zlib", "packbits"])),
        "tile": draw(st.sampled_from([None, (16, 16)])),
        "bigtiff": draw(st.booleans()),
    }
    if colour:
        options["planarconfig"] = draw(st.sampled_from(["contig", "separate"]))
    return options


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data(), pictures(), st.sampled_from(["", "S", "plain"]))
def test_random_samples_are_read_within_one_grey_level_or_refused(tmp_path, data, picture, tags):
    """Images with something bright and something dark: others can look like another range."""
    shares, values, black, white = picture
    options = data.draw(layouts(values.ndim == 3))
    if options.get("planarconfig") == "separate":
        values = np.moveaxis(values, -1, 0)
    letter = {"u1": "B", "u2": "H", "u4": "I", "i2": "h", "i4": "i", "f4": "f", "f8": "d"}
    said = (
        [(340, black), (341, white)] if tags == "S" else [(280, black), (281, white)] * bool(tags)
    )
    kind = letter[values.dtype.str[1:]]
    options["extratags"] = [(code, kind, 1, value, True) for code, value in said]
    if options["photometric"] == "miniswhite":
        shares = 1 - shares
    try:
        found = _load(tmp_path, values, **options)
    except images.Unreadable:
        found = None
    if found is None:
        assert not tags or values.max() == white, "a range that is said must be read"
        return
    expected = 255 * (shares if shares.ndim == 3 else shares[..., None])
    assert np.abs(found - expected).max() <= 1


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["a.tif", "a.png", "a.jp2"]), pictures())
def test_what_pillow_writes_is_read_within_one_grey_level_or_refused(tmp_path, name, picture):
    shares, values, _, _ = picture
    try:
        Image.fromarray(values).save(tmp_path / name)
    except (TypeError, OSError, ValueError):
        return  # Pillow has no such mode in this format
    try:
        found = np.asarray(images.load(tmp_path, name))
    except images.Unreadable:
        return
    expected = 255 * (shares if shares.ndim == 3 else shares[..., None])
    assert np.abs(found - expected).max() <= (1 if name != "a.jp2" else 3)


def _files() -> list[tuple[str, bytes]]:
    found = [("a.png", imagecodecs.png_encode(DEEP)), ("a.jp2", imagecodecs.jpeg2k_encode(DEEP))]
    for options in ({}, {"compression": "lzw"}, {"tile": (16, 16), "compression": "jpeg2000"}):
        stream = io.BytesIO()
        tifffile.imwrite(stream, DEEP, photometric="rgb", **options)
        found.append(("a.tif", stream.getvalue()))
    return found


FILES = _files()


@settings(
    max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(
    st.sampled_from(FILES),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=4),
    st.one_of(st.none(), st.integers(0, 5000)),
)
def test_damage_of_any_kind_gives_an_image_or_an_input_error(tmp_path, file, changes, end):
    name, data = file
    data = bytearray(data)
    for place, value in changes:
        data[place % len(data)] = value
    (tmp_path / name).write_bytes(data[:end])
    with contextlib.suppress(InputError):
        assert images.load(tmp_path, name, max_pixels=10_000).mode == "RGB"


def test_files_that_end_early_are_refused_at_every_length(tmp_path):
    for name, data in FILES:
        for end in range(0, len(data) * 9 // 10, max(1, len(data) // 40)):
            (tmp_path / name).write_bytes(data[:end])
            assert _reason(tmp_path, name)
