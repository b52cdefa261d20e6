"""What the report shows of a corpus: counts, chunk lengths, an example."""

from histopair import tables
from histopair.report import datasets, plots

EXAMPLE_CHUNKS = 3
EXAMPLE_CHARACTERS = 700


def view(name: str, entry: dict, results: str) -> dict:
    """One corpus of reports; `entry` of the config."""
    table = tables.read(f"{results}/reports/{name}.parquet")
    words = table["text"].str.split().str.len()
    example = table[table["report_id"] == table["report_id"].iloc[len(table) // 2]]
    chunks = example.loc[example["text"].str.len().nlargest(EXAMPLE_CHUNKS).index].sort_index()
    return {
        "name": name,
        "description": entry.get("description", ""),
        "licence": entry.get("licence", "unknown"),
        "reader": entry.get("reader", ""),
        "reports": table["report_id"].nunique(),
        "patients": table["group"].nunique(),
        "chunks": len(table),
        "organs": table.drop_duplicates("report_id")["organ"].value_counts().to_dict(),
        "words": {"median": float(words.median()), "most": int(words.max())},
        "plot": plots.chunk_lengths(words.to_numpy()),
        "example": {
            "id": example["report_id"].iloc[0],
            "chunks": [
                {"section": row.section or "", "text": clip(row.text, EXAMPLE_CHARACTERS)}
                for row in chunks.itertuples()
            ],
            "left_out": len(example) - len(chunks),
        },
        "audit": datasets.audit(f"{results}/reports/{name}.audit.parquet"),
    }


def clip(text: str, characters: int) -> str:
    """The beginning of a text, with an ellipsis if there is more."""
    return text if len(text) <= characters else text[:characters].rstrip() + " …"
