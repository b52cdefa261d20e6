"""What a server says of a case: ranked findings, and why."""

import base64
import io
from collections.abc import Collection

import numpy as np
from PIL import Image

from histopair.export.findings import USE, ranked
from histopair.export.second_read import saliency, words
from serve.cases import Case, place
from serve.uploads import Upload


def answer(case: Case) -> dict:
    """Ranked findings, whether the image is like those of training, and what may be true."""
    served, upload = case.served, case.upload
    return {
        "notice": USE,
        "model": served.described,
        "image": None if upload is None else shown(upload),
        "region": case.region,
        "read": case.frame,
        "findings": ranked(case.probabilities, served.model.labels),
        "proposed": proposed(case),
        "unlearnt": served.unlearnt,
        "note_tokens_read": (case.note and served.model.room(case.note)) or None,
        **trusted(case),
    }


def shown(upload: Upload) -> dict:
    width, height = upload.image.size
    return {"image_id": upload.sha256, "name": upload.name, "width": width, "height": height}


def proposed(case: Case) -> list[str]:
    """What the model says is true: the most probable label, or those of one half and more."""
    labels, values = [row["label"] for row in case.served.model.labels], case.probabilities
    if case.served.model.config["task"] == "single":
        return [labels[int(values.argmax())]]
    return [label for label, value in zip(labels, values, strict=True) if value >= 0.5]


def trusted(case: Case) -> dict:
    """Checks of the image, and the conformal set; empty for an export that has none."""
    trust, (values, features) = case.served.trust, case.passed
    if trust is None:
        return {"checks": [], "set": None, "coverage": None, "abstains": False}
    return {"checks": trust.warnings(case.pixels, features)} | trust.findings(values)


def saliency_map(case: Case, label: str | None) -> dict:
    """Where in the image a finding comes from."""
    index = place(case.served, label)
    pixels = np.zeros((3, 1, 1), np.float32) if case.pixels is None else case.pixels
    values, method = saliency.of(case.served.model, pixels, index, case.note)
    out = io.BytesIO()
    Image.fromarray(np.round(values * 255).astype(np.uint8)).save(out, "PNG")
    png = base64.b64encode(out.getvalue()).decode()
    about = {"notice": USE, "finding": label, "method": method, "frame": case.frame}
    return about | {"png": png, "empty": not values.any()}


def important_words(case: Case) -> dict:
    """What each word of the note adds to each finding's probability."""
    places, values = words.of(case.served.model, case.pixels, case.note or "")
    labels = [row["label"] for row in case.served.model.labels]
    rows = [
        {"start": start, "end": end, "adds": dict(zip(labels, row.tolist(), strict=True))}
        for (start, end), row in zip(places, values, strict=True)
    ]
    return {"notice": USE, "note": case.note or "", "words": rows}


def nearest(case: Case, without: Collection[str] = ()) -> dict:
    """The nearest training images, but those paths, and reports, that the export carries."""
    bank = case.served.evidence
    kinds = {} if bank is None else bank.nearest(case.features, without=without)
    return {"notice": USE, "kinds": kinds}
