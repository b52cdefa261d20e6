"""What one split knows of another is found: groups, bytes, and images that look the same."""

import io
import tracemalloc

import jinja2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from histopair.datasets import leaks, phash, splits
from histopair.files import tables
from histopair.pages import leak_table, templates

TURNS = [None, *Image.Transpose]
hashes = st.lists(st.integers(0, 2**63 - 1).map(lambda n: 2 * n), max_size=12)


def _image(seed: int, side: int = 96) -> Image.Image:
    """Smooth random texture: neighbouring pixels are alike, as in tissue."""
    coarse = np.random.default_rng(seed).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)


def _number(image: Image.Image) -> np.ndarray:
    return phash.numbers([phash.of(image)])


@pytest.mark.parametrize("turn", TURNS)
def test_an_image_turned_mirrored_halved_and_saved_again_is_near_itself(turn):
    image = _image(1)
    copy = image if turn is None else image.transpose(turn)
    saved = io.BytesIO()
    copy.resize((48, 48)).save(saved, "JPEG", quality=60)
    found, distance = phash.nearest(_number(Image.open(saved)), _number(image))
    assert found == [0]
    assert 0 <= distance[0] <= phash.NEAR


@pytest.mark.parametrize("turn", Image.Transpose)
def test_the_hash_of_a_turned_image_follows_from_the_hash(turn):
    image = _image(2)
    expected = _number(image.transpose(turn))
    distances = np.bitwise_count(phash.orientations(_number(image))[:, 0] ^ expected)
    assert distances.min() <= 1  # a frequency near zero may round to either sign


def test_different_images_are_far_apart():
    numbers = np.concatenate([_number(_image(seed)) for seed in range(40)])
    assert sorted(phash.sets(numbers)) == list(range(40))


def test_an_image_without_content_has_no_hash():
    glass = np.random.default_rng(0).integers(243, 246, (64, 64, 3), dtype=np.uint8)
    assert phash.of(Image.fromarray(glass)) is None


@settings(deadline=None, max_examples=40)
@given(hashes, hashes, st.lists(st.integers(1, 63), max_size=8))
def test_pairs_are_those_of_comparing_all_with_all(left, right, flipped):
    copies = [number ^ sum(1 << bit for bit in set(flipped)) for number in left]
    left, right = (np.array(part, dtype=np.uint64) for part in (left, right + copies))
    expected = np.bitwise_count(left[:, None] ^ right[None, :])
    found = {
        (int(i), int(j)): int(distance)
        for part in phash.pairs(left, right)
        for i, j, distance in zip(*part, strict=True)
    }
    near = np.argwhere(expected <= phash.NEAR)
    assert found == {(int(i), int(j)): int(expected[i, j]) for i, j in near}


def test_pairs_come_in_blocks_of_bounded_size(monkeypatch):
    monkeypatch.setattr(phash, "BLOCK", 50)
    same = np.full(20, 6, dtype=np.uint64)
    blocks = [len(i) for i, _, _ in phash.pairs(same, same)]
    assert max(blocks) <= 50
    assert sum(blocks) >= 400


@settings(deadline=None, max_examples=40)
@given(hashes, st.lists(st.tuples(st.integers(0, 11), st.integers(1, 63), st.integers(0, 7))))
def test_sets_are_those_of_comparing_all_with_all(numbers, copies):
    """Copies of copies, each with some bits flipped and turned, make chains."""
    numbers = numbers or [6]
    for origin, bits, turn in copies:
        flipped = np.array([numbers[origin % len(numbers)] ^ bits << 1], dtype=np.uint64)
        numbers.append(int(phash.orientations(flipped)[turn, 0]))
    numbers = np.array(numbers, dtype=np.uint64)
    turned = phash.orientations(numbers)
    reached = (np.bitwise_count(turned[:, :, None] ^ numbers) <= phash.NEAR).any(0)
    for _ in numbers:
        reached = reached @ reached
    found = phash.sets(numbers)
    np.testing.assert_array_equal(found[:, None] == found, reached)


def test_sets_of_images_that_look_alike_need_no_memory_for_their_pairs(monkeypatch):
    monkeypatch.setattr(phash, "BLOCK", 1 << 13)
    three = np.random.default_rng(0).integers(0, 63, (1000, 3), dtype=np.uint64)
    numbers = np.bitwise_or.reduce(np.uint64(2) << three, axis=1)
    tracemalloc.start()
    found = phash.sets(numbers)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert set(found) == {0}
    assert peak < 5_000_000  # all pairs once are 16 MB


