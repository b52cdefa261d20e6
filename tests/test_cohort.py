"""From clinical table and slides to patients in folds: nobody crosses, nobody vanishes unsaid."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_cohort_readers import PATCHES, slide

from histopair import readers
from histopair.datasets import folds, labels, resplit
from histopair.errors import InputError
from histopair.files import tables
from histopair.retrieval import mean_patches

PATIENTS = [f"P{i}" for i in range(12)]


def entry(folder, patients=tuple(PATIENTS), extra="", slides=None, heading="patient,time,event"):
    """A cohort on disk: a slide per patient, every second one with an event."""
    rows = [f"{name},{i + 1},{i % 2}" for i, name in enumerate(patients)]
    (folder / "clinical.csv").write_text("\n".join([heading, *rows, extra]).strip() + "\n")
    for name in slides if slides is not None else [f"{name}-1" for name in patients]:
        slide(folder / "features" / f"{name}.h5", PATCHES)
    paths = {
        "clinical": str(folder / "clinical.csv"),
        "features": {"vit": str(folder / "features")},
    }
    return {"reader": "cohort", "split": {"folds": 2, "seed": 0, "val": 0.2}} | paths


def cleaned(folder, entry):
    out = [folder / f"{name}.parquet" for name in ("labels", "audit", "quarantine", "frequencies")]
    labels.clean(entry, "cohort", *out, {})
    return tables.read(out[0]).rename(columns={"image_id": "patient"}), tables.read(out[1])


def test_slides_go_to_the_patient_whose_name_they_begin_with(tmp_path):
    names = [f"{name}-DX1.uuid" for name in PATIENTS] + ["P1_b"]
    found, audit = cleaned(tmp_path, entry(tmp_path, slides=names))
    slides = found.set_index("patient")["slides"]
    assert list(slides["P1"]) == ["P1-DX1.uuid", "P1_b"]
    assert list(slides["P10"]) == ["P10-DX1.uuid"]
    assert found.set_index("patient")["patches"]["P1"] == 2 * len(PATCHES)
    assert audit.empty


def test_slides_of_a_patient_without_follow_up_go_to_no_other(tmp_path):
    names = [f"{name}-1" for name in PATIENTS] + ["P1-2-1"]
    found, audit = cleaned(tmp_path, entry(tmp_path, extra="P1-2,,", slides=names))
    assert list(found.set_index("patient")["slides"]["P1"]) == ["P1-1"]
    assert audit["reason"].tolist() == ["the patient has neither time nor event"]


@pytest.mark.parametrize("slide", ["P0-1.2", "P0-1.HER2"])
def test_a_dot_within_a_slides_name_begins_no_ending(tmp_path, slide):
    given = entry(tmp_path)
    rows = [f"P{i},{i + 1},{i % 2},P{i}-1" for i in range(12)] + [f"P0,1,0,{slide}"]
    (tmp_path / "clinical.csv").write_text("\n".join(["patient,time,event,slide", *rows]))
    with pytest.raises(InputError, match=f"row 14: .* has no features of slide '{slide}'"):
        cleaned(tmp_path, given)


def test_case_unicode_and_dashes_do_not_part_a_patient_from_its_slides(tmp_path):
    names = [f"p{i}\u2013e\u0301" for i in range(12)]
    found, _ = cleaned(tmp_path, entry(tmp_path, [f"P{i}-É" for i in range(12)], slides=names))
    assert found["slides"].map(len).tolist() == [1] * 12


def test_where_no_name_fits_the_message_has_one_of_each_side(tmp_path):
    names = [f"{i:03}" for i in range(1, 13)]
    with pytest.raises(InputError) as error:
        cleaned(tmp_path, entry(tmp_path, [str(i) for i in range(1, 13)], slides=names))
    assert str(error.value).startswith(
        f"{tmp_path}/clinical.csv: no patient has a slide in {tmp_path}/features: "
        "a patient is called '1', a slide '001.h5'. "
    )
    kept = tables.read(tmp_path / "audit.parquet")
    assert kept["count"].tolist() == [12, 12]


def test_files_that_are_no_features_are_counted(tmp_path):
    given = entry(tmp_path)
    (tmp_path / "features" / "notes.txt").write_text("")
    (tmp_path / "features" / "._P1-1.h5").write_text("")
    _, audit = cleaned(tmp_path, given)
    assert audit[["subject", "count"]].to_numpy().tolist() == [["._P1-1.h5, notes.txt", 2]]


def test_the_table_may_name_the_slides(tmp_path):
    heading = "case,days,dead,slide"
    given = entry(tmp_path, slides=[f"s{i}" for i in range(12)], heading=heading)
    text = (tmp_path / "clinical.csv").read_text().splitlines()
    rows = [heading] + [f"{row},s{i}.svs" for i, row in enumerate(text[1:])]
    (tmp_path / "clinical.csv").write_text("\n".join(rows))
    given["columns"] = {"patient": "case", "time": "days", "event": "dead"}
    found, _ = cleaned(tmp_path, given)
    assert list(found.set_index("patient")["slides"]["P3"]) == ["s3"]


@pytest.mark.parametrize(
    "name, own, unit",
    [("os_days", {}, "days"), ("os_days", {"time_unit": "weeks"}, "weeks"), ("OS.time", {}, None)],
)
def test_the_unit_of_times_is_that_of_their_column(tmp_path, name, own, unit):
    given = entry(tmp_path, heading=f"patient,{name},event")
    cleaned(tmp_path, given | own | {"columns": {"time": name}})
    assert tables.about(tmp_path / "labels.parquet").get("time_unit") == unit


def test_a_column_that_the_csv_lacks_is_told_before_a_job_starts(tmp_path):
    given = entry(tmp_path, heading="patient,days,event")
    with pytest.raises(InputError, match="there is no column 'time'"):
        readers.find("cohort").check(given)
    readers.find("cohort").check(given | {"columns": {"time": "days"}})


def test_who_is_dropped_is_audited(tmp_path):
    names = [f"{name}-1" for name in PATIENTS] + ["stranger-1"]
    extra = "bare,5,1\nlost,,\n"
    found, audit = cleaned(tmp_path, entry(tmp_path, extra=extra, slides=names))
    assert list(found["patient"]) == sorted(PATIENTS)
    reasons = " ".join(audit["reason"])
    assert "no slide: bare" in reasons
    assert "neither time nor event" in reasons
    assert "slides: stranger-1" in reasons
    assert list(audit["count"]) == [1, 1, 1]


def test_slides_of_another_width_are_refused(tmp_path):
    given = entry(tmp_path)
    slide(tmp_path / "features" / "P5-1.h5", np.zeros((2, 7)))
    with pytest.raises(InputError, match=r"P5-1.h5: its features have 7 dimensions, .* have 2"):
        cleaned(tmp_path, given)


def test_a_named_slide_without_features_is_refused(tmp_path):
    given = entry(tmp_path, heading="patient,time,event,slide", slides=["s0"])
    text = (tmp_path / "clinical.csv").read_text().splitlines()
    rows = [text[0]] + [f"{row},s{i}" for i, row in enumerate(text[1:])]
    (tmp_path / "clinical.csv").write_text("\n".join(rows))
    with pytest.raises(InputError, match=r"row 3: .*no features of slide 's1'"):
        cleaned(tmp_path, given)


def test_too_few_events_for_the_folds_are_told(tmp_path):
    with pytest.raises(InputError, match="too few for 5 folds"):
        cleaned(tmp_path, entry(tmp_path) | {"split": {"folds": 5}})


@given(st.integers(0, 200))
def test_few_events_in_two_folds_still_reach_every_part(seed):
    """Two events beside each fold, early in follow-up, where a fifth would often have none."""
    time, event = np.arange(24.0), np.arange(24) < 4
    fold = folds.stratified(time, event, 2, seed)
    for test in range(2):
        split = folds.of_patients(fold, time, event, test, 0.2, seed)
        for part in ("train", "val"):
            own = split == part
            assert event[own].any() and (time[own] >= time[own & event].min()).sum() > 1


def test_events_that_nobody_outlives_are_told(tmp_path):
    """All events come after all others have left: in a part with one, nobody is at risk with it."""
    given = entry(tmp_path)
    rows = [f"{name},{i + 1 + 20 * (i > 7)},{int(i > 7)}" for i, name in enumerate(PATIENTS)]
    (tmp_path / "clinical.csv").write_text("\n".join(["patient,time,event", *rows]))
    with pytest.raises(InputError, match=r"clinical.csv: beside fold 1, no split into training"):
        cleaned(tmp_path, given)


def test_a_bag_is_the_mean_of_its_patches_unit_vectors(tmp_path):
    given = entry(tmp_path)
    slide(tmp_path / "features" / "P0-1.h5", [[3, 4], [0, 2]])
    slide(tmp_path / "features" / "P0-2.h5", [[1, 0]])
    cleaned(tmp_path, given)
    mean_patches.embed(
        tmp_path / "labels.parquet", given["features"]["vit"], tmp_path / "b.parquet", {}
    )
    np.testing.assert_allclose(tables.matrix(tmp_path / "b.parquet")[0], [1.6 / 3, 1.8 / 3])


def _with_others(folder):
    """A cohort with features of a second encoder, of another width."""
    given = entry(folder)
    for name in PATIENTS:
        slide(folder / "other" / f"{name}-1.h5", np.hstack([PATCHES, PATCHES]))
    return given | {"features": given["features"] | {"uni": str(folder / "other")}}


def test_the_other_features_must_be_of_the_same_slides(tmp_path):
    given = _with_others(tmp_path)
    found, audit = cleaned(tmp_path, given)
    assert audit.empty and set(found["patches"]) == {len(PATCHES)}
    (tmp_path / "other" / "P1-1.h5").unlink()
    with pytest.raises(InputError, match=r"other: there is no P1-1.h5"):
        cleaned(tmp_path, given)


BAD_OTHERS = {
    "not finite": (np.full((3, 4), np.nan), None, "row 0: a feature is not finite"),
    "truncated": (np.ones((2, 4)), np.zeros((3, 2)), "2 features and 3 coords"),
    "of another width": (np.ones((3, 5)), None, "its features have 5 dimensions, those of "),
}


@pytest.mark.parametrize("values, coords, said", BAD_OTHERS.values(), ids=BAD_OTHERS)
def test_bad_features_of_any_encoder_are_named(tmp_path, values, coords, said):
    given = _with_others(tmp_path)
    file = slide(tmp_path / "other" / "P3-1.h5", values, coords)
    with pytest.raises(InputError, match=said) as error:
        cleaned(tmp_path, given)
    assert str(error.value).startswith(str(file))


def test_numbers_of_patches_that_differ_between_encoders_are_told(tmp_path):
    given = _with_others(tmp_path)
    for name in ("P2", "P7"):
        slide(tmp_path / "other" / f"{name}-1.h5", np.ones((2, 4)))
    found, audit = cleaned(tmp_path, given)
    assert set(found["patches"]) == {len(PATCHES)}
    reason = f"patients have another number of patches than in {tmp_path}/features: P2, P7"
    assert audit[["action", "subject", "reason", "count"]].to_numpy().tolist() == [
        ["warned", f"{tmp_path}/other", reason, 2]
    ]


outcomes = st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=12, max_size=60)


@given(outcomes, st.integers(2, 6), st.integers(0, 3))
def test_folds_share_patients_events_and_times_evenly(outcomes, count, seed):
    time, event = (np.array(column) for column in zip(*outcomes, strict=True))
    fold = folds.stratified(time, event, count, seed)
    frame = pd.DataFrame({"fold": fold, "event": event, "late": time > np.median(time)})
    sizes = np.bincount(fold, minlength=count)
    assert sizes.max() - sizes.min() <= 1
    events = np.bincount(fold[event], minlength=count)
    assert events.max() - events.min() <= 1
    late = np.bincount(fold[frame["late"] & event], minlength=count)
    assert late.max() - late.min() <= 2


@given(outcomes, st.integers(0, 3))
def test_a_patient_is_tested_once_and_never_where_it_taught(outcomes, seed):
    outcomes += [(0, True), (9, False)] * 8  # enough for every part
    time, event = (np.array(column) for column in zip(*outcomes, strict=True))
    fold = folds.stratified(time, event, 4, seed)
    splits = [folds.of_patients(fold, time, event, test, 0.2, seed) for test in range(4)]
    assert (np.stack(splits) == "test").sum(0).tolist() == [1] * len(time)
    for test, split in enumerate(splits):
        assert ((split == "test") == (fold == test)).all()
        assert {"train", "val", "test"} == set(split)


def test_a_fold_is_a_resplit_that_tests_its_own_patients(tmp_path):
    given = entry(tmp_path)
    found, _ = cleaned(tmp_path, given)
    assert set(found["split"]) == {"test"} and set(found["fold"]) == {1, 2}
    tested = []
    for fold in (1, 2):
        out = [tmp_path / f"{fold}.{name}.parquet" for name in ("l", "a", "q", "f")]
        held_out = {"of": "cohort", "split": given["split"] | {"fold": fold}}
        source = [tmp_path / "labels.parquet", tmp_path / "frequencies.parquet"]
        resplit.resplit(*source, held_out, f"cohort-fold-{fold}", *out, {})
        own = tables.read(out[0])
        assert {"train", "val", "test"} == set(own["split"])
        assert ((own["split"] == "test") == (found["fold"] == fold)).all()
        assert tables.about(out[0])["task"] == "survival"
        tested += list(own.loc[own["split"] == "test", "sample_id"])
    assert sorted(tested) == sorted(found["sample_id"])


def test_images_are_parted_by_group_and_class():
    random = np.random.default_rng(0)
    group = pd.Series([f"g{i // 4}" for i in range(120)])
    label = pd.Series(np.repeat(random.integers(0, 3, 30), 4)).map("abc".__getitem__)
    frame = pd.DataFrame({"sample_id": [f"s{i:03}" for i in range(120)], "group": group})
    frame = frame.assign(image_id=frame["sample_id"], sha256=None, labels=[[x] for x in label])
    frame["fold"] = folds.assign(frame, 4, 0, 0.2, "tiles")
    assert (frame.groupby("group")["fold"].nunique() == 1).all()
    assert frame.groupby("fold").size().between(24, 36).all()
    assert (frame.groupby("fold").apply(lambda part: part["labels"].str[0].nunique()) == 3).all()
    split = folds.held_out(frame, 3, 0, 0.2, "tiles")
    assert ((split == "test") == (frame["fold"] == 3)).all()
    assert (split.groupby(frame["group"]).nunique() == 1).all() and (split == "val").any()
