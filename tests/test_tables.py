"""Artifacts are whole or absent, carry what made them, and keep vectors as they were."""

import errno

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from histopair.errors import InputError
from histopair.files import tables


def test_a_table_comes_back_with_what_made_it(tmp_path):
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", None]})
    tables.write(tmp_path / "t.parquet", frame, {"rule": "r", "params": {"k": 1}})
    assert tables.read(tmp_path / "t.parquet")["b"].iloc[0] == "x"
    assert tables.about(tmp_path / "t.parquet") == {"rule": "r", "params": {"k": 1}}


def test_a_failed_write_leaves_the_old_artifact_and_nothing_else(tmp_path):
    path = tmp_path / "t.txt"
    tables.write_text(path, "old")

    def fail_half_way():
        with tables.replacing(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["t.txt"]


def test_a_full_disk_is_one_clear_line_and_leaves_no_artifact(tmp_path):
    path = tmp_path / "t.parquet"
    with pytest.raises(InputError, match=r"t\.parquet: no space left"), tables.replacing(path):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert not list(tmp_path.iterdir())


def test_what_a_killed_job_left_is_cleared_away_by_the_next(tmp_path):
    path = tmp_path / "t.txt"
    (tmp_path / ".t.txt.abcd1234").write_text("half")
    (tmp_path / ".t.txt.keep").write_text("another's")
    tables.write_text(path, "whole")
    assert sorted(file.name for file in tmp_path.iterdir()) == [".t.txt.keep", "t.txt"]


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_vectors_keep_their_type_and_order(tmp_path, dtype):
    array = np.random.default_rng(0).normal(size=(7, 3)).astype(dtype)
    table = pa.table({"id": list("abcdefg")}).append_column("embedding", tables.vectors(array))
    tables.write_stream(tmp_path / "v.parquet", iter([table.slice(0, 4), table.slice(4)]), {})
    assert (tables.matrix(tmp_path / "v.parquet") == array).all()
    assert tables.matrix(tmp_path / "v.parquet").dtype == dtype
    opened = pd.read_parquet(tmp_path / "v.parquet")["embedding"].iloc[0]
    np.testing.assert_array_equal(opened, array[0])


def test_unit_rows_have_length_one_and_zeros_stay_zeros():
    unit = tables.unit(np.array([[3.0, 4.0], [0.0, 0.0]]))
    np.testing.assert_allclose(unit, [[0.6, 0.8], [0, 0]], atol=1e-7)


def test_the_first_key_that_a_file_does_not_have_is_named():
    known = pd.Series(["a", "b", "c"])
    found = tables.positions(pd.Series(["c", "a", "c"]), known, "f", "no {}", "Mend it")
    assert list(found) == [2, 0, 2]
    with pytest.raises(InputError, match=r"^f: no 'x'\. Mend it$"):
        tables.positions(pd.Series(["b", "x", "y"]), known, "f", "no {}", "Mend it")


@pytest.mark.parametrize(
    "write", [tables.write, lambda path, *rest: tables.write_stream(path, [rest[0]], rest[1])]
)
def test_vectors_are_kept_without_a_dictionary_which_would_slow_their_loading(tmp_path, write):
    vectors = np.arange(12, dtype=np.float16).reshape(6, 2)
    columns = {"label": list("aabbab"), "labels": [["a"], []] * 3, "v": tables.vectors(vectors)}
    write(tmp_path / "t.parquet", pa.table(columns), {})
    group = pq.ParquetFile(tmp_path / "t.parquet").metadata.row_group(0)
    kept = [group.column(number) for number in range(group.num_columns)]
    dictionary = {column.path_in_schema: column.has_dictionary_page for column in kept}
    assert dictionary == {"label": True, "labels.list.element": True, "v.list.element": False}
    assert (tables.matrix(tmp_path / "t.parquet", "v") == vectors).all()


def test_a_table_that_is_iterated_takes_the_memory_of_a_batch(tmp_path):
    vectors = np.random.default_rng(0).random((256, 1024), np.float32)  # 1 MiB, also if packed
    group = pa.table({"embedding": tables.vectors(vectors)})
    tables.write_stream(tmp_path / "t.parquet", iter([group] * 32), {})
    file, most = tables.to_iterate(tmp_path / "t.parquet"), 0
    before = pa.total_allocated_bytes()
    for batch in file.iter_batches(256):
        assert len(batch) == 256
        most = max(most, pa.total_allocated_bytes() - before)
    assert most < 8 << 20
