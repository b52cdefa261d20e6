"""Chunks of reports as each retriever reads them: complete, and none above its context."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from recompute import artifacts
from recompute.tally import Tally

COUNTED = 2000  # of each table, evenly spread


def chunks(results: Path) -> Tally:
    """Chunks in order give their report's sections, and fit the tower unless reports stay whole."""
    tally = Tally("chunks of reports")
    for file in _files(results):
        with tally.reading(file):
            table, about = artifacts.table(file), artifacts.metadata(file)
            longer = int((table["n_tokens"] > about["context"]).sum())
            whole = about["params"]["entry"].get("whole", False)
            tally.equal(file, "chunks that are cut", about["cut"], longer)
            if not whole:
                tally.equal(file, f"chunks above {about['most']} tokens", 0, longer)
                over = int((table["n_tokens"] > about["most"]).sum())
                tally.equal(file, "chunks above what was asked for", 0, over)
            numbers = table.groupby("report_id", sort=False).cumcount()
            tally.holds(file, "chunk numbers", (numbers == table["chunk"]).all(), "in turn", "not")
            _texts(tally, file, table, artifacts.table(results / "reports" / file.name))
    return tally


def _texts(tally: Tally, file: Path, table: pd.DataFrame, reports: pd.DataFrame) -> None:
    """Compare texts without blanks, where texts are cut."""
    both = [
        part["text"].str.replace(r"\s+", "", regex=True).groupby(_keys(part), sort=False).sum()
        for part in (table, reports)
    ]
    same = len(both[0]) == len(both[1]) and (both[0].index == both[1].index).all()
    tally.holds(file, "reports and sections", same, len(both[0]), len(both[1]))
    if same:
        tally.equal(file, "sections of another text", 0, (both[0] != both[1]).sum())


def _keys(part: pd.DataFrame) -> list[pd.Series]:
    return [part["report_id"], part["section"].fillna("")]


def tokens(results: Path) -> Tally:
    """Tokens counted again by the tokenizer of an encoder that was made here."""
    tally = Tally("tokens of chunks, counted anew")
    for file in _files(results):
        with tally.reading(file):
            count = _counter(results / "encoders" / file.parent.name)
            if count is None:
                tally.left += 1
                continue
            table = artifacts.table(file, ["text", "n_tokens"])
            chosen = np.unique(np.linspace(0, len(table) - 1, COUNTED).astype(int))
            for row in table.iloc[chosen].itertuples():
                tally.equal(file, f"tokens of row {row.Index}", row.n_tokens, count(row.text))
    return tally


def _counter(encoder: Path) -> Callable[[str], int] | None:
    """Tokens of a text with its start and end; None for an encoder that is not here."""
    if (encoder / "tokenizer.json").is_file():
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(encoder / "tokenizer.json"))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return lambda text: len(tokenizer.encode(" ".join(text.split())).ids)
    config = encoder / "open_clip_config.json"
    if config.is_file():
        text = json.loads(config.read_text(encoding="utf-8"))["model_cfg"]["text_cfg"]
        if "hf_tokenizer_name" not in text:
            from open_clip.tokenizer import SimpleTokenizer

            clip = SimpleTokenizer()
            return lambda text: len(clip.encode(text)) + 2
    return None


def paired(results: Path) -> Tally:
    """Every pair is with a chunk that the same retriever reads."""
    tally = Tally("chunks of pairs")
    for file in sorted(results.glob("pairs/*/*.parquet")):
        corpus = artifacts.metadata(file).get("wildcards", {}).get("corpus")
        chunk_file = results / "chunks" / file.parent.name / f"{corpus}.parquet"
        if file.parent.name != "oracle":
            with tally.reading(file):
                keys = ["report_id", "chunk"]
                existing = pd.MultiIndex.from_frame(artifacts.table(chunk_file, keys))
                paired_with = pd.MultiIndex.from_frame(artifacts.table(file, keys))
                missing = (~paired_with.isin(existing)).sum()
                tally.equal(file, "pairs with chunks that do not exist", 0, missing)
    return tally


def _files(results: Path) -> list[Path]:
    files = sorted(results.glob("chunks/*/*.parquet"))
    return [file for file in files if not file.stem.endswith(".audit")]


CHECKS = [chunks, tokens, paired]
