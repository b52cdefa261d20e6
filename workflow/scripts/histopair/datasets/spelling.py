"""Whether two labels are spellings of one label, judged by their letters alone."""

import re
import unicodedata
from difflib import SequenceMatcher
from functools import cache

from histopair.files import folding

ALIKE = 0.88  # words with at least this share of letters in common (difflib) may be one word
# "neuropathology" and "nephropathology" only look alike: words that begin with different roots are
# different words, whatever follows.
ROOTS = """
adren angi arter arthr bronch cardi cervic cholang cholecyst chondr col cyst cyt derm dermat duct
endo exo gastr gloss hemangi hemat hemo hepat hist hyper hypo ile ili immun infra inter intra
kerat laryng lip lymph macro mamm medull melan micro mening muc my myc myel nas nephr neur ocul
odont onc ophthalm or orchi orth oss oste ot ov pancreat para peri perine peritone perone pharyng
pleur pneum post pre proct prosthe prostat pulmon pyel ren retin rhabd rhin sarc scler seb ser
sinus splen supra synov thorac thromb thym thyr ton trache trich ur ureter urethr uter vascul ven
"""
LONGEST_FIRST = sorted(ROOTS.split(), key=len, reverse=True)
FIELD = re.compile(r"(?<=..)(o?pathologic(al)?|o?patholog(y|ist)|ologic(al)?|olog(y|ist)|o)$")
NUMBERS = re.compile(r"\d+")
# Marks that say something: HER2+ is not HER2-, nor <1% >1%. Within words they only join.
SIGNS = re.compile(r"[<>\u2264\u2265\u00b1]|(?<!\s)-(?!\w)|-$|\+")
# Plural and singular endings: biopsies, biopsy; nevi, nevus; metastases, metastasis; lungs, lung.
PLURALS = (("ies", "y"), ("i", "us"), ("a", "um"), ("ae", "a"), ("es", "is"), ("es", ""), ("s", ""))


def reason(first: str, second: str) -> tuple[str, float] | None:
    """Why two labels may be one, and how alike they are (0..1); None if they are not one.

    "case", "spacing" (with hyphens and punctuation), "plural", "spelling" (British or mistyped), or
    "synonym" if only the ending for a field of medicine differs: Immunology, Immunopathology.
    Labels with different numbers or signs are never one.
    """
    left, right = sorted((_folded(first), _folded(second)))
    if any(mark.findall(left) != mark.findall(right) for mark in (NUMBERS, SIGNS)):
        return None
    if left == right:
        return "case", 1.0
    one, two = _words(left), _words(right)
    if not one or not two:
        return None
    if "".join(one) == "".join(two):
        return "spacing", 1.0
    if len(one) == len(two):
        pairs = list(zip(one, two, strict=True))
        if all(a == b or _plural(a, b) or _plural(b, a) for a, b in pairs):
            return "plural", _ratio(left, right)
        if all(a == b or _misspelt(a, b) for a, b in pairs):
            return "spelling", _ratio(left, right)
    if stem(first) == stem(second) != "":
        return "synonym", _ratio(left, right)
    return None


@cache
def initial(label: str) -> str:
    """The first letter of a label in American spelling; all spellings of a label share it."""
    return "".join(_words(_american(_folded(label))))[:1]


@cache
def stem(label: str) -> str:
    """A label without the words and endings for a field of medicine; "" if nothing is left."""
    words = [word for word in _words(_folded(label)) if word not in ("pathology", "pathological")]
    return " ".join(FIELD.sub("", _american(word)) for word in words)


@cache
def _folded(label: str) -> str:
    folded = unicodedata.normalize("NFKC", label).translate(folding.DASHES).casefold()
    return " ".join(folded.split())


@cache
def _words(folded: str) -> tuple[str, ...]:
    return tuple(re.findall(r"\w+", folded.replace("&", " and ").replace("_", " ")))


def _american(word: str) -> str:
    """haematology -> hematology, tumour -> tumor, oesophagus -> esophagus."""
    return re.sub("our$", "or", word.replace("ae", "e").replace("oe", "e"))


def _plural(many: str, one: str) -> bool:
    if min(len(many), len(one)) < 4:
        return False
    return any(
        many.endswith(end)
        and one.endswith(single)
        and many[: -len(end)] == one.removesuffix(single)
        for end, single in PLURALS
    )


def _misspelt(first: str, second: str) -> bool:
    """Nearly the same letters, the same beginning, and no two different roots of words."""
    first, second = sorted((_american(first), _american(second)))
    if first == second:
        return True
    roots = {_root(first), _root(second)} - {""}
    if first[0] != second[0] or len(roots) == 2:
        return False
    bound = 2 * min(len(first), len(second)) / (len(first) + len(second))
    return bound >= ALIKE and _ratio(first, second) >= ALIKE  # the bound spares most comparisons


@cache
def _root(word: str) -> str:
    """The one of ROOTS that a word begins with; "" for none."""
    return next((root for root in LONGEST_FIRST if word.startswith(root)), "")


def _ratio(first: str, second: str) -> float:
    """Share of characters in common, 0..1."""
    return SequenceMatcher(None, first, second, autojunk=False).ratio()
