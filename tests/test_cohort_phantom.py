"""The phantom's cohort: its hazards are the stated ones, its files those of TRIDENT and CLAM."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from histopair.datasets import labels as cleaning
from histopair.files import tables
from histopair.images import features
from histopair.phantom import cohort as phantom
from histopair.readers.cohort import clinical

SIZE = {"patients": 20, "tiles": 2, "tumour": 0.5, "pixels": 16, "microns_per_pixel": 4.0}
SIZE |= {"censored": 0.4}
COLUMNS = {"patient": "PATIENT_ID", "time": "OS_MONTHS", "event": "OS_STATUS"}


def written(folder, seed=0):
    names = {"tiles": "tiles", "labels": "labels.csv", "clinical": "c.csv", "truth": "t.parquet"}
    out = {key: str(folder / name) for key, name in names.items()}
    phantom.cohort(out, SIZE, seed, {})
    return out


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return written(tmp_path_factory.mktemp("cohort"))


def test_hazards_are_the_stated_sum_of_what_the_tumour_shows(made):
    truth, said = tables.read(made["truth"]), tables.about(made["truth"])["coefficients"]
    known = truth[list(said)]
    expected = ((known - known.mean()) / known.std()) @ pd.Series(said)
    np.testing.assert_allclose(truth["log_hazard"], expected, atol=1e-6)


def test_the_clinical_table_reads_back_with_its_dirt(made):
    found = clinical.read(made["clinical"], COLUMNS)
    assert len(found) == SIZE["patients"] + 2
    assert found["time"].isna().sum() == 1


def test_times_follow_the_hazards_and_the_stated_share_is_censored():
    """3,000 patients without tiles: log times fall with the log-hazard at a slope of minus one."""
    rng = np.random.default_rng(0)
    shown = pd.DataFrame({name: rng.normal(size=3000) for name in phantom.COEFFICIENTS})
    found = phantom._hazards(shown, 0.4, 0)
    dead = found["status"] == "1:DECEASED"
    assert 0.37 < 1 - dead.mean() < 0.43
    uncensored = phantom._hazards(shown, 1e-4, 0)
    slope = np.polyfit(uncensored["log_hazard"], np.log(uncensored["months"] + 1e-3), 1)[0]
    assert slope == pytest.approx(-1, abs=0.08)


def test_the_same_seed_gives_the_same_bytes(made, tmp_path):
    again = written(tmp_path)
    for name in ("labels", "clinical", "truth"):
        assert Path(made[name]).read_bytes() == Path(again[name]).read_bytes()


@pytest.mark.parametrize("layout", ["trident", "clam"])
def test_features_in_either_layout_make_a_cohort(made, tmp_path, layout):
    listed = pd.read_csv(made["labels"]).rename(columns={"path": "image_id"})
    labels = listed.assign(path=listed["image_id"])[["image_id", "path"]]
    tables.write(tmp_path / "labels.parquet", labels, {})
    vectors = np.arange(3 * len(labels), dtype=np.float16).reshape(-1, 3)
    table = pd.DataFrame({"image_id": labels["image_id"]})
    embedded = tables.pa.Table.from_pandas(table, preserve_index=False)
    embedded = embedded.append_column("embedding", tables.vectors(vectors))
    tables.write(tmp_path / "e.parquet", embedded, {})
    folder = tmp_path / layout
    phantom.write_features(tmp_path / "e.parquet", tmp_path / "labels.parquet", layout, folder)
    slides = features.files(folder)
    assert sum(features.size(path)[0] for path in slides.values()) == len(labels)
    entry = {"reader": "cohort", "split": {"folds": 2, "val": 0.2}, "columns": COLUMNS}
    entry |= {"clinical": made["clinical"], "features": {"vit": str(folder)}}
    out = [tmp_path / f"{name}.parquet" for name in ("p", "a", "q", "f")]
    cleaning.clean(entry, "cohort", *out, {})
    patients = tables.read(out[0])
    assert len(patients) == SIZE["patients"]
    assert patients["patches"].sum() == len(labels)
    assert len(tables.read(out[1])) == 2
