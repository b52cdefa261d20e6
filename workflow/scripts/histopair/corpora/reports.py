"""From report tables to a clean corpus: filter by organ, clean, deduplicate, find sections."""

from collections import Counter

import pandas as pd
import pyarrow as pa

from histopair import readers
from histopair.corpora import organs, report_text, sections
from histopair.errors import InputError
from histopair.files import audit, tables

COLUMNS = ("report_id", "group", "organ", "section", "text")
SCHEMA = pa.schema([(name, pa.string()) for name in COLUMNS])
MIN_WORDS = 5
MAX_GARBAGE = 0.5
CLEANERS = {"careful": report_text.clean, "published": report_text.clean_as_published}


def clean(entry: dict, name: str, reports: str, audit_table: str, about: dict) -> None:
    """Write the sections of corpus `name`, one row each in their order, and the audit.

    `entry` may have organ (one or a list), min_words, max_garbage, skip_sections, cleaner and
    whole (a report is one row). Every report has a word. Raises InputError if no report is left,
    with the organs of all or why each was dropped, and what the reader raises.
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
    """The sections of the reports that are kept; each step adds to the audit `rows`."""
    frame, unreadable = readers.find(entry.get("reader", "tcga")).read(entry)
    types = entry.get("cancer_types")
    rows += unreadable + organs.unused(types) + organs.unmatched(frame.group, types)
    print(f"{name}: {len(frame)} reports", flush=True)
    frame = _of_organ(frame, entry, name, rows)
    frame = _distinct(_legible(frame, entry, rows), rows)
    table = _sections(frame, entry, rows)
    if table.empty:
        dropped = [row for row in rows if row["action"] == "dropped"]
        why = "; ".join(f"{row['count']}: {row['reason']}" for row in dropped) or "it has none"
        raise InputError(name, f"no report is left after cleaning ({why})", "Loosen its limits")
    return table


def _of_organ(frame: pd.DataFrame, entry: dict, name: str, rows: list[dict]) -> pd.DataFrame:
    """Keep the reports of the wanted organs."""
    frame = frame.assign(organ=organs.assign(frame, entry.get("cancer_types")))
    wanted = entry.get("organ")
    if wanted is None:
        return frame
    wanted = {organs.standard(organ) for organ in ([wanted] if isinstance(wanted, str) else wanted)}
    counts = frame.organ.value_counts().sort_index()
    keep = frame.organ.isin(wanted)
    if not keep.any():
        counts = counts.sort_values(ascending=False, kind="stable")
        present = audit.listed([f"{organ} ({count})" for organ, count in counts.items()], 20)
        problem = f"no report is of {' or '.join(sorted(wanted))}; the organs found are {present}"
        raise InputError(name, problem, "Correct `organ`")
    for organ, count in counts.items():
        if organ not in wanted:
            rows.append(audit.row("clean", "dropped", organ, "another organ", count=count))
    return frame[keep].reset_index(drop=True)


def _legible(frame: pd.DataFrame, entry: dict, rows: list[dict]) -> pd.DataFrame:
    """Clean the texts and drop those that are empty, too short or mostly garbage."""
    text = frame.text.fillna("").map(CLEANERS[entry.get("cleaner", "careful")])
    words = text.map(report_text.words).map(len)
    garbage = text.map(report_text.garbage_share)
    least, most = entry.get("min_words", MIN_WORDS), entry.get("max_garbage", MAX_GARBAGE)
    reason = pd.Series(None, index=frame.index, dtype=object)
    reason[garbage > most] = f"more than {most:g} of its tokens are not words"
    reason[words < least] = f"fewer than {least} words"
    reason[words == 0] = "no text"
    frame = frame.assign(text=text)
    for why, part in frame.groupby(reason, sort=True):
        rows.append(_dropped(part.report_id, why))
    return frame[reason.isna()].reset_index(drop=True)


def _distinct(frame: pd.DataFrame, rows: list[dict]) -> pd.DataFrame:
    """Keep the first of reports with equal texts, in the order of their ids."""
    frame = frame.sort_values("report_id", kind="stable").reset_index(drop=True)
    repeats = frame.duplicated("text")
    if repeats.any():
        why = "the same text as another report"
        rows.append(_dropped(frame.report_id[repeats], why, "deduplicate"))
    return frame[~repeats].reset_index(drop=True)


def _sections(frame: pd.DataFrame, entry: dict, rows: list[dict]) -> pd.DataFrame:
    """One row per kept section with a word, in their order, or per whole report."""
    if entry.get("whole"):
        return frame.assign(section=sections.OTHER)[SCHEMA.names]
    skipped = set(entry.get("skip_sections", sections.SKIPPED))
    records, left_out = [], Counter()
    for report in frame.itertuples():
        for section, text in sections.split(report.text):
            if section in skipped:
                left_out["section named in skip_sections", section] += 1
            elif not report_text.has_word(text):
                left_out["section without a word", section] += 1
            else:
                records.append((report.report_id, report.group, report.organ, section, text))
    table = pd.DataFrame(records, columns=SCHEMA.names)
    for (why, section), count in sorted(left_out.items()):
        rows.append(audit.row("clean", "dropped", section, why, count=count))
    empty = frame.report_id[~frame.report_id.isin(table.report_id)]
    if len(empty):
        rows.append(_dropped(empty, "it has only sections that are skipped"))
    return table


def _dropped(report_ids: pd.Series, why: str, step: str = "clean") -> dict:
    """The audit row of dropped reports; it names the first of them."""
    first = audit.listed(report_ids.tolist(), 3)
    return audit.row(step, "dropped", first, why, count=len(report_ids))
