"""The nearest labelled training images and reports of a corpus, from a bank inside the export.

Only exports of a config with `export: {evidence: true}` have a bank: texts and names of training
data travel in it. `save` writes it.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from histopair.errors import InputError
from histopair.export import mark
from histopair.export.read import Exported

VECTORS, ROWS = "evidence.safetensors", "evidence.json"
KINDS = ("images", "reports")


@dataclass
class Evidence:
    """Unit vectors (n, d) by kind, and for each kind its rows, source, licence and `asked_by`.

    Rows of images have `image` (path) and `labels`, of reports `report` and `text`. asked_by: the
    tower, "image" or "text", whose features the vectors of a kind are compared with.
    """

    vectors: dict[str, np.ndarray]
    described: dict[str, dict]

    def nearest(
        self, features: dict[str, np.ndarray], k: int = 5, without: Collection[str] = ()
    ) -> dict[str, list[dict]]:
        """For each kind the k nearest rows, with cosine `similarity`, `source` and `licence`.

        features: of the image (d,), of the note or both, by tower, "image" and "text". A kind that
        none of them can ask for is left out, and so are images whose path is in `without`.
        """
        found = {}
        for kind, about in self.described.items():
            asking = features.get(about["asked_by"])
            if asking is None:
                continue
            unit = asking / max(float(np.linalg.norm(asking)), 1e-12)
            cosines = self.vectors[kind] @ unit.astype(np.float32)
            others = [row.get("image") not in without for row in about["rows"]]
            order = [i for i in np.argsort(-cosines, kind="stable") if others[i]][:k]
            terms = {"source": about["source"], "licence": about["licence"]}
            found[kind] = [
                about["rows"][i] | {"similarity": float(cosines[i])} | terms for i in order
            ]
        return found


def load(exported: Exported) -> Evidence | None:
    """The bank of an exported folder; None if it carries none.

    Raises InputError if its files do not belong together.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    file = exported.folder / ROWS
    if not file.is_file():
        return None
    try:
        described = json.loads(file.read_text(encoding="utf-8"))
        stored = load_file(exported.folder / VECTORS)
        mark.check_tensors(exported.folder / VECTORS, exported.config)
        vectors = {kind: stored[kind].astype(np.float32) for kind in described}
        _check(vectors, described)
    except (AttributeError, KeyError, OSError, SafetensorError, TypeError, ValueError) as error:
        raise InputError(file, f"it is not a bank ({error})", "Export again") from error
    return Evidence(vectors, described)


def _check(vectors: dict[str, np.ndarray], described: dict[str, dict]) -> None:
    for kind, about in described.items():
        if kind not in KINDS or not {"source", "licence", "asked_by"} <= about.keys():
            raise ValueError(f"{kind!r} is not described")
        if len(about["rows"]) != len(vectors[kind]):
            raise ValueError(f"{len(about['rows'])} {kind} have {len(vectors[kind])} vectors")


def save(evidence: Evidence, folder: Path, weights: str) -> dict[str, int]:
    """Write a bank into an exported folder, its vectors in float16; how many rows it has by kind.

    weights: the mark of the export's.
    """
    from safetensors.numpy import save_file

    vectors = {kind: np.ascontiguousarray(v, np.float16) for kind, v in evidence.vectors.items()}
    save_file(vectors, folder / VECTORS, {mark.KEY: weights})
    content = json.dumps(evidence.described, ensure_ascii=False, indent=1)
    (folder / ROWS).write_text(content + "\n", encoding="utf-8")
    return {kind: len(about["rows"]) for kind, about in evidence.described.items()}
