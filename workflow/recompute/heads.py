"""Weights of runs: they are there, and heads on frozen embeddings give the run's scores."""

from pathlib import Path

import numpy as np
from safetensors.numpy import load_file
from scipy.special import expit, softmax

from recompute import artifacts
from recompute.tally import Tally

INPUTS = {"linear_head": "image", "fusion_frozen": "both"}  # a linear probe's are a parameter
FLOAT32 = 1e-4  # of a score
OF_LOGITS = {"single": lambda logits: softmax(logits, axis=1), "multi": expit}


def weights(results: Path) -> Tally:
    """Each run has weights, and all of them are finite."""
    tally = Tally("weights of runs")
    for folder in (file.parent for file in artifacts.run_files(results, "predictions.parquet")):
        if "processes" in artifacts.metadata(folder / "predictions.parquet"):  # joined folds: none
            file = folder / "weights.safetensors"
            with tally.reading(file):
                bad = sum((~np.isfinite(array)).sum() for array in load_file(file).values())
                tally.equal(file, "weights that are not finite", 0, bad)
    return tally


def scores(results: Path) -> Tally:
    """Layers with ReLU between them, of the cached embeddings, are the scores."""
    tally = Tally("scores of heads, by their weights")
    for file in artifacts.run_files(results, "predictions.parquet"):
        method = artifacts.method(file)
        kind = method.get("inputs") or INPUTS.get(method.get("recipe"))
        if method.get("recipe") in (*INPUTS, "linear_probe") and _exact(method):
            layers = file.with_name("weights.safetensors")
            with tally.reading(layers):
                run, features = artifacts.predictions(file), _features(results, file, kind)
                logits = _logits(load_file(layers), features)
                expected = OF_LOGITS.get(run.task, lambda logits: logits)(logits)
                off = float(np.abs(expected - run.scores).max())
                tally.equal(layers, "largest difference of a score from its own", 0, off, FLOAT32)
    return tally


def _exact(method: dict) -> bool:
    return method.get("precision", "float32") == "float32"


def _features(results: Path, file: Path, kind: str) -> np.ndarray:
    """What the head reads of each predicted sample, (n, d)."""
    dataset, encoder = file.relative_to(results).parts[1:3]
    labels = results / "labels" / f"{dataset}.parquet"
    samples = artifacts.table(labels, ["sample_id", "image_id"]).set_index("sample_id", drop=False)
    samples = samples.loc[artifacts.predictions(file).ids]
    base = artifacts.metadata(labels)["params"]["entry"].get("of", dataset)
    method, parts = artifacts.method(file), []
    for one, key in (("image", "image_id"), ("caption", "sample_id")):
        if kind in (one, "both"):
            place = (one == "caption" and method.get("text_encoder")) or encoder
            vectors = results / "embeddings" / place / f"{base}.{one}s.parquet"
            rows = artifacts.table(vectors, [key]).reset_index().set_index(key)["index"]
            parts.append(artifacts.vectors(vectors)[rows.loc[samples[key]].to_numpy()])
    return sum(parts) if method.get("fusion") == "sum" else np.hstack(parts)


def _logits(layers: dict[str, np.ndarray], features: np.ndarray) -> np.ndarray:
    names = [name.removesuffix("weight") for name in layers if name.endswith("weight")]
    names.sort(key=lambda name: int(name.rstrip(".") or 0))
    for number, name in enumerate(names):
        features = np.maximum(features, 0) if number else features
        weight, bias = (layers[f"{name}{part}"].astype(np.float64) for part in ("weight", "bias"))
        features = features @ weight.T + bias
    return features


CHECKS = [weights, scores]
