"""Captions and reports from attributes: what is true or absent, in varied words."""

import re

import numpy as np

from histopair.phantom import phrases as words


def level(attribute: str, value: float) -> int:
    """0 absent, 1 some, 2 much, by the thresholds in phrases.LEVELS (value >= threshold)."""
    return sum(value >= limit for limit in words.LEVELS[attribute])


def findings(t: dict, rng: np.random.Generator) -> dict[str, str]:
    """A phrase per attribute of a row: grade (of tumours), mitoses and the amounts."""
    amounts = words.FINDINGS.items()
    phrase_of = {name: _one(rng, options[level(name, t[name])]) for name, options in amounts}
    phrase_of["mitoses"] = _one(rng, words.MITOSES[int(t["mitoses"])])
    if t["nuclear_grade"]:
        phrase_of["nuclear_grade"] = _one(rng, words.GRADE[int(t["nuclear_grade"])])
    return phrase_of


def caption(t: dict, rng: np.random.Generator, context: str = "none") -> str:
    """A narrated caption of 1 to 3 sentences, as of a teaching video.

    It names diagnosis or architecture or both, the organ in two of three, and two or three
    findings; a context (child, infection, molecular) in six of seven.
    """
    opening = _one(rng, words.OPENINGS)
    shape = _one(rng, words.ARCHITECTURE[t["architecture"]])
    name = _one(rng, words.DIAGNOSIS[t["entity"]])
    organ = f" in the {words.ORGAN[t['organ']][0]}" if rng.random() < 0.66 else ""
    style = rng.random()
    if style < 0.45:
        first = f"{opening} {name}{organ}, with {shape}"
    elif style < 0.75:
        first = f"{opening} {shape}{organ}, this is {name}"
    else:
        first = f"{opening} {shape}{organ}"
    phrase_of = findings(t, rng)
    order = rng.permutation(list(phrase_of))[: rng.integers(2, 4)]
    order = sorted(order, key=lambda key: key != "nuclear_grade")
    sentences = [first, _join([phrase_of[key] for key in order], rng)]
    if context != "none" and rng.random() < 0.86:
        sentences.append(_one(rng, words.CONTEXT[context]))
    return " ".join(s[0].upper() + s[1:] + "." for s in sentences)


BENIGN = ["No evidence of malignancy.", "Negative for carcinoma.", "There is no tumour."]
STAGES = {
    "colon": ["ascending colon", "sigmoid colon", "rectum", "cecum"],
    "breast": ["left breast", "right breast", "upper outer quadrant"],
}
HISTORY = [
    "The patient presented with a palpable mass and weight loss.",
    "Screening examination. Family history is noncontributory.",
    "Clinical diagnosis: rule out malignancy. Prior biopsy at outside hospital.",
    "Hypertension and diabetes mellitus type 2. No prior surgery.",
]
GROSS = [
    "Received in formalin labeled with the patient's name is a specimen of {a} x {b} x {c} cm.",
    "The specimen is a segment measuring {a} x {b} x {c} cm, inked and serially sectioned.",
    "Received fresh, {a} x {b} x {c} cm. Representative sections in cassettes A1-A{n}.",
]
COMMENT = [
    "This case was discussed at the intradepartmental conference.",
    "Controls stained appropriately. The stains are not FDA approved.",
    "Clinical correlation is recommended.",
    "The attending pathologist has reviewed the slides and the report.",
]


HEADS = ("FINAL DIAGNOSIS", "MICROSCOPIC DESCRIPTION", "GROSS DESCRIPTION", "CLINICAL HISTORY")
HEADS += ("COMMENT",)
ORDERS = [(0, 1, 2, 3, 4), (3, 2, 1, 0, 4), (0, 3, 1, 4, 2)]  # of the heads


