"""The doctor of a config: every fault is a row, nothing stops at the first one, no traceback."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tiny
import yaml
from PIL import Image

from commands import doctor
from histopair.datasets import sources
from histopair.doctor import (
    budget,
    data_rows,
    environment,
    offline,
    receipts,
    rows,
    trial,
    work,
)
from histopair.doctor.rows import LATER, LOOK, MISSING, OK, UNKNOWN, WRONG, Row
from histopair.errors import InputError
from histopair.plan import load, needed

ROOT = Path(__file__).parents[1]


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """An empty folder with a config, in which commands work."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "labels").symlink_to(ROOT / "config" / "labels")
    (tmp_path / "config" / "published").symlink_to(ROOT / "config" / "published")
    (tmp_path / "config" / "config.yaml").write_text((ROOT / "tests/small.yaml").read_text())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")  # which the command sets: so that it is taken back
    monkeypatch.setattr(doctor.jobs, "limit_threads", lambda threads: None)
    return tmp_path


def tiles(folder: Path, count: int = 12) -> None:
    """A dataset of the reader `table`."""
    folder.mkdir(parents=True)
    lines = ["path,label,group"]
    for i in range(count):
        pixels = np.full((32, 32, 3), 20 * (i % 2) + i, np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
        lines.append(f"{i}.png,{'ab'[i % 2]},g{i // 2}")
    (folder / "labels.csv").write_text("\n".join(lines))


def config(**changes) -> dict:
    """One dataset, one encoder, one method that embeds and one that trains the tower."""
    entry = {
        "datasets": {"mine": {"reader": "table", "root": "tiles", "licence": "MIT"}},
        "encoders": {"vit": {"library": "timm", "model": "local-dir:vit", "licence": "MIT"}},
        "methods": {
            "probe": {"recipe": "linear_probe"},
            "lora": {"recipe": "lora", "epochs": 2, "batch_size": 8},
        },
        "studies": {
            "one": {
                "title": "One",
                "datasets": ["mine"],
                "encoders": ["vit"],
                "methods": ["probe", "lora"],
                "seeds": [0, 1],
            }
        },
    }
    return entry | changes


def write(entry: dict) -> None:
    Path("config/config.yaml").write_text(yaml.safe_dump(entry))


def states(found: list[Row]) -> dict[str, set[str]]:
    """The states of each check."""
    by_check: dict[str, set[str]] = {}
    for row in found:
        by_check.setdefault(row.check, set()).add(row.state)
    return by_check


def ran(capsys, *words: str) -> tuple[int, str]:
    status = doctor.main(list(words))
    return status, capsys.readouterr().out


def test_before_anything_is_made_the_small_config_is_not_red(place, capsys):
    status, text = ran(capsys)
    assert status == 0
    assert "dataset phantom-crc" in text and "the workflow makes results/phantom" in text
    assert "rule train_encoder makes its weights from phantom-captions" in text
    assert " missing" not in text and " wrong" not in text
    assert sorted(path.name for path in place.iterdir()) == ["config"]


def test_what_the_small_config_needs_is_found_by_the_plans_own_functions():
    small = load.load(yaml.safe_load((ROOT / "tests/small.yaml").read_text()))
    paths, faults = work.paths(small)
    assert faults == []
    encoders = needed.loaded(small, paths)
    # The CLIP of locked towers is the only one that needs the words of phantom-bert.
    assert set(encoders) == {"phantom-vit", "phantom-clip", "phantom-locked-clip", "phantom-bert"}
    assert "phantom-captions" in needed.datasets(small, encoders)
    assert "phantom-hospitals" in needed.datasets(small, encoders)
    assert set(needed.corpora(small, encoders)) == {"phantom-colon", "phantom-breast"}
    one = small | {"page": ["frozen"]}
    paths, _ = work.paths(one)
    assert needed.loaded(one, paths) == ["phantom-vit"]


def test_how_much_of_an_image_tower_each_method_trains():
    whole = load.load(yaml.safe_load((ROOT / "config/config.yaml").read_text()))
    run = {"dataset": "phantom-crc", "encoder": "phantom-clip", "seed": 0}
    amounts = {
        name: needed.trained(whole, run | {"method": name})
        for name, method in whole["methods"].items()
        if method["recipe"]
        in ("linear_probe", "text_only", "lora", "attentive_probe", "fusion_partial")
    }
    by_recipe: dict[str, set] = {}
    for name, amount in amounts.items():
        by_recipe.setdefault(whole["methods"][name]["recipe"], set()).add(amount)
    frozen = ("linear_probe", "text_only", "attentive_probe")
    assert [by_recipe[recipe] for recipe in frozen] == [{0}] * 3
    assert by_recipe["lora"] == {2, "all"}  # adapters in the last two blocks, or in all
    assert by_recipe["fusion_partial"] == {0, 1, 2, 4}  # as `unfreeze` of each says


def test_where_everything_is_missing_each_fault_has_a_row_and_the_exit_status_is_1(place, capsys):
    write(
        config(
            datasets={
                "crc": {"reader": "nct_crc", "root": "data/nct-crc", "corpus": "tcga"},
                "mine": {"reader": "table", "root": "nowhere"},
            },
            corpora={"tcga": {"table": "data/tcga/TCGA_Reports.csv", "organ": "colon"}},
            encoders={
                "uni": {"preset": "uni"},
                "clip": {"library": "open_clip", "model": "hf-hub:a/b"},
            },
            methods={"clip-it": {"recipe": "clip_it", "retriever": "clip"}},
            studies={
                "one": {
                    "title": "One",
                    "datasets": ["crc"],
                    "encoders": ["uni"],
                    "methods": ["clip-it"],
                    "seeds": [0],
                    "published": "paper.csv",
                },
            },
        )
    )
    status, text = ran(capsys, "--configfile", "config/config.yaml", "--study", "one")
    assert status == 1 and "Traceback" not in text
    lines = {line.split("  ")[0]: line for line in text.splitlines()}
    fetch = "snakemake --cores 1 fetch_weights --configfile config/config.yaml --config"
    assert lines["encoder clip"].endswith(f"{fetch} 'page=[one]'")
    assert "data/nct-crc: there is no such file" in lines["dataset crc"]
    assert "data/tcga/TCGA_Reports.csv" in lines["corpus tcga"]
    assert "its licence, CC-BY-4.0, is not accepted" in lines["source nct-crc"]
    assert "accept=CC-BY-4.0" in lines["source nct-crc"]
    assert "paper.csv: there is no such file" in lines["study one"]
    assert "not in the cache of this machine" in lines["encoder uni"]
    assert "It is gated. Ask for access" in lines["encoder uni"]
    assert "(a/b)" in lines["encoder clip"] and "gated" not in lines["encoder clip"]
    assert "mine" not in text  # no study reads it


def test_a_config_that_is_there_is_tried_and_measured(place, capsys):
    tiles(place / "tiles")
    tiny.vit_entry(place / "vit")
    write(config())
    status, text = ran(capsys)
    assert status == 0, text
    assert "12 samples of 12 images" in text
    assert "all its weights are its own: images -> 24" in text
    assert "time embed_images vit" in text and "12 images of 1 dataset: " in text
    assert "2 runs train the whole tower: " in text and "for a batch of 8" in text
    assert "the strictest that an export inherits is MIT (mine, vit)" in text


@pytest.mark.parametrize(
    ("change", "check", "words"),
    [
        (
            lambda place: (place / "tiles/labels.csv").write_text("file,label\n0.png,a\n"),
            "dataset mine",
            "path",
        ),
        (
            lambda place: (place / "tiles/labels.csv").write_bytes(b"\x00\xff"),
            "dataset mine",
            "labels.csv",
        ),
        (
            lambda place: [(place / "tiles" / f"{i}.png").unlink() for i in range(6)],
            "dataset mine",
            "6 of 12 images",
        ),
        (
            lambda place: [(place / f"tiles/{i}.png").write_bytes(b"x") for i in range(12)],
            "dataset mine",
            "8 of 8 images tried cannot be read",
        ),
        (
            lambda place: (place / "vit/model.safetensors").unlink(),
            "encoder vit",
            "holds no weights",
        ),
        (lambda place: (place / "vit/config.json").write_text("{"), "encoder vit", "config.json"),
    ],
    ids=["column", "no text", "images", "no image", "no weights", "no json"],
)
def test_a_fault_of_a_file_is_its_red_row_and_the_others_stay(place, capsys, change, check, words):
    tiles(place / "tiles")
    tiny.vit_entry(place / "vit")
    change(place)
    write(config())
    status, text = ran(capsys)
    red = [line for line in text.splitlines() if "  missing  " in line or "  wrong  " in line]
    assert status == 1 and len(red) == 1 and red[0].startswith(check) and words in red[0]
    assert "disk" in text and "licences" in text and "failed (" not in text
    other = {"dataset mine": "encoder vit", "encoder vit": "dataset mine"}[check]
    assert any(line.startswith(other) and "  ok  " in line for line in text.splitlines())


def test_a_weight_by_another_name_is_red(place, capsys):
    from safetensors.torch import load_file, save_file

    tiles(place / "tiles")
    tiny.vit_entry(place / "vit")
    file = place / "vit/model.safetensors"
    state = load_file(file)
    state["blocks.0.attn.other.weight"] = state.pop("blocks.0.attn.qkv.weight")
    save_file(state, file, {"format": "pt"})
    write(config())
    status, text = ran(capsys)
    assert status == 1 and "blocks.0.attn.qkv.weight" in text and "vit" in text


def test_a_method_that_needs_a_tower_which_an_encoder_lacks_is_red(place, capsys):
    tiles(place / "tiles")
    tiny.vit_entry(place / "vit")
    changed = config(methods={"zero": {"recipe": "zero_shot"}})
    changed["studies"]["one"]["methods"] = ["zero"]
    write(changed)
    status, text = ran(capsys)
    assert status == 1 and "timm gives it no text tower" in text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("datasets: {a: 1", "it is not YAML"),
        ("a: 1\na: 2\n", "occurs twice"),
        ("datasets: {}\nencoders: {}\nmethods: {}\nstudies: {}\nphantoms: 1\n", "phantoms"),
        ("datasets: {a: {reader: tables, root: b}}\n", "'studies' is a required property"),
    ],
)
def test_a_config_that_is_wrong_is_a_row_beside_those_of_the_machine(place, capsys, text, words):
    Path("config/config.yaml").write_text(text)
    status, out = ran(capsys)
    lines = {line.split("  ")[0]: line for line in out.splitlines()}
    assert status == 1 and words in lines["config"] and "allocator" in lines


