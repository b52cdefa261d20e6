"""A corpus as a retriever reads it: chunks that are short enough for its own tokenizer.

The tokens of each word are counted once, after another word as in a text; their sums decide where
to cut. Then each chunk is counted as a whole and cut again if it is too long after all, so no sum
has to be exact.
"""

from collections.abc import Callable, Iterable
from itertools import chain

import numpy as np
import pandas as pd
import pyarrow as pa

from histopair import encoders, jobs
from histopair.corpora import chunks
from histopair.errors import InputError
from histopair.files import audit, tables

SCHEMA = pa.schema(
    {
        "report_id": pa.string(),
        "group": pa.string(),
        "organ": pa.string(),
        "chunk": pa.int32(),
        "section": pa.string(),
        "text": pa.string(),
        "n_tokens": pa.int32(),
    }
)
LEAST = 4  # tokens of text, because any character has at most so many
Count = Callable[[list[str]], list[int]]


def write(
    reports: str,
    count: Count,
    context: int,
    entry: dict,
    encoder: str,
    out: str,
    audit_table: str,
    about: dict,
) -> None:
    """Write the chunks of a cleaned corpus for one encoder, and an audit of what was cut inside.

    count: tokens of each of n texts before cutting, with start and end; context: how many the tower
    reads. `entry` may have whole (a report is one text, whatever its length) and chunk_tokens (at
    most so many, fewer than the context). n_tokens is the length of a chunk before the tower's
    tokenizer cuts it; only whole reports can exceed the context. Chunks are numbered within each
    report, from 0. Raises InputError for a context without room for text.
    """
    table = tables.read(reports)
    most = min(context, entry.get("chunk_tokens") or context)
    if entry.get("whole"):
        pieces, words = table.assign(n_tokens=encoders.lengths(count, list(table["text"]))), []
    else:
        pieces, words = _cut(table, count, most, encoder)
    pieces["chunk"] = pieces.groupby("report_id", sort=False).cumcount()
    tokens = pieces["n_tokens"].to_numpy()
    rows = _audit(pieces, words, context, encoder)
    about = about | {"context": context, "most": most, "cut": int((tokens > context).sum())}
    print(f"{len(pieces)} chunks of at most {tokens.max()} tokens, {encoder} reads {context}")
    for row in rows:
        print(f"{row['count']} x {row['reason']}: {row['subject']}")
    tables.write(audit_table, audit.table(rows), about)
    tables.write(out, pa.Table.from_pandas(pieces, SCHEMA, preserve_index=False), about)


def texts(given: list[str], count: Count, most: int) -> list[list[tuple[str, int]]]:
    """For each text its chunks of at most `most` tokens, and how many tokens each has."""
    room, sizes = most - count([""])[0], Sizes(count)
    sizes.learn(word for text in given for word in text.split())
    each = jobs.progress(given, len(given), "texts", "cutting", size=lambda _: 1)
    drafts = [chunks.cut(text, room, sizes) for text in each]
    tokens = iter(encoders.lengths(count, [chunk for draft in drafts for chunk in draft]))
    return [
        [piece for chunk in draft for piece in _exact(chunk, next(tokens), count, most, sizes)]
        for draft in drafts
    ]


class Sizes:
    """About how many tokens a text has: the sum over its words, each of which is counted once."""

    def __init__(self, count: Count):
        self.count = count
        self.tokens: dict[str, int] = {}
        self.before = count(["a"])[0]

    def learn(self, words: Iterable[str]) -> None:
        new = list(dict.fromkeys(word for word in words if word not in self.tokens))
        counts = encoders.lengths(self.count, [f"a {word}" for word in new])
        self.tokens |= {word: max(n - self.before, 0) for word, n in zip(new, counts, strict=True)}

    def __call__(self, text: str) -> int:
        words = text.split()
        if any(word not in self.tokens for word in words):
            self.learn(words)
        return sum(self.tokens[word] for word in words)


def _cut(table: pd.DataFrame, count: Count, most: int, encoder: str):
    """The sections' chunks with their tokens, and the words that were cut inside."""
    if most - count([""])[0] < LEAST:
        problem = f"of {most} tokens its start and end leave too few for text"
        raise InputError(f"encoder {encoder}", problem, "Choose another retriever or chunk_tokens")
    by_text = texts(list(table["text"]), count, most)
    pieces = table.loc[np.repeat(table.index, list(map(len, by_text)))].reset_index(drop=True)
    pieces["text"], pieces["n_tokens"] = zip(*chain.from_iterable(by_text), strict=True)
    words = []
    for text, cut in zip(table["text"], by_text, strict=True):
        words += chunks.torn(text, [chunk for chunk, _ in cut])
    return pieces, words


def _exact(
    text: str, tokens: int, count: Count, most: int, size: chunks.Size
) -> list[tuple[str, int]]:
    """The text with its tokens; if it has more than the sum of its words promised, its halves."""
    if tokens <= most or len(text) < 2:
        return [(text, tokens)]
    parts = chunks.cut(text, max(1, -(-size(text) // 2)), size)
    parts = parts if len(parts) > 1 else [half.strip() for half in chunks.halves(text)]
    counted = zip(parts, count(parts), strict=True)
    return [piece for part, n in counted for piece in _exact(part, n, count, most, size)]


def _audit(pieces: pd.DataFrame, words: list[str], context: int, encoder: str) -> list[dict]:
    rows = []
    long = pieces["report_id"][pieces["n_tokens"] > context].tolist()
    if long:
        reason = f"longer than the {context} tokens that {encoder} reads: the rest is not read"
        rows.append(audit.row("chunk", "cut", audit.listed(long, 3), reason, count=len(long)))
    if words:
        reason = "a word longer than a chunk: cut inside"
        shown = audit.listed([word[:40] for word in words], 3)
        rows.append(audit.row("chunk", "cut", shown, reason, count=len(words)))
    return rows
