"""A tower's weights are those of its file, all of them, at every load; else one line says why."""

import functools
import json
import os
import pickle
from pathlib import Path

import pytest
import tiny
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from histopair import encoders
from histopair.encoders import weights
from histopair.errors import InputError
from histopair.jobs import devices

FILES = {
    "clip": "open_clip_model.safetensors",
    "vit": "model.safetensors",
    "bert": "model.safetensors",
}
MAKERS = {"clip": tiny.clip_entry, "vit": tiny.vit_entry, "bert": tiny.bert_entry}


@pytest.fixture(params=FILES)
def made(request, tmp_path):
    """An encoder's entry, its file of weights, and the digest of the weights that it has."""
    entry = MAKERS[request.param](tmp_path / "model")
    return entry, tmp_path / "model" / FILES[request.param], digest(entry)


def digest(entry: dict) -> str:
    """The weights of an encoder after two loads from other random numbers, which are the same."""
    found = set()
    for seed in (0, 1):
        torch.manual_seed(seed)
        encoder = encoders.load(entry)
        found.add(devices.weights_digest(encoder.image, encoder.text))
    (only,) = found
    return only


def rewrite(file: Path, change) -> None:
    save_file(
        {key: value.contiguous() for key, value in change(load_file(file)).items()},
        file,
        {"format": "pt"},
    )


def as_pickle(file: Path, wrap) -> None:
    name = file.name.replace("model.safetensors", "pytorch_model.bin")
    torch.save(wrap(load_file(file)), file.with_name(name))
    file.unlink()


def refused(entry: dict, *parts: str) -> str:
    with pytest.raises(InputError) as told:
        encoders.load(entry)
    said = str(told.value)
    assert said.startswith(f"encoder {entry['name']}: ") and "\n" not in said
    assert [part for part in parts if part not in said] == []
    assert told.value.__cause__ is not None
    return said


@pytest.mark.parametrize("prefix", ["module.", "backbone.", "encoder.", "model.trunk.", "student."])
def test_a_prefix_of_all_keys_is_stripped_and_said(made, capsys, prefix):
    entry, file, own = made
    rewrite(file, lambda state: {prefix + key: value for key, value in state.items()})
    assert digest(entry) == own
    assert f"prefix {prefix!r} is stripped" in capsys.readouterr().out


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"model": {f"module.{key}": value for key, value in state.items()}},
        lambda state: {
            "student": {f"module.backbone.{key}": value * 0 for key, value in state.items()},
            "teacher": {
                "module.head.mlp.0.weight": torch.zeros(2, 2),
                **{f"module.backbone.{key}": value for key, value in state.items()},
            },
        },
    ],
)
def test_containers_of_checkpoints_are_opened(made, wrap):
    entry, file, own = made
    as_pickle(file, wrap)
    assert digest(entry) == own


def test_of_two_networks_the_teacher_is_meant_and_others_are_not_guessed(made, capsys):
    entry, file, own = made
    state = load_file(file)

    def both(one: str, two: str) -> dict:
        return {one + key: value * 0 for key, value in state.items()} | {
            two + key: value for key, value in state.items()
        }

    rewrite(file, lambda _: both("student.", "teacher."))
    assert digest(entry) == own
    assert "left out, not the tower's own: student." in capsys.readouterr().out
    rewrite(file, lambda _: both("first.", "second."))
    refused(entry, "several networks that fit (first, second)")


def test_shards_are_joined_and_a_lost_one_is_named(made):
    entry, file, own = made
    state = load_file(file)
    keys = sorted(state)
    parts = {"part-1.safetensors": keys[::2], "part-2.safetensors": keys[1::2]}
    for name, names in parts.items():
        save_file({key: state[key] for key in names}, file.with_name(name), {"format": "pt"})
    file.unlink()
    places = {key: name for name, names in parts.items() for key in names}
    index = file.with_name("model.safetensors.index.json")
    index.write_text(json.dumps({"metadata": {}, "weight_map": places}))
    assert digest(entry) == own
    file.with_name("part-2.safetensors").unlink()
    refused(entry, "there is no file", "part-2.safetensors")


def test_a_lost_layer_an_unknown_key_and_another_shape_are_named(made):
    entry, file, _ = made
    whole = load_file(file)
    lost = sorted(key for key in whole if whole[key].ndim == 2)[0]
    save_file({key: whole[key] for key in whole if key != lost}, file, {"format": "pt"})
    refused(entry, f"1 missing ({lost})", "`kwargs`")
    save_file(whole | {"foo.bar": torch.zeros(2)}, file, {"format": "pt"})
    refused(entry, "1 unexpected (foo.bar)")
    save_file(whole | {lost: torch.zeros(3, 5)}, file, {"format": "pt"})
    refused(entry, f"1 of another shape ({lost} is [3, 5] and not ")


def test_weights_in_half_precision_are_read_in_float32(made):
    entry, file, _ = made
    rewrite(file, lambda state: {key: value.half() for key, value in state.items()})
    digest(entry)
    encoder = encoders.load(entry)
    for tower in filter(None, (encoder.image, encoder.text)):
        assert {value.dtype for value in tower.parameters()} == {torch.float32}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(made, value):
    entry, file, _ = made
    rewrite(file, lambda state: {key: tensor + value for key, tensor in state.items()})
    refused(entry, "not finite")


def test_whole_numbers_are_no_weights(made):
    entry, file, _ = made
    rewrite(file, lambda state: {key: value.to(torch.int8) for key, value in state.items()})
    refused(entry, "quantised", "torch.int8")