def test_a_study_that_there_is_not_is_a_row_with_its_neighbour(place, capsys):
    status, text = ran(capsys, "--study", "frozn")
    assert status == 1 and "there is no study 'frozn' (did you mean 'frozen'?)" in text


def test_one_study_is_looked_at_alone(place, capsys):
    status, text = ran(capsys, "--study", "frozen")
    assert status == 0 and "studies frozen" in text
    assert "phantom-clip" not in text and "dataset phantom-crc" in text


def test_config_files_are_laid_on_top_of_each_other(place, capsys):
    tiles(place / "tiles")
    tiny.vit_entry(place / "vit")
    write(config())
    Path("more.yaml").write_text("datasets: {mine: {root: elsewhere}}\n")
    status, text = ran(capsys, "--configfile", "config/config.yaml", "more.yaml")
    assert status == 1 and "elsewhere" in text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"classes": ["a", "c"]}, "'b'"),
        ({"split": {"test": 0.5, "val": 0.45}}, "no sample falls into train"),
        ({"split": {"sites": ["north", "south"]}}, "column `site`"),
        ({"labels_map": "map.csv"}, "map.csv"),
    ],
    ids=["classes", "split", "sites", "mapping"],
)
def test_what_cleaning_would_refuse_of_labels_is_red(place, capsys, changes, words):
    tiles(place / "tiles", count=4)
    tiny.vit_entry(place / "vit")
    write(config(datasets={"mine": {"reader": "table", "root": "tiles", **changes}}))
    status, text = ran(capsys)
    red = [line for line in text.splitlines() if "  missing  " in line or "  wrong  " in line]
    assert status == 1 and len(red) == 1 and red[0].startswith("dataset mine") and words in red[0]


