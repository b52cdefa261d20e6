"""LoRA: adapters of runs have changed, and exports hold W + (alpha / r) B A."""

from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from recompute import artifacts
from recompute.tally import Tally

ENDS = {  # name endings of an adapter's two factors in a run's weights
    ".lora_A.default.weight": ".lora_B.default.weight",
    ".lora_embedding_A.default": ".lora_embedding_B.default",
}
FLOAT32 = 1e-6  # of a layer's largest weight


def moved(results: Path) -> Tally:
    """Every trained adapter differs from its start, where its product is 0."""
    tally = Tally("adapters that learned")
    for file in artifacts.run_files(results, "weights.safetensors"):
        with tally.reading(file):
            for name, update in _updates(load_file(file)).items():
                change = np.abs(update).max()
                tally.holds(
                    file, name, np.isfinite(change) and change > 0, "trained", f"{change:g}"
                )
    return tally


def merged(results: Path) -> Tally:
    """Every adapter of an exported tower whose encoder was made here."""
    tally = Tally("adapters in exports, by the formula")
    for file in sorted(results.glob("exports/*/*/*/*/model.safetensors")):
        run = results / "runs" / file.parent.relative_to(results / "exports")
        if (run / "weights.safetensors").is_file():
            with tally.reading(file):
                params = artifacts.metadata(run / "predictions.parquet")["params"]["run"]
                updates = _updates(load_file(run / "weights.safetensors"))
                for kind in ("image", "text"):
                    of_kind = {name: updates[name] for name in updates if _tower(name) == kind}
                    entry = (kind == "text" and params.get("text_encoder")) or {}
                    base = _base(results / "encoders" / entry.get("name", file.parts[-4]))
                    _compare(tally, file, kind, base, of_kind, params["method"])
    return tally


def _compare(
    tally: Tally, file: Path, kind: str, base: Path | None, updates: dict, method: dict
) -> None:
    export = {name: w for name, w in load_file(file).items() if name.startswith(f"{kind}.")}
    if base is None or not export:  # for instance, of prompts only the embeddings are exported
        tally.left += len(updates)
        return
    settings = method.get("text_lora" if kind == "text" else "lora") or {}
    originals = _of_tower(load_file(base), kind)
    for name, update in updates.items():
        ours, before = _ending(export, name), _ending(originals, name)
        if ours is None or before is None:
            where = file.name if ours is None else base
            tally.holds(file, name, False, "exported", f"it is not one tensor of {where}")
        else:
            scale = settings["alpha"] / settings["rank"]
            expected = before.astype(np.float64) + scale * update.reshape(before.shape)
            off = np.abs(ours - expected).max()
            most = FLOAT32 * np.abs(expected).max()
            tally.equal(file, f"{name}, largest difference", off, 0, most)


def _tower(name: str) -> str:
    return "text" if name.startswith("text") else "image"


def _of_tower(weights: dict[str, np.ndarray], kind: str) -> dict[str, np.ndarray]:
    """The tensors of an encoder's file that may belong to this tower."""
    starts = {"image": ("visual.", "vision_model."), "text": ("text.", "text_model.")}
    tensors = {name: w for name, w in weights.items() if name.startswith(starts[kind])}
    if tensors:
        return tensors
    other = starts["text" if kind == "image" else "image"]
    return {name: w for name, w in weights.items() if not name.startswith(other)}


def _updates(weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """B A of each adapted layer in float64, by the layer's name; convolutions flattened."""
    products = {}
    for end, other in ENDS.items():
        for name in (name for name in weights if name.endswith(end)):
            layer = name.removesuffix(end)
            a, b = (weights[layer + part].astype(np.float64) for part in (end, other))
            product = b.reshape(len(b), -1) @ a.reshape(len(a), -1)
            products[layer] = product.T if "embedding" in end else product
    return products


def _ending(weights: dict[str, np.ndarray], layer: str) -> np.ndarray | None:
    """The layer's weight, whatever wrappers either side has; None unless it is one tensor.

    torch's attention names the weights of its projections in_proj_weight and the like.
    """
    parts = layer.split(".")
    for start in range(len(parts)):
        end = ".".join(parts[start:])
        names = f"{end}.weight", f"{end}_weight"
        ends = tuple(f".{name}" for name in names)
        keys = [key for key in weights if key in names or key.endswith(ends)]
        if keys:
            return weights[keys[0]] if len(keys) == 1 else None
    return None


def _base(encoder: Path) -> Path | None:
    files = sorted(encoder.glob("*.safetensors"))
    return files[0] if len(files) == 1 else None


CHECKS = [moved, merged]
