"""Reports lose garbage and what was asked to be skipped, never a word of what is kept."""

import string
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histopair.corpora import organs, report_text, reports, sections
from histopair.errors import InputError
from histopair.files import tables

REAL = Path(__file__).parents[2] / "shared" / "real" / "reports"

WORDS = st.text(string.ascii_letters, min_size=1, max_size=9).filter(
    lambda word: not set(word.lower()) <= set("ilx") and "redact" not in word.lower()
)
NUMBERS = st.integers(0, 999).map(str)


# cleaning


@given(st.text(max_size=200))
@settings(max_examples=300)
def test_cleaning_is_idempotent(text):
    once = report_text.clean(text)
    assert report_text.clean(once) == once
    assert once == " ".join(once.split())


@given(
    st.lists(st.sampled_from(["III", "1", "IIIIII", "l1I1l1", "x", "XXX", "UUID:1234ABCD", "-"]))
)
def test_cleaning_garbage_is_idempotent(tokens):
    once = report_text.clean(" ".join(tokens))
    assert report_text.clean(once) == once


@given(st.lists(WORDS | NUMBERS, max_size=40))
def test_words_and_numbers_survive_with_every_i_and_1(tokens):
    text = " ".join(tokens)
    assert report_text.clean(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "Grade III of III, stage pT1 pN1 (1/11), 111 mm, 1111 cells",
        "milliliter millilitre Illinois illicit ill lilliputian",
        "Ki-67 index 11%; chromosome 11; block A1, I, II and IV",
        "tumor -free ... margins",
    ],
)
def test_what_only_looks_like_a_barcode_stays(text):
    assert report_text.clean(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A IIIIII B", "A B"),
        ("A IIII 11111111 III 111111111I B", "A B"),
        ("grade III IIIIIIIIII", "grade III"),
        ("A IIIIIIIIIIIIIIIRUN", "A RUN"),
        ("lllllllllillTUMOR", "TUMOR"),
        ("A II I II I II II III 111 I I B", "A B"),
        ("UUID:DDD08E2A-0318-4488-B968-74697603B470 TCGA-AA-A01C-01A-PR Redacted A", "A"),
        ("UUID:D60FE415- 78E3-4986-802C-EAF36A583E28TCGA-AA-A000-01A-PR Redacted A", "A"),
        ("UUID:3A6D9Ae7-C421-4CB7- AC68-2A6FC3BFDOSD A", "A"),
        ("seen by [REDACTED] on XX/XX and xxxxxx", "seen by on XX/XX and"),
        ("A ------------ B ..... C _ _ _ _ _ D", "A B C D"),
        ("A\x00\x07B\r\n\tC\u200bD\ufeff", "A B C D"),
        ("ﬁbrosis ½ cm²", "fibrosis 1⁄2 cm2"),
    ],
)
def test_what_scanning_and_redaction_left_goes(text, expected):
    assert report_text.clean(text) == expected


def test_garbage_share_is_none_for_prose_and_all_for_noise():
    prose = "Colon, sigmoid; adenocarcinoma (G2), pT3 pN1 3/27, 4.5 x 3 cm. Well-differentiated."
    assert report_text.garbage_share(prose) == 0
    assert report_text.garbage_share(";:., 3EFG,;ABCB0 .::- !!:b.j!f") == 1
    assert report_text.garbage_share("") == 1


# sections


def test_headings_are_found_inline_in_any_case():
    text = (
        "TCGA report GROSS DESCRIPTION Received fresh. Microscopic description: Atypia. "
        "FINAL DIAGNOSIS: Adenoma. comment: None. SYNOPTIC REPORT Type: adenoma"
    )
    assert sections.split(text) == [
        ("other", "TCGA report"),
        ("gross", "Received fresh."),
        ("microscopic", "Atypia."),
        ("diagnosis", "Adenoma."),
        ("comment", "None."),
        ("synoptic", "Type: adenoma"),
    ]


def test_a_heading_of_one_word_needs_capitals_or_a_colon():
    assert sections.split("The gross diagnosis was clear") == [
        ("other", "The gross diagnosis was clear")
    ]
    assert sections.split("Seen. DIAGNOSIS Colon: adenoma") == [
        ("other", "Seen."),
        ("diagnosis", "Colon: adenoma"),
    ]


