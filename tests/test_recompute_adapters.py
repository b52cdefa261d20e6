"""The standing check of adapters that are merged into exports."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
from safetensors.numpy import load_file, save_file
from test_export import write_export
from test_methods import METHODS, make, world  # noqa: F401

from commands import audit
from histopair.evaluation import score
from histopair.files import tables
from histopair.training import one_run as trainings
from recompute import artifacts

EXPORTS = [("lora", "vit"), ("lora", "clip"), ("contrastive", "clip")]


@pytest.fixture(scope="module", params=EXPORTS, ids="-".join)
def exported(request, world, tmp_path_factory):  # noqa: F811
    """A results folder with one run, the weights of its encoder, and its export.

    timm's towers have packed projections, open_clip's torch's attention.
    """
    recipe, encoder = request.param
    results = tmp_path_factory.mktemp("exported")
    run = make(world, recipe, **METHODS[recipe] | {"encoder": encoder})
    stage, _ = trainings.train(run, str(results / "resume"))
    names = ("weights.safetensors", "history.parquet", "predictions.parquet")
    folder = results / f"runs/tiles/{encoder}/{recipe}/0"
    files = {name.split(".")[0]: str(folder / name) for name in names}
    about = {
        "task": run.about["task"],
        "classes": run.classes,
        "params": {"run": {"method": run.method}},
    }
    tables.write(files["predictions"], trainings._predictions(run, stage), about)
    tables.write(files["history"], pd.DataFrame(stage.history), about)
    trainings.write_weights(stage.model, files["weights"], about)
    files["metrics"] = str(folder / "metrics.json")
    score.score(files["predictions"], files["history"], files["metrics"], {})
    (results / "encoders" / encoder).mkdir(parents=True)
    for file in (world["folder"] / encoder).glob("*.safetensors"):
        shutil.copy(file, results / "encoders" / encoder)
    write_export(run, files, results / f"exports/tiles/{encoder}/{recipe}/0")
    return results


def _adapted(results: Path, tower: str) -> int:
    weights = load_file(next(results.glob("runs/*/*/*/*/weights.safetensors")))
    return sum(("lora_A" in k or "embedding_A" in k) and k.startswith(tower) for k in weights)


def test_all_adapters_in_an_export_follow_the_formula(exported):
    artifacts.forget()
    tally = audit.adapters.merged(exported)
    assert tally.disagreements == []
    assert tally.checked == _adapted(exported, ("image", "backbone")) > 8
    assert tally.left == _adapted(exported, "text"), "of a tower that is not exported"


def test_an_update_that_is_counted_twice_is_named(exported):
    (file,) = exported.glob("exports/*/*/*/*/model.safetensors")
    (base,) = exported.glob("encoders/*/*.safetensors")
    kept, weights, before = file.read_bytes(), load_file(file), load_file(base)
    ends = {name.removeprefix("visual."): tensor for name, tensor in before.items()}
    twice = {
        f"image.{k}": 2 * weights[f"image.{k}"] - v
        for k, v in ends.items()
        if f"image.{k}" in weights
    }
    save_file(weights | twice, file)
    tally = audit.adapters.merged(exported)
    file.write_bytes(kept)
    assert len(tally.disagreements) == tally.checked > 0
