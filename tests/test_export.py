"""Exported folders: the trained model's logits, no text tower, none of the training's libraries."""

import copy
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from test_methods import LORA, METHODS, make, world  # noqa: F401
from torchvision import transforms

from histopair import images
from histopair.datasets.licences import known, strictest
from histopair.errors import InputError
from histopair.evaluation import cells, score, two_way
from histopair.export import card, layers, preprocessing, read, terminal, write
from histopair.export.second_read import trust
from histopair.files import tables
from histopair.methods import clip_it
from histopair.methods.clip_it import folded, students
from histopair.plan import lineage, recipes
from histopair.plan.load import load
from histopair.training import checkpoint, heads, lora, one_run

SCRIPTS = Path(one_run.__file__).parents[2]
SOURCES = [
    {"role": "training data", "name": "tiles", "licence": "CC0-1.0", "description": "a|b"},
    {"role": "retriever", "name": "conch", "licence": "CC-BY-NC-ND-4.0", "description": ""},
]
EXPORT = {"coverage": 0.5, "flagged": 0.5, "evidence": False}
# Which have a form for onnxruntime here: making one takes seconds.
ONNX = ("clip_it", "zero_shot", "nearest_neighbours", "attentive_probe")
RECIPES = {name: METHODS[name] for name in METHODS if recipes.predicts({"recipe": name})}


@pytest.fixture(scope="module")
def exported(world, tmp_path_factory):  # noqa: F811
    """A folder per recipe, with the run it was made from: made once, when asked for."""
    made = {}

    def of(recipe: str):
        if recipe not in made:
            made[recipe] = _export(world, recipe, tmp_path_factory.mktemp(recipe))
        return made[recipe]

    return of


def _export(world, recipe, folder):  # noqa: F811
    run = make(world, recipe, **RECIPES[recipe])
    stage, _ = one_run.train(run, str(folder / "resume"))
    return _written(run, stage, folder)


def _written(run, stage, folder):
    """The export of a trained run, made on a processor wherever it was trained."""
    out = {name: str(folder / name) for name in ("weights", "history", "predictions")}
    about = {"task": run.about["task"], "classes": run.classes}
    tables.write(out["predictions"], one_run._predictions(run, stage), about)
    one_run.write_weights(stage.model, out["weights"], about)
    tables.write(out["history"], pd.DataFrame({"stage": []}), about)
    write_export(replace(run, device=torch.device("cpu")), out, folder / "export")
    return folder / "export", run, stage, out


def write_export(run, files, out, export=EXPORT, sources=SOURCES):
    recipe = run.method["recipe"]
    names = {"dataset": "tiles", "encoder": "vit", "method": recipe, "seed": "0"}
    described = {"run": names, "sources": sources, "synthetic": False, "export": export}
    made = write.write_onnx
    write.write_onnx = made if recipe in ONNX else lambda *_: None
    try:
        write.export(run, files, described, str(out), {"versions": {"torch": "2"}})
    finally:
        write.write_onnx = made


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_form_gives_the_run_its_own_predictions(exported, recipe):
    folder, run, _, files = exported(recipe)
    model = read.load(folder)
    predictions = tables.read(files["predictions"])
    scores = tables.matrix(files["predictions"], "scores")
    rows = run.samples.set_index("sample_id").loc[predictions["sample_id"]]
    pixels = None
    if "image" in model.reads:
        pixels = np.stack([model.pixels(images.load(run.root, path)) for path in rows["path"]])
    notes = list(rows["caption"]) if "text" in model.reads else None
    temperature = model.config["temperature"]
    for logits in filter(None, (read.onnx_logits(folder), read.torch_logits(folder, model.config))):
        found = read.probabilities(logits(pixels, notes), run.about["task"])
        np.testing.assert_allclose(found, scores, atol=1e-4)
    cooled = read.probabilities(model.logits(pixels, notes) / temperature, run.about["task"])
    np.testing.assert_allclose(model.probabilities(pixels, notes), cooled)