def test_the_items_of_a_synoptic_report_are_not_skipped_with_its_specimen():
    text = "Synoptic Report: Colon. Specimen: Right colon. Histologic Grade: G2. Margins: Free."
    assert sections.split(text) == [
        ("synoptic", "Colon."),
        ("specimen handling", "Right colon."),
        ("other", "Histologic Grade: G2. Margins: Free."),
    ]


def test_an_unknown_heading_in_capitals_ends_a_skipped_section_with_its_words():
    text = "GROSS DESCRIPTION: A polyp. MARGIN STATUS: free. PROXIMAL MARGIN: free."
    assert sections.split(text) == [
        ("gross", "A polyp."),
        ("other", "MARGIN STATUS: free. PROXIMAL MARGIN: free."),
    ]


@given(
    st.lists(
        st.tuples(st.sampled_from(["GROSS DESCRIPTION:", "Diagnosis:", "COMMENT:"]), WORDS),
        max_size=6,
    )
)
def test_sections_lose_only_headings(parts):
    text = " ".join(f"{heading} {word.lower()} of it." for heading, word in parts)
    assert [body for _, body in sections.split(text)] == [
        f"{word.lower()} of it." for _, word in parts
    ]


@given(st.text(max_size=300))
def test_any_text_can_be_split_into_sections(text):
    for section, body in sections.split(text):
        assert section in {*sections.HEADINGS, sections.OTHER}
        assert body
        assert body in text


def test_other_scripts_have_words_too():
    assert report_text.words("结肠活检:腺癌。 Grade 2") == [
        *"结肠活", "检:", "腺", "癌。", "Grade", "2",
    ]  # fmt: skip
    for text in (
        "结肠活检:腺癌,中分化,病例10号。",
        "มะเร็งลำไส้ใหญ่",
        "आंत में ग्रंथि कर्कट",
        "ورم غدي في القولون",
    ):
        assert report_text.garbage_share(text) < 0.3, text
        assert report_text.has_word(text)
    assert report_text.has_word("癌")
    assert not report_text.has_word("G 2 : 5")


# corpora


def _corpus(folder, text: str, name: str = "reports.csv", **entry) -> dict:
    (folder / name).write_text(text)
    return {"reader": "tcga", "table": str(folder / name), **entry}


def _clean(folder, entry: dict):
    out = str(folder / "r.parquet"), str(folder / "a.parquet")
    reports.clean(entry, "mine", *out, {"rule": "clean_reports"})
    return tables.read(out[0]), tables.read(out[1]), tables.about(out[0])


def _said(folder, entry: dict) -> str:
    with pytest.raises(InputError) as error:
        _clean(folder, entry)
    audit = error.value.audit
    assert [str(path) for path in folder.glob("*.parquet")] == ([str(audit)] if audit else [])
    return str(error.value)


def test_the_published_cleaner_loses_every_i_and_1():
    text = "Invasive carcinoma,  grade III, 11 mm"
    assert report_text.clean_as_published(text) == "nvasve carcnoma, grade , mm"


def test_published_reading_keeps_a_report_in_one_piece_and_strips_it(tmp_path):
    text = "Gross description: A big polyp. Diagnosis: " + "invasive carcinoma of colon " * 30
    (tmp_path / "r.csv").write_text(f"id,text\np1.x,{text}\n")
    entry = {"table": str(tmp_path / "r.csv")}
    pieces, _, _ = _clean(tmp_path, entry)
    assert not pieces.text.str.contains("polyp").any()
    whole, _, _ = _clean(tmp_path, entry | {"whole": True, "cleaner": "published"})
    assert len(whole) == 1
    assert whole.text[0].startswith("Gross descrpton: A bg polyp.")


TCGA = (
    "patient_filename,text\n"
    "TCGA-AA-0001.uuid1,Colon with an invasive adenocarcinoma of grade II.\n"
    "TCGA-BB-0002.uuid2,Breast with a ductal carcinoma in situ seen.\n"
)
TYPES = "patient_id,cancer_type\nTCGA-AA-0001,COAD\nTCGA-BB-0002,BRCA\n"


