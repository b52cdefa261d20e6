"""Public data by one command, from a server and archives that mean no good.

Each case ends in the file, whole and verified, or in one line; nothing half-written has its name.
"""

import contextlib
import errno
import gzip
import hashlib
import http.server
import io
import json
import os
import stat
import tarfile
import threading
import zipfile
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import workflow
from histopair import readers
from histopair.datasets import downloads, fetch, sources, unpack
from histopair.errors import InputError
from histopair.plan import fetching, load, places

CONTENT = bytes(range(256)) * 4000  # a megabyte
PAGE = b"<!DOCTYPE html><html><body>Please log in</body></html>"


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves the server's `content`, with the faults that its `faults` name."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self._answer(with_body=False)

    def do_GET(self):
        self.server.ranges.append(self.headers.get("Range"))
        self._answer(with_body=True)

    def _answer(self, with_body: bool):
        faults, content = self.server.faults, self.server.content
        if "status" in faults:
            return self._send(faults["status"], {"Content-Length": "0"}, b"")
        if "token" in faults and self.headers.get("Authorization") != f"Bearer {faults['token']}":
            return self._send(401, {"Content-Length": "0"}, b"")
        if "redirect" in faults and not self.path.startswith("/moved"):
            headers = {"Location": "/moved", "Content-Length": "0"}
            return self._send(faults["redirect"], headers, b"")
        start, status = 0, 200
        span = self.headers.get("Range")
        if span and "no ranges" not in faults:
            start, status = int(span.removeprefix("bytes=").partition("-")[0]), 206
            if start >= len(content):
                return self._send(416, {"Content-Length": "0"}, b"")
        body = content[start:]
        headers = {"Content-Length": str(len(body)), "ETag": f'"{self.server.version}"'}
        if status == 206:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        if with_body and faults.get("drops", 0) > 0:
            faults["drops"] -= 1
            body = body[: len(content) // 5]
        self._send(status, headers, body if with_body else b"")
        return None

    def _send(self, status: int, headers: dict, body: bytes):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = len(body) != int(headers["Content-Length"])


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(fetch, "WAIT", 0.01)
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda _: None)
    for name in ("HF_TOKEN", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(http.server.ThreadingHTTPServer, "handle_error", lambda *_: None)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as served:
        served.content, served.version, served.faults, served.ranges = CONTENT, "1", {}, []
        thread = threading.Thread(target=served.serve_forever, args=[0.01], daemon=True)
        thread.start()
        yield served
        served.shutdown()
        thread.join()


def _source(server, **file) -> dict:
    """A source of one file, verified unless said otherwise."""
    stated = {"size": len(CONTENT), "sha256": hashlib.sha256(CONTENT).hexdigest()}
    address = f"http://127.0.0.1:{server.server_port}/data.bin?download=1"
    entry = {"address": address, "makes": "data.bin", **stated, **file}
    entry = {key: value for key, value in entry.items() if value is not None}
    about = {"title": "T", "page": "http://page", "licence": "CC-BY-4.0", "citation": "C"}
    return about | {"files": [entry]}


def _download(folder: Path, source: dict) -> dict:
    downloads.download("mine", source, folder / "mine" / "receipt.json")
    return json.loads((folder / "mine" / "receipt.json").read_text())


def _said(folder: Path, source: dict) -> str:
    with pytest.raises(InputError) as error:
        _download(folder, source)
    assert "\n" not in str(error.value)
    assert [path.name for path in (folder / "mine").iterdir()] in ([], [".downloads"])
    return str(error.value)


def _left(folder: Path) -> list[str]:
    """The names of what lies in the hidden folder, without records."""
    names = (path.name for path in (folder / "mine" / ".downloads").iterdir())
    return sorted(name for name in names if not name.endswith((".json", ".version")))


# from a server


def test_a_file_is_fetched_and_its_receipt_says_what_it_is(server, tmp_path):
    receipt = _download(tmp_path, _source(server))
    assert (tmp_path / "mine" / "data.bin").read_bytes() == CONTENT
    [record] = receipt["files"]
    assert receipt["accepted"] == "CC-BY-4.0"
    assert (record["size"], record["verified"]) == (len(CONTENT), True)
    assert record["sha256"] == hashlib.sha256(CONTENT).hexdigest()
    assert record["stated"]["address"].endswith("/data.bin?download=1")
    assert _left(tmp_path) == []


def test_dropped_connections_are_resumed(server, tmp_path):
    server.faults["drops"] = 4
    _download(tmp_path, _source(server))
    assert (tmp_path / "mine" / "data.bin").read_bytes() == CONTENT
    assert server.ranges[0] is None
    assert all(span.startswith("bytes=") for span in server.ranges[1:])


def test_a_server_without_ranges_is_asked_for_all_again(server, tmp_path):
    server.faults |= {"drops": 2, "no ranges": True}
    _download(tmp_path, _source(server))
    assert (tmp_path / "mine" / "data.bin").read_bytes() == CONTENT


def test_a_killed_try_goes_on_where_it_stopped(server, tmp_path):
    part = tmp_path / "mine" / ".downloads" / "data.bin"
    part.parent.mkdir(parents=True)
    part.write_bytes(CONTENT[:600_000])
    _download(tmp_path, _source(server))
    assert server.ranges == ["bytes=600000-"]
    assert (tmp_path / "mine" / "data.bin").read_bytes() == CONTENT


def test_a_part_of_another_content_is_found_by_the_checksum_and_fetched_anew(server, tmp_path):
    part = tmp_path / "mine" / ".downloads" / "data.bin"
    part.parent.mkdir(parents=True)
    for old in (b"\0" * 600_000, b"\0" * len(CONTENT)):
        part.write_bytes(old)
        _download(tmp_path, _source(server))
        assert (tmp_path / "mine" / "data.bin").read_bytes() == CONTENT
        (tmp_path / "mine" / "data.bin").unlink()


def test_an_unverified_file_is_resumed_only_in_the_version_that_was_begun(server, tmp_path):
    source = _source(server, sha256=None, size=None, most=2_000_000)
    part = tmp_path / "mine" / ".downloads" / "data.bin"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"\0" * 600_000)
    (part.parent / "data.bin.version").write_text('"0"')
    _download(tmp_path, source)
    assert (tmp_path / "mine" / "data.bin").read_bytes() == CONTENT
    (tmp_path / "mine" / "data.bin").unlink()
    part.write_bytes(CONTENT[:600_000])
    (part.parent / "data.bin.version").write_text('"1"')
    server.ranges.clear()
    _download(tmp_path, source)
    assert server.ranges == ["bytes=600000-"]
    part.write_bytes(CONTENT)  # whole, and not yet in its place: the server knows no more bytes
    (part.parent / "data.bin.version").write_text('"1"')
    (tmp_path / "mine" / "data.bin").unlink()
    _download(tmp_path, source)
    assert (tmp_path / "mine" / "data.bin").read_bytes() == CONTENT