def test_one_image_that_does_not_open_is_to_be_looked_at(place, capsys):
    tiles(place / "tiles")
    tiny.vit_entry(place / "vit")
    (place / "tiles/0.png").write_bytes(b"no image")
    write(config())
    status, text = ran(capsys)
    assert status == 0 and "1 of 8 images tried cannot be read: 0.png" in text


def test_a_resplit_that_cannot_be_made_is_red_beside_its_dataset(place, capsys):
    tiles(place / "tiles")
    tiny.vit_entry(place / "vit")
    changed = config()
    changed["datasets"]["by-site"] = {"of": "mine", "split": {"sites": ["north", "south"]}}
    changed["studies"]["one"]["datasets"] = ["mine", "by-site"]
    write(changed)
    status, text = ran(capsys)
    red = [line for line in text.splitlines() if "  wrong  " in line]
    assert status == 1 and len(red) == 1 and red[0].startswith("dataset by-site")
    assert "2 classes; split: test 2, train 8, val 2" in text


def test_a_path_that_no_rule_makes_is_to_be_looked_at(place, capsys):
    tiny.vit_entry(place / "vit")
    write(config(datasets={"mine": {"reader": "table", "root": "results/phantoms/x"}}))
    status, text = ran(capsys)
    assert status == 0
    assert "no rule of histopair makes results/phantoms/x/labels.csv" in text