def test_tcga_patient_is_the_part_before_the_first_dot(tmp_path):
    (tmp_path / "types.csv").write_text(TYPES)
    entry = _corpus(tmp_path, TCGA, cancer_types=str(tmp_path / "types.csv"), organ="colon")
    clean, rows, about = _clean(tmp_path, entry)
    assert clean.to_numpy().tolist() == [
        [
            "TCGA-AA-0001.uuid1",
            "TCGA-AA-0001",
            "colon",
            "other",
            "Colon with an invasive adenocarcinoma of grade II.",
        ]
    ]
    assert rows[["action", "subject", "reason", "count"]].to_numpy().tolist() == [
        ["dropped", "breast", "another organ", 1]
    ]
    assert about["organs"] == {"colon": 1}


@pytest.mark.parametrize("named", ["TCGA-AA-0001", "TCGA-AA-0001-01"])
def test_patients_that_the_table_of_cancer_types_lacks_are_told(tmp_path, named):
    types = tmp_path / "types.csv"
    types.write_text(f"patient_id,cancer_type\n{named},BRCA\n")
    entry = _corpus(tmp_path, TCGA, cancer_types=str(types))
    if named != "TCGA-AA-0001":
        with pytest.raises(InputError, match=f"called '{named}', in the reports 'TCGA-AA-0001'"):
            _clean(tmp_path, entry)
        return
    clean, rows, _ = _clean(tmp_path, entry)
    assert clean.organ.tolist() == ["breast", "breast"]
    assert rows[["action", "subject", "count"]].to_numpy().tolist() == [
        ["warned", "TCGA-BB-0002", 1]
    ]


def test_a_patient_that_a_program_rounded_has_no_cancer_type(tmp_path):
    (tmp_path / "types.csv").write_text(f"{TYPES}1.23E+16,COAD\n")
    entry = _corpus(tmp_path, TCGA, cancer_types=str(tmp_path / "types.csv"))
    with pytest.raises(InputError, match=r"types.csv, row 4: the patient_id '1.23E\+16' is a"):
        _clean(tmp_path, entry)


def test_reports_of_a_folder_are_patients_of_their_own_unless_tcga_names_them(tmp_path):
    folder = tmp_path / "texts"
    (folder / "kirc").mkdir(parents=True)
    names = ["2023.000", "2023.001", "TCGA-AA-0001.u1", "kirc/TCGA-AA-0001-01Z-00-DX1.u2"]
    for number, name in enumerate(names):
        (folder / f"{name}.txt").write_text(f"Colon with an invasive adenocarcinoma, case {number}")
    clean, _, _ = _clean(tmp_path, {"reader": "tcga", "table": str(folder)})
    patients = dict(zip(clean.report_id, clean.group, strict=True))
    assert [patients[name] for name in names] == [*names[:2], *["TCGA-AA-0001"] * 2]


def test_several_tables_with_their_own_columns_are_one_corpus(tmp_path):
    _corpus(tmp_path, TCGA)
    (tmp_path / "reg.csv").write_text(
        'id,organ,text\nR1,Rectum,"Rectum, biopsy; a tubular adenoma"\nR2,,Gastric biopsy with\n'
    )
    regular = {"table": str(tmp_path / "reg.csv"), "organ_column": "organ"}
    given = {"table": str(tmp_path / "reports.csv"), "organ_is": "Colon"}
    clean, _, _ = _clean(tmp_path, {"tables": [given, regular], "min_words": 2})
    assert clean.organ.tolist() == ["rectum", "stomach", "colon", "colon"]


def test_organs_are_found_by_text_where_nothing_else_tells():
    assert organs.by_text("Sigmoid colectomy with rectal margin; colon tumour") == "colon"
    assert organs.by_text("Thyroid lobectomy") == "thyroid"
    assert organs.by_text("Prostate, with bladder neck") == "prostate"
    assert organs.by_text("Nothing of the kind") == "unknown"
    assert organs.standard(" Urinary  Bladder") == "bladder"


