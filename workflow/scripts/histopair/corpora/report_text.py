"""Cleaning of one report's text: removes traces of scanning and de-identification, never words.

CLIP-IT's published cleaner deletes every i, I and digit 1 to get rid of barcodes read as IIII1111;
here only whole runs are deleted.
"""

import re
import unicodedata

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufffd]+")
HEX = "[0-9A-FGIOQSZ]"  # with the letters that scanning takes for digits
UUID = re.compile(
    rf"UUID\s*[:;.]?\s*(?=[A-Z]{{0,7}}\d|\w{{6,8}}\s?-)[0-9A-Z]{{6,8}}\b"
    rf"(?:\s?-\s?{HEX}{{3,4}}\b){{0,3}}(?:\s?-\s?{HEX}{{9,12}}(?=\b|TCGA))?",
    re.I,
)
TCGA_CODE = re.compile(
    r"TCGA-[A-Z0-9]{2}-[A-Z0-9]{4}(?:-[0-9A-Z]{2,3}(?:-[A-Z]{2})?)?(?=\b|Redacted)", re.I
)
REDACTED = re.compile(
    r"[\[(<{]\s*(?:redacted|removed|deleted|name|date|xx+)\s*[\])>}]|\bredact(?:ed)?\b|\bx{3,}\b|\*{3,}",
    re.I,
)
RULED = re.compile(r"([-_=~#.\u2022\u2013\u2014])(?:\s?\1){3,}")
# A barcode read as letters: long runs of strokes, even joined to a word, or many short ones.
# Lower case needs longer runs: "milliliter" has six.
BARCODE = re.compile(
    r"[I1|]{7,}[Il1|i]*|[Il1|i]{9,}|(?<![^\s,.;:!])(?:[Il1|i]{5,}|I{4})(?![^\s,.;:!])"
    r"|(?<!\S)(?:[I1l|]{1,4}\s+){7,}[I1l|]{1,4}(?!\S)"
)
STROKES = re.compile(r"\x00(?:\s+[I1l|]{1,4}(?=\s+\x00)|\s+\x00)*")
# Letters of scripts without blanks between words: Thai, Lao, Tibetan, Burmese, Khmer, kana, Han.
UNSPACED = (
    "\u0e01-\u0e46\u0e81-\u0ec6\u0f40-\u0f6c\u1000-\u102a\u1780-\u17b3"
    "\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
WITH_BLANKS = re.compile(rf"\s*(?:[{UNSPACED}][^\s{UNSPACED}]*|[^\s{UNSPACED}]+)")
# Words, numbers, and both together as in pT3, G2, 3rd or Ki-67; joined by single marks. Possessive
# throughout: otherwise a long token takes exponential time.
RUN = r"(?:[^\W\d_]++(?:\d{1,3}+[^\W\d_]?+)?+|\d++(?:[^\W\d_]{1,2}+(?!\d))?+)"
PLAIN = re.compile(rf"[(\[\"'<>=~+-]*+{RUN}(?:[-/'.,:;&x+()]{RUN})*+[\"')\].,:;!?%+-]*+")
STROKES_OF_BARCODES = str.maketrans("", "", "iI1")
WORD = re.compile(rf"[^\W\d_]{{2}}|[{UNSPACED}]")


def clean(text: str) -> str:
    """The text in Unicode's compatible form, without control characters and scanning garbage.

    Removes UUIDs, TCGA barcodes, marks of redaction, ruled lines and runs of strokes, and collapses
    white space. Idempotent.
    """
    while (cleaned := _once(text)) != text:
        text = cleaned
    return text


def clean_as_published(text: str) -> str:
    """The text as CLIP-IT's published code leaves it: without any letter i, I or digit 1."""
    return " ".join(text.translate(STROKES_OF_BARCODES).split())


def words(text: str) -> list[str]:
    """The words between blanks; in scripts that have none, every letter begins a word.

    >>> words("Grade II"), words("腺癌。")
    (['Grade', 'II'], ['腺', '癌。'])
    """
    return [word.strip() for word in with_blanks(text)]


def with_blanks(text: str) -> list[str]:
    """The words with the blanks before them: joined they are the text up to its last word."""
    return WITH_BLANKS.findall(text)


def garbage_share(text: str) -> float:
    """The share of words that are neither letters nor a number: 1 for an empty text."""
    tokens = words(_without_accents(text))
    plain = sum(bool(PLAIN.fullmatch(token)) for token in tokens)
    return 1 - plain / len(tokens) if tokens else 1.0


def has_word(text: str) -> bool:
    """Whether the text has two letters in a row, or one of a script without blanks."""
    return bool(WORD.search(_without_accents(text)))


def _without_accents(text: str) -> str:
    """Without marks, which are not letters to Python: Hindi and Thai vowels, Arabic points."""
    if text.isascii():
        return text
    return "".join(letter for letter in text if unicodedata.category(letter)[0] != "M")


def _once(text: str) -> str:
    text = unicodedata.normalize("NFKC", text)
    text = CONTROL.sub(" ", text)
    for pattern in (UUID, TCGA_CODE, REDACTED, RULED):
        text = pattern.sub(" ", text)
    text = BARCODE.sub(" \x00 ", text)
    # Short strokes between two barcodes are part of them; beside one they may be a grade III.
    text = STROKES.sub(" ", text)
    return " ".join(text.split())
