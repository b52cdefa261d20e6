"""Jobs that share a long work make what one job makes, to the bit, and none makes a shard twice."""

from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
import tiny
import yaml
from hypothesis import given
from hypothesis import strategies as st
from snakemake.iocontainers import InputFiles, Wildcards

from histopair.encoders import embed
from histopair.encoders.activations import cache as activation_cache
from histopair.errors import InputError
from histopair.files import store as stores
from histopair.files import tables
from histopair.jobs.share import Share, share_of
from histopair.plan import parts
from histopair.plan.load import load
from histopair.retrieval import in_parts, nearest, retrieve
from workflow import CONFIG, ROOT

EMBEDDING = {"batch_size": 5, "precision": "float32", "storage": "float16", "decoding": "cpu"}
EMBEDDING["shard_size"] = 4
ACTIVATIONS = {"cache": True, "budget_gb": 1.0, "storage": "float16"}
RETRIEVAL = {"k": 3, "pool": "max"}
ABOUT = {"code": "abc"}
JOBS = [1, 2, 3, 40]


class Work:
    """A long work, done in a folder of its own by so many jobs."""

    def __init__(self, folder: Path, name: str, labels: Path, root: Path, entry: dict):
        self.folder, self.out, self.shards = folder, folder / name, folder / "shards"
        self.labels, self.root, self.entry = labels, root, entry

    def shares(self, jobs: int) -> list[Share]:
        out = str(self.out)
        if jobs == 1:
            return [Share(out)]
        return [*(Share(out, part, jobs) for part in range(jobs)), Share(out, None, jobs)]

    def do(self, jobs: int) -> dict[str, bytes]:
        """What the joining job writes, by file."""
        for one in self.shares(jobs):
            self.job(one)
        files = [self.out] if self.out.is_file() else self.out.iterdir()
        return {file.name: file.read_bytes() for file in files}

    def made(self) -> dict[str, int]:
        """Name and time of each shard."""
        return {file.name: file.stat().st_mtime_ns for file in self.shards.glob("*")}


class Embedding(Work):
    def job(self, one: Share) -> None:
        shards, out = str(self.shards), str(self.out)
        files = str(self.labels), str(self.root), self.entry, EMBEDDING, shards, out
        embed.embed_images(*files, dict(ABOUT), one)


class Activations(Work):
    def job(self, one: Share) -> None:
        files = str(self.labels), str(self.root), self.entry, 1, 1, ACTIVATIONS
        where = str(self.shards), str(self.out), dict(ABOUT), one
        activation_cache.make("images", *files, *where)


class Pairing(Work):
    def job(self, one: Share) -> None:
        files = str(self.labels), str(self.root), RETRIEVAL
        if one.alone:
            retrieve.pair(*files, one.out, ABOUT)
        else:
            in_parts.pair(*files, str(self.shards), ABOUT, False, one)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    labels = tiny.dataset(folder / "data")
    vectors(folder / "i.parquet", [[1, 0]] * 7 + [[0, 1], [1, 1]] * 9 + [[0, 0]] * 3)
    texts = [[1, 0], [1, 0], [0, 1], [2, 2], [0, 3], [3, 3], [-1, 0]]
    reports = {
        "report_id": ["b", "b", "a", "c", "d", "e", "f"],
        "chunk": pa.array([0, 1] + [0] * 5),
    }
    vectors(folder / "t.parquet", texts, reports)
    return {"labels": labels, "folder": folder, "vit": tiny.vit_entry(folder / "vit", depth=2)}


def vectors(path, values, keys=None):
    keys = keys or {"image_id": [f"i{i}" for i in range(len(values))]}
    table = pa.table(keys).append_column("embedding", tables.vectors(np.array(values, np.float16)))
    tables.write(path, table, {})


@pytest.fixture
def work(world, tmp_path, monkeypatch):
    """work(kind, name="one"): a work of several shards."""
    monkeypatch.setattr(activation_cache, "SHARD_BYTES", 1500)
    monkeypatch.setattr(retrieve, "BLOCK", 8)

    def of(kind, name="one", labels=None):
        place, folder = tmp_path / name, world["folder"]
        if kind is Pairing:
            return Pairing(place, "out", folder / "i.parquet", folder / "t.parquet", {})
        return kind(place, "out", labels or world["labels"], folder / "data", world["vit"])

    return of


