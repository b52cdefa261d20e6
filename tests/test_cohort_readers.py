"""Slides' features and clinical tables as tools write them, and what is said of bad ones."""

import h5py
import numpy as np
import pytest

from histopair.errors import InputError
from histopair.images import features
from histopair.readers.cohort import clinical


def slide(path, values, coords=None, **attributes):
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["features"] = np.asarray(values, np.float32)
        if coords is not None:
            file["coords"] = np.asarray(coords)
            file["coords"].attrs.update(attributes)
    return path


def table(path, text):
    path.write_text(text)
    return str(path)


PATCHES = np.arange(6, dtype=np.float32).reshape(3, 2)


def test_a_trident_file_is_read(tmp_path):
    file = slide(tmp_path / "s.h5", PATCHES, np.zeros((3, 2), int), patch_size_level0=512)
    assert features.size(file) == (3, 2)
    np.testing.assert_array_equal(features.read(file), PATCHES)


def test_a_leading_axis_of_one_is_the_slide(tmp_path):
    file = slide(tmp_path / "s.h5", PATCHES[None], np.zeros((3, 2), int))
    assert features.size(file) == (3, 2)
    np.testing.assert_array_equal(features.read(file), PATCHES)


def test_half_precision_becomes_float32(tmp_path):
    with h5py.File(tmp_path / "s.h5", "w") as file:
        file["features"] = PATCHES.astype(np.float16)
    assert features.read(tmp_path / "s.h5").dtype == np.float32


def test_the_output_folder_of_clam_is_its_h5_files(tmp_path):
    slide(tmp_path / "h5_files" / "a.h5", PATCHES)
    (tmp_path / "pt_files").mkdir()
    (tmp_path / "pt_files" / "a.pt").write_bytes(b"never opened")
    assert list(features.files(tmp_path)) == ["a"]


def test_pt_files_are_refused_and_not_opened(tmp_path):
    (tmp_path / "a.pt").write_bytes(b"never opened")
    with pytest.raises(InputError, match=r"pickles.*h5_files.*weights_only=True"):
        features.files(tmp_path)
    with pytest.raises(InputError, match="a pickle"):
        features.read(tmp_path / "a.pt")


BAD_SLIDES = {
    "not finite": ([[1, 2], [np.nan, 0]], None, r"row 1: a feature is not finite"),
    "of a slide": ([1, 2, 3], None, r"not \(patches, dimensions\).*not slide features"),
    "no patches": (np.zeros((0, 4)), None, "it holds no patches"),
    "other coords": (PATCHES, np.zeros((2, 2)), "3 features and 2 coords"),
}


@pytest.mark.parametrize("values, coords, said", BAD_SLIDES.values(), ids=BAD_SLIDES)
def test_a_bad_slide_is_named(tmp_path, values, coords, said):
    file = slide(tmp_path / "bad.h5", values, coords)
    with pytest.raises(InputError, match=said) as error:
        features.size(file)
    assert str(file) in str(error.value)


def test_coordinates_alone_and_other_files_are_told_apart(tmp_path):
    with h5py.File(tmp_path / "c.h5", "w") as file:
        file["coords"] = np.zeros((2, 2))
    with pytest.raises(InputError, match=r"no dataset `features`.*\['coords'\]"):
        features.size(tmp_path / "c.h5")
    (tmp_path / "t.h5").write_text("text")
    with pytest.raises(InputError, match="it is not an HDF5 file"):
        features.size(tmp_path / "t.h5")


def test_a_slide_whose_name_is_not_utf_8_is_told(tmp_path):
    slide(tmp_path / "a\udcff.h5", PATCHES)
    with pytest.raises(InputError, match=r"a\\udcff.h5: its name is not UTF-8. Rename it"):
        features.files(tmp_path)


def test_features_that_lie_in_another_file_are_refused(tmp_path):
    slide(tmp_path / "other.h5", PATCHES)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["features"] = h5py.ExternalLink("other.h5", "features")
    with pytest.raises(InputError, match=r"a\.h5: its features lie in another file"):
        features.size(tmp_path / "a.h5")


@pytest.mark.parametrize("folder, said", [("none", "no such folder"), ("", "no .h5 file")])
def test_a_folder_without_slides_is_told(tmp_path, folder, said):
    with pytest.raises(InputError, match=said):
        features.files(tmp_path / folder)


def test_a_table_of_cbioportal_is_read(tmp_path):
    text = "PATIENT_ID\tOS_MONTHS\tOS_STATUS\nTCGA-1\t12.5\t1:DECEASED\nTCGA-2\t3\t0:LIVING\n"
    text += "TCGA-3\t\t\n"
    columns = {"patient": "PATIENT_ID", "time": "OS_MONTHS", "event": "OS_STATUS"}
    found = clinical.read(table(tmp_path / "c.tsv", text), columns)
    assert list(found["time"][:2]) == [12.5, 3.0]
    assert list(found["event"][:2]) == [True, False]
    assert found["time"].isna().tolist() == found["event"].isna().tolist() == [False, False, True]


def test_notes_above_the_heading_of_cbioportal_are_no_heading(tmp_path):
    notes = "#Patient Identifier\tMonths\tStatus\n#STRING\tNUMBER\tSTRING\n#1\t1\t1\n"
    text = f"{notes}PATIENT_ID\tOS_MONTHS\tOS_STATUS\na\t12.5\t1:DECEASED\nb\tlong\t0:LIVING\n"
    columns = {"patient": "PATIENT_ID", "time": "OS_MONTHS", "event": "OS_STATUS"}
    with pytest.raises(InputError, match="row 6: the time 'long'"):
        clinical.read(table(tmp_path / "c.txt", text), columns)
    found = clinical.read(table(tmp_path / "c.txt", text.replace("long", "3")), columns)
    assert found[["patient", "row"]].to_numpy().tolist() == [["a", 5], ["b", 6]]