@pytest.mark.parametrize("blocks", [1, "all"])
def test_a_model_of_one_trained_and_one_frozen_tower_is_exported(world, tmp_path, blocks):  # noqa: F811
    run = make(world, "fusion_partial", "clip", unfreeze={"image": blocks, "text": 0})
    stage, _ = one_run.train(run, str(tmp_path / "resume"))
    folder, *_ = _written(run, stage, tmp_path)
    pixels = run.pixels(run.encoder().preprocess)(torch.arange(4))
    logits = read.torch_logits(folder, read.load(folder).config)
    notes = list(run.samples["caption"][:4])
    with torch.inference_mode():
        trained = stage.model.eval()(*stage.fetch(torch.arange(4))["inputs"])
    np.testing.assert_allclose(logits(pixels.numpy(), notes), trained.numpy(), atol=1e-4)


def test_cross_attention_of_whole_towers_is_exported(world, tmp_path):  # noqa: F811
    settings = {"unfreeze": "all", "attention_heads": 2, "epochs": 1}
    run = make(world, "cross_attention", "clip", **settings)
    stage, _ = one_run.train(run, str(tmp_path / "resume"))
    folder, *_ = _written(run, stage, tmp_path)
    config = read.load(folder).config
    pixels = run.pixels(run.encoder().preprocess)(torch.arange(4))
    logits = read.torch_logits(folder, config)(pixels.numpy(), list(run.samples["caption"][:4]))
    with torch.inference_mode():
        trained = stage.model.eval()(*stage.fetch(torch.arange(4))["inputs"])
    np.testing.assert_allclose(logits, trained.numpy(), atol=1e-4)


@pytest.mark.parametrize("recipe", ["lora", "clip_it"])
def test_logits_are_those_of_the_model_that_was_trained(exported, recipe):
    folder, _, stage, _ = exported(recipe)
    pixels = torch.randn(5, 3, 32, 32)
    stage.model.eval()
    with torch.inference_mode():
        logits = stage.model(pixels)
    logits = logits[0] if isinstance(logits, tuple) else logits
    config = read.load(folder).config
    for form in filter(None, (read.onnx_logits(folder), read.torch_logits(folder, config))):
        np.testing.assert_allclose(form(pixels.numpy(), None), logits.numpy(), atol=1e-4)


def test_adapters_are_merged_and_leave_no_trace(exported):
    folder, run, *_ = exported("clip_it")
    names = set(load_file(folder / "model.safetensors"))
    backbone = {f"image.{name}" for name in run.encoder().image.state_dict()}
    assert names == backbone | {f"head.0.{n}" for n in HEAD}


HEAD = ("project.weight", "project.bias", "shift", "out.weight")


@pytest.mark.parametrize(
    "recipe",
    [
        *("linear_head", "lora", "clip_it", "zero_shot", "image_only", "contrastive"),
        *("distil_frozen", "modality_dropout", "tip_adapter", "clip_adapter", "prompt_tuning"),
    ],
)
def test_models_of_images_hold_no_text_weight(exported, recipe):
    folder, *_ = exported(recipe)
    state = load_file(folder / "model.safetensors")
    assert {name.split(".")[0] for name in state} == {"image", "head"}
    assert not [name for name in state if "text" in name or "token_embedding" in name]
    assert json.loads((folder / "config.json").read_text())["reads"] == ["image"]
    assert not list((folder / "encoders").rglob("*token*"))


def test_the_folded_branches_are_the_trained_ones():
    torch.manual_seed(0)
    model = students.Distilled(torch.nn.Identity(), 6, heads.text_head(5, 3), 5, 3)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter)
    features = torch.randn(7, 6)
    with torch.no_grad():
        found = folded.fold(model)
        torch.testing.assert_close(found(features), model(features)[0], atol=1e-5, rtol=1e-5)


def test_heads_are_rebuilt_from_what_is_written_down():
    head = heads.mlp(6, 3, layers=3)
    again = layers.build(json.loads(json.dumps(layers.describe(head))))
    again.load_state_dict(head.state_dict())
    features = torch.randn(4, 6)
    torch.testing.assert_close(again(features), head(features))
    with pytest.raises(ValueError, match="Softmax"):
        layers.describe(torch.nn.Sequential(torch.nn.Softmax(1)))


def test_a_layer_written_before_it_had_another_argument_is_still_built():
    (beside,) = layers.build([["beside_prediction", 3, 2]])
    assert isinstance(beside.predict, torch.nn.Linear)
    assert layers.describe(torch.nn.Sequential(beside)) == [["beside_prediction", 3, 2, 0]]