def test_a_file_without_a_checksum_is_reported_with_its_own(server, tmp_path, capsys):
    receipt = _download(tmp_path, _source(server, sha256=None, size=None, most=2_000_000))
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    said = f"data.bin is unverified, because its source states no checksum; its sha256 is {sha256}"
    assert said in capsys.readouterr().out
    assert (receipt["files"][0]["verified"], receipt["files"][0]["sha256"]) == (False, sha256)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("md5", hashlib.md5(CONTENT).hexdigest()),
        ("git", hashlib.sha1(b"blob %d\0" % len(CONTENT) + CONTENT).hexdigest()),
    ],
)
def test_other_checksums_verify_too(server, tmp_path, kind, value):
    assert _download(tmp_path, _source(server, sha256=None, **{kind: value}))["files"][0][
        "verified"
    ]
    other = _source(server, sha256=None, **{kind: "0" * len(value)})
    assert f"its {kind} is {value}, its source states 0000" in _said(tmp_path / "b", other)


def test_redirects_are_followed(server, tmp_path):
    for number, status in enumerate((301, 302, 307, 308)):
        server.faults["redirect"] = status
        _download(tmp_path / str(number), _source(server))


@pytest.mark.parametrize(
    ("content", "file", "said"),
    [
        (CONTENT[:-1] + b"x", {}, "its sha256 is"),
        (CONTENT[:-1], {}, "it has 1,023,999 bytes, its source states 1,024,000"),
        (CONTENT + b"x", {}, "it is larger than the 1,024,000 bytes that it may have"),
        (CONTENT, {"size": None, "most": 1000}, "it is larger than the 1,000 bytes"),
        (PAGE, {}, "the server sent a web page instead of the file"),
        (b"", {}, "it has 0 bytes"),
    ],
)
def test_a_wrong_file_is_one_line_and_leaves_nothing(server, tmp_path, content, file, said):
    server.content = content
    assert said in _said(tmp_path, _source(server, **file))
    assert _left(tmp_path) == []


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (404, "the server refuses it (status 404). See whether it has moved: http://page"),
        (403, "the server refuses it (status 403). See whether it has moved: http://page"),
        (500, "the connection failed 5 times"),
    ],
)
def test_a_server_that_refuses_is_one_line(server, tmp_path, status, said):
    server.faults["status"] = status
    assert said in _said(tmp_path, _source(server))


