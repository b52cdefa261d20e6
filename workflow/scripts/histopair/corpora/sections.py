"""Sections of a pathology report, found by headings; scanned reports have them within lines."""

import re

HEADINGS = {
    "clinical history": [
        r"clinical (?:history|information|data|findings|notes|impression|details)",
        r"clinical diagnosis(?:\s*(?:&|and|/)?\s*history)?",
        r"(?:pre|post)[ -]*op(?:erative)? diagnosis",
        r"history of present illness", r"patient history", r"indications?", r"history",
    ],
    "specimen handling": [
        r"block summary", r"summary of sections", r"sections? submitted", r"cassette summary",
        r"specimens?(?:\(s\))? (?:submitted|received|handling)", r"specimens?(?:\(s\))?",
        r"materials? (?:received|submitted|collected)(?: on)?", r"tissues? submitted",
    ],
    "gross": [
        r"(?:gross|macroscopic) (?:description|examination|findings|pathology|appearance)",
        r"gross", r"macroscopy",
    ],
    "microscopic": [
        r"microscopic (?:description|examination|findings|appearance|diagnosis)",
        r"microscopic", r"microscopy", r"histology report",
    ],
    "intraoperative": [
        r"intra-?operative (?:consultation|diagnosis|findings)",
        r"frozen section(?:\(s\)| diagnosis| report)?",
    ],
    "synoptic": [
        r"synoptic (?:report|data|summary|diagnosis|template|findings)", r"synopsis",
        r"(?:cancer|tumou?r) (?:template|checklist|summary|synopsis)", r"tissue checklist",
    ],
    "ancillary": [
        r"immunohistochemi(?:stry|cal (?:findings|studies|stains?|results?))",
        r"special stains?", r"ancillary studies", r"molecular (?:studies|findings|results)",
    ],
    "diagnosis": [
        r"(?:final|principal|main)?\s*(?:histo)?-?(?:patho|histo)logic(?:al)? diagnos[ie]s",
        r"(?:final|principal|consolidated) diagnos[ie]s", r"final report",
        r"diagnos[ie]s(?: diagnoses)?",
    ],
    "comment": [
        r"(?:pathologist'?s? )?comments?(?:\(s\))?", r"addendum(?: comment| report)?", r"notes?",
        r"conclusions?", r"interpretation",
    ],
}  # fmt: skip
OTHER = "other"
SKIPPED = ("gross", "clinical history", "specimen handling")

_ANY = "|".join(
    f"(?P<s{number}>{'|'.join(variants)})" for number, variants in enumerate(HEADINGS.values())
)
# With a colon in any case. Without one only in capitals: two words, or one before lower case.
WITH_COLON = re.compile(rf"(?<![\w-])(?:{_ANY})\s*:", re.I)
BARE = re.compile(rf"(?<![\w-])(?:{_ANY})(?![\w:])(?=\W*(?P<next>\w+)?)", re.I)
# Any other heading in capitals ends a section that is skipped: better too much than too little. So
# do items of a synoptic report, which itself has the item "Specimen:".
FOREIGN = re.compile(
    r"(?<![\w-])(?:[A-Z][A-Z]+(?:[ /&-]+[A-Z]+){0,5}"
    r"|(?i:specimen type|histologic(?:al)? (?:type|grade)|who classification))\s*:"
)


def split(text: str) -> list[tuple[str, str]]:
    """(section, text) in order; headings are left out, the text before the first is "other".

    >>> split("GROSS DESCRIPTION: A polyp. Diagnosis: Adenoma.")
    [('gross', 'A polyp.'), ('diagnosis', 'Adenoma.')]
    """
    marks = _marks(text)
    starts = [(0, 0, OTHER), *marks]
    ends = [start for start, _, _ in marks] + [len(text)]
    parts = (
        (section, text[begin:end].strip())
        for (_, begin, section), end in zip(starts, ends, strict=True)
    )
    return [(section, part) for section, part in parts if part]


def _marks(text: str) -> list[tuple[int, int, str]]:
    """(start of heading, start of text, section) of each heading, in order, not overlapping."""
    names = list(HEADINGS)
    candidates = []
    for match in WITH_COLON.finditer(text):
        candidates.append((match.start(), match.end(), names[int(match.lastgroup[1:])]))
    for match in BARE.finditer(text):
        if _is_heading(match, text):
            number = next(n for n in range(len(names)) if match.group(f"s{n}") is not None)
            candidates.append((match.start(), match.end(), names[number]))
    # The words of a foreign heading stay, because they belong to the text after them.
    candidates += [(match.start(), match.start(), OTHER) for match in FOREIGN.finditer(text)]
    marks, end, section = [], 0, OTHER
    for start, stop, name in sorted(candidates, key=lambda mark: (mark[0], -mark[1])):
        if start < end or (start == stop and section not in SKIPPED):
            continue
        marks.append((start, stop, name))
        end, section = max(stop, start + 1), name
    return marks


def _is_heading(match: re.Match, text: str) -> bool:
    """Whether words without a colon are a heading: in capitals, unlike the words around them."""
    phrase = match.group().strip()
    if not phrase.isupper():
        return False
    before = text[max(0, match.start() - 40) : match.start()].split()[-1:]
    alone = not (before and before[0].isalpha() and before[0].isupper() and len(before[0]) > 2)
    follows = match.group("next") or ""
    return " " in phrase or (alone and not follows.isupper() and follows[:1].isupper())