def test_images_that_cleaning_left_out_are_not_counted(place):
    labels = tiny.dataset(place / "made", n=24, captions=True)
    target = place / "results/labels/mine.parquet"
    target.parent.mkdir(parents=True)
    labels.rename(target)
    sizes = data_rows.Sizes(images={"mine": 99, "other": 7})
    assert list(data_rows.cleaned(["mine", "other"], sizes)) == []
    assert sizes.images == {"mine": 24, "other": 7} and sizes.captions == {"mine": 2}


def test_without_memory_there_is_no_trial(place, capsys, monkeypatch):
    tiles(place / "tiles")
    tiny.vit_entry(place / "vit")
    write(config())
    free = SimpleNamespace(available=10, total=10**11)
    monkeypatch.setattr("psutil.virtual_memory", lambda: free)
    status, text = ran(capsys)
    assert status == 0 and "too little free memory" in text and "no trial" in text


# Public data -------------------------------------------------------------------------------------


def fetched(folder: Path, monkeypatch, unpacked: dict | None = None, **changes) -> dict:
    """A source `toy` with a file a.csv, fetched before; and the config that reads it."""
    source = {"page": "p", "licence": "MIT", "title": "t", "citation": "c", "files": []}
    monkeypatch.setattr(sources, "read", lambda: {"toy": source})
    folder.mkdir(parents=True)
    (folder / "a.csv").write_text("text\nNormal colon.\n")
    import hashlib

    content = (folder / "a.csv").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    file = {"makes": "a.csv", "size": len(content), "sha256": digest, "verified": True}
    receipt = {"accepted": "MIT", "files": [file | {"unpacked": unpacked} | changes]}
    (folder / "receipt.json").write_text(json.dumps(receipt))
    return {"datasets": {}, "corpora": {"c": {"reader": "tcga", "table": "data/toy/a.csv"}}}


@pytest.mark.parametrize(
    ("changes", "state", "words"),
    [
        ({}, OK, "1 files as they were fetched, MIT"),
        ({"size": 3}, WRONG, "3 were fetched"),
        ({"sha256": "0"}, WRONG, "another content"),
        ({"makes": "b.csv"}, MISSING, "is not there any more"),
        ({"verified": False}, LOOK, "unverified, as no checksum is stated: a.csv"),
        ({"unpacked": {"files": 1, "bytes": 5}}, WRONG, "5 were unpacked"),
    ],
)
def test_public_data_are_compared_with_their_receipt(place, monkeypatch, changes, state, words):
    entry = fetched(place / "data" / "toy", monkeypatch, **changes)
    (row,) = receipts.rows(entry | {"accept": []}, [], ["c"])
    assert (row.state, row.check) == (state, "source toy") and words in row.finding


def test_public_data_that_are_not_there_ask_for_their_licence_or_for_the_command(place):
    entry = {"datasets": {"crc": {"reader": "nct_crc", "root": "data/nct-crc"}}, "corpora": {}}
    (refused,) = receipts.rows(entry | {"accept": []}, ["crc"], [])
    assert (refused.state, "not accepted" in refused.finding) == (MISSING, True)
    (allowed,) = receipts.rows(entry | {"accept": "CC-BY-4.0"}, ["crc"], [])
    assert (allowed.state, "is accepted" in allowed.finding) == (MISSING, True)
    assert allowed.remedy == "Run snakemake --cores 1 data_nct_crc --config accept=CC-BY-4.0"
    Path("data/nct-crc").mkdir(parents=True)
    (bare,) = receipts.rows(entry | {"accept": []}, ["crc"], [])
    assert (bare.state, "no receipt" in bare.finding) == (LOOK, True)


# The machine -------------------------------------------------------------------------------------


def test_versions_that_differ_from_the_lock_are_named_and_marks_of_a_build_are_not(monkeypatch):
    installed = {"torch": "2.14.1+cpu", "timm": "1.0.30", "numpy": "2.4.6"}
    monkeypatch.setattr(environment, "_version", installed.get)
    lock = (
        "timm==1.0.31 \\\n    --hash=sha256:0\ntorch==2.14.1 \\\nnumpy==2.3.0 ; python < '3.12'\n"
    )
    lock += "numpy==2.4.6 ; python >= '3.12'\nrich==15.0.0\n"
    assert environment.differing(lock) == ["timm 1.0.30 (lock: 1.0.31)"]


