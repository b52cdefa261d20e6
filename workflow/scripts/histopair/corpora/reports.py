"""From report tables to a clean corpus: filter by organ, clean, deduplicate, find sections."""

from collections import Counter

import pandas as pd
import pyarrow as pa

from histopair import readers
from histopair.corpora import organs, report_text, sections
from histopair.errors import InputError
from histopair.files import audit, tables

SCHEMA = pa.schema(
    [
        ("report_id", pa.string()),
        ("group", pa.string()),
        ("organ", pa.string()),
        ("section", pa.string()),
        ("text", pa.string()),
    ]
)
MIN_WORDS = 5
MAX_GARBAGE = 0.5
CLEANERS = {"careful": report_text.clean, "published": report_text.clean_as_published}


def clean(entry: dict, name: str, reports: str, audit_table: str, about: dict) -> None:
    """Write the sections of corpus `name`, one row each in their order, and the audit.

    `entry` may have organ (one or a list), min_words, max_garbage, skip_sections, cleaner and
    whole (a report is one row). Every report has a word. Raises InputError where no report is left,
    with the organs found or why each was dropped, and for what the reader raises.
    """
    with audit.kept(audit_table, about) as rows:
        table = _cleaned(entry, name, rows)
    kept = table.report_id.nunique()
    print(f"{name}: {kept} reports kept, {len(table)} sections", flush=True)
    counts = table.drop_duplicates("report_id").organ.value_counts()
    about = about | {"reports": kept, "organs": counts.sort_index().to_dict()}
    tables.write(audit_table, audit.table(rows), about)
    tables.write(reports, pa.Table.from_pandas(table, SCHEMA, preserve_index=False), about)


def _cleaned(entry: dict, name: str, rows: list[dict]) -> pd.DataFrame:
    """The sections of the reports that are kept; fills the audit `rows`."""
    frame, found = readers.find(entry.get("reader", "tcga")).read(entry)
    rows += found + organs.unused(entry.get("cancer_types"))
    print(f"{name}: {len(frame)} reports", flush=True)
    frame, found = _of_organ(frame, entry, name)
    rows += found
    frame, found = _legible(frame, entry)
    rows += found
    frame, found = _distinct(frame)
    rows += found
    table, found = _sections(frame, entry)
    rows += found
    if table.empty:
        lost = [row for row in rows if row["action"] == "dropped"]
        told = "; ".join(f"{row['count']}: {row['reason']}" for row in lost) or "it has none"
        raise InputError(name, f"no report is left after cleaning ({told})", "Loosen its limits")
    return table


def _of_organ(frame: pd.DataFrame, entry: dict, name: str):
    """Keep the reports of the wanted organs."""
    frame = frame.assign(organ=organs.assign(frame, entry.get("cancer_types")))
    wanted = entry.get("organ")
    if wanted is None:
        return frame, []
    wanted = {organs.standard(organ) for organ in ([wanted] if isinstance(wanted, str) else wanted)}
    found = frame.organ.value_counts().sort_index().sort_values(ascending=False, kind="stable")
    keep = frame.organ.isin(wanted)
    if not keep.any():
        shown = audit.listed([f"{organ} ({count})" for organ, count in found.items()], 20)
        raise InputError(
            name,
            f"no report is of {' or '.join(sorted(wanted))}; the organs found are {shown}",
            "Correct `organ`",
        )
    rows = [
        audit.row("clean", "dropped", organ, "another organ", count=count)
        for organ, count in found.sort_index().items()
        if organ not in wanted
    ]
    return frame[keep].reset_index(drop=True), rows


def _legible(frame: pd.DataFrame, entry: dict):
    """Clean the texts and drop what is empty, too short or mostly garbage."""
    text = frame.text.fillna("").map(CLEANERS[entry.get("cleaner", "careful")])
    words = text.map(report_text.words).map(len)
    garbage = text.map(report_text.garbage_share)
    least, most = entry.get("min_words", MIN_WORDS), entry.get("max_garbage", MAX_GARBAGE)
    reason = pd.Series(None, index=frame.index, dtype=object)
    reason[garbage > most] = f"more than {most:g} of its tokens are no words"
    reason[words < least] = f"fewer than {least} words"
    reason[words == 0] = "no text"
    frame = frame.assign(text=text)
    return frame[reason.isna()].reset_index(drop=True), _dropped(frame, reason)


def _distinct(frame: pd.DataFrame):
    """Keep the first of reports with equal texts, in the order of their ids."""
    frame = frame.sort_values("report_id", kind="stable").reset_index(drop=True)
    repeats = frame.duplicated("text")
    if not repeats.any():
        return frame, []
    where = audit.listed(frame.report_id[repeats].tolist(), 3)
    reason = "the same text as another report"
    rows = [audit.row("deduplicate", "dropped", where, reason, count=repeats.sum())]
    return frame[~repeats].reset_index(drop=True), rows


def _sections(frame: pd.DataFrame, entry: dict):
    """One row per kept section with a word, in their order, or per whole report."""
    if entry.get("whole"):
        return frame.assign(section=sections.OTHER)[SCHEMA.names], []
    skipped = set(entry.get("skip_sections", sections.SKIPPED))
    records, left_out, wordless = [], Counter(), Counter()
    for report in frame.itertuples():
        for section, text in sections.split(report.text):
            if section in skipped:
                left_out[section] += 1
            elif not report_text.has_word(text):
                wordless[section] += 1
            else:
                records.append((report.report_id, report.group, report.organ, section, text))
    table = pd.DataFrame(records, columns=SCHEMA.names)
    empty = frame[~frame.report_id.isin(table.report_id)]
    reason = pd.Series("it has only sections that are skipped", index=empty.index, dtype=object)
    rows = _left_out(left_out, "section named in skip_sections")
    return table, rows + _left_out(wordless, "section without a word") + _dropped(empty, reason)


def _left_out(counts: Counter, why: str) -> list[dict]:
    return [
        audit.row("clean", "dropped", section, why, count=count)
        for section, count in sorted(counts.items())
    ]


def _dropped(frame: pd.DataFrame, reason: pd.Series) -> list[dict]:
    """One audit row per reason, with the first reports concerned."""
    return [
        audit.row(
            "clean", "dropped", audit.listed(part.report_id.tolist(), 3), why, count=len(part)
        )
        for why, part in frame.groupby(reason, sort=True)
    ]
