"""The store of finished pieces: found again, never taken for another, made again where damaged."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from histopair.files import tables
from histopair.files.store import Store, hashed

PIECES = ["a", "b", "c"]
SCRIPTS = Path(__file__).parents[1] / "workflow" / "scripts"


def fill(folder, made_by="v1", pieces=PIECES) -> tuple[list[Path], list[str]]:
    """The files of some pieces, and which of them had to be made."""
    store, made = Store(folder, made_by, "txt"), []

    def write(piece):
        def to(path):
            made.append(piece)
            tables.write_text(path, f"{made_by} of {piece}\n" * 50)

        return to

    return [store.piece(piece, write(piece)) for piece in pieces], made


def contents(files) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in files}


def test_a_piece_is_made_once_and_found_again(tmp_path):
    files, made = fill(tmp_path)
    assert made == PIECES and len(set(files)) == 3
    assert [file.read_text()[:7] for file in files] == ["v1 of a", "v1 of b", "v1 of c"]
    assert fill(tmp_path) == (files, [])


def test_the_order_of_pieces_is_no_part_of_their_names(tmp_path):
    files, _ = fill(tmp_path)
    assert fill(tmp_path, pieces=["c", "x", "a"]) == (
        [files[2], next(tmp_path.glob(f"*-{hashed('x')}-*")), files[0]],
        ["x"],
    )


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-1],
        lambda content: b"",
        lambda content: content[:9] + bytes([content[9] ^ 1]) + content[10:],
        lambda content: content + b"\0",
    ],
)
def test_a_damaged_piece_is_made_again_and_no_other(tmp_path, capsys, damage):
    files, _ = fill(tmp_path)
    whole = contents(files)
    files[1].write_bytes(damage(whole[files[1].name]))
    assert fill(tmp_path) == (files, ["b"])
    assert contents(files) == whole
    assert f"{files[1]} is damaged; it is made again" in capsys.readouterr().out


def test_a_damaged_piece_is_not_among_the_finished(tmp_path):
    files, _ = fill(tmp_path)
    files[0].write_bytes(b"x")
    fill(tmp_path, "v2")
    assert set(Store(tmp_path, "v1", "txt").finished()) == set(files[1:])


def test_a_piece_made_in_another_way_is_never_taken(tmp_path):
    old, _ = fill(tmp_path, "v1")
    new, made = fill(tmp_path, "v2")
    assert made == PIECES and not set(old) & set(new)
    assert set(Store(tmp_path, "v2", "txt").finished()) == set(new)
    assert Store(tmp_path, "v2", "parquet").finished() == []


def test_what_is_stale_and_what_is_half_goes(tmp_path):
    fill(tmp_path, "v1")
    files, _ = fill(tmp_path, "v2")
    (tmp_path / "00000-0123456789abcdef.txt").write_text("a name of an older version")
    (tmp_path / ".unfinished.txt.abcdefgh").write_text("ha")
    Store(tmp_path, "v2", "txt").clear(files[:2])
    assert set(tmp_path.iterdir()) == set(files[:2])


KILLED = """
import os, signal, sys
sys.path[:0] = sys.argv[1:3]
import test_store
from histopair.files import store, tables

when, write, checksum = sys.argv[4], tables.write_text, store.checksum

def killed(*given):
    os.kill(os.getpid(), signal.SIGKILL)

def half(path, text):
    if "of b" not in text:
        return write(path, text)
    with tables.replacing(path) as temporary:
        temporary.write_text(text[:20])
        killed()

if when == "while it is written":
    tables.write_text = half
else:
    store.checksum = lambda path: killed() if "of b" in path.read_text() else checksum(path)
test_store.fill(sys.argv[3])
"""


@pytest.mark.parametrize("when", ["while it is written", "before it has its name"])
def test_a_job_killed_in_a_piece_makes_that_one_again_and_no_finished_one(tmp_path, when):
    whole = contents(fill(tmp_path / "whole")[0])
    folder = tmp_path / "killed"
    places = [str(SCRIPTS), str(Path(__file__).parent), str(folder), when]
    killed = subprocess.run([sys.executable, "-c", KILLED, *places], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert any("unfinished" in name for name in os.listdir(folder))
    files, made = fill(folder)
    assert made == ["b", "c"] and contents(files) == whole
    Store(folder, "v1", "txt").clear(files)
    assert {file.name for file in folder.iterdir()} == set(whole)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


@given(JSON, JSON)
def test_values_share_a_hash_only_if_they_are_equal(one, other):
    same = repr(ordered(one)) == repr(ordered(other))
    assert (hashed(one) == hashed(other)) == same


def ordered(value):
    if isinstance(value, dict):
        return {"of": sorted((key, repr(ordered(one))) for key, one in value.items())}
    return [ordered(one) for one in value] if isinstance(value, list) else value


def test_a_value_that_is_not_of_jsons_types_is_no_name():
    with pytest.raises(TypeError):
        Store("folder", {"path": Path("x")})
