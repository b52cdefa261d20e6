"""A GPU gives what the processor gives: run where there is one, skipped by name elsewhere."""

from functools import partial

import numpy as np
import pytest
import test_export
import test_methods
import torch
from safetensors.torch import load_file
from test_methods import METHODS, SETTINGS, execute

from histopair.encoders import embed
from histopair.encoders.activations import cache as activation_cache
from histopair.export import read
from histopair.files import tables
from histopair.jobs import devices
from histopair.retrieval import nearest, search_torch
from histopair.training import loop, one_run

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
world = test_methods.world


def history(out) -> np.ndarray:
    """The train loss of every epoch of every stage."""
    return tables.read(out["history"])["train_loss"].to_numpy()


@pytest.mark.parametrize("recipe", METHODS)
def test_a_run_gives_the_losses_and_scores_of_the_processor(world, tmp_path, recipe):
    made = {
        device: execute(world, tmp_path / device, recipe, device=device, **settings(recipe))
        for device in ("cpu", "cuda")
    }
    np.testing.assert_allclose(history(made["cuda"]), history(made["cpu"]), rtol=2e-3)
    scores = [tables.matrix(out["predictions"], "scores") for out in made.values()]
    np.testing.assert_allclose(*scores, atol=5e-3)


def settings(recipe, **more) -> dict:
    """Steps so small that rounding stays rounding."""
    rates = {"learning_rate", *METHODS[recipe]} & {"learning_rate", "head_learning_rate"}
    return METHODS[recipe] | dict.fromkeys(rates, 1e-3) | more


@pytest.fixture(autouse=True)
def as_a_job(monkeypatch):
    """Set up as jobs are, but without dropout: a GPU draws other numbers than a processor."""
    devices.start()
    monkeypatch.setattr(torch.nn.functional, "dropout", lambda x, *_, **__: x)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
@pytest.mark.parametrize("recipe", sorted(set(METHODS) - {"zero_shot"}))
def test_half_precision_trains_to_nearly_the_same(world, tmp_path, monkeypatch, recipe, precision):
    scaler = partial(torch.amp.GradScaler, init_scale=256.0)  # else it leaves out the first steps
    monkeypatch.setattr(torch.amp, "GradScaler", scaler)
    half, single = (
        execute(world, tmp_path / kind, recipe, device="cuda", **settings(recipe, precision=kind))
        for kind in (precision, "float32")
    )
    np.testing.assert_allclose(history(half), history(single), rtol=0.05)
    weights = load_file(half["weights"])
    assert all(t.dtype in (torch.float32, torch.int64) for t in weights.values())
    assert all(t.isfinite().all() for t in weights.values())


def test_a_scale_that_overflows_is_lowered_until_training_goes_on(world, tmp_path):
    more = settings("lora", precision="float16", epochs=30, learning_rate=0.01)
    losses = history(execute(world, tmp_path, "lora", device="cuda", **more))
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize("recipe", ["clip_it", "fusion_partial"])
def test_a_run_stopped_at_any_step_ends_alike(world, tmp_path, recipe, monkeypatch):
    whole = execute(world, tmp_path / "whole", recipe, device="cuda", **METHODS[recipe])
    monkeypatch.setattr(loop, "CHECKPOINT_EVERY", 0.0)
    step, taken = loop._step, []

    def stopping(*arguments):
        if len(taken) == 3:
            taken.append(0)
            raise KeyboardInterrupt
        step(*arguments)
        taken.append(1)

    monkeypatch.setattr(loop, "_step", stopping)
    with pytest.raises(KeyboardInterrupt):
        execute(world, tmp_path / "stopped", recipe, device="cuda", **METHODS[recipe])
    resumed = execute(world, tmp_path / "stopped", recipe, device="cuda", **METHODS[recipe])
    np.testing.assert_allclose(history(resumed), history(whole), rtol=1e-4)


@pytest.mark.parametrize("backend", [search_torch.searcher, nearest.backend(gpu=True)[1]])
def test_pairing_is_exact(backend):
    rng = np.random.default_rng(0)
    bank = tables.unit(rng.standard_normal((5000, 64), dtype=np.float32))
    queries = tables.unit(rng.standard_normal((9000, 64), dtype=np.float32))
    similarity, rows = backend(bank)(queries, 10)
    products = queries.astype(np.float64) @ bank.T.astype(np.float64)
    best = np.sort(products, axis=1)[:, ::-1][:, :10]
    np.testing.assert_allclose(similarity, best, atol=1e-6)
    np.testing.assert_allclose(np.take_along_axis(products, rows, 1), best, atol=1e-6)


def test_repeated_reports_keep_their_order():
    rng = np.random.default_rng(0)
    bank = np.repeat(tables.unit(rng.standard_normal((7, 16), dtype=np.float32)), 50, axis=0)
    queries = tables.unit(rng.standard_normal((100, 16), dtype=np.float32))
    found, expected = (nearest.exact(bank, gpu=gpu)(queries, 60) for gpu in (True, False))
    for gpu, cpu in zip(found, expected, strict=True):
        np.testing.assert_allclose(gpu, cpu, atol=1e-6)


@pytest.mark.parametrize("precision,atol", [("float32", 1e-5), ("auto", 0.03)])
def test_embeddings_are_those_of_the_processor(world, tmp_path, monkeypatch, precision, atol):
    def made(name):
        out = tmp_path / f"{name}.parquet"
        more = SETTINGS | {"precision": precision if name == "gpu" else "float32"}
        labels, root = world["artifacts"]["labels"], str(world["folder"] / "data")
        shards = str(tmp_path / name)
        embed.embed_images(labels, root, world["clip"], more, shards, str(out), {"code": "x"})
        return tables.matrix(out, normalise=True)

    gpu = made("gpu")
    monkeypatch.setattr(devices.torch.cuda, "is_available", lambda: False)
    np.testing.assert_allclose(gpu, made("cpu"), atol=atol)


def test_activations_are_those_of_the_processor(world, tmp_path, monkeypatch):
    labels, root = world["artifacts"]["labels"], str(world["folder"] / "data")
    kept = {"cache": True, "budget_gb": 1, "storage": "float16"}

    def made(name):
        out = str(tmp_path / name)
        activation_cache.make(
            "images", labels, root, world["clip"], 1, 1, kept, f"{out}.shards", out, {"code": ""}
        )
        artifacts = world["artifacts"] | {"image_activations": out}
        run = test_methods.make(world, "fusion_partial", "clip", unfreeze=1)
        run.artifacts = artifacts
        top, _, fetch = run.tower("image", 1)
        return top.eval()(*fetch(torch.arange(6))).detach()

    gpu = made("gpu")
    monkeypatch.setattr(devices.torch.cuda, "is_available", lambda: False)
    torch.testing.assert_close(gpu, made("cpu"), atol=2e-3, rtol=2e-3)


def test_what_a_gpu_trained_is_exported_for_any_machine(world, tmp_path):
    run = test_methods.make(world, "clip_it", device="cuda", **METHODS["clip_it"])
    stage, _ = one_run.train(run, str(tmp_path / "resume"))
    made = test_export._written(run, stage, tmp_path)
    pixels = torch.randn(5, 3, 32, 32)
    with torch.inference_mode():
        logits = stage.model.eval()(pixels.cuda())[0].cpu()
    folder, *_ = made
    config = read.load(folder).config
    for form in filter(None, (read.onnx_logits(folder), read.torch_logits(folder, config))):
        np.testing.assert_allclose(form(pixels.numpy(), None), logits, atol=1e-4)