@pytest.mark.parametrize("kind", [Embedding, Activations, Pairing])
def test_however_many_jobs_share_the_work_the_bytes_are_the_same(work, kind):
    whole, *others = [work(kind, str(jobs)).do(jobs) for jobs in JOBS]
    assert all(other == whole for other in others)


@pytest.mark.parametrize("kind", [Embedding, Activations])
def test_another_number_of_jobs_makes_no_shard_again(work, kind):
    one = work(kind)
    one.do(1)
    before = one.made()
    assert len(before) > 3
    for jobs in (3, 2, 1):
        one.do(jobs)
        assert one.made() == before


@pytest.mark.parametrize("kind", [Embedding, Activations, Pairing])
def test_each_part_makes_its_share_and_no_part_that_of_another(work, kind):
    one = work(kind)
    *each, joining = one.shares(3)
    made = []
    for part in reversed(each):
        before = one.made()
        one.job(part)
        assert one.made().items() >= before.items()
        made.append(len(one.made()) - len(before))
        assert not one.out.exists()
    assert all(made)
    one.job(joining)
    assert one.out.exists()


@pytest.mark.parametrize("kind", [Embedding, Activations, Pairing])
@pytest.mark.parametrize("how", ["deleted", "damaged"])
def test_the_joining_job_misses_a_shard_and_says_what_to_do(work, kind, how):
    one, other = work(kind), work(kind, "other")
    *each, joining = one.shares(3)
    for part in each:
        one.job(part)
    shard = min(one.shards.iterdir())
    shard.unlink() if how == "deleted" else shard.write_bytes(shard.read_bytes()[:-9] + bytes(9))
    before = {name: when for name, when in one.made().items() if name != shard.name}
    with pytest.raises(InputError) as error:
        one.job(joining)
    line = str(error.value)
    assert "are missing or damaged, but all parts have ended. Delete results/.parts/" in line
    assert "\n" not in line and not one.out.exists()
    for part in each:
        one.job(part)
    after = one.made()
    assert before.items() <= after.items() and len(after) == len(before) + 1
    one.job(joining)
    assert one.do(3) == other.do(1)


@pytest.mark.parametrize("kind", [Embedding, Activations])
def test_retired_shards_go_when_all_parts_have_ended(work, world, tmp_path, kind):
    labels = fewer(world, tmp_path, slice(10, None))
    one = work(kind)
    one.do(1)
    old = set(one.made())
    one.labels = labels
    *each, joining = one.shares(2)
    for part in each:
        one.job(part)
        assert old <= set(one.made())
    one.job(joining)
    assert old - set(one.made())


def fewer(world, folder, kept) -> Path:
    """Labels of some of the images."""
    labels = tables.read(world["labels"])
    tables.write(folder / "fewer.parquet", labels.iloc[kept], tables.about(world["labels"]))
    return folder / "fewer.parquet"


@pytest.mark.parametrize("kept", [slice(0, 22), [*range(10), *range(12, 24)], slice(2, None)])
def test_added_images_change_the_shards_that_they_are_in(work, world, tmp_path, kept):
    one = work(Embedding, labels=fewer(world, tmp_path, kept))
    one.do(3)
    before = one.made()
    one.labels = world["labels"]
    one.do(3)
    assert 1 <= len(set(one.made()) - set(before)) <= 2


@given(st.integers(1, 9), st.integers(0, 60), st.integers(0, 2**32))
def test_shards_have_about_their_size_and_all_items(size, items, seed):
    hashes = np.random.default_rng(seed).integers(0, 9, items).astype(np.uint64)
    cuts = embed._cuts(hashes, size)
    assert (cuts[0], cuts[-1]) == (0, items)
    *lengths, last = [end - start for start, end in pairwise(cuts)]
    assert all(size / 2 <= length < 1.5 * size + 1 for length in lengths)
    assert last <= 1.5 * size


def test_a_thousand_images_among_a_million_change_few_shards_wherever_they_come():
    draw = np.random.default_rng(0)
    hashes, new = np.split(draw.integers(0, 2**63, 1_001_000), [1_000_000])

    def shards(hashes):
        return {hashes[start:end].tobytes() for start, end in pairwise(embed._cuts(hashes, 4096))}

    before = shards(hashes)
    changed = [
        len(shards(np.insert(hashes, place, new)) - before)
        for place in [0, *draw.integers(0, 1_000_000, 8), 1_000_000]
    ]
    assert max(changed) <= 5 and np.median(changed) <= 2