def report(t: dict, others: list[dict], rng: np.random.Generator) -> str:
    """A clean report of one patient, about 100 to 400 words in headed sections.

    t is the dominant specimen, described in diagnosis and microscopy; each of `others` gets a
    sentence. Gross description, history and comment say nothing about the attributes.
    """
    parts = [
        _diagnosis(t, others, rng),
        _microscopy(t, others, rng),
        _gross(rng),
        _one(rng, HISTORY),
        " ".join(rng.permutation(COMMENT)[: rng.integers(1, 4)]),
    ]
    order = ORDERS[rng.integers(3)]
    return " ".join(f"{HEADS[part]}: {parts[part]}" for part in order)


def _diagnosis(t: dict, others: list[dict], rng) -> str:
    site = _one(rng, STAGES.get(t["organ"], words.ORGAN[t["organ"]])).upper()
    grade = f", {_one(rng, words.GRADE[int(t['nuclear_grade'])])}" if t["nuclear_grade"] else ""
    procedure = _one(rng, ["BIOPSY", "EXCISION", "RESECTION"])
    name = _one(rng, words.DIAGNOSIS[t["entity"]])
    lines = [f"A. {site}, {procedure}: {name.upper()}{grade}."]
    for letter, other in zip("BCDE", others, strict=False):
        lines.append(f"{letter}. {_one(rng, words.DIAGNOSIS[other['entity']]).capitalize()}.")
    if t["behaviour"] == "malignant":
        nodes = int(t["organ"] == "lymph-node") * rng.integers(1, 3)
        lines.append(f"Pathologic stage: pT{rng.integers(1, 5)} pN{nodes} pMX.")
    elif t["behaviour"] != "in-situ":
        lines.append(_one(rng, BENIGN))
    return " ".join(lines)


def _microscopy(t: dict, others: list[dict], rng) -> str:
    shape = words.ARCHITECTURE[t["architecture"]]
    name = _one(rng, words.DIAGNOSIS[t["entity"]])
    phrase_of = findings(t, rng)
    listed = [phrase_of[key] for key in rng.permutation(list(phrase_of))]
    half = len(listed) // 2
    sentences = [
        _one(rng, ["Sections show", "Microscopic examination reveals", "The slides demonstrate"])
        + f" {_one(rng, shape)} of {_one(rng, words.ORGAN[t['organ']])} origin",
        f"the appearances are those of {name}",
        _join(listed[:half], rng),
        _one(rng, ["There is", "We note", "Also present:"]) + " " + _join(listed[half:], rng),
        f"in summary {_one(rng, shape)}, {_one(rng, words.DIAGNOSIS[t['entity']])}",
    ]
    sentences += [f"elsewhere {_one(rng, words.DIAGNOSIS[other['entity']])}" for other in others]
    return " ".join(s[0].upper() + s[1:] + "." for s in sentences)


def _gross(rng) -> str:
    numbers = dict(zip("abc", rng.uniform(0.5, 14, 3).round(1), strict=True), n=rng.integers(2, 9))
    return " ".join(text.format(**numbers) for text in rng.permutation(GROSS)[: rng.integers(1, 4)])


def damage(text: str, rng: np.random.Generator, share: float = 0.02) -> str:
    """What scanning and redaction do to a report: split words, misread letters, marks.

    About `share` of the words are hurt; one word in 150 is followed by a redaction mark.
    """
    misread = [("cm", "em"), ("rn", "m"), ("l", "1"), ("O", "0"), ("e", "c"), ("ti", "li")]
    out = []
    for word in text.split(" "):
        if rng.random() < share and len(word) > 4:
            if rng.random() < 0.5:
                cut = rng.integers(2, len(word) - 1)
                word = f"{word[:cut]} {word[cut:]}"
            else:
                wrong, right = misread[rng.integers(len(misread))]
                word = word.replace(wrong, right, 1)
        out.append(word)
        if rng.random() < 1 / 150:
            out.append(_one(rng, ["[REDACTED]", "XXXX", "[** **]", ". ."]))
    return re.sub(r" +", " ", " ".join(out))


def _join(phrases: list[str], rng) -> str:
    if len(phrases) < 2:
        return "".join(phrases)
    link = _one(rng, [", ", "; ", ", together with "])
    return link.join(phrases[:-1]) + _one(rng, [" and ", ", "]) + phrases[-1]


def _one(rng, options):
    return options[rng.integers(len(options))]
