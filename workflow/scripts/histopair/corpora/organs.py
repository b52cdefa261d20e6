"""The organ of a report: as given, by the patient's TCGA cancer type, or by words of the text."""

import os
import re

import pandas as pd

from histopair.errors import InputError
from histopair.files import audit, folding, sheets

# TCGA study abbreviations: gdc.cancer.gov/resources-tcga-users/tcga-code-tables
BY_CANCER_TYPE = {
    "ACC": "adrenal gland", "BLCA": "bladder", "BRCA": "breast", "CESC": "cervix",
    "CHOL": "bile duct", "COAD": "colon", "DLBC": "lymph node", "ESCA": "esophagus",
    "GBM": "brain", "HNSC": "head and neck", "KICH": "kidney", "KIRC": "kidney",
    "KIRP": "kidney", "LAML": "bone marrow", "LGG": "brain", "LIHC": "liver", "LUAD": "lung",
    "LUSC": "lung", "MESO": "pleura", "OV": "ovary", "PAAD": "pancreas", "PCPG": "adrenal gland",
    "PRAD": "prostate", "READ": "rectum", "SARC": "soft tissue", "SKCM": "skin",
    "STAD": "stomach", "TGCT": "testis", "THCA": "thyroid", "THYM": "thymus", "UCEC": "uterus",
    "UCS": "uterus", "UVM": "eye",
}  # fmt: skip

SYNONYMS = {
    "urinary bladder": "bladder", "uterine cervix": "cervix", "large intestine": "colon",
    "oesophagus": "esophagus", "thyroid gland": "thyroid", "corpus uteri": "uterus",
    "endometrium": "uterus", "central nervous system": "brain",
}  # fmt: skip

TERMS = {
    "bladder": r"urinary bladder|bladder|urothelial|transurethral",
    "brain": r"brain|glioblastoma|astrocytoma|oligodendroglioma|glioma",
    "breast": r"breast|mastectomy|mammary|lumpectomy",
    "cervix": r"cervix|cervical intraepithelial|exocervix|endocervi\w+",
    "colon": r"colon|colonic|colorectal|colectomy|hemicolectomy|sigmoid|c[a]?ecum|mesocolic"
    r"|large intestine|appendix|ileoc[a]?ecal",
    "rectum": r"rectum|rectal|rectosigmoid|mesorect\w+",
    "kidney": r"kidney|renal|nephrectomy",
    "liver": r"liver|hepatic|hepatocellular|hepatectomy",
    "lung": r"lung|lobectomy|bronch\w+|pulmonary",
    "ovary": r"ovary|ovarian|oophorectomy",
    "pancreas": r"pancrea\w+|whipple",
    "prostate": r"prostat\w+|gleason",
    "skin": r"skin|melanoma|epidermis",
    "stomach": r"stomach|gastric|gastrectomy",
    "thyroid": r"thyroid\w*",
    "uterus": r"uterus|uterine|endometri\w+|myometri\w+",
}
PATTERNS = {organ: re.compile(rf"\b(?:{terms})\b", re.I) for organ, terms in TERMS.items()}
UNKNOWN = "unknown"


def assign(frame: pd.DataFrame, cancer_types: str | None) -> pd.Series:
    """The organ of each report, lower case; "unknown" if nothing names it.

    `frame` has group (patient), organ_given and text. The cancer type goes before the given organ,
    and both before the text.
    """
    patients = _by_patient(cancer_types) if cancer_types else {}
    by_type = frame.group.map(folding.key, na_action="ignore").map(patients).astype(object)
    given = frame.organ_given.astype(object).map(standard, na_action="ignore")
    organ = by_type.where(by_type.notna(), given)
    missing = organ.isna()
    organ[missing] = frame.text[missing].fillna("").map(by_text)
    return organ


def standard(name: str) -> str:
    """One spelling per organ."""
    name = " ".join(name.casefold().split())
    return SYNONYMS.get(name, name)


def by_text(text: str) -> str:
    """The organ whose terms occur most often; of equals the one that is named first."""
    terms = {organ: [*pattern.finditer(text)] for organ, pattern in PATTERNS.items()}
    found = {organ: (len(each), -each[0].start()) for organ, each in terms.items() if each}
    return max(found, key=found.get, default=UNKNOWN)


def unmatched(groups: pd.Series, cancer_types: str | None) -> list[dict]:
    """The audit row of reports whose patient the table of cancer types does not have.

    groups: the patient of each report. Raises InputError if it has none of them.
    """
    if cancer_types is None:
        return []
    table = _cancer_types(cancer_types)
    unknown = groups[~groups.map(folding.key).isin(table.key)]
    if len(table) and len(unknown) == len(groups) > 0:
        problem = "no report is of a patient that it names: there a patient is called "
        problem += f"{table.patient_id.iloc[0]!r}, in the reports {groups.iloc[0]!r}"
        raise InputError(cancer_types, problem, "Name patients as the reports do")
    if unknown.empty:
        return []
    reason = "patients without a cancer type: the organ is taken from the report"
    shown = audit.listed(sorted(unknown.unique()), 3)
    return [audit.row("read", "warned", shown, reason, count=len(unknown))]


def unused(cancer_types: str | None) -> list[dict]:
    """Audit rows of the table of cancer types: rows that name no organ."""
    if cancer_types is None:
        return []
    table = _cancer_types(cancer_types)
    unknown = table[table.organ.isna()]
    if unknown.empty:
        return table.attrs["audit"]
    where = audit.at(os.path.basename(cancer_types), unknown.row.tolist())
    before = audit.listed(sorted(unknown.cancer_type.dropna().unique())) or None
    reason = "no cancer type, or an unknown one: the organ is taken from the report"
    row = audit.row("read", "warned", where, reason, before, count=len(unknown))
    return [*table.attrs["audit"], row]


def _by_patient(path: str) -> dict[str, str]:
    """Patient (`folding.key`) -> organ, from a csv of patient_id and cancer_type.

    Unknown types are left out. Raises InputError for a patient of two organs.
    """
    table = _cancer_types(path).dropna(subset="organ").drop_duplicates(["key", "organ"])
    double = table.key.duplicated(keep=False)
    if double.any():
        pair = table[table.key == table.key[double].iloc[0]]
        patient, both = pair.patient_id.iloc[0], " and ".join(pair.organ)
        problem = f"the patient '{patient}' has two organs: {both}"
        raise InputError(path, problem, "Keep one of the rows", " and ".join(map(str, pair.row)))
    return dict(zip(table.key, table.organ, strict=True))


def _cancer_types(path: str) -> pd.DataFrame:
    """Rows of patient_id, cancer_type, row; key of the patient, and organ or null."""
    table = sheets.read(path, ["patient_id", "cancer_type"])
    sheets.require_exact(table, ["patient_id"], path)
    rows = table.attrs["audit"]
    table = table.dropna(subset="patient_id").copy()
    table["key"] = table.patient_id.map(folding.key)
    table["organ"] = table.cancer_type.str.upper().map(BY_CANCER_TYPE)
    table.attrs["audit"] = rows
    return table
