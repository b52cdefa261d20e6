"""What the page shows of a corpus: counts, an example, and how each retriever reads it."""

import numpy as np

from histopair.files import tables
from histopair.pages import datasets, plots

EXAMPLE_SECTIONS = 3
EXAMPLE_CHARACTERS = 700


def context(name: str, entry: dict, chunks: list[dict], results: str) -> dict:
    """One corpus of reports: `entry` of the config; `chunks`, encoder and corpus of each table."""
    table = tables.read(f"{results}/reports/{name}.parquet")
    example = table[table["report_id"] == table["report_id"].iloc[len(table) // 2]]
    longest = example["text"].str.len().nlargest(EXAMPLE_SECTIONS).index
    paths = {
        cut["encoder"]: f"{results}/chunks/{cut['encoder']}/{name}"
        for cut in chunks
        if cut["corpus"] == name
    }
    tokens = {
        encoder: tables.read(f"{path}.parquet", ["n_tokens"])["n_tokens"].to_numpy()
        for encoder, path in paths.items()
    }
    return {
        "name": name,
        "description": entry.get("description", ""),
        "licence": entry.get("licence", "unknown"),
        "reader": entry.get("reader", ""),
        "reports": table["report_id"].nunique(),
        "patients": table["group"].nunique(),
        "sections": len(table),
        "organs": table.drop_duplicates("report_id")["organ"].value_counts().to_dict(),
        "whole": entry.get("whole", False),
        "chunks": [_read_by(encoder, path, tokens[encoder]) for encoder, path in paths.items()],
        "plot": plots.chunk_lengths(tokens) if tokens else None,
        "example": {
            "id": example["report_id"].iloc[0],
            "sections": [
                {"section": row.section or "", "text": clip(row.text, EXAMPLE_CHARACTERS)}
                for row in example.loc[longest].sort_index().itertuples()
            ],
            "left_out": len(example) - len(longest),
        },
        "audit": datasets.audit(f"{results}/reports/{name}.audit.parquet"),
    }


def clip(text: str, characters: int) -> str:
    """The beginning of a text, with an ellipsis if there is more."""
    return text if len(text) <= characters else text[:characters].rstrip() + " …"


def _read_by(encoder: str, path: str, tokens: np.ndarray) -> dict:
    """How one retriever reads the corpus: its context, and the chunks' lengths in its tokens."""
    about = tables.about(f"{path}.parquet")
    return {
        "encoder": encoder,
        "context": about["context"],
        "cut": about["cut"],
        "chunks": len(tokens),
        "median": float(np.median(tokens)),
        "most": int(tokens.max()),
        "audit": datasets.audit(f"{path}.audit.parquet"),
    }