def _transforms():
    import open_clip
    import timm

    for mode in ("center", "squash", "border"):
        yield timm.data.create_transform((3, 32, 32), crop_pct=0.9, crop_mode=mode)
    yield timm.data.create_transform((3, 32, 48), interpolation="bicubic")
    for mode in ("shortest", "longest", "squash"):
        for size in (32, (32, 40)):
            yield open_clip.image_transform(size, is_train=False, resize_mode=mode)


def test_preprocessing_without_torch_gives_the_libraries_pixels_to_the_last_bit():
    rng = np.random.default_rng(0)
    for transform in _transforms():
        steps = json.loads(json.dumps(preprocessing.describe(transform)))
        for size in ((40, 40), (37, 61), (90, 41), (20, 20)):
            pixels = rng.integers(0, 255, (*size, 3)).astype(np.uint8)
            image = images.Image.fromarray(pixels)
            found = preprocessing.apply(steps, image)
            np.testing.assert_array_equal(found, transform(image).numpy())


BLOCK = """
import sys
sys.modules.update(dict.fromkeys({blocked!r}))
sys.path.insert(0, {scripts!r})
import numpy as np
from histopair.export import read
model = read.load({folder!r})
print(model.probabilities(np.load({pixels!r}), None).tolist())
"""


@pytest.mark.parametrize(
    "recipe, blocked",
    [
        ("clip_it", ["peft", "transformers", "open_clip", "torch", "timm", "torchvision"]),
        ("zero_shot", ["peft", "transformers", "open_clip", "torch", "timm", "torchvision"]),
        ("clip_it", ["peft", "transformers", "open_clip", "onnxruntime"]),
    ],
)
def test_the_folder_needs_none_of_the_libraries_of_training(exported, tmp_path, recipe, blocked):
    folder, *_ = exported(recipe)
    pixels = np.random.default_rng(0).normal(size=(3, 3, 32, 32)).astype(np.float32)
    np.save(tmp_path / "pixels.npy", pixels)
    code = BLOCK.format(
        blocked=blocked,
        scripts=str(SCRIPTS),
        folder=str(folder),
        pixels=str(tmp_path / "pixels.npy"),
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr
    expected = read.load(folder).probabilities(pixels, None)
    np.testing.assert_allclose(json.loads(found.stdout), expected, atol=1e-4)


def test_an_export_repeats_bit_for_bit_and_names_no_place(exported, tmp_path):
    folder, run, _, files = exported("clip_it")
    write_export(run, files, tmp_path / "again")
    for path in sorted(folder.rglob("*.*")):
        content = (tmp_path / "again" / path.relative_to(folder)).read_bytes()
        assert content == path.read_bytes(), path.name
        assert str(Path(run.root).parent).encode() not in content, path.name
        assert b"site-packages" not in content, path.name


def test_the_card_says_whose_terms_hold_and_what_it_is_not_for(exported):
    folder, *_ = exported("clip_it")
    text = (folder / "README.md").read_text()
    assert "Research use only, not for diagnosis." in text
    assert "Strictest terms: **CC-BY-NC-ND-4.0** (conch)" in text
    assert "| training data | tiles | CC0-1.0 | a\\|b |" in text
    assert "| Balanced accuracy |" in text and '"recipe": "clip_it"' in text


def test_the_cards_intervals_are_those_of_a_study(tmp_path):
    """Four images without a group, two samples each: four groups, as in studies and splits."""
    names = [f"s{i}" for i in range(8)]
    truth = ["a", "b"] * 4
    samples = pd.DataFrame({"sample_id": names, "group": [None] * 8})
    images_of = [f"i{i // 2}" for i in range(8)]
    tables.write(tmp_path / "labels", samples.assign(image_id=images_of), {})
    scores = np.array([[0.8, 0.2]] * 5 + [[0.3, 0.7]] * 3)
    made = samples.assign(split="test", labels=[[label] for label in truth])
    made = pa.Table.from_pandas(made).append_column("scores", tables.vectors(scores))
    files = {"predictions": tmp_path / "predictions", "metrics": tmp_path / "metrics.json"}
    tables.write(files["predictions"], made, {"task": "single", "classes": ["a", "b"]})
    tables.write(tmp_path / "history", pd.DataFrame({"stage": []}), {})
    score.score(files["predictions"], tmp_path / "history", files["metrics"], {})
    scored = score.of_predictions(files["predictions"])
    text = card._results(files["predictions"], scored, tmp_path / "labels")
    run = {"encoder": "e", "method": "m", "seed": 0} | files
    cell = cells.evaluate([run], tmp_path / "labels")
    values, replicates = cell["methods"]["m"]["balanced_accuracy"]
    sure = two_way.of_mean(values, replicates, cell["n_groups"])
    between = f"{sure['low']:.3f} to {sure['high']:.3f}"
    assert f"| Balanced accuracy | {values[0]:.3f} | {between} |" in text
    assert "8 test samples; intervals are for other groups (image: 4)" in text


def test_the_strictest_licence_is_named():
    assert strictest(["MIT", "CC-BY-NC-4.0", "CC-BY-NC-ND-4.0"]) == "CC-BY-NC-ND-4.0"
    assert strictest(["Apache-2.0", "CC-BY-SA-4.0"]) == "CC-BY-SA-4.0"
    assert strictest(["non-commercial", "CC-BY-4.0", "GPL-3.0"]) == "non-commercial"
    assert strictest(["CC-BY-NC-ND-4.0", "unknown"]) == "unknown"


@pytest.mark.parametrize(
    "name", ["", "unknown", "Acme EULA", "MIT (metadata); images by their owners' terms", "CC-XY"]
)
def test_a_licence_that_is_not_recognised_is_unknown_and_no_permissive_one(name):
    assert not known(name)
    assert strictest(["MIT", "CC-BY-NC-ND-4.0", name]) == name


@pytest.mark.parametrize(
    "name",
    [
        "MIT",
        "Apache 2.0",
        "BSD-3-Clause",
        "CC0-1.0",
        "CC BY 4.0",
        "Non-Commercial only",
        "LGPL-3.0",
    ],
)
def test_common_licences_are_recognised(name):
    assert known(name) and strictest([name, "Acme EULA"]) == "Acme EULA"


def test_the_card_names_terms_that_nobody_here_knows():
    sources = [source | {"licence": "Acme *EULA*"} for source in SOURCES[:1]] + SOURCES[1:]
    text = card._licence(sources, strictest([source["licence"] for source in sources]))
    assert r"Strictest terms: **Acme \*EULA\*** (tiles)" in text
    assert r"Terms not known to histopair: Acme \*EULA\* (tiles)." in text
    assert "not known" not in card._licence(SOURCES, "CC-BY-NC-ND-4.0")


def test_the_lineage_reaches_the_data_of_the_encoders_and_the_reports():
    config = load(_default())
    run = {"dataset": "phantom-quilt-random", "encoder": "phantom-clip", "method": "fusion-frozen"}
    found = {(source["role"], source["name"]) for source in lineage.sources(config, run)}
    assert found == {
        ("training data", "phantom-quilt-random"),
        ("encoder", "phantom-clip"),
        ("data of phantom-clip", "phantom-captions"),
    }
    run = {"dataset": "phantom-crc", "encoder": "phantom-vit", "method": "clip-it"}
    roles = {source["role"] for source in lineage.sources(config, run)}
    assert roles >= {"retriever", "reports", "data of phantom-vit", "data of phantom-clip"}
    for method, role in (("clip-it-csls", "retriever"), ("clip-it-random", "teacher")):
        roles = {source["role"] for source in lineage.sources(config, run | {"method": method})}
        assert any(name.startswith(role) for name in roles)


def _default() -> dict:
    import yaml

    path = SCRIPTS.parents[1] / "config" / "config.yaml"
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def test_weights_of_another_method_are_one_clear_line(exported, tmp_path):
    _, run, _, files = exported("clip_it")
    other = exported("linear_head")[3]["weights"]
    with pytest.raises(InputError, match=r"weights do not fit.*Run it again"):
        write.export(run, files | {"weights": other}, {}, str(tmp_path / "x"), {})
    assert not (tmp_path / "x").exists()


def test_a_folder_that_is_no_export_is_one_clear_line(exported, tmp_path):
    folder, *_ = exported("linear_head")
    with pytest.raises(InputError, match=r"config.json: there is no such file.*results/exports"):
        read.load(tmp_path)
    for name in ("config.json", "labels.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    (tmp_path / "config.json").write_text('{"format": 99}')
    with pytest.raises(InputError, match="format is 99"):
        read.load(tmp_path)


def _changed(folder, out, name, change):
    shutil.copytree(folder, out)
    content = json.loads((folder / name).read_text())
    (out / name).write_text(json.dumps(change(content)))


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("config.json", lambda found: [found], "config.json: it does not describe a model"),
        ("config.json", lambda found: {"format": 1}, "'run' is missing or malformed"),
        ("config.json", lambda found: found | {"run": {}}, "'run.dataset' is missing"),
        ("config.json", lambda found: found | {"temperature": "x"}, "'temperature' is missing"),
        ("config.json", lambda found: found | {"preprocessing": None}, "'preprocessing' is"),
        ("config.json", lambda found: found | {"head": [["odd"]]}, "no model can be built from it"),
        ("config.json", lambda found: found | {"encoders": {"image": {}}}, "no model can be built"),
        (
            "config.json",
            lambda found: found | {"recipe": "os.path"},
            "there is no recipe 'os.path'",
        ),
        ("config.json", lambda found: found | {"recipe": "linear_head"}, "no model can be built"),
        ("labels.json", lambda found: found[:1], "labels.json: it does not name the 2 classes"),
        ("labels.json", lambda found: ["a", "b"], "does not name the 2 classes"),
        ("labels.json", lambda found: found[::-1], "does not name the 2 classes"),
    ],
)
def test_a_malformed_description_is_one_clear_line(exported, tmp_path, name, change, message):
    _changed(exported("linear_head")[0], tmp_path / "x", name, change)
    with pytest.raises(InputError, match=message):
        read.load(tmp_path / "x")


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (transforms.Pad(4), "preprocessing step Pad cannot be written down"),
        (transforms.Resize(35, transforms.InterpolationMode.LANCZOS), "filter lanczos of resize"),
        (transforms.Resize(35, max_size=40), "Resize has a max_size"),
    ],
)
def test_images_that_an_export_cannot_prepare_are_one_clear_line(
    exported, tmp_path, monkeypatch, step, message
):
    _, run, _, files = exported("linear_head")
    made = one_run.Run.encoder

    def encoder(self):
        return replace(made(self), preprocess=transforms.Compose([step, transforms.ToTensor()]))

    monkeypatch.setattr(one_run.Run, "encoder", encoder)
    with pytest.raises(InputError, match=rf"encoder vit: an export cannot prepare.*{message}"):
        write_export(run, files, tmp_path / "x")


