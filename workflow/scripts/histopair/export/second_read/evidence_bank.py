"""Make the bank of an export: training images by the image tower, reports by a text tower.

Reports are compared with the note, if the model reads one. Otherwise they are compared with the
image, if its tower is still that of an image-text encoder: training moves a tower away from texts.
"""

import numpy as np
import torch

from histopair.encoders import Encoder, embed
from histopair.export import finished
from histopair.export.predictor import Predictor
from histopair.export.second_read.evidence import Evidence
from histopair.files import tables

MOST = 5000  # images, and texts: a bank is small


def of(run, model: Predictor, reports: str | None, sources: list[dict]) -> Evidence:
    """The bank of a run's model.

    reports: the corpus, if the dataset has one. sources: `lineage.sources` of the run, for names
    and licences; the one of the corpus has the role "reports as evidence".
    """
    vectors, described = {}, {}
    if model.image is not None:
        rows, features = _images(run, model)
        vectors["images"] = tables.unit(features)
        described["images"] = _terms(sources, "training data") | {"asked_by": "image", "rows": rows}
    tower, asked_by = _text_tower(run, model)
    if reports and tower is not None:
        rows, features = _reports(reports, tower)
        vectors["reports"] = tables.unit(features)
        terms = _terms(sources, "reports as evidence")
        described["reports"] = terms | {"asked_by": asked_by, "rows": rows}
    return Evidence(vectors, described)


def _terms(sources: list[dict], role: str) -> dict[str, str]:
    source = next(source for source in sources if source["role"] == role)
    return {"source": source["name"], "licence": source["licence"]}


@torch.inference_mode()
def _images(run, model: Predictor) -> tuple[list[dict], np.ndarray]:
    """Path and labels of training images, and their features (n, d)."""
    train = run.samples[run.samples["split"] == "train"].drop_duplicates("path")
    chosen = _spread(train)
    parts = []
    for start in range(0, len(chosen), finished.BATCH):
        pixels, _ = finished.inputs_of(run, model, chosen.iloc[start : start + finished.BATCH])
        parts.append(model.image(pixels).numpy())
    pairs = zip(chosen["path"], chosen["labels"], strict=True)
    return [{"image": path, "labels": list(labels)} for path, labels in pairs], np.concatenate(
        parts
    )


def _text_tower(run, model: Predictor) -> tuple[Encoder | None, str]:
    """The encoder that embeds reports, and the tower that asks for them."""
    if "text" in model.encoders:
        return model.encoders["text"], "text"
    first = run.encoder() if model.image is not None else None
    if first is None or first.text is None or first.image_dim != first.text_dim:
        return None, ""
    before, now = first.image.state_dict(), model.image.state_dict()
    same = before.keys() == now.keys() and all(before[n].equal(now[n]) for n in before)
    return (first, "image") if same else (None, "")


@torch.inference_mode()
def _reports(file: str, encoder: Encoder) -> tuple[list[dict], np.ndarray]:
    """Id and text of a corpus's reports, and their features (n, d); long texts are cut."""
    table = _spread(tables.read(file, ["report_id", "text"]))
    texts, parts = list(table["text"]), []
    for start in range(0, len(texts), finished.BATCH):
        batch = texts[start : start + finished.BATCH]
        tokens, lengths = embed.tokenize_all(encoder.tokenize, encoder.pad_id, batch)
        parts.append(encoder.text(tokens[:, : lengths.max()]).numpy())
    pairs = zip(table["report_id"], texts, strict=True)
    return [{"report": name, "text": text} for name, text in pairs], np.concatenate(parts)


def _spread(table):
    """At most MOST rows, spread over the table."""
    return table.iloc[np.unique(np.linspace(0, len(table) - 1, MOST).astype(int))]
