"""Checks of the config's datasets, their resplits, and corpora."""

import re

from histopair.plan import recipes
from histopair.plan.fingerprint import constant
from histopair.plan.mistakes import unknown, unread

# Keys that these readers alone read.
READ_BY = {"table": ("table",), "multi": ("table",), "columns": ("table", "cohort")}
READ_BY |= {"folders": ("class_folders",), "caption": ("quilt",), "official": ("bach",)}
OF_BAGS = ("clinical", "features")
READ_BY |= {key: ("cohort",) for key in (*OF_BAGS, "max_patches", "time_unit")}
READ_BY |= {"groups": ("bach", "class_folders", "nct_crc", "pcam")}
TABLE = ("path", "label", "labels", "group", "split", "caption", "label_name", "id")
COLUMNS = {"table": TABLE, "cohort": ("patient", "time", "event", "slide")}
SECTIONS = [
    *constant("histopair.corpora.sections", "HEADINGS"),
    constant("histopair.corpora.sections", "OTHER"),
]
RESPLIT_KEYS = ("of", "split", "class_names", "corpus", "description", "licence", "synthetic")


def resplits(config: dict) -> list[str]:
    """Mistakes of resplits: how their samples were cleaned is not their own to say.

    Read before the schema fills in its defaults.
    """
    entries = config.get("datasets")
    return [
        f"datasets.{name}: a resplit cannot have {key!r}; allowed are {sorted(RESPLIT_KEYS)}"
        for name, entry in (entries.items() if isinstance(entries, dict) else ())
        if isinstance(entry, dict) and "of" in entry
        for key in sorted(set(entry) - set(RESPLIT_KEYS))
    ]


def datasets(config: dict) -> list[str]:
    """Mistakes of readers, roots, resplits, corpora and splits."""
    found = []
    whole = [name for name, entry in config["datasets"].items() if "of" not in entry]
    for name, entry in config["datasets"].items():
        key = f"datasets.{name}"
        if "of" in entry:
            found += unknown(f"{key}.of", entry["of"], whole)
        else:
            found += unknown(f"{key}.reader", entry.get("reader"), readers_of("images"))
            found += unread(key, entry, "reader", READ_BY)
            for column in entry.get("columns", ()):
                found += unknown(f"{key}.columns", column, COLUMNS.get(entry.get("reader"), TABLE))
            needed = OF_BAGS if entry.get("reader") == "cohort" else ("root",)
            found += [
                f"{key}: {part!r} is a required property" for part in needed if part not in entry
            ]
            for encoder in entry.get("features", ()):
                found += unknown(f"{key}.features", encoder, config["encoders"])
        if "corpus" in entry:
            found += unknown(f"{key}.corpus", entry["corpus"], config["corpora"])
        if encoder := entry.get("proposals", {}).get("encoder"):
            found += unknown(f"{key}.proposals.encoder", encoder, config["encoders"])
        found += patterns(f"{key}.match", entry.get("match", {}))
        if entry["split"]["test"] + entry["split"]["val"] >= 1:
            found.append(f"{key}.split: test and val leave nothing to train on")
    return found


def corpora(config: dict) -> list[str]:
    """Mistakes of readers and tables."""
    found = []
    for name, entry in config["corpora"].items():
        found += unknown(f"corpora.{name}.reader", entry["reader"], readers_of("reports"))
        if ("table" in entry) == ("tables" in entry):
            found.append(f"corpora.{name}: give either 'table' or 'tables'")
        for section in entry.get("skip_sections", ()):
            found += unknown(f"corpora.{name}.skip_sections", section, SECTIONS)
    return found


def patterns(key: str, match: dict[str, str]) -> list[str]:
    """Mistakes of regular expressions, by class."""
    found = []
    for label, pattern in match.items():
        try:
            re.compile(pattern)
        except (re.error, OverflowError, RecursionError) as error:
            found.append(f"{key}.{label}: {pattern!r} is no regular expression ({error})")
    return found


def readers_of(what: str) -> list[str]:
    """Readers of "images" or of "reports"; the latter say so in a constant READS."""

    def reads(name: str) -> str:
        try:
            return constant(f"histopair.readers.{name}", "READS")
        except (KeyError, FileNotFoundError):
            return "images"

    return [name for name in recipes.known("readers") if reads(name) == what]