def test_a_size_in_a_list_is_the_shorter_side():
    chain = transforms.Compose([transforms.Resize((20,)), transforms.ToTensor()])
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (50, 31, 3), np.uint8))
    pixels = preprocessing.apply(preprocessing.describe(chain), image)
    np.testing.assert_allclose(pixels, chain(image).numpy(), atol=1e-6)


@pytest.mark.parametrize("name", ["model.safetensors", "model.onnx", "trust.safetensors"])
def test_a_file_of_another_export_is_one_clear_line(exported, tmp_path, name):
    """Of a run of the same shapes, as where a folder is copied over an older one."""
    folder, run, stage, _ = exported("attentive_probe")
    other = copy.deepcopy(stage)
    with torch.no_grad():
        next(p for p in other.model.parameters() if p.requires_grad).mul_(1.5)
    (tmp_path / "other").mkdir()
    changed, *_ = _written(run, other, tmp_path / "other")
    mixed = shutil.copytree(folder, tmp_path / "mixed")
    shutil.copy(changed / name, mixed / name)
    config = json.loads((mixed / "config.json").read_text())
    with pytest.raises(InputError, match=rf"mixed/{name}: it is not of the export.*whole folder"):
        trust.load(read.load(mixed)), read.torch_logits(mixed, config)


