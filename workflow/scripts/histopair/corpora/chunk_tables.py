"""A corpus as a retriever reads it: chunks that its own tokenizer finds short enough.

Words are counted once each, behind another word as in a text, and their sums tell where to cut.
What a chunk comes to is then counted as a whole, and one that is too long after all is cut again:
no sum has to be trusted.
"""

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd
import pyarrow as pa

from histopair import encoders, jobs
from histopair.corpora import chunks
from histopair.errors import InputError
from histopair.files import audit, tables

SCHEMA = pa.schema(
    [
        ("report_id", pa.string()),
        ("group", pa.string()),
        ("organ", pa.string()),
        ("chunk", pa.int32()),
        ("section", pa.string()),
        ("text", pa.string()),
        ("n_tokens", pa.int32()),
    ]
)
LEAST = 4  # tokens of text: any character has at most so many
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
    """Write the chunks of a cleaned corpus for one encoder, and what was cut inside.

    count: tokens of each of n texts, start and end counted, none cut off; context: how many the
    tower reads. `entry` may have whole (a report is one text, whatever its length) and
    chunk_tokens (at most so many, fewer than the context). n_tokens is what a chunk has before the
    tower's tokenizer cuts it: above the context for whole reports alone. Chunks are numbered within
    each report, from 0. Raises InputError for a context without room for text.
    """
    table = tables.read(reports)
    most = min(context, entry.get("chunk_tokens") or context)
    if entry.get("whole"):
        cut, words = table.assign(n_tokens=encoders.lengths(count, list(table["text"]))), []
    else:
        cut, words = _cut(table, count, most, encoder)
    cut["chunk"] = cut.groupby("report_id", sort=False).cumcount()
    tokens = cut["n_tokens"].to_numpy()
    rows = _audit(cut, words, context, encoder)
    about = about | {"context": context, "most": most, "cut": int((tokens > context).sum())}
    print(f"{len(cut)} chunks of at most {tokens.max()} tokens, {encoder} reads {context}")
    for row in rows:
        print(f"{row['count']} x {row['reason']}: {row['subject']}")
    tables.write(audit_table, audit.table(rows), about)
    tables.write(out, pa.Table.from_pandas(cut, SCHEMA, preserve_index=False), about)


def texts(given: list[str], count: Count, most: int) -> list[list[tuple[str, int]]]:
    """For each text its chunks of at most `most` tokens, and how many each has."""
    room, sizes = most - count([""])[0], Sizes(count)
    sizes.learn(word for text in given for word in text.split())
    listed = jobs.progress(given, len(given), "texts", "cutting", size=lambda _: 1)
    found = [chunks.cut(text, room, sizes) for text in listed]
    tokens = iter(encoders.lengths(count, [chunk for cut in found for chunk in cut]))
    return [
        [exact for chunk in cut for exact in _exact(chunk, next(tokens), count, most, sizes)]
        for cut in found
    ]


class Sizes:
    """About how many tokens a text has: the sum over its words, each of which is counted once."""

    def __init__(self, count: Count):
        self.count = count
        self.known: dict[str, int] = {}
        self.before = count(["a"])[0]

    def learn(self, words: Iterable[str]) -> None:
        new = list(dict.fromkeys(word for word in words if word not in self.known))
        tokens = encoders.lengths(self.count, [f"a {word}" for word in new])
        self.known |= {word: max(n - self.before, 0) for word, n in zip(new, tokens, strict=True)}

    def __call__(self, text: str) -> int:
        words = text.split()
        if any(word not in self.known for word in words):
            self.learn(words)
        return sum(self.known[word] for word in words)


def _cut(table: pd.DataFrame, count: Count, most: int, encoder: str):
    """The sections' chunks with their tokens, and the words that were cut inside."""
    if most - count([""])[0] < LEAST:
        problem = f"of {most} tokens its start and end leave too few for text"
        raise InputError(f"encoder {encoder}", problem, "Choose another retriever or chunk_tokens")
    given = list(table["text"])
    found = texts(given, count, most)
    cut = table.loc[np.repeat(table.index, list(map(len, found)))].reset_index(drop=True)
    cut["text"], cut["n_tokens"] = zip(
        *(chunk for pieces in found for chunk in pieces), strict=True
    )
    pieces = ([chunk for chunk, _ in pieces] for pieces in found)
    return cut, [
        word for text, own in zip(given, pieces, strict=True) for word in chunks.torn(text, own)
    ]


def _exact(
    text: str, tokens: int, count: Count, most: int, size: chunks.Size
) -> list[tuple[str, int]]:
    """The text, or where the whole is longer than the sum of its words told, its halves."""
    if tokens <= most or len(text) < 2:
        return [(text, tokens)]
    parts = chunks.cut(text, max(1, -(-size(text) // 2)), size)
    parts = parts if len(parts) > 1 else [half.strip() for half in chunks.halves(text)]
    known = zip(parts, count(parts), strict=True)
    return [piece for part, n in known for piece in _exact(part, n, count, most, size)]


def _audit(cut: pd.DataFrame, words: list[str], context: int, encoder: str) -> list[dict]:
    rows = []
    long = cut["report_id"][cut["n_tokens"] > context].tolist()
    if long:
        reason = f"longer than the {context} tokens that {encoder} reads: the rest is not read"
        rows.append(audit.row("chunk", "cut", audit.listed(long, 3), reason, count=len(long)))
    if words:
        reason = "a word longer than a chunk: cut inside"
        shown = audit.listed([word[:40] for word in words], 3)
        rows.append(audit.row("chunk", "cut", shown, reason, count=len(words)))
    return rows
