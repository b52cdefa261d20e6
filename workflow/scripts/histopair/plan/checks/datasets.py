"""Checks of the config's datasets, resplits and corpora."""

import re

from histopair.plan import entries, recipes
from histopair.plan.fingerprint import constant
from histopair.plan.mistakes import unknown, unread

# Keys that only these readers read.
READ_BY = {"table": ("table",), "multi": ("table",), "columns": ("table", "cohort")}
READ_BY |= {"folders": ("class_folders",), "caption": ("quilt",), "official": ("bach",)}
OF_BAGS = ("clinical", "features")
READ_BY |= {key: ("cohort",) for key in (*OF_BAGS, "max_patches", "time_unit")}
READ_BY |= {"groups": ("bach", "breakhis", "class_folders", "nct_crc", "pcam")}
OF_IMAGES = ("amendments", "amended_splits")
READ_BY |= {"magnification": ("breakhis",), "pattern": ("path_pattern",)}
TABLE = ("path", "label", "labels", "group", "split", "site", "caption", "label_name", "id")
COLUMNS = {"table": TABLE, "cohort": ("patient", "time", "event", "slide")}
SECTIONS = [
    *constant("histopair.corpora.sections", "HEADINGS"),
    constant("histopair.corpora.sections", "OTHER"),
]
RESPLIT_KEYS = ("of", "split", "class_names", "corpus", "description", "licence", "synthetic")


def resplits(config: dict) -> list[str]:
    """Keys that a resplit cannot have, such as those that decide how its samples are cleaned.

    Runs before the schema fills in its defaults.
    """
    written = config.get("datasets")
    return [
        f"datasets.{name}: a resplit cannot have {key!r}; allowed are {sorted(RESPLIT_KEYS)}"
        for name, entry in (written.items() if isinstance(written, dict) else ())
        if isinstance(entry, dict) and "of" in entry
        for key in sorted(set(entry) - set(RESPLIT_KEYS))
    ]


def datasets(config: dict) -> list[str]:
    """Mistakes in readers, roots, resplits, corpora and splits."""
    mistakes = []
    whole = [name for name, entry in config["datasets"].items() if "of" not in entry]
    for name, entry in config["datasets"].items():
        key = f"datasets.{name}"
        if "of" in entry:
            mistakes += unknown(f"{key}.of", entry["of"], whole)
        else:
            mistakes += _source(key, entry, config)
        if "corpus" in entry:
            mistakes += unknown(f"{key}.corpus", entry["corpus"], config["corpora"])
        if encoder := entry.get("proposals", {}).get("encoder"):
            mistakes += unknown(f"{key}.proposals.encoder", encoder, config["encoders"])
        mistakes += patterns(f"{key}.match", entry.get("match", {}))
        mistakes += _folds(f"{key}.split", entry["split"])
        mistakes += _near_copies(f"{key}.split", entry["split"])
        if "labels" in entry["split"] and ("of" not in entry or entries.folds(entry)):
            problem = "only a resplit without folds can have few labels"
            mistakes.append(f"{key}.split.labels: {problem}; add a dataset with `of: {name}`")
        if entry["split"]["test"] + entry["split"]["val"] >= 1:
            mistakes.append(f"{key}.split: test and val leave nothing to train on")
    if isinstance(jobs := config["embedding"]["jobs"], dict):
        mistakes += [line for name in jobs for line in unknown("embedding.jobs", name, whole)]
    return mistakes


def _folds(key: str, split: dict) -> list[str]:
    """Keys that each divide the samples in another way: folds keep groups together, sites too."""
    if "fold" in split:
        return []  # its whole dataset is told
    ways = [way for way in ("folds", "sites") if way in split]
    ways += [f"by: {split['by']}"] if split["by"] != "group" else []
    ways += ["duplicates: group"] if ways and split["duplicates"] == "group" else []
    if len(ways) > 1 and {"folds", "sites"} & {*ways}:
        return [f"{key}: {' and '.join(ways)} cannot be combined; keep one of them"]
    return []


def _near_copies(key: str, split: dict) -> list[str]:
    """Only a split that keeps groups together keeps near copies together."""
    if split["duplicates"] == "group" and split["by"] in ("row", "test"):
        problem = f"'by: {split['by']}' keeps no group together, and so no near copies"
        return [f"{key}: {problem}; set 'duplicates: keep', or 'by: group'"]
    return []


def _source(key: str, entry: dict, config: dict) -> list[str]:
    """Mistakes in how a dataset with samples of its own is read."""
    reader = entry.get("reader")
    mistakes = unknown(f"{key}.reader", reader, readers_of("images"))
    mistakes += unread(key, entry, "reader", READ_BY)
    for column in entry.get("columns", ()):
        mistakes += unknown(f"{key}.columns", column, COLUMNS.get(reader, TABLE))
    needed = OF_BAGS if reader == "cohort" else ("root",)
    needed += ("pattern",) if reader == "path_pattern" else ()
    mistakes += [f"{key}: {part!r} is a required property" for part in needed if part not in entry]
    if reader == "cohort":
        problem = "the samples are bags, and readers correct images; remove the key"
        mistakes += [f"{key}.{part}: {problem}" for part in OF_IMAGES if part in entry]
    if "amended_splits" in entry and "amendments" not in entry:
        mistakes.append(f"{key}.amended_splits: nothing reads it without 'amendments'")
    if "pattern" in entry:
        mistakes += _named(f"{key}.pattern", entry["pattern"])
    for encoder in entry.get("features", ()):
        mistakes += unknown(f"{key}.features", encoder, config["encoders"])
    return mistakes


def _named(key: str, pattern: str) -> list[str]:
    """Mistakes in a regular expression that names columns of a sample and needs a `label`."""
    try:
        names = re.compile(pattern).groupindex
    except (re.error, OverflowError, RecursionError) as error:
        return [f"{key}: {pattern!r} is not a regular expression ({error})"]
    columns = constant("histopair.readers.path_pattern", "COLUMNS")
    mistakes = [mistake for name in names for mistake in unknown(key, name, columns)]
    return mistakes if "label" in names else [*mistakes, f"{key}: it has no group (?P<label>...)"]


def corpora(config: dict) -> list[str]:
    """Mistakes in readers and tables."""
    mistakes = []
    for name, entry in config["corpora"].items():
        mistakes += unknown(f"corpora.{name}.reader", entry["reader"], readers_of("reports"))
        if ("table" in entry) == ("tables" in entry):
            mistakes.append(f"corpora.{name}: give either 'table' or 'tables'")
        for section in entry.get("skip_sections", ()):
            mistakes += unknown(f"corpora.{name}.skip_sections", section, SECTIONS)
    return mistakes


def patterns(key: str, match: dict[str, str]) -> list[str]:
    """Mistakes in regular expressions, by class."""
    mistakes = []
    for label, pattern in match.items():
        try:
            re.compile(pattern)
        except (re.error, OverflowError, RecursionError) as error:
            mistakes.append(f"{key}.{label}: {pattern!r} is not a regular expression ({error})")
    return mistakes


def readers_of(what: str) -> list[str]:
    """Readers of "images" or of "reports"; the latter say so in a constant READS."""

    def reads(name: str) -> str:
        try:
            return constant(f"histopair.readers.{name}", "READS")
        except (KeyError, FileNotFoundError):
            return "images"

    return [name for name in recipes.known("readers") if reads(name) == what]