def test_a_server_that_is_not_there_is_one_line(server, tmp_path):
    source = _source(server)
    source["files"][0]["address"] = "http://127.0.0.1:9/data.bin"
    assert "the connection failed 5 times" in _said(tmp_path, source)


def test_a_gated_file_needs_a_token_and_the_message_says_where(server, tmp_path, monkeypatch):
    server.faults["token"] = "hf_secret"
    source = _source(server, gate="huggingface")
    assert _said(tmp_path, source).endswith(
        "Ask for access at http://page, and log in: hf auth login, or set HF_TOKEN"
    )
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    _download(tmp_path, source)
    assert (tmp_path / "mine" / "data.bin").read_bytes() == CONTENT


def test_a_token_goes_to_gated_files_only(server, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    server.faults["token"] = "hf_secret"
    assert "status 401" in _said(tmp_path, _source(server))


def test_finished_files_are_not_fetched_again_and_files_of_others_are_not_touched(server, tmp_path):
    source = _source(server)
    _download(tmp_path, source)
    server.ranges.clear()
    _download(tmp_path, source | {"files": [source["files"][0] | {"limit": "of another version"}]})
    assert server.ranges == []
    (tmp_path / "b" / "mine").mkdir(parents=True)
    (tmp_path / "b" / "mine" / "data.bin").write_text("my own")
    with pytest.raises(InputError, match="it is there already, and was not fetched from this"):
        _download(tmp_path / "b", source)
    assert (tmp_path / "b" / "mine" / "data.bin").read_text() == "my own"


def test_a_disk_that_is_too_small_is_said_before_anything_is_fetched(server, tmp_path):
    said = _said(tmp_path, _source(server, size=10**18))
    assert said.startswith("mine: it may need 1000000000.0 GB, and ")
    assert server.ranges == []


def test_a_folder_that_cannot_be_written_is_one_line(server, tmp_path):
    (tmp_path / "mine").symlink_to("/nowhere/at/all")
    with pytest.raises(InputError) as error:
        _download(tmp_path, _source(server))
    assert "\n" not in str(error.value)


def test_a_full_disk_is_one_line(server, tmp_path, monkeypatch):
    def full(_, block):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(fetch._Limited, "write", full)
    assert _said(tmp_path, _source(server)) == (
        "data.bin: no space is left on its disk. Free some space and rerun"
    )


# archives


def _zip(**members) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def _tar(*members: tarfile.TarInfo, content: bytes = b"x", mode: str = "w:gz") -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:
        for member in members:
            member.size = len(content) if member.isreg() else 0
            archive.addfile(member, io.BytesIO(content) if member.isreg() else None)
    return file.getvalue()


def _member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link
    return member


def _archived(server, content: bytes, packed: str, makes: str = "tiles", **limit) -> dict:
    server.content = content
    most = {"files": 10, "bytes": 1000} | limit
    stated = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    return _source(server, packed=packed, makes=makes, limit=most, **stated)


@pytest.mark.parametrize(
    ("members", "there"),
    [
        ({"tiles/a/1.png": "x", "tiles/b/2.png": "y"}, ["a/1.png", "b/2.png"]),
        ({"other/a/1.png": "x", "__MACOSX/._x": "y"}, ["a/1.png"]),
        ({"a/1.png": "x", "b/2.png": "y"}, ["a/1.png", "b/2.png"]),
        ({"1.png": "x"}, ["1.png"]),
        ({"README": "x", "tiles/1.png": "x"}, ["1.png"]),
    ],
)
def test_an_archive_becomes_the_folder_that_its_source_names(server, tmp_path, members, there):
    receipt = _download(tmp_path, _archived(server, _zip(**members), "zip"))
    folder = tmp_path / "mine" / "tiles"
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png"))
    assert files == there
    assert receipt["files"][0]["unpacked"]["files"] == len(members)
    assert _left(tmp_path) == []


def test_tar_and_gz_are_unpacked(server, tmp_path):
    for mode in ("w", "w:gz", "w:xz"):
        content = _tar(_member("tiles", tarfile.DIRTYPE), _member("tiles/1.png"), mode=mode)
        _download(tmp_path / mode[-2:], _archived(server, content, "tar"))
        assert (tmp_path / mode[-2:] / "mine" / "tiles" / "1.png").read_bytes() == b"x"
    _download(tmp_path, _archived(server, gzip.compress(b"abc"), "gz", "x.h5"))
    assert (tmp_path / "mine" / "x.h5").read_bytes() == b"abc"


def test_a_nested_place_and_the_rights_of_a_new_file(server, tmp_path):
    member = _member("MSS/1.png")
    member.mode = 0o6777
    _download(tmp_path, _archived(server, _tar(member), "tar", "train/MSS"))
    made = tmp_path / "mine" / "train" / "MSS" / "1.png"
    assert not stat.S_IMODE(made.stat().st_mode) & 0o7111


def _zip_link() -> bytes:
    link = zipfile.ZipInfo("tiles/link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(link, "/etc/passwd")
    return file.getvalue()


LINK = "is a link or a device"
OUT = "leads out of its folder"
BAD = {
    "up": (_zip(**{"../evil": "x"}), "zip", OUT),
    "deep up": (_zip(**{"tiles/../../evil": "x"}), "zip", OUT),
    "absolute": (_zip(**{"/tmp/evil": "x"}), "zip", OUT),
    "drive": (_zip(**{"C:\\evil": "x"}), "zip", OUT),
    "backslash": (_zip(**{"..\\evil": "x"}), "zip", OUT),
    "zip link": (_zip_link(), "zip", LINK),
    "tar up": (_tar(_member("../evil")), "tar", OUT),
    "tar absolute": (_tar(_member("/tmp/evil")), "tar", OUT),
    "tar link": (_tar(_member("tiles/l", tarfile.SYMTYPE, "/etc")), "tar", LINK),
    "tar hard link": (_tar(_member("tiles/l", tarfile.LNKTYPE, "/etc/passwd")), "tar", LINK),
    "tar device": (_tar(_member("tiles/d", tarfile.CHRTYPE)), "tar", LINK),
    "tar pipe": (_tar(_member("tiles/p", tarfile.FIFOTYPE)), "tar", LINK),
    "link, then through it": (
        _tar(_member("tiles/l", tarfile.SYMTYPE, "/tmp"), _member("tiles/l/evil")),
        "tar",
        LINK,
    ),
    "twice": (_tar(_member("tiles/1"), _member("tiles/./1")), "tar", "occurs twice"),
    "file and folder": (_tar(_member("tiles"), _member("tiles/1")), "tar", "cannot be unpacked"),
    "zip bomb": (_zip(**{"tiles/1": "0" * 10**6}), "zip", "unpacks to more than 1,000 bytes"),
    "sum": (_zip(**{f"t/{i}": "0" * 400 for i in range(3)}), "zip", "more than 1,000 bytes"),
    "tar bomb": (_tar(_member("t/1"), content=bytes(10**6)), "tar", "more than 1,000 bytes"),
    "gz bomb": (gzip.compress(bytes(10**6)), "gz", "more than 1,000 bytes"),
    "many": (_zip(**{f"t/{i}": "" for i in range(11)}), "zip", "holds more than 10 files"),
    "no zip": (b"PK\x03\x04 but no more", "zip", "cannot be unpacked"),
    "cut zip": (_zip(**{"tiles/1": os.urandom(500)})[:-30], "zip", "cannot be unpacked"),
    "cut tar": (_tar(_member("t/1"), content=os.urandom(900))[:-200], "tar", "cannot be unpacked"),
    "cut gz": (gzip.compress(os.urandom(500))[:-20], "gz", "cannot be unpacked"),
    "garbage": (b"\1\2\3" * 100, "tar", "cannot be unpacked"),
    "empty": (_zip(), "zip", "it holds no 'tiles', but nothing"),
}


@pytest.mark.parametrize("name", BAD)
def test_an_archive_that_means_no_good_is_one_line_and_leaves_nothing(server, tmp_path, name):
    content, packed, said = BAD[name]
    assert said in _said(tmp_path / "a", _archived(server, content, packed))
    assert _left(tmp_path / "a") == []
    assert [path.name for path in tmp_path.rglob("*evil*")] == []
    assert not Path("/tmp/evil").exists()


def test_an_archive_without_the_file_that_its_source_names_is_one_line(server, tmp_path):
    source = _archived(server, _zip(**{"readme.md": "x"}), "zip", "reports.csv")
    assert "it holds no 'reports.csv', but readme.md" in _said(tmp_path, source)


PARTS = st.sampled_from(
    ["..", ".", "", "a", "b", "/", "\\", "C:", "a\0b", "x" * 300, "\u202e", "~"]
)
NAMES = st.lists(PARTS, min_size=1, max_size=4).map("/".join) | st.text(min_size=1, max_size=6)
KINDS = st.sampled_from([tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE])


@pytest.mark.filterwarnings("ignore:Duplicate name")
@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.lists(st.tuples(NAMES, KINDS), max_size=4), st.booleans())
def test_no_member_of_any_name_leaves_its_folder(tmp_path_factory, members, zipped):
    folder = tmp_path_factory.mktemp("archive")
    archive, out = folder / "archive", folder / "in" / "out"
    try:
        named = {name: "x" for name, _ in members}
        listed = [_member(name, kind, "../../evil") for name, kind in members]
        archive.write_bytes(_zip(**named) if zipped else _tar(*listed))
    except ValueError:
        assume(False)  # no archive can have such a name
    limit = {"files": 9, "bytes": 99}
    with contextlib.suppress(InputError):
        unpack.unpack(archive, "zip" if zipped else "tar", out, limit, "x")
    outside = {path for path in folder.rglob("*") if out not in path.parents}
    assert outside <= {archive, out, out.parent}
    assert not any(path.is_symlink() for path in folder.rglob("*"))


def test_an_archive_damaged_in_its_lzma_stream_is_one_line(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a", os.urandom(500))
    content = bytearray((tmp_path / "a.zip").read_bytes())
    content[60:300] = b"\xff" * 240
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(InputError, match="cannot be unpacked"):
        unpack.unpack(tmp_path / "a.zip", "zip", tmp_path / "out", {"files": 9, "bytes": 999}, "a")


def test_an_encrypted_archive_is_one_line(tmp_path):
    content = bytearray(_zip(a="abc"))
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(mark) + place] |= 1
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(InputError, match="cannot be unpacked"):
        unpack.unpack(tmp_path / "a.zip", "zip", tmp_path / "out", {"files": 9, "bytes": 9}, "a")


# sources


@pytest.mark.parametrize("name", sources.read())
def test_each_source_says_what_it_is_and_how_it_is_read(name):
    source = sources.find(name)
    assert {"title", "page", "licence", "citation", "config"} <= source.keys()
    assert ("files" in source) != ("by_hand" in source)
    minimal = {"encoders": {"e": {"library": "timm", "model": "resnet18"}}}
    minimal |= {"datasets": {}, "methods": {"m": {"recipe": "linear_probe"}}, "studies": {}}
    config = load.load(minimal | source["config"])
    entries = {**config["datasets"], **config["corpora"]}
    for entry in source["config"].get("datasets", source["config"].get("corpora")):
        reader = readers.find(entries[entry]["reader"])
        for path in reader.inputs(entries[entry]):
            assert sources.of_path(path) == name or path.startswith("config/")


FETCHED = {name: source for name, source in sources.read().items() if "files" in source}


@pytest.mark.parametrize("name", FETCHED)
def test_each_file_has_an_address_a_limit_and_checksums_of_the_right_length(name):
    keys = {"address", "size", "most", "packed", "limit", "makes", "gate", *sources.CHECKSUMS}
    for file in FETCHED[name]["files"]:
        assert file.keys() <= keys
        assert file["address"].startswith(("https://", "http://www.inf.ufpr.br/"))
        assert ("size" in file) != ("most" in file)
        assert ("packed" in file) == ("limit" in file)
        for kind, length in {"sha256": 64, "md5": 32, "git": 40}.items():
            assert len(bytes.fromhex(file.get(kind, "0" * length))) == length // 2
    made = [file["makes"] for file in FETCHED[name]["files"]]
    assert len(set(made)) == len(made)


def test_what_is_fetched_is_what_the_readers_ask_for():
    for name, source in FETCHED.items():
        made = [f"data/{name}/{file['makes']}" for file in source["files"]]
        for entry in (*source["config"].get("datasets", {}).values(),):
            for path in readers.find(entry["reader"]).inputs(entry):
                inside = [file for file in made if f"{path}/".startswith(f"{file}/")]
                assert inside or any(file.startswith(f"{path}/") for file in made), path


PUT_BY_HAND = {
    "gleason-arvaniti": {
        "train_validation_patches_750/ZT76_39_A_1_1/ZT76_39_A_1_1_patch_12_class_0.jpg": "train",
        "test_patches_750/patho_1/ZT80_38_A_1_1/ZT80_38_A_1_1_patch_3_class_3.jpg": "test",
        "test_patches_750/patho_2/ZT80_38_A_1_1/ZT80_38_A_1_1_patch_3_class_2.jpg": None,
    },
    "spider-colorectal": {
        "train/Fat/slide_1/a.png": "train",
        "test/Fat/slide_2/a.png": "test",
    },
}


@pytest.mark.parametrize("name", PUT_BY_HAND)
def test_what_is_put_there_by_hand_is_read_by_the_entry_that_is_shown(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    for path in PUT_BY_HAND[name]:
        place = Path(sources.place(name), path)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
    [entry] = sources.find(name)["config"]["datasets"].values()
    frame, rows = readers.find(entry["reader"]).read(entry)
    split = {path: split for path, split in PUT_BY_HAND[name].items() if split}
    assert dict(zip(frame.path, frame.split, strict=True)) == split
    assert frame.group.tolist() == [path.split("/")[-2] for path in sorted(split)]
    assert [row for row in rows if row["action"] == "unread"] == []


def _h5(name: str) -> bytes:
    """An array of PCAM, as its archive holds it."""
    file = io.BytesIO()
    with h5py.File(file, "w") as array:
        part = name.removesuffix(".h5")[-1]
        array[part] = np.zeros((2, 96, 96, 3) if part == "x" else (2, 1, 1, 1), np.uint8)
    return gzip.compress(file.getvalue())


def _published(name: str, file: dict) -> bytes:
    """A file of a source with two samples at most, in the form that its readers know."""
    makes = file["makes"]
    if makes.endswith(".h5"):
        return _h5(makes)
    if name == "breakhis":
        place = f"{makes}/histology_slides/breast/benign/SOB/adenosis/SOB_B_A_14-1/40X"
        return _tar(_member(f"{place}/SOB_B_A-14-1-40-001.png"))
    if name == "histai":
        case = {"case_mapping": "c", "micro_protocol": "Cells", "conclusion": None}
        return json.dumps([case | {"specialization": "Skin"}]).encode()
    if makes.endswith("type.csv"):
        return b"patient_id,cancer_type\nP1,COAD\n"
    if makes.endswith("meta.csv"):
        return b"wsi\nW1\nW2\n"
    if name == "tcga":
        return _zip(**{makes: "patient_filename,text\nP1.x,Adenoma\n"})
    inner = {"bach": "Photos/Benign/", "tcga-ut": "0/TCGA-AA-0001-01Z/"}
    inner = inner.get(name, "" if "/" in makes else "TUM/")
    return _zip(**{f"{makes.rpartition('/')[2]}/{inner}1.tif": "x", "__MACOSX/._1.tif": "x"})


@pytest.mark.parametrize("name", FETCHED)
def test_what_is_fetched_is_read_by_the_entry_that_is_shown(server, tmp_path, monkeypatch, name):
    monkeypatch.setenv("HF_TOKEN", "hf_any")
    monkeypatch.chdir(tmp_path)
    source = FETCHED[name] | {"files": []}
    for file in FETCHED[name]["files"]:
        server.content = _published(name, file)
        stated = {"size": len(server.content), "md5": hashlib.md5(server.content).hexdigest()}
        address = {"address": f"http://127.0.0.1:{server.server_port}/x?download=1"}
        kept = {key: file[key] for key in ("makes", "packed", "limit", "gate") if key in file}
        source["files"].append(kept | stated | address)
        downloads.download(name, source, Path(sources.RECEIPT.format(source=name)))
    [entry] = next(iter(source["config"].values())).values()
    frame, rows = readers.find(entry.get("reader", "tcga")).read(entry)
    assert len(frame) == {"pcam": 6, "tcga": 1, "histai": 1, "bach": 1, "breakhis": 1}.get(
        name, len(source["files"])
    )
    assert [row for row in rows if "receipt" in row["subject"]] == []
    assert [row for row in rows if row["action"] == "unread"] == []


def test_a_source_is_never_fetched_without_its_licence():
    with pytest.raises(InputError) as error:
        sources.require_allowed("nct-crc", ["CC0-1.0"])
    assert str(error.value) == (
        "nct-crc: its licence, CC-BY-4.0, is not accepted. Read it at "
        "https://zenodo.org/records/1214456; if you accept it, run: "
        "snakemake --cores 1 data_nct_crc --config accept=CC-BY-4.0"
    )
    sources.require_allowed("nct-crc", ["cc-by-4.0"])
    with pytest.raises(InputError, match="did you mean 'pcam'"):
        sources.find("pcan")


def test_what_is_there_needs_no_licence_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    w = SimpleNamespace(source="tcga")
    with pytest.raises(InputError, match="is not accepted"):
        fetching.allowed({"accept": []}, w)
    assert fetching.allowed({"accept": "CC0-1.0, CC-BY-4.0"}, w) == []
    Path("data/tcga").mkdir(parents=True)
    Path("data/tcga/receipt.json").touch()
    assert fetching.allowed({"accept": []}, w) == []


def test_a_missing_file_of_a_source_says_how_to_fetch_it():
    with pytest.raises(InputError) as error:
        places.there("data/kather-2016/a")
    assert str(error.value) == (
        "data/kather-2016/a: there is no such file or folder. `histopair data kather-2016` says "
        "how to fetch it. Correct the path in the config"
    )


def test_what_lies_behind_a_form_says_where_to_ask_and_where_to_put_the_files():
    with pytest.raises(InputError) as error:
        sources.require_allowed("mhist", ["MHIST research use agreement"])
    assert str(error.value) == (
        "mhist: it cannot be fetched from here (page: https://bmirds.github.io/MHIST/; there: "
        "data/mhist). Fill in the form of that page, then put annotations.csv and the unpacked "
        "folder images there"
    )


def test_snakemake_fetches_by_name_once_the_licence_is_accepted(server, tmp_path):
    folder = workflow.copy_to(tmp_path / "a")
    source = _archived(server, _zip(**{"tiles/a/1.png": "x"}), "zip")
    path = folder / "workflow/scripts/histopair/datasets/sources.yaml"
    path.write_text(yaml.safe_dump({"my-tiles": source | {"config": {}}}))
    done = workflow.run(folder, "data_my_tiles")
    assert done.returncode == 1
    assert "its licence, CC-BY-4.0, is not accepted. Read it at http://page" in done.stdout
    assert "Traceback" not in done.stdout
    assert not (folder / "data").exists()
    done = workflow.run(folder, "data_my_tiles", "--config", "accept=CC0-1.0,CC-BY-4.0")
    assert done.returncode == 0, done.stdout
    assert (folder / "data/my-tiles/tiles/a/1.png").read_text() == "x"
    assert json.loads((folder / "data/my-tiles/receipt.json").read_text())["page"] == "http://page"