@pytest.mark.parametrize(
    "yes, no",
    [("1", "0"), ("1.0", "0.0"), ("1.000", "0.000"), ("True", "false"), ("dead", "alive")],
)
def test_events_are_understood_as_people_write_them(tmp_path, yes, no):
    found = clinical.read(table(tmp_path / "c.csv", f"patient,time,event\na,1,{yes}\nb,2,{no}\n"))
    assert list(found["event"]) == [True, False]


@pytest.mark.parametrize("yes, no", [("DECEASED:1", "LIVING:0"), ("1:PROGRESSION", "0:none")])
def test_events_of_two_parts_may_stand_either_way_round(tmp_path, yes, no):
    found = clinical.read(table(tmp_path / "c.csv", f"patient,time,event\na,1,{yes}\nb,2,{no}\n"))
    assert list(found["event"]) == [True, False]


def test_times_with_a_comma_are_read(tmp_path):
    found = clinical.read(table(tmp_path / "c.csv", "patient;time;event\na;12,5;1\nb;3;0\n"))
    assert list(found["time"]) == [12.5, 3.0]


@pytest.mark.parametrize("times", [["1.200", "0.500"], ["1.200", "3.25", "7"], ["1.200", "1000"]])
def test_times_of_three_decimals_are_read(tmp_path, times):
    rows = [f"p{i},{time},1" for i, time in enumerate(times)]
    found = clinical.read(table(tmp_path / "c.csv", "\n".join(["patient,time,event", *rows])))
    assert list(found["time"]) == list(map(float, times))


@pytest.mark.parametrize("word", ["NA", "n/a", "'--", "[Not Available]", "None", "-"])
def test_missing_follow_up_is_null_and_counted(tmp_path, word):
    found = clinical.read(
        table(tmp_path / "c.csv", f"patient,time,event\na,{word},{word}\nb,1,1\n")
    )
    assert found["time"].isna().tolist() == found["event"].isna().tolist() == [True, False]
    assert [row["count"] for row in found.attrs["audit"]] == [1, 1]


def test_a_patient_in_two_spellings_is_one(tmp_path):
    text = "patient,time,event,slide\n7,1,1,a\n7.0,1,1,b\nP1,2,0,c\np1\u200b,2,0,d\n"
    found = clinical.read(table(tmp_path / "c.csv", text))
    assert found["patient"].tolist() == ["7", "7", "P1", "P1"]
    assert [row["action"] for row in found.attrs["audit"]] == ["renamed", "merged"]


@pytest.mark.parametrize("name", ["censorship", "Censored (1=yes)", "zensiert", "cens", "ALIVE"])
def test_codes_below_a_name_that_says_the_opposite_are_refused(tmp_path, name):
    columns = {"patient": "patient", "time": "time", "event": name}
    path = table(tmp_path / "c.csv", f"patient,time,{name}\na,,\nb,2,1\n")
    with pytest.raises(InputError, match=r"row 3: by its name .* says the opposite of an event"):
        clinical.read(path, columns)


@pytest.mark.parametrize("name", ["uncensored", "Censoring status", "license_event"])
def test_events_in_words_or_below_another_name_are_read(tmp_path, name):
    yes, no = ("dead", "censored") if "status" in name else ("1", "0")
    path = table(tmp_path / "c.csv", f"patient,time,{name}\na,1,{yes}\nb,2,{no}\n")
    assert list(clinical.read(path, {"event": name})["event"]) == [True, False]


BAD_TABLES = {
    "spellings that disagree": ("7,1,1\n7.0,2,1", r"row 3: patient '7' has a different time"),
    "parts that disagree": ("a,1,1:LIVING", r"row 2: the event '1:LIVING' says both"),
    "thousands": ('a,"1,200",1', r"row 2: the time '1,200' can be read in two ways"),
    "German thousands": (
        "a,950,1\nb,1.200,1\nc,12.000,0",
        r"row 3: the time '1\.200' can be read in two ways: a point, or thousands",
    ),
    "an underscore": ("a,1_0,1", r"row 2: the time '1_0' is not a number"),
    "negative time": ("a,-1,1", r"row 2: the time '-1' is not a number of 0 or more"),
    "time in words": ("a,long,1", r"row 2: the time 'long'"),
    "infinite time": ("a,inf,1", r"row 2: the time 'inf'"),
    "unknown event": ("a,1,1\nb,2,maybe", r"row 3: the event 'maybe' is unknown. Use 1 or 0"),
    "half": ("a,1,", r"row 2: patient 'a' has a time but no event"),
    "other half": ("a,,1", r"row 2: patient 'a' has an event but no time"),
    "no patient": (",1,1", r"row 2: the patient is empty"),
    "a rounded patient": ("1E+16,1,1", r"row 2: the patient '1E\+16' is a number that a program"),
    "disagreement": (
        "a,1,1\na,2,1",
        r"row 3: patient 'a' has a different time or event than in row 2",
    ),
}


@pytest.mark.parametrize("rows, said", BAD_TABLES.values(), ids=BAD_TABLES)
def test_a_bad_row_is_named(tmp_path, rows, said):
    path = table(tmp_path / "c.csv", f"patient,time,event\n{rows}\n")
    with pytest.raises(InputError, match=said) as error:
        clinical.read(path)
    assert path in str(error.value)