SAMPLES = [
    # sample_id, sha256, phash, group, split
    ("a", "1", "0000000000000006", "v1", "train"),
    ("b", "2", "00ff00ff00ff00fe", "v2", "train"),
    ("c", "3", "00000000000000fe", "v1", "test"),  # group v1 of a, and 5 bits from it
    ("d", "2", "00ff00ff00ff00fe", "v3", "test"),  # bytes of b
    ("e", "2", "00ff00ff00ff00fe", "v3", "test"),
    ("f", "4", "00ff00ff00ff00f0", "v4", "val"),  # 3 bits from b and from d
    ("g", "5", None, "v5", "val"),
    ("h", "6", None, None, "train"),
]


def _frame(rows=SAMPLES) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["sample_id", "sha256", "phash", "group", "split"])


def test_leaks_are_counted_by_kind_crossing_and_samples():
    found = leaks.find(_frame()).astype(object)
    rows = found.where(found.notna(), None).to_numpy().tolist()
    assert rows == [
        ["group", "test", "train", "c", "a", "v1", "v1", None, 1],
        ["image", "test", "train", "d", "b", "v3", "v2", 0, 2],
        ["near", "test", "train", "c", "a", "v1", "v1", 5, 1],
        ["near", "test", "val", "d", "f", "v3", "v4", 3, 2],
        ["near", "val", "train", "f", "b", "v4", "v2", 3, 1],
    ]


def test_leaks_do_not_depend_on_the_order_of_rows():
    frame = _frame()
    expected = leaks.find(frame)
    for seed in range(3):
        pd.testing.assert_frame_equal(leaks.find(frame.sample(frac=1, random_state=seed)), expected)


def test_without_leaks_the_table_is_empty_and_says_how_near_is_near(tmp_path):
    frame = _frame([row for row in SAMPLES if row[4] == "train"])
    tables.write(tmp_path / "labels.parquet", frame, {})
    leaks.write(tmp_path / "labels.parquet", tmp_path / "leaks.parquet", {"rule": "check_leaks"})
    found = tables.read(tmp_path / "leaks.parquet")
    assert list(found) == leaks.SCHEMA.names
    assert found.empty
    assert tables.about(tmp_path / "leaks.parquet") == {"rule": "check_leaks", "near": phash.NEAR}


def test_leaks_count_the_groups_that_splits_share():
    frame = _frame().dropna(subset="group")
    found = leaks.find(frame)
    assert splits.leaks(frame)["group"] == found.group_a[found.kind == "group"].nunique()


def _chain(n: int = 60) -> pd.DataFrame:
    """Groups of two images; the second image of each looks like the first of the next but one."""
    rng = np.random.default_rng(0)
    numbers = rng.integers(0, 2**63, n, dtype=np.uint64) * np.uint64(2)
    numbers[4::4] = numbers[3:-1:4] ^ np.uint64(6)
    return pd.DataFrame(
        {
            "sample_id": [f"s{i}" for i in range(n)],
            "image_id": [f"s{i}" for i in range(n)],
            "sha256": [str(i) for i in range(n)],
            "phash": [f"{number:016x}" for number in numbers],
            "group": [f"g{i // 2}" for i in range(n)],
            "labels": [["x"]] * n,
            "split": None,
        }
    )


def test_duplicates_group_keeps_images_that_look_the_same_on_one_side():
    frame = _chain()
    near = {}
    for duplicates in ("keep", "group"):
        split = splits.assign(frame, test=0.3, val=0.2, duplicates=duplicates)
        found = leaks.find(frame.assign(split=split))
        assert set(split) == {"train", "val", "test"}
        assert not (found.kind == "group").any()
        near[duplicates] = len(found)
    assert near["group"] == 0 < near["keep"]


def test_images_without_a_hash_join_no_groups():
    frame = _chain().assign(phash=None)
    same = splits.components(frame)
    np.testing.assert_array_equal(splits.components(frame, near=True), same)


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ([None] * 4, "No image is in two splits. No group is known, so a patient may be in two."),
        (list("ppqq"), "No group and no image is in two splits."),
        (["p", "p", "q", None], "in two splits. Of 1 samples the group is not known."),
    ],
)
def test_the_page_speaks_of_groups_only_where_they_are_known(tmp_path, groups, said):
    frame = pd.DataFrame({"sample_id": list("abcd"), "path": list("abcd"), "sha256": list("abcd")})
    frame = frame.assign(phash="0" * 16, split=["train", "train", "test", "test"])
    tables.write(tmp_path / "l", frame.assign(group=pd.array(groups, dtype="str")), {})
    leaks.write(str(tmp_path / "l"), str(tmp_path / "k"), {})
    leak = leak_table.context(str(tmp_path / "k"), tables.read(tmp_path / "l"), str(tmp_path))
    page = jinja2.Environment(loader=jinja2.FileSystemLoader(templates.HERE), trim_blocks=True)
    words = (templates.big, templates.number, templates.percent)
    page.filters |= {word.__name__: word for word in words}
    text = " ".join(page.get_template("page_labels.html.j2").module.verdict(leak).split())
    assert said in text and "2 images look like an image in another split." in text