def test_an_empty_corpus_lists_the_organs_found(tmp_path):
    assert _said(tmp_path, _corpus(tmp_path, TCGA, organ=["lung", "liver"])) == (
        "mine: no report is of liver or lung; the organs found are breast (1), colon (1). "
        "Correct `organ`"
    )


def test_illegible_and_repeated_reports_are_dropped_with_reasons(tmp_path):
    lines = [
        "a,Colon with an invasive adenocarcinoma.",
        "b,Colon  with an invasive adenocarcinoma.",
        "c,",
        "d,Colon polyp.",
        'e,";:., 3EFG,;ABCB0 .::- !!:b.j!f ;;, ,,."',
        "f,GROSS DESCRIPTION: A brown polyp of the colon seen.",
        "a,Colon with an invasive adenocarcinoma.",
        ",Colon with an invasive adenocarcinoma of the sigmoid.",
    ]
    clean, rows, _ = _clean(tmp_path, _corpus(tmp_path, "\n".join(["id,text", *lines]) + "\n"))
    assert clean.report_id.tolist() == ["a"]
    assert rows[["action", "subject", "reason", "count"]].to_numpy().tolist() == [
        ["dropped", "reports.csv, row 9", "no id", 1],
        ["dropped", "reports.csv, row 8", "exact repeat of an earlier row", 1],
        ["dropped", "d", "fewer than 5 words", 1],
        ["dropped", "e", "more than 0.5 of its tokens are not words", 1],
        ["dropped", "c", "no text", 1],
        ["dropped", "b", "the same text as another report", 1],
        ["dropped", "gross", "section named in skip_sections", 1],
        ["dropped", "f", "it has only sections that are skipped", 1],
    ]


def test_one_id_for_two_texts_is_an_error(tmp_path):
    entry = _corpus(tmp_path, "id,text\na,Colon one\na,Colon two\n")
    assert _said(tmp_path, entry) == (
        "reports.csv, row 2 and 3: the id 'a' stands for two different texts. "
        "Give each report an id of its own"
    )


@pytest.mark.parametrize("column, what", [("group", "patients"), ("organ_column", "organs")])
def test_one_id_for_two_patients_or_organs_is_an_error(tmp_path, column, what):
    text = "Colon with an invasive adenocarcinoma of grade II."
    rows = f"id,text,of\na,{text},P1\na,{text},p1\nb,{text},P2\n"
    entry = _corpus(tmp_path, rows) | {column: "of"}
    assert _clean(tmp_path, entry)[0].report_id.tolist() == ["a"]
    entry = _corpus(tmp_path, f"{rows}a,{text},P2\n") | {column: "of"}
    with pytest.raises(
        InputError, match=f"row 2 and 5: the id 'a' stands for two different {what}"
    ):
        _clean(tmp_path, entry)


def test_one_id_in_two_spellings_is_one_report(tmp_path):
    text = "Colon with an invasive adenocarcinoma."
    entry = _corpus(tmp_path, f"id,text\n7,{text}\n7.0,{text}\nNA,{text} Of it.\n8,None\n")
    clean, rows, _ = _clean(tmp_path, entry)
    assert clean.report_id.tolist() == ["7"]
    assert rows[["action", "reason", "count"]].to_numpy().tolist() == [
        ["warned", "a word for a missing value", 1],
        ["warned", "a word for a missing value", 1],
        ["dropped", "no id", 1],
        ["dropped", "exact repeat of an earlier row", 1],
        ["dropped", "no text", 1],
    ]
    entry = _corpus(tmp_path, f"id,text\n7,{text}\n7.0,{text} Of it.\n", "two.csv")
    with pytest.raises(InputError, match=r"the id '7' or '7\.0' stands for two different texts"):
        _clean(tmp_path, entry)