def test_a_model_of_notes_leaves_an_older_onnx_file_alone(exported, tmp_path):
    mixed = shutil.copytree(exported("fusion_frozen")[0], tmp_path / "mixed")
    shutil.copy(exported("clip_it")[0] / "model.onnx", mixed)
    model = read.load(mixed)
    pixels = np.zeros((1, 3, 32, 32), np.float32)
    assert np.abs(model.logits(pixels, ["tumour"]) - model.logits(pixels, ["normal"])).max() > 0


def test_a_damaged_onnx_file_is_one_clear_line(exported, tmp_path):
    folder = shutil.copytree(exported("clip_it")[0], tmp_path / "x")
    (folder / "model.onnx").write_bytes((folder / "model.onnx").read_bytes()[:999])
    with pytest.raises(InputError, match=r"model.onnx: onnxruntime cannot read it.*again"):
        read.load(folder)


def test_a_recipe_that_joins_towers_in_a_way_of_its_own_is_named_and_asked_for(exported, tmp_path):
    folder, *_ = exported("cross_attention")
    assert json.loads((folder / "config.json").read_text())["recipe"] == "cross_attention"
    assert "recipe" not in json.loads((exported("linear_head")[0] / "config.json").read_text())
    shutil.copytree(folder, tmp_path / "older")
    config = json.loads((folder / "config.json").read_text())
    del config["recipe"]
    (tmp_path / "older" / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match=r"model.safetensors: it does not fit.*Export again"):
        read.load(tmp_path / "older")


