"""`histopair doctor ENCODER`: a fingerprint of what an encoder gives for fixed tiles and texts."""

import copy
import hashlib
from pathlib import Path

import doctor_folder
import numpy as np
import pytest
import stand_in_hub
import tiny
import torch
import yaml
from doctor_folder import ran, write

from commands import doctor
from histopair import encoders
from histopair.doctor import access, encoder_rows, fixed_inputs, reference
from histopair.doctor.rows import LOOK, MISSING, OK, UNKNOWN, WRONG, Row
from histopair.errors import InputError
from histopair.plan import presets

ROOT = Path(__file__).parents[1]
DIGESTS = ["7f2af0dfd7a360bb", "917214d3ddd563e1", "2c50459172adb1f3"]
TEXTS = "a8e7b06e0ec7bbb0"

folder = doctor_folder.place


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> dict:
    return tiny.clip_entry(tmp_path_factory.mktemp("clip"))


@pytest.fixture
def place(folder, monkeypatch, clip) -> Path:
    """A folder whose config has a CLIP, and an encoder that is trained here."""
    small = yaml.safe_load((ROOT / "tests/small.yaml").read_text())
    small["encoders"]["clip"] = {key: clip[key] for key in clip if key != "name"}
    write(small)
    monkeypatch.setattr(reference, "FILE", folder / "fingerprints.yaml")
    (folder / "fingerprints.yaml").write_text("# none yet\n")
    return folder


@pytest.fixture(scope="module")
def fingerprint(clip) -> dict:
    return reference.computed(encoders.load(clip), clip)


def test_the_tiles_and_texts_never_change():
    digests = [hashlib.sha256(tile.tobytes()).hexdigest()[:16] for tile in fixed_inputs.tiles()]
    assert digests == DIGESTS
    assert [tile.size for tile in fixed_inputs.tiles()] == [(256, 256)] * 3
    texts = "\n".join(fixed_inputs.TEXTS).encode()
    assert hashlib.sha256(texts).hexdigest()[:16] == TEXTS


def test_a_fingerprint_is_what_the_towers_give(clip, fingerprint):
    encoder = encoders.load(clip)
    pixels = torch.stack([encoder.preprocess(tile) for tile in fixed_inputs.tiles()])
    with torch.no_grad():
        vectors = encoder.image(pixels).numpy()
    image = fingerprint["image"]
    assert image["width"] == 16 and fingerprint["text"]["width"] == 16
    np.testing.assert_allclose(image["norms"], np.linalg.norm(vectors, axis=1), rtol=1e-5)
    np.testing.assert_allclose(image["first"], vectors[:, :4], rtol=1e-4, atol=1e-6)
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    pairs = [units[0] @ units[1], units[0] @ units[2], units[1] @ units[2]]
    np.testing.assert_allclose(image["cosines"], pairs, atol=1e-5)


def test_norms_and_cosines_by_hand():
    described = reference.described(torch.tensor([[3.0, 4.0], [0.0, 2.0], [1.0, 0.0]]))
    assert described == {
        "width": 2,
        "norms": [5.0, 2.0, 1.0],
        "first": [[3.0, 4.0], [0.0, 2.0], [1.0, 0.0]],
        "cosines": [0.8, 0.6, 0.0],
    }


def test_one_tensor_more_or_less_changes_the_digest_of_the_weights(clip, fingerprint):
    encoder = encoders.load(clip)
    with torch.no_grad():
        next(encoder.text.parameters()).view(-1)[0] += 1e-3
    assert reference.computed(encoder, clip)["weights"] != fingerprint["weights"]


def changed(fingerprint: dict, part: str, key: str, change) -> dict:
    other = copy.deepcopy(fingerprint)
    other[part][key] = change(other[part][key])
    return other


def test_differences_are_those_beyond_the_tolerances(fingerprint):
    def words(part, key, change):
        stored = changed(fingerprint, part, key, change)
        return reference.differences(fingerprint, stored, "clip")

    assert reference.differences(fingerprint, fingerprint, "clip") == []
    assert words("image", "norms", lambda norms: [norm * 1.0005 for norm in norms]) == []
    assert len(words("image", "norms", lambda norms: [norms[0] * 1.002, *norms[1:]])) == 1
    assert words("image", "cosines", lambda values: [value + 5e-4 for value in values]) == []
    assert len(words("text", "cosines", lambda values: [value + 2e-3 for value in values])) == 1
    assert words("text", "width", lambda width: 512) == ["text: 16 wide, and not 512"]
    scale = fingerprint["text"]["norms"][2] / 4  # the root mean square of 16 values
    near, far = ([[0.0] * 4] * 2 + [[share * scale] * 4] for share in (0.005, 0.02))
    for moved, count in ((near, 0), (far, 1)):
        plus = lambda rows, moved=moved: (np.array(rows) + moved).tolist()  # noqa: E731
        assert len(words("text", "first", plus)) == count


