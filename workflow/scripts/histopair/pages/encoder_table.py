"""What the page shows of encoders: their origin, what they were trained on, their width."""

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
    }


def _dimension(cache: dict, results: str) -> int:
    path = "{results}/embeddings/{encoder}/{dataset}.images.parquet".format(
        results=results, **cache
    )
    return pq.read_schema(path).field("embedding").type.list_size


def texts(paths: list[str], results: str) -> list[dict]:
    """How many captions and prompts each tower cut off, by the paths of their tables."""
    rows = [_texts(Path(results) / Path(path).relative_to("results")) for path in paths]
    return [row for row in rows if row]


def _texts(path: Path) -> dict | None:
    """One table of embeddings, or folder of activations; None if it does not count cut texts."""
    dataset, kind = path.name.split(".")[:2]
    about = tables.read_json(path / "about.json") if path.is_dir() else tables.about(path)
    if "cut" not in about:
        return None
    counts = {key: about[key] for key in ("texts", "cut", "context")}
    return {"encoder": path.parent.name, "dataset": dataset, "kind": kind} | counts
