"""Under which licences an export of a run would stand."""

from collections.abc import Iterator

from histopair.datasets import licences
from histopair.doctor.rows import LOOK, OK, Row, checked
from histopair.plan import lineage, needed


def rows(config: dict) -> Iterator[Row]:
    yield from checked("licences", lambda: _rows(config))


def _rows(config: dict) -> Iterator[Row]:
    names: dict[str, list[str]] = {}
    for run in needed.runs(config):
        for source in lineage.sources(config, run):
            holders = names.setdefault(source["licence"], [])
            holders += [] if source["name"] in holders else [source["name"]]
    named = {licence: names[licence] for licence in names if licences.known(licence)}
    if named:
        strictest = licences.strictest(list(named))
        of = ", ".join(sorted(named[strictest]))
        finding = f"the strictest that an export inherits is {strictest} ({of})"
        others = ", ".join(sorted(named.keys() - {strictest}))
        yield Row("licences", OK, finding + (f"; others: {others}" if others else ""))
    for licence in sorted(names.keys() - named.keys()):
        finding = f"the terms of {licence!r} are not known here: {', '.join(names[licence])}"
        yield Row("licences", LOOK, finding, "Write the licence into `licence` of their entries")