def test_batch_statistics_are_among_the_weights_of_a_run(tmp_path):
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    model(torch.randn(8, 2))
    one_run.write_weights(model, str(tmp_path / "weights"), {})
    state = load_file(tmp_path / "weights")
    torch.testing.assert_close(state["1.running_mean"], model[1].running_mean)


def test_merged_attention_is_plain_again():
    torch.manual_seed(0)
    tower = torch.nn.ModuleDict({"attn": torch.nn.MultiheadAttention(8, 2)})
    names = set(tower.state_dict())
    model = lora.adapt(tower, LORA)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter)
    x = torch.randn(3, 2, 8)
    with torch.no_grad():
        before = model["attn"](x, x, x)[0]
        merged = lora.merge(model)
        assert set(merged.state_dict()) == names
        torch.testing.assert_close(merged["attn"](x, x, x)[0], before, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("branch", ["early", "none"])
def test_other_text_branches_keep_their_logits(world, branch):  # noqa: F811
    run = make(world, "clip_it", **METHODS["clip_it"], text_branch=branch)
    torch.manual_seed(0)
    encoder = run.encoder()
    backbone, text_head = lora.adapt(encoder.image, run.method["lora"]), heads.text_head(16, 2)
    model = clip_it.student(run, backbone, encoder.image_dim, text_head, 16).eval()
    found = clip_it.predictor(run, checkpoint.weights(model)).eval()
    pixels = torch.randn(3, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(found(pixels), model(pixels)[0], atol=1e-5, rtol=1e-5)


def test_recipes_without_a_predictor_are_one_clear_line(world, tmp_path):  # noqa: F811
    run = make(world, "text_reports", **METHODS["text_reports"])
    with pytest.raises(InputError, match=r"'text_reports' cannot be exported.*clip_it"):
        write.export(run, {"weights": "w"}, {}, str(tmp_path / "x"), {})


def test_the_card_gives_the_calibration_error_before_and_as_exported(exported):
    folder, *_, files = exported("linear_head")
    test = score.of_predictions(files["predictions"])["calibration"]["splits"]["test"]
    text = (folder / "README.md").read_text()
    before, after = (f"{test[when]['ece']:.3f}" for when in ("before", "after"))
    assert f"| Calibration error, before calibration | {before} | – |" in text
    assert f"| Calibration error, calibrated as exported | {after} | – |" in text
    assert "| Calibration error |" not in text


@pytest.mark.parametrize("temperature, told", [(0.7, False), (0.01, True), (99.9999, True)])
def test_the_card_says_so_where_the_temperature_is_a_bound(temperature, told):
    text = card._calibration({"calibrated": True, "temperature": temperature})
    assert ("is at the bound of its fit (0.01 to 100), not at an optimum" in text) == told
    assert ("no better than chance" in text) == told


def test_the_terminal_says_so_where_the_temperature_is_a_bound(exported):
    config = read.load(exported("linear_head")[0]).config
    assert config["temperature_at_bound"] is False
    assert "bound" not in terminal.footer(config)
    changed = config | {"temperature_at_bound": True}
    assert "the bound of its fit: see README.md" in terminal.footer(changed)


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"), [(200.02, 200.0, 1e-4), (0.5002, 0.5, 2e-4), (1.0, 1.0, 0)]
)
def test_forms_of_a_model_are_apart_by_the_size_of_its_logits(ours, theirs, expected):
    found = write.apart(np.array([[ours, 0.0]]), np.array([[theirs, 0.0]]))
    assert found == pytest.approx(expected, abs=1e-9)
