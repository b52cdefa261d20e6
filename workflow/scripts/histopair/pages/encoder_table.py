"""What the page shows of encoders: where each is from, what it was trained on, how wide it is."""

from pathlib import Path

import pyarrow.parquet as pq

from histopair.files import tables


def context(name: str, entry: dict, embeddings: list[dict], results: str) -> dict:
    """One encoder; `embeddings` lists the encoder and dataset of each image cache."""
    caches = [e for e in embeddings if e["encoder"] == name]
    return {
        "name": name,
        "library": entry["library"],
        "model": entry["model"],
        "weights": entry.get("weights") or entry.get("pretrained") or "",
        "licence": entry.get("licence", "unknown"),
        "description": entry.get("description", ""),
        "train": entry.get("train"),
        "dimension": _dimension(caches[0], results) if caches else None,
        "cached": [cache["dataset"] for cache in caches],
    }


def _dimension(cache: dict, results: str) -> int:
    path = "{results}/embeddings/{encoder}/{dataset}.images.parquet".format(
        results=results, **cache
    )
    return pq.read_schema(path).field("embedding").type.list_size


def texts(paths: list[str], results: str) -> list[dict]:
    """How many captions and prompts towers did not read to their end, by their tables' paths."""
    found = [_texts(Path(results) / Path(path).relative_to("results")) for path in paths]
    return [row for row in found if row]


def _texts(path: Path) -> dict | None:
    """One table of embeddings, or folder of activations; nothing if it was not made."""
    dataset, kind = path.name.split(".")[:2]
    made = tables.read_json(path / "about.json") if path.is_dir() else tables.about(path)
    if "cut" not in made:
        return None
    kept = {key: made[key] for key in ("texts", "cut", "context")}
    return {"encoder": path.parent.name, "dataset": dataset, "kind": kind} | kept
