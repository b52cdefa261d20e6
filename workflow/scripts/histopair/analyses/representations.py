"""A distilled model's vectors of the test images, beside its teacher's of their texts."""

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from safetensors.torch import load_file

from histopair import jobs
from histopair.errors import InputError
from histopair.files import tables
from histopair.retrieval import paired_texts

BATCH = 64


@torch.inference_mode()
def represent(run, weights: str, predictions: str, out: str, about: dict) -> None:
    """Write the test samples of a distilled run: sample_id, split, labels, and vectors of each.

    features: of the adapted backbone; predicted: g(v), the text embedding that it predicts, with
    one branch the features themselves or their fixed map; text: the row of the paired text in the
    corpus; frozen: that text as the retriever embeds it; trained: as the teacher embeds it after
    its training, if it had one. float16; raw, not of length 1.
    Raises InputError for predictions of an older version, which lack the teacher's vectors.
    """
    embedded = tables.matrix(run.artifacts["text_embeddings"])
    model, encoder = run.recipe.trained(run, load_file(weights), embedded.shape[1])
    model.to(run.device).eval()
    rows = run.rows("test")
    pixels = run.pixels(encoder.preprocess)
    parts = []
    for part in jobs.progress(rows.split(BATCH), len(rows), "images", "representations"):
        features = model.backbone(pixels(part))
        parts.append((features.cpu(), model.to_text(features).cpu()))
    features, predicted = (torch.cat(side).numpy() for side in zip(*parts, strict=True))
    samples = run.samples.iloc[rows.numpy()][["sample_id", "split", "labels"]]
    texts = paired_rows(run)[rows.numpy()]
    vectors = {
        "features": features,
        "predicted": predicted,
        "frozen": embedded[texts],
        "trained": _teachers(predictions, samples["sample_id"]),
    }
    table = pa.Table.from_pandas(samples, preserve_index=False)
    table = table.append_column("text", pa.array(texts))
    for name, array in vectors.items():
        table = table.append_column(name, tables.vectors(tables.narrowed(array, np.float16)))
    tables.write(out, table, about | {"task": run.about["task"], "classes": run.classes})


def paired_rows(run) -> np.ndarray:
    """The row in the corpus of each sample's paired text, (n,)."""
    used, index = paired_texts.of_run(run)
    return used[index]


def _teachers(predictions: str, ids: pd.Series) -> np.ndarray:
    try:
        embedded = tables.matrix(predictions, "teacher")
    except KeyError as error:
        problem = "it does not hold the embeddings of its teacher"
        raise InputError(predictions, problem, "Run it again") from error
    position = pd.Index(tables.read(predictions, ["sample_id"])["sample_id"]).get_indexer(ids)
    return embedded[position]
