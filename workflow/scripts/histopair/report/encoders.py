"""What the report shows of encoders: where each is from, what it was trained on, how wide it is."""

import pyarrow.parquet as pq


def view(name: str, entry: dict, embeddings: list[dict], results: str) -> dict:
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