def test_the_lock_of_this_checkout_is_found():
    assert environment.LOCK == ROOT / "requirements.lock" and environment.LOCK.is_file()


def test_a_package_that_lacks_is_red(monkeypatch):
    monkeypatch.setattr(environment, "_version", lambda name: None if name == "timm" else "1")
    found = list(environment._packages())
    assert found[0].state == MISSING and "timm not installed" in found[0].finding


@pytest.mark.parametrize(
    ("wanted", "slurm", "state"), [(0, False, OK), (1, False, WRONG), (1, True, UNKNOWN)]
)
def test_a_gpu_that_the_config_asks_for_and_that_is_not_here(wanted, slurm, state, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr(environment.shutil, "which", lambda name: "sbatch" if slurm else None)
    assert environment._gpu(wanted).state == state


def test_slurm_that_does_not_answer_is_no_reason_to_wait(tmp_path, monkeypatch):
    for name, text in {"sbatch": "", "sinfo": "exec sleep 30"}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(environment, "PATIENCE", 0.2)
    assert environment._slurm().state == LOOK
    (tmp_path / "sinfo").write_text("#!/bin/sh\nprintf 'gpu\\ncpu\\n'\n")
    monkeypatch.setattr(environment, "PATIENCE", 10)
    assert environment._slurm() == Row("slurm", OK, "partitions gpu, cpu; run with profiles/slurm")


def test_inside_no_network_other_machines_cannot_be_reached():
    import socket

    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    with offline.no_network():
        assert constants.HF_HUB_OFFLINE
        with pytest.raises(offline.NoNetworkError):
            socket.create_connection(("127.0.0.1", 9), timeout=1)
        with pytest.raises(offline.NoNetworkError), socket.socket() as opened:
            opened.connect(("127.0.0.1", 9))
    assert constants.HF_HUB_OFFLINE is before
    with pytest.raises(ConnectionRefusedError), socket.socket() as opened:
        opened.connect(("127.0.0.1", 9))


@pytest.mark.parametrize(
    ("variable", "asked", "allowed"),
    [(None, False, False), (None, True, True), ("0", False, True), ("1", False, False)],
)
def test_the_network_is_used_only_on_request(variable, asked, allowed, monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    if variable:
        monkeypatch.setenv("HF_HUB_OFFLINE", variable)
    assert offline.allowed(asked) is allowed


# Sizes -------------------------------------------------------------------------------------------


def test_memory_of_a_training_is_weights_gradients_moments_and_what_torch_saves():
    """A linear layer saves its input and, for the square, its output."""
    import torch

    from histopair.encoders import Encoder

    class Tower(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(12, 5, bias=False)

        def forward(self, pixels):
            return self.layer(pixels.flatten(1))

    shrink = lambda tile: torch.ones(3, 2, 2)  # noqa: E731
    encoder = Encoder("toy", image=Tower(), preprocess=shrink, image_dim=5)
    measured = trial.training(encoder, "all")
    assert measured.fixed == 4 * 4 * 12 * 5
    assert measured.each == 4 * (12 + 5)
    assert measured.seconds > 0


def cache(**changes) -> work.Cache:
    facts = {"path": "p", "rule": "embed_images", "encoder": "vit", "of": "mine", "kind": "images"}
    return work.Cache(**facts | {"items": 1000} | changes)


SPEED = trial.Speed("cpu", 0.5, 0.25, 100, 60, {2: 50_000})
SETTINGS = {
    "embedding": {"storage": "float16"},
    "activations": {"storage": "float16", "budget_gb": 1, "cache": True},
    "encoders": {"vit": {}, "uni2": {"preset": "uni2-h"}},
}


def test_disk_is_two_copies_of_the_embeddings_and_the_activations(place):
    caches = [cache(), cache(kind="texts", rule="embed_texts", of="c")]
    caches.append(cache(rule="cache_activations", blocks=2, turns=8))
    sizes = [budget._bytes(SETTINGS, each, {"vit": SPEED}) for each in caches]
    assert sizes == [2 * 1000 * 100 * 2, 2 * 1000 * 60 * 2, 1000 * 8 * 50_000 * 2]
    (row,) = budget.disk_rows(SETTINGS, caches, {"vit": SPEED})
    assert row.state in (OK, LOOK, WRONG) and "0.801 GB" in row.finding


def test_disk_by_a_presets_width_and_what_cannot_be_counted(place):
    assert budget._bytes(SETTINGS, cache(encoder="uni2"), {}) == 2 * 1000 * 1536 * 2
    (row,) = budget.disk_rows(SETTINGS, [cache(), cache(encoder="uni2", items=None)], {})
    assert row.state == UNKNOWN and "2 of 2 are not counted" in row.finding


def test_disk_that_is_too_small_is_red_and_activations_above_their_budget_are_not(
    place, monkeypatch
):
    monkeypatch.setattr(budget.shutil, "disk_usage", lambda _: SimpleNamespace(free=10**5))
    large = cache(rule="cache_activations", blocks=2, items=10**6)
    above, disk = budget.disk_rows(SETTINGS, [cache(), large], {"vit": SPEED})
    assert (above.state, "above activations.budget_gb 1" in above.finding) == (LOOK, True)
    assert (disk.state, disk.remedy != "") == (WRONG, True)


def test_time_is_items_at_the_measured_speed():
    caches = [cache(), cache(of="other", items=200), cache(of="later", items=None)]
    (row,) = budget.time_rows(caches, {"vit": SPEED}, set())
    assert row.finding == (
        "1,200 images of 2 datasets (3 datasets in all): 10 min at 2.0 a second on cpu"
    )
    (row,) = budget.time_rows(caches[2:], {"vit": SPEED}, set())
    assert row.state == LATER
    (row,) = budget.time_rows(caches[:1], {}, set())
    assert row.state == UNKNOWN
    (row,) = budget.time_rows(caches[:1], {}, {"vit"})
    assert row.state == LATER


@pytest.mark.parametrize(("memory", "state"), [(None, OK), (10**9, OK), (3 * 10**8, WRONG)])
def test_a_gpu_that_a_training_does_not_fit_is_red(memory, state):
    learning = work.Learning("lora", "vit", "mine", "all", 32, 10, 2, 1000)
    measured = trial.Training("cpu", 10**8, 10**7, 0.1)
    (row,) = budget.training_rows([learning], {("vit", "all"): measured}, memory, set())
    assert row.state == state
    assert "2 runs train the whole tower: 0.42 GB at most for a batch of 32" in row.finding
    assert "33 min at most on cpu" in row.finding  # 0.1 s x 1,000 images x 10 epochs x 2


def test_an_encoder_without_weights_is_tried_as_architecture_and_named_an_estimate(place, capsys):
    tiles(place / "tiles")
    model = {"library": "timm", "model": "vit_tiny_patch16_224", "weights": "gone.pth"}
    model["pixels"] = {"size": 32}
    model["kwargs"] = {"img_size": 32, "embed_dim": 24, "depth": 1, "num_heads": 2}
    write(config(encoders={"vit": model}))
    status, text = ran(capsys)
    assert status == 1 and "there is no file 'gone.pth'" in text
    assert "estimates of its architecture, with random weights" in text
    assert "12 images of 1 dataset: " in text


# The table ---------------------------------------------------------------------------------------


def test_the_table_is_plain_in_a_file_and_coloured_and_wrapped_on_a_terminal():
    found = [
        Row("a", OK, "fine"),
        Row("b", WRONG, "x " * 60, "do this"),
        Row("c", LATER, "y\x1b[2J"),
    ]
    plain = rows.table(found).splitlines()
    assert len(plain) == 6 and "\033" not in "".join(plain)
    assert plain[-1] == "1 ok, 1 later, 1 wrong"
    terminal = rows.table(found, width=80).splitlines()
    assert any("\033[31mwrong" in line for line in terminal) and len(terminal) > 6
    import re

    assert max(len(re.sub(r"\033\[\d+m", "", line)) for line in terminal) <= 80


def test_a_check_that_fails_itself_is_a_row_and_keeps_those_before():
    def check():
        yield Row("x", OK, "one")
        raise KeyError("two")

    first, second = rows.checked("x", check)
    assert first.finding == "one"
    assert second.state == WRONG and "KeyError" in second.finding
    (refused,) = rows.checked("y", lambda: (_ for _ in ()).throw(InputError("f", "bad", "mend")))
    assert refused == Row("y", WRONG, "f: bad", "mend")
    assert rows.red([second]) and not rows.red([first, Row("z", UNKNOWN, "")])