@pytest.mark.parametrize(
    "content, said",
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 9\n", "git lfs pull"),
        (b"", "is empty"),
        (b"<html>404</html>" * 9, "not a file of weights"),
    ],
)
def test_what_is_no_file_of_weights_is_told(made, content, said):
    entry, file, _ = made
    whole = file.read_bytes()
    file.write_bytes(content)
    refused(entry, said, file.name)
    file.write_bytes(whole[: len(whole) // 2])
    refused(entry, "is cut short")
    file.unlink()
    refused(entry, "holds no weights")


def test_a_pointer_in_the_place_of_a_config_is_told(made):
    entry, file, _ = made
    (config,) = (path for path in file.parent.glob("*config.json") if "token" not in path.name)
    config.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 9\n")
    refused(entry, config.name, "git lfs pull")
    config.write_text("{]")
    refused(entry, config.name, "is not JSON")


def test_pickled_code_is_never_run(made, tmp_path):
    class Evil:
        def __reduce__(self):
            return open, (str(tmp_path / "touched"), "w")

    entry, file, _ = made
    as_pickle(file, lambda state: state | {"evil": Evil()})
    refused(entry, "pickled code", "safetensors")
    (file.parent / "pytorch_model.bin").unlink(missing_ok=True)
    file.write_bytes(pickle.dumps(Evil()))
    refused(entry, file.name)
    assert not (tmp_path / "touched").exists()


def test_a_file_that_may_not_be_read_is_told(made, monkeypatch):
    entry, file, _ = made
    opened = open

    def guarded(path, *rest, **options):
        if not isinstance(path, int) and Path(path) == file:
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *rest, **options)

    monkeypatch.setattr("builtins.open", guarded)
    refused(entry, f"there is no permission to read {file}", "chmod")


def test_another_user_reads_one_line(tmp_path):
    if os.getuid():
        pytest.skip("only root can become another user")
    file = tmp_path / "w.safetensors"
    save_file({"a": torch.zeros(2)}, file)
    file.chmod(0o000)
    place = tmp_path
    while place != place.parent:  # the folders of a test are its user's own
        place.chmod(place.stat().st_mode | 0o755) if os.access(place, os.W_OK) else None
        place = place.parent
        if place == Path("/tmp"):
            break
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.setuid(65534)
        try:
            weights.read(file)
            said = "read"
        except weights.Refusal as refusal:
            said = str(refusal)
        os.write(write, said.encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 999).decode().startswith(f"there is no permission to read {file}")


def test_a_cache_that_cannot_be_written_names_its_variable(monkeypatch):
    from timm.models import _builder

    def locked(*_, **__):
        raise PermissionError(13, "Permission denied", "/home/x/.cache/huggingface")

    monkeypatch.setattr(_builder, "load_state_dict_from_hf", locked)
    monkeypatch.setattr("histopair.encoders.repositories._make_ready", lambda _: None)
    entry = {"name": "x", "library": "timm", "model": "resnet18.tv_in1k"}
    refused(entry, "Permission denied: '/home/x/.cache/huggingface'", "HF_HOME", "TORCH_HOME")


@pytest.mark.parametrize(
    "key, value, library", [("weights", "w.pth", "clip"), ("max_length", 8, "vit")]
)
def test_a_key_that_only_another_library_reads_is_refused(tmp_path, key, value, library):
    entry = MAKERS[library](tmp_path / "model") | {key: value}
    refused(entry, f"does not read the key `{key}`")


@pytest.mark.parametrize(
    "mine, other", [("clip", "timm"), ("vit", "transformers"), ("bert", "timm")]
)
def test_a_folder_of_another_library_is_told_with_its_own(tmp_path, mine, other):
    entry = MAKERS[mine](tmp_path / "model")
    own = entry["library"]
    entry |= {"library": other, "model": f"local-dir:{tmp_path / 'model'}"}
    entry = {key: entry[key] for key in ("name", "library", "model")}
    refused(entry, f"Set `library` to {own}")


class Tower(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first = torch.nn.Linear(2, 3)
        self.blocks = torch.nn.ModuleList([torch.nn.Linear(3, 3) for _ in range(3)])
        self.norm = torch.nn.LayerNorm(3)


@functools.cache
def tower_state() -> dict:
    torch.manual_seed(5)
    return {key: torch.randn_like(value) for key, value in Tower().state_dict().items()}


WORDS = st.sampled_from(["module", "backbone", "teacher", "student", "a", "norm", "blocks"])
CHANGES = st.sampled_from(["rename", "drop", "add", "reshape", "nothing"])


@settings(max_examples=150, deadline=None)
@given(
    prefix=st.lists(WORDS, max_size=3).map(lambda words: "".join(f"{word}." for word in words)),
    changes=st.dictionaries(st.sampled_from(sorted(tower_state())), CHANGES, max_size=3),
)
def test_weights_are_loaded_bit_for_bit_or_refused(prefix, changes):
    state = {}
    for key, value in tower_state().items():
        change = changes.get(key, "nothing")
        if change == "rename":
            state[f"{prefix}{key}x"] = value
        elif change == "reshape":
            state[prefix + key] = value.new_zeros(4, 4)
        elif change != "drop":
            state[prefix + key] = value
        if change == "add":
            state[f"{prefix}{key}.more"] = value
    tower = Tower()
    spoilt = {change for change in changes.values()} - {"nothing"}
    try:
        weights.fit(tower, weights.stripped(state, tower.state_dict()))
    except weights.Refusal:
        assert spoilt
    else:
        assert not spoilt
        for key, value in tower.state_dict().items():
            assert torch.equal(value, tower_state()[key])