def test_jobs_that_write_at_once_do_not_meet(tmp_path):
    """A part is between writing and naming its piece while another makes one and lists all."""
    one, other = (stores.Store(tmp_path, "v1", "txt") for _ in range(2))

    def write(path):
        tables.write_text(path, "a")
        other.piece("b", lambda path: tables.write_text(path, "b"))
        assert len(other.finished()) == 1

    assert one.piece("a", write).read_text() == "a"
    assert len(one.finished()) == 2 and len(list(tmp_path.iterdir())) == 2


def test_parts_that_searched_in_different_ways_are_not_joined(work, monkeypatch):
    one = work(Pairing)
    first, second, joining = one.shares(2)
    one.job(first)
    _, faiss = nearest.backend(gpu=False)
    monkeypatch.setattr(nearest, "backend", lambda gpu: ("another", faiss))
    one.job(second)
    with pytest.raises(InputError, match=r"FAISS on the processor.*another.*nodes of one kind"):
        one.job(joining)


def test_where_activations_are_not_kept_parts_make_none_and_the_joining_job_says_why(
    work, monkeypatch
):
    one = work(Activations)
    monkeypatch.setitem(ACTIVATIONS, "budget_gb", 1e-7)
    assert list(one.do(2)) == ["about.json"] and not one.made()


# The plan.


@pytest.fixture
def config():
    return yaml.safe_load((ROOT / CONFIG).read_text(encoding="utf-8"))


def planned(config, jobs):
    config["embedding"]["jobs"] = jobs
    config, w = load(config), {"encoder": "e", "corpus": "c", "correction": "", "kind": "images"}

    def of(function, dataset="phantom-crc", **more):
        names = w | {"dataset": dataset, "blocks": "1"} | more
        return function(config, SimpleNamespace(**names))

    return of


def test_one_job_has_no_parts(config):
    of = planned(config, 1)
    for function in (parts.images, parts.captions, parts.activations, parts.pairs):
        assert of(function) == []


def test_parts_are_named_by_what_they_are_joined_to(config):
    of = planned(config, 2)
    place = "results/.parts/results/embeddings/e/phantom-crc.images.parquet"
    assert of(parts.images) == [f"{place}/1-of-2", f"{place}/2-of-2"]
    pairs = "results/.parts/results/pairs/e/phantom-crc.c.parquet"
    assert of(parts.pairs) == [f"{pairs}/1-of-2", f"{pairs}/2-of-2"]
    assert len(of(parts.activations)) == 2
    assert of(parts.pairs, correction=".csls") == []


def test_datasets_may_have_numbers_of_their_own_which_resplits_share(config):
    of = planned(config, {"phantom-quilt": 3})
    for name in ("phantom-quilt", "phantom-quilt-random"):
        assert len(of(parts.pairs, name)) == 3
    assert of(parts.images) == []


def test_activations_that_are_not_kept_have_no_parts(config):
    config["activations"]["cache"] = False
    assert planned(config, 2)(parts.activations) == []


@pytest.mark.parametrize(
    ("jobs", "problem"),
    [
        (0, "embedding.jobs"),
        ({"phantom-crc": 0}, "embedding.jobs"),
        ({"nowhere": 2}, "embedding.jobs: 'nowhere' is not allowed"),
        ({"phantom-quilt-random": 2}, "phantom-quilt-random"),
    ],
)
def test_a_number_of_jobs_that_cannot_be_is_one_clear_line(config, jobs, problem):
    with pytest.raises(InputError, match=problem):
        planned(config, jobs)


def test_a_job_learns_its_share_from_its_rule():
    def rule(output, parts=(), **names):
        names, inputs = Wildcards(fromdict=names), InputFiles(fromdict={"parts": parts})
        return SimpleNamespace(output=[output], wildcards=names, input=inputs)

    assert share_of(rule("results/x")) == Share("results/x")
    assert share_of(rule("results/x", ["a", "b"])) == Share("results/x", None, 2)
    part = rule("results/.parts/results/x/2-of-3", part="2", jobs="3")
    assert share_of(part) == Share("results/x", 1, 3)