def test_cancer_types_find_their_patient_in_any_spelling_and_silent_rows_are_counted(tmp_path):
    types = "patient_id,cancer_type\ntcga-aa-0001\u200b,coad\nTCGA-BB-0002,NA\nTCGA-CC-3,COADREAD\n"
    (tmp_path / "types.csv").write_text(types)
    entry = _corpus(tmp_path, TCGA, cancer_types=str(tmp_path / "types.csv"))
    clean, rows, _ = _clean(tmp_path, entry)
    assert clean.organ.tolist() == ["colon", "breast"]
    [silent] = rows[rows.reason.str.startswith("no cancer type")].itertuples()
    assert (silent.subject, silent.before, silent.count) == ("types.csv, rows 3, 4", "COADREAD", 2)
    (tmp_path / "types.csv").write_text(TYPES + "tcga-aa-0001,BRCA\n")
    with pytest.raises(InputError, match="'TCGA-AA-0001' has two organs: colon and breast"):
        _clean(tmp_path, entry)


def test_what_was_dropped_is_kept_where_no_report_is_left(tmp_path):
    said = _said(tmp_path, _corpus(tmp_path, "id,text\na,Too short\nb,None\n"))
    assert said == (
        "mine: no report is left after cleaning (1: fewer than 5 words; 1: no text). "
        f"Loosen its limits. What was found until then: {tmp_path}/a.parquet"
    )
    rows = tables.read(tmp_path / "a.parquet")
    assert rows["count"][rows.action == "dropped"].tolist() == [1, 1]


def test_missing_columns_are_named(tmp_path):
    assert _said(tmp_path, _corpus(tmp_path, "name,report\na,b\n")) == (
        f"{tmp_path}/reports.csv: there is no column 'text'; the columns found "
        "are 'name', 'report'. Rename a column, or give its name in the config"
    )


def test_sections_to_skip_come_from_the_config_and_one_without_a_word_is_left_out(tmp_path):
    text = (
        "id,text\na,GROSS DESCRIPTION: one two three four five. COMMENT: six seven eight. "
        "FINAL DIAGNOSIS: 5 / 7\n"
    )
    clean, rows, _ = _clean(tmp_path, _corpus(tmp_path, text, skip_sections=["comment"]))
    assert clean.text.tolist() == ["one two three four five."]
    assert set(clean.section) == {"gross"}
    assert rows[["subject", "reason", "count"]].to_numpy().tolist() == [
        ["comment", "section named in skip_sections", 1],
        ["diagnosis", "section without a word", 1],
    ]


def test_reports_in_scripts_without_blanks_are_kept(tmp_path):
    text = "结肠活检：腺癌，中分化，浸润至固有肌层，切缘未见癌，病例{}号。"
    rows = "".join(f"P{i},{text.format(i)}\n" for i in range(5))
    clean, rows, _ = _clean(tmp_path, _corpus(tmp_path, f"id,text\n{rows}P5,腺癌\n"))
    assert clean.report_id.tolist() == [f"P{i}" for i in range(5)]
    assert rows[["subject", "reason"]].to_numpy().tolist() == [["P5", "fewer than 5 words"]]


def test_where_no_report_is_left_the_message_and_the_audit_say_why(tmp_path):
    entry = _corpus(tmp_path, "id,text\na,Colon polyp.\nb,\nc,Rectal polyp.\n")
    with pytest.raises(InputError) as error:
        _clean(tmp_path, entry)
    assert str(error.value).startswith(
        "mine: no report is left after cleaning (2: fewer than 5 words; 1: no text). "
        "Loosen its limits. What was found until then: "
    )
    assert tables.read(tmp_path / "a.parquet")["count"].tolist() == [2, 1]
    assert not (tmp_path / "r.parquet").exists()


@pytest.mark.skipif(not REAL.is_dir(), reason="the real reports are not here")
def test_real_colorectal_reports_lose_their_barcodes(tmp_path):
    tcga = {"table": str(REAL / "tcga_colon_clipit.csv"), "organ_is": "colon"}
    regular = {"table": str(REAL / "reg2025_reports_unique.csv"), "organ_column": "organ"}
    clean, rows, about = _clean(tmp_path, {"tables": [tcga, regular], "organ": ["colon", "rectum"]})
    assert about["organs"] == {"colon": 421, "rectum": 27}
    assert not clean.text.str.contains(r"UUID:\w|I{8}|1{8}").any()
    assert rows["count"][rows.reason == "another organ"].sum() == 754