def test_not_a_number_never_agrees(fingerprint):
    for part, key in (("image", "norms"), ("image", "cosines"), ("text", "first")):
        broken = changed(fingerprint, part, key, lambda v: (np.array(v) * np.nan).tolist())
        assert reference.differences(broken, fingerprint, "clip") != []


def test_a_stored_fingerprint_that_is_not_whole_is_one_line(fingerprint):
    stored = copy.deepcopy(fingerprint)
    del stored["image"]["cosines"]
    with pytest.raises(InputError, match="the fingerprint of clip is not whole"):
        reference.differences(fingerprint, stored, "clip")


def test_without_a_stored_fingerprint_it_is_shown_and_nothing_is_claimed(place, capsys):
    status, text = ran(capsys, "clip")
    assert status == 0
    assert "fingerprints.yaml has none to compare with" in text and "unknown" in text
    shown = yaml.safe_load(text.split("\ncheck")[0])
    assert shown["clip"]["image"]["width"] == 16
    assert (place / "fingerprints.yaml").read_text() == "# none yet\n"


def test_a_fingerprint_that_is_kept_agrees_and_another_is_red(place, capsys):
    assert ran(capsys, "clip", "--write")[0] == 0
    status, text = ran(capsys, "clip")
    assert status == 0 and "agrees with that of histopair, torch" in text
    file = place / "fingerprints.yaml"
    kept = yaml.safe_load(file.read_text())
    kept["clip"]["image"]["cosines"][0] += 0.1
    file.write_text(yaml.safe_dump(kept))
    status, text = ran(capsys, "clip")
    assert status == 1 and "image: cosines are" in text and "Compare `pooling`" in text


def test_a_name_is_kept_once(place, capsys):
    ran(capsys, "clip", "--write")
    with pytest.raises(InputError, match="it has a fingerprint of 'clip'"):
        doctor.main(["clip", "--write"])


def test_what_only_has_the_name_of_a_preset_is_not_kept_as_that(place, capsys, clip):
    small = yaml.safe_load(Path("config/config.yaml").read_text())
    small["encoders"]["uni"] = small["encoders"]["clip"]
    write(small)
    with pytest.raises(InputError, match="Give the encoder another name"):
        doctor.main(["uni", "--write"])
    assert reference.stored() == {}


def test_vectors_that_agree_under_another_digest_are_to_be_looked_at(place, clip, fingerprint):
    other = fingerprint | {"weights": "0", "source": "the authors' code"}
    reference.FILE.write_text(yaml.safe_dump({"clip": other}))
    (row,) = encoder_rows.compared(clip, fingerprint)
    assert (row.state, "the authors' code" in row.finding) == (LOOK, True)
    reference.FILE.write_text(yaml.safe_dump({"clip": other | {"weights": None}}))
    (row,) = encoder_rows.compared(clip, fingerprint)
    assert row.state == OK


def test_a_preset_that_is_changed_is_not_compared_with_its_fingerprint(place, fingerprint):
    same = {"name": "mine", "preset": "virchow2", **presets.entry("virchow2")}
    assert reference.key(same | {"model": "local-dir:weights", "revision": None}) == "virchow2"
    assert reference.key(same | {"pooling": "cls"}) == "mine"
    assert reference.key(same | {"pooling": "cls", "name": "virchow2"}) is None
    assert reference.other_keys(same | {"pooling": "cls"}) == ["pooling"]
    reference.FILE.write_text(yaml.safe_dump({"virchow2": fingerprint}))
    other = same | {"pooling": "cls", "name": "virchow2"}
    (row,) = encoder_rows.compared(other, fingerprint)
    assert (row.state, "other than its preset's are pooling" in row.finding) == (UNKNOWN, True)


def test_the_file_of_the_package_holds_nothing_that_nobody_computed():
    needed = {"source", "revision", "weights"}
    for name, entry in reference.stored().items():
        assert (
            name in presets.read() and needed <= entry.keys() and {"image", "text"} & entry.keys()
        )


