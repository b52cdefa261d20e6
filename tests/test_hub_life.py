"""Encoders by their names on a hub, from a stand-in hub that can be gated, bad, slow or away.

Each case ends in the encoder, exactly as its repository has it, or in one line that names encoder
and remedy. None ends in a traceback or in random weights.
"""

import errno
import multiprocessing
import os
import tempfile
from pathlib import Path

import layouts
import pytest
import stand_in_hub
import tiny
import torch

from histopair import encoders
from histopair.encoders import repositories
from histopair.errors import InputError

TEXTS = ["a tumour of colon", "no tumour"]
FORKED = multiprocessing.get_context("fork")
UNI = {"init_values": 1e-5, "dynamic_img_size": True}


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A stand-in hub, with an empty cache and without a token or waiting."""
    from huggingface_hub import constants

    with stand_in_hub.Server() as served:
        template = f"{served.address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "ENDPOINT", served.address)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1 << 14)
        monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda _: None)
        monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda _: None)
        monkeypatch.delenv("HF_TOKEN", raising=False)
        yield served


def go_offline(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def cached(tmp_path: Path) -> list[str]:
    """Names of the files in the cache, whole or not."""
    return sorted(path.name for path in (tmp_path / "cache").rglob("*") if path.is_file())


def timm_maker(folder: Path) -> layouts.Made:
    make = layouts.repository("vit_large_patch16_224", file="pytorch_model.bin", **UNI)
    made = make(folder)
    return layouts.Made({"library": "timm", "kwargs": UNI | layouts.NARROW}, made.image)


def bert_maker(folder: Path) -> layouts.Made:
    made = layouts.of_texts(folder)
    return layouts.Made({"library": "transformers", "pooling": "cls"}, None, made.text)


def phikon_maker(folder: Path) -> layouts.Made:
    make = layouts.of_images("ViT", lambda states: states[:, 0], image_size=224, patch_size=16)
    made = make(folder)
    pixels = {"size": 224, "interpolation": "bicubic", "mean": [0.5] * 3, "std": [0.5] * 3}
    return layouts.Made({"library": "transformers", "pixels": pixels}, made.image)


def keep_maker(folder: Path) -> layouts.Made:
    made = layouts.keep(folder)
    return layouts.Made({"library": "keep"}, made.image, made.text)


def clip_maker(folder: Path) -> layouts.Made:
    made = layouts.quiltnet(32)(folder)
    return layouts.Made({"library": "open_clip"}, made.image, made.text)


MAKERS = {
    "timm": timm_maker,
    "texts": bert_maker,
    "images": phikon_maker,
    "keep": keep_maker,
    "open_clip": clip_maker,
}


def served_entry(hub, folder: Path, kind: str = "timm", **more) -> tuple[dict, layouts.Made]:
    """An encoder `x` of the repository `lab/model`, which the hub serves."""
    folder.mkdir(exist_ok=True)
    made = MAKERS[kind](folder)
    hub.add("lab/model", folder, **more)
    model = "lab/model" if kind in ("texts", "images") else "hf-hub:lab/model"
    return {"name": "x", "model": model, **made.keys}, made


def exact(entry: dict, made: layouts.Made) -> None:
    """Load an encoder; its vectors must be those of the model that the repository was made from."""
    encoder = encoders.load(entry)
    with torch.no_grad():
        if made.image is not None:
            pixels = torch.rand(2, 3, 224, 224)
            torch.testing.assert_close(encoder.image(pixels), made.image(pixels), atol=1e-5, rtol=0)
        if made.text is not None:
            for text in TEXTS:
                vector = encoder.text(encoder.tokenize([text]))
                torch.testing.assert_close(vector, made.text([text]), atol=1e-5, rtol=0)


def refused(entry: dict, *words: str) -> str:
    """The one line of an encoder that cannot be loaded, which has all of `words`."""
    with pytest.raises(InputError) as told:
        encoders.load(entry)
    line = str(told.value)
    assert line.startswith("encoder x: ") and "\n" not in line, line
    for word in words:
        assert word in line, (word, line)
    return line


@pytest.mark.parametrize("kind", MAKERS)
def test_an_encoder_of_the_hub_is_exact_and_then_needs_no_network(hub, tmp_path, monkeypatch, kind):
    entry, made = served_entry(hub, tmp_path / "model", kind)
    exact(entry, made)
    assert hub.fetched((".safetensors", ".bin")) == 1
    hub.asked.clear()
    go_offline(monkeypatch)
    exact(entry, made)
    if made.text is not None:
        assert encoders.counter(entry)[0](TEXTS)[0] > 2
    assert not hub.asked


@pytest.mark.parametrize("kind", MAKERS)
def test_what_was_fetched_alone_is_all_that_loading_reads(hub, tmp_path, monkeypatch, kind):
    entry, made = served_entry(hub, tmp_path / "model", kind)
    [record] = encoders.fetch(entry)
    stored = hub.stored["lab/model"]
    assert (record["repository"], record["commit"]) == ("lab/model", stored.commit)
    for file in record["files"]:
        content = stored.files[file["name"]]
        assert file["size"] == len(content) and file["sha256"] == stand_in_hub.sha256(content)
        assert file["verified"]
    go_offline(monkeypatch)
    exact(entry, made)


def test_a_text_tower_of_a_second_repository_is_fetched_too(hub, tmp_path, monkeypatch):
    folder = tmp_path / "model"
    folder.mkdir()
    made = layouts.with_bert(24)(folder)
    hub.add("x/y", folder / "second")
    hub.add("lab/model", folder)
    entry = {"name": "x", "library": "open_clip", "model": "hf-hub:lab/model"}
    names = [record["repository"] for record in encoders.fetch(entry)]
    assert names == ["lab/model", "x/y"]
    go_offline(monkeypatch)
    exact(entry, made)


def test_of_a_local_folder_the_text_towers_config_may_be_on_the_hub(hub, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    made = layouts.with_bert(24)(folder)
    hub.add("x/y", folder / "second")
    for path in (folder / "second").glob("*"):
        if path.name != "config.json":
            path.rename(folder / path.name)
    encoder = encoders.load({"name": "x", "library": "open_clip", "model": f"local-dir:{folder}"})
    tokens = encoder.tokenize(TEXTS[:1])
    assert torch.isfinite(encoder.text(tokens)).all() and made.text
    assert any("x/y" in path for _, path, _ in hub.asked)


def test_the_revision_is_what_is_asked_for(hub, tmp_path):
    entry, made = served_entry(hub, tmp_path / "model")
    commit = hub.stored["lab/model"].commit
    exact(entry | {"revision": commit}, made)
    assert all("main" not in path for _, path, _ in hub.asked)


def test_a_gated_repository_names_its_page_and_the_missing_token(hub, tmp_path, monkeypatch):
    entry, made = served_entry(hub, tmp_path / "model", token="hf_good")
    page = f"{hub.address}/lab/model"
    refused(entry, "is gated, and no token is set", f"Ask for access at {page}", "HF_TOKEN")
    monkeypatch.setenv("HF_TOKEN", "hf_other")
    refused(entry, "the token of this user has no access", page, "fine-grained")
    monkeypatch.setenv("HF_TOKEN", "hf_unknown")
    refused(entry, "does not know the token of this user", "HF_TOKEN")
    monkeypatch.setenv("HF_TOKEN", "hf_good")
    exact(entry, made)


@pytest.mark.parametrize("library", ["timm", "transformers", "open_clip", "keep"])
def test_an_unknown_repository_or_revision_is_told(hub, tmp_path, library):
    hub.add("lab/other", tiny_folder(tmp_path))
    model = "lab/none" if library == "transformers" else "hf-hub:lab/none"
    entry = {"name": "x", "library": library, "model": model}
    refused(entry, "no repository lab/none that this user may see", "Correct `model`", "HF_TOKEN")
    entry["model"] = model.replace("none", "other")
    refused(entry | {"revision": "v9"}, "has no revision 'v9'", "Correct `revision`")


def tiny_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "other"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    return folder


@pytest.mark.parametrize("library", ["timm", "transformers", "open_clip", "keep"])
def test_a_repository_without_weights_is_told(hub, tmp_path, library):
    hub.add("lab/other", tiny_folder(tmp_path))
    model = "lab/other" if library == "transformers" else "hf-hub:lab/other"
    line = refused({"name": "x", "library": library, "model": model}, "lab/other has no ")
    assert "it holds config.json" in line and "`model`" in line


def test_a_missing_file_is_told_with_what_there_is(hub, tmp_path):
    hub.add("lab/other", tiny_folder(tmp_path))
    entry = {"name": "x", "library": "timm", "model": "resnet18"}
    refused(entry | {"weights": "hf-hub:lab/other/a.pth"}, "has no a.pth; it holds config.json")


@pytest.mark.parametrize("name", ["a b/c", "lab/model/x/y", "-lab/-"])
def test_a_name_that_no_repository_has_is_told(hub, name):
    refused({"name": "x", "library": "timm", "model": f"hf-hub:{name}"}, "OWNER/NAME")


def test_a_download_that_is_interrupted_goes_on(hub, tmp_path):
    entry, made = served_entry(hub, tmp_path / "model")
    hub.faults["drops"] = 3
    exact(entry, made)
    spans = [span for _, path, span in hub.asked if path.startswith("/large/") and span]
    assert len(spans) == 3 and hub.fetched(".bin") == 1


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("changed", ("has the checksum", "the hub states", "Run it again")),
        ("short", ("Run it again",)),
        ("page for files", ("Run it again",)),
    ],
)
def test_a_file_that_is_not_the_one_is_not_kept(hub, tmp_path, fault, words):
    entry, made = served_entry(hub, tmp_path / "model")
    hub.faults[fault] = True
    refused(entry, *words)
    assert not any(name.endswith(".bin") or "incomplete" in name for name in cached(tmp_path))
    del hub.faults[fault]
    exact(entry, made)


def test_a_cache_that_rotted_is_found_by_fetching(hub, tmp_path):
    entry, made = served_entry(hub, tmp_path / "model")
    exact(entry, made)
    [file] = (tmp_path / "cache").rglob("pytorch_model.bin")
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.resolve().write_bytes(content)
    with pytest.raises(InputError, match=r"encoder x: .*pytorch_model.bin of lab/model has the"):
        encoders.fetch(entry)
    assert all(record["verified"] for record in encoders.fetch(entry)[0]["files"])
    exact(entry, made)


def test_a_file_of_another_size_in_the_cache_is_found_by_loading(hub, tmp_path):
    entry, made = served_entry(hub, tmp_path / "model")
    exact(entry, made)
    [file] = (tmp_path / "cache").rglob("pytorch_model.bin")
    file.resolve().write_bytes(file.read_bytes()[:-9])
    refused(entry, "pytorch_model.bin of lab/model has", "the hub states", "Run it again")
    exact(entry, made)


def test_offline_without_a_cache_names_the_rule(hub, tmp_path, monkeypatch):
    entry, _ = served_entry(hub, tmp_path / "model")
    go_offline(monkeypatch)
    line = refused(entry, "HF_HUB_OFFLINE is set", "fetch_weights -R fetch_encoder", "HF_HOME")
    assert str(tmp_path / "cache") in line and not hub.asked
    with pytest.raises(InputError, match="HF_HUB_OFFLINE is set, so nothing can be fetched"):
        encoders.fetch(entry)


def test_a_cache_without_its_weights_is_not_enough(hub, tmp_path, monkeypatch):
    entry, _ = served_entry(hub, tmp_path / "model")
    hub.faults["short"] = True
    refused(entry)
    assert "config.json" in cached(tmp_path)
    go_offline(monkeypatch)
    refused(entry, "lab/model is not whole in")


@pytest.mark.parametrize(
    ("faults", "words"),
    [
        ({"api": 500}, ("status 500", "Try again later")),
        ({"api": 503}, ("status 503", "Try again later")),
        ({"files": 500}, ("status 500", "Try again later")),
        ({"page": True}, ("is no hub", "HF_ENDPOINT", "login page")),
        ({"hang": True}, ("did not answer within 0.5 s", "HF_HUB_ETAG_TIMEOUT=1.5")),
        ({"hang for files": True}, ("did not answer within 0.5 s", "HF_HUB_ETAG_TIMEOUT=1.5")),
    ],
)
def test_a_hub_that_fails_is_told_and_its_cache_serves(hub, tmp_path, monkeypatch, faults, words):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_ETAG_TIMEOUT", 0.5)
    entry, made = served_entry(hub, tmp_path / "model")
    hub.faults |= faults
    refused(entry, *words)
    hub.faults.clear()
    exact(entry, made)
    hub.faults |= faults
    exact(entry, made)


def test_a_hub_that_cannot_be_reached_is_told(hub, tmp_path, monkeypatch):
    entry, _ = served_entry(hub, tmp_path / "model")
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    refused(entry, "http://127.0.0.1:9 cannot be reached for lab/model", "fetch_weights")


def test_a_token_that_cannot_be_read_is_told(hub, tmp_path, monkeypatch):
    entry, _ = served_entry(hub, tmp_path / "model")

    def locked(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied", "/home/x/token")

    monkeypatch.setattr("huggingface_hub.utils._headers.get_token", locked)
    refused(entry, "/home/x/token cannot be used: Permission denied", "HF_TOKEN")


def test_an_error_of_the_client_itself_is_one_line(hub, tmp_path, monkeypatch):
    entry, _ = served_entry(hub, tmp_path / "model")

    def broken(*_, **__):
        raise RuntimeError("Data processing error:\n CAS service")  # as Xet storage words it

    monkeypatch.setattr("huggingface_hub.file_download.http_get", broken)
    refused(
        entry, "lab/model cannot be fetched", "RuntimeError: Data processing error: CAS", "later"
    )


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_a_cache_that_cannot_be_written_is_told_and_one_that_is_full_too(
    hub, tmp_path, monkeypatch, number
):
    entry, _ = served_entry(hub, tmp_path / "model")

    def locked(path, *_, **__):
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr("huggingface_hub.file_download.os.makedirs", locked)
    refused(entry, "the cache cannot be written", os.strerror(number), "HF_HOME")
    number = errno.ENOSPC
    refused(entry, "no space is left", "HF_HOME")


@pytest.mark.skipif(os.getuid() != 0, reason="only root may become another user")
def test_a_cache_that_is_only_readable_serves_what_it_has(hub, tmp_path, monkeypatch):
    entry, made = served_entry(hub, tmp_path / "model")
    with tempfile.TemporaryDirectory() as folder:  # others may not enter those of pytest
        cache = Path(folder) / "cache"
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
        monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", f"{folder}/no-token")
        exact(entry, made)
        for path in [Path(folder), cache, *cache.rglob("*")]:
            path.chmod(0o555 if path.is_dir() else 0o444)
        if (child := os.fork()) == 0:
            os.setuid(65534)
            try:
                with pytest.raises(PermissionError):
                    (cache / "new").touch()
                exact(entry, made)
            except BaseException as error:
                print(error, flush=True)
                os._exit(1)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0


def test_two_jobs_that_fetch_at_once_both_end_right(hub, tmp_path):
    entry, made = served_entry(hub, tmp_path / "model")
    jobs = [FORKED.Process(target=exact, args=(entry, made)) for _ in range(2)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    assert [job.exitcode for job in jobs] == [0, 0] and hub.fetched(".bin") == 1
    assert "pytorch_model.bin" in {path.name for path in (tmp_path / "cache").rglob("*")}
    assert not any("incomplete" in name for name in cached(tmp_path))


def test_of_a_repository_all_that_describes_is_read_and_one_file_of_weights():
    names = ["README.md", "config.json", "model.bin", "pytorch_model.bin", "merges.txt", "run.py"]
    names += [f"pytorch_model-0000{part}-of-00002.bin" for part in (1, 2)]
    names += ["pytorch_model.bin.index.json", "onnx/model.onnx"]
    describing = ["config.json", "merges.txt", "pytorch_model.bin.index.json"]
    plain = repositories.Repository("a/b")
    assert plain.chosen(names) == describing
    with_code = repositories.Repository("a/b", code=True)
    assert "run.py" in with_code.chosen(names) and "run.py" not in plain.chosen(names)
    one = repositories.Repository("a/b", weights=("model.safetensors", "pytorch_model.bin"))
    assert one.chosen(names) == [*describing, "pytorch_model.bin"]
    parted = repositories.Repository("a/b", weights=("pytorch_model.bin.index.json",))
    assert parted.chosen(names)[:2] == describing[:2] and len(parted.chosen(names)) == 5


def test_tokens_are_counted_without_weights(hub, tmp_path):
    entry, _ = served_entry(hub, tmp_path / "model", "texts")
    count, _ = encoders.counter(entry)
    assert count(["a tumour"]) == [4] and hub.fetched(".safetensors") == 0


def test_the_rest_of_the_tiny_encoders_asks_no_hub(hub, tmp_path):
    for make in (tiny.vit_entry, tiny.clip_entry, tiny.bert_entry):
        entry = make(tmp_path / make.__name__)
        encoders.load(entry)
        assert encoders.fetch(entry) == []
    assert not hub.asked
