"""LoRA: adapters of runs have moved, and exports hold W + (alpha / r) B A of them."""

from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from recompute import artifacts
from recompute.tally import Tally

ENDS = {  # of the two factors of an adapter in a run's weights
    ".lora_A.default.weight": ".lora_B.default.weight",
    ".lora_embedding_A.default": ".lora_embedding_B.default",
}
FLOAT32 = 1e-6  # of a layer's largest weight


def moved(results: Path) -> Tally:
    """Every adapter that was trained differs from its start, at which its product is 0."""
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
    """Weights of exports against the formula, where the encoder was trained here."""
    tally = Tally("adapters in exports, by the formula")
    for file in sorted(results.glob("exports/*/*/*/*/model.safetensors")):
        run = results / "runs" / file.parent.relative_to(results / "exports")
        base = _base(results / "encoders" / file.parts[-4])
        if base and (run / "weights.safetensors").is_file():
            with tally.reading(file):
                settings = artifacts.made(run / "predictions.parquet")["params"]["method"].get(
                    "lora"
                )
                updates = _updates(load_file(run / "weights.safetensors"))
                _compare(tally, file, load_file(file), load_file(base), updates, settings or {})
    return tally


def _compare(
    tally: Tally, file: Path, export: dict, base: dict, updates: dict, settings: dict
) -> None:
    for name, update in updates.items():
        ours, before = _ending(export, f"{name}.weight"), _ending(base, f"{name}.weight")
        if ours is None or before is None:
            tally.left += 1
        else:
            scale = settings["alpha"] / settings["rank"]
            expected = before.astype(np.float64) + scale * update.reshape(before.shape)
            off = np.abs(ours - expected).max()
            most = FLOAT32 * np.abs(expected).max()
            tally.equal(file, f"{name}, largest difference", off, 0, most)


def _updates(weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """B A of each adapted layer in float64, by the layer's name; convolutions flattened."""
    found = {}
    for end, other in ENDS.items():
        for name in (name for name in weights if name.endswith(end)):
            layer = name.removesuffix(end)
            a, b = (weights[layer + part].astype(np.float64) for part in (end, other))
            product = b.reshape(len(b), -1) @ a.reshape(len(a), -1)
            found[layer] = product.T if "embedding" in end else product
    return found


def _ending(weights: dict[str, np.ndarray], name: str) -> np.ndarray | None:
    """The tensor of this name, below whatever wrappers either side has; None unless it is one."""
    parts = name.split(".")
    for start in range(len(parts) - 1):
        end = ".".join(parts[start:])
        found = [key for key in weights if key == end or key.endswith(f".{end}")]
        if found:
            return weights[found[0]] if len(found) == 1 else None
    return None


def _base(encoder: Path) -> Path | None:
    files = sorted(encoder.glob("*.safetensors"))
    return files[0] if len(files) == 1 else None


CHECKS = [moved, merged]