@pytest.mark.parametrize("content", ["[1, 2]", "a: {b: 1", "\x00"])
def test_a_file_of_fingerprints_that_cannot_be_read_is_one_line(place, capsys, content):
    reference.FILE.write_text(content)
    status, text = ran(capsys, "clip")
    assert status == 1 and "fingerprints.yaml" in text


# What cannot be loaded ---------------------------------------------------------------------------


def test_an_encoder_that_is_trained_here_names_the_rule_that_makes_it(place, capsys):
    status, text = ran(capsys, "phantom-vit")
    assert status == 1 and "rule train_encoder makes its weights from phantom-captions" in text
    assert "snakemake --cores all results/encoders/phantom-vit" in text


@pytest.mark.parametrize("name", ["uni2-h", "plip", "biobert"])
def test_a_preset_whose_weights_are_not_here_says_what_fetches_them(place, capsys, name):
    status, text = ran(capsys, name)
    line = next(line for line in text.splitlines() if line.startswith(f"encoder {name}"))
    assert status == 1 and "  missing  " in line and f"histopair doctor {name} --online" in line
    assert ("Ask for access" in line) is (presets.read()[name]["gated"] is True)


def test_a_mistake_of_an_entry_is_told_before_its_files_are_looked_for(place):
    entry = {"name": "x", "library": "transformers", "model": "a/b", "remote_code": True}
    _, row = encoder_rows.loaded(entry, online=False, fetch="")
    assert row.state == WRONG and "needs a commit of 40 digits" in row.finding


def test_an_unknown_encoder_names_its_neighbour(place):
    with pytest.raises(InputError, match=r"'uni2-x' .did you mean 'uni2-h'"):
        doctor.main(["uni2-x"])


def test_write_without_an_encoder_is_one_line(place):
    with pytest.raises(InputError, match="--write: it keeps the fingerprint of an encoder"):
        doctor.main(["--write"])


@pytest.fixture
def hub(place, tmp_path, monkeypatch):
    """A hub with an open repository, `a/b`, a gated one, and one without weights."""
    from huggingface_hub import constants

    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    with stand_in_hub.Server() as served:
        monkeypatch.setattr(constants, "ENDPOINT", served.address)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
        monkeypatch.delenv("HF_TOKEN", raising=False)
        served.add("a/bare", tmp_path / "model")
        (tmp_path / "model" / "pytorch_model.bin").write_bytes(b"x")
        served.add("a/b", tmp_path / "model")
        served.add("a/gated", tmp_path / "model", token="hf_good")
        yield served


@pytest.mark.parametrize(
    ("name", "revision", "state", "words"),
    [
        ("a/b", "main", OK, ""),
        ("a/b", None, LOOK, "Set `revision: "),
        ("a/gated", None, MISSING, "Ask for access at"),
        ("a/b", "main2", WRONG, "Correct `revision`"),
        ("a/c", None, WRONG, "Correct `model`"),
        ("a/bare", None, WRONG, "Correct `model`"),
    ],
)
def test_what_a_hub_says_of_a_repository(hub, name, revision, state, words):
    entry = {"name": "x", "library": "timm", "model": f"hf-hub:{name}", "revision": revision}
    (row,) = access.asked(entry)
    assert row.state == state and words in row.remedy


def test_with_a_token_that_has_access_a_gated_repository_is_open(hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_good")
    (row,) = access.asked({"name": "x", "library": "timm", "model": "hf-hub:a/gated"})
    assert row.state == LOOK and hub.stored["a/gated"].commit in row.remedy


@pytest.mark.parametrize("faults", [{}, {"api": 500}])
def test_online_downloads_only_after_the_hub_has_answered(hub, faults, monkeypatch):
    hub.faults |= faults
    uses = []

    def loaded(entry, online, fetch):
        uses.append(online)
        return None, Row("encoder x", MISSING, "", fetch)

    monkeypatch.setattr(encoder_rows, "loaded", loaded)
    entry = {"name": "x", "library": "timm", "model": "hf-hub:a/b"}
    rows, fingerprint = encoder_rows.fingerprinted(entry, online=True)
    assert fingerprint is None and rows[0].state == (UNKNOWN if faults else LOOK)
    encoder_rows.fingerprinted(entry, online=False)
    assert uses == [not faults, False]


def test_an_error_has_the_parts_of_its_line():
    error = InputError("a.csv", "it is empty", "Fill it", row=3)
    assert (error.where, error.problem, error.remedy) == ("a.csv, row 3", "it is empty", "Fill it")
    assert str(error) == "a.csv, row 3: it is empty. Fill it"
