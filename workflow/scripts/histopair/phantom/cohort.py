"""A cohort of the phantom: patients with a breast tumour, tiles of their slides, and known hazards.

A patient's log-hazard is a stated sum of what the tumour shows. Times are exponential; an
independent exponential censoring ends follow-up first for about a stated share of the patients.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from histopair.files import tables
from histopair.phantom import attributes
from histopair.phantom.entities import ATTRIBUTES, CATEGORIES, FRACTIONS, ORDINALS
from histopair.phantom.formats import whole_folder, write_pngs

# Log-hazard per standard deviation of the tumour's attribute, over the cohort.
COEFFICIENTS = {"nuclear_grade": 0.5, "mitoses": 0.6, "necrosis": 0.8, "lymphocytes": -0.4}
MEDIAN_MONTHS = 36.0
TUMOURS = {"breast-ductal": 0.7, "breast-lobular": 0.2, "breast-mucinous": 0.1}
# A patient without a slide, and one without follow-up, as every clinical table has them.
UNUSABLE = {"group": ["PC-8000", "PC-9000"], "months": [12.0, None], "status": ["0:LIVING", None]}
OTHER = {"breast-lobule": 0.5, "breast-fat": 0.25, "breast-hyperplasia": 0.25}


def cohort(out: dict[str, str], size: dict, seed: int, about: dict) -> None:
    """Write out["tiles"] (a folder), ["labels"] (its table), ["clinical"] and ["truth"].

    size: patients, tiles (of a patient), tumour (their share of tumour tiles), pixels,
    microns_per_pixel, censored. A third of the patients have two slides. The csv is written as
    cBioPortal writes it (OS_MONTHS, "1:DECEASED"), with a patient who has no slide and one without
    follow-up. truth: path (the patient), attributes of the tumour, log_hazard; `about` holds the
    coefficients.
    """
    people, table = _tiles(size, seed)
    write_pngs(out["tiles"], table, "cohort", seed, size)
    table["path"] = Path(out["tiles"]).name + "/" + table["path"]
    listed = table[["path", "entity", "group"]].rename(columns={"entity": "label"})
    tables.write_text(out["labels"], listed.to_csv(index=False))
    patients = _hazards(_tumours(table, people), size["censored"], seed)
    columns = {"group": "PATIENT_ID", "months": "OS_MONTHS", "status": "OS_STATUS"}
    written = pd.concat([patients[list(columns)], pd.DataFrame(UNUSABLE)]).rename(columns=columns)
    tables.write_text(out["clinical"], written.to_csv(index=False))
    true = patients.rename(columns={"group": "path"})[["path", *ATTRIBUTES, "log_hazard"]]
    tables.write(out["truth"], true, about | {"coefficients": COEFFICIENTS})


def _tiles(size: dict, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Patients, and their tiles: group, slide's path, entity and attributes of each."""
    rng = attributes.generator(seed, "cohort")
    people = attributes.patients(size["patients"], "PC-", rng)
    people["tumour"] = rng.choice(list(TUMOURS), len(people), p=list(TUMOURS.values()))
    people["slides"] = np.where(rng.random(len(people)) < 1 / 3, 2, 1)
    rows = people.iloc[np.repeat(np.arange(len(people)), size["tiles"])].reset_index(drop=True)
    place = rows.groupby("group").cumcount()
    is_tumour = place < round(size["tumour"] * size["tiles"])
    other = rng.choice(list(OTHER), len(rows), p=list(OTHER.values()))
    entities = np.where(is_tumour, rows["tumour"], other)
    table = attributes.sample(list(entities), rows, rng)
    slide = rows["group"] + "-" + (place % rows["slides"] + 1).astype(str)
    table["path"] = slide + "/" + place.map("{:03d}.png".format)
    return people, table


def _tumours(table: pd.DataFrame, people: pd.DataFrame) -> pd.DataFrame:
    """One row per patient: the attributes of its tumour, averaged over the tumour's tiles."""
    tiles = table.merge(people[["group", "tumour"]], on="group")
    tiles = tiles[tiles["entity"] == tiles["tumour"]].groupby("group")
    first, mean = tiles[list(CATEGORIES)].first(), tiles[[*ORDINALS, *FRACTIONS]].mean()
    return first.join(mean).reset_index()


def _hazards(patients: pd.DataFrame, censored: float, seed: int) -> pd.DataFrame:
    """Add log_hazard (mean 0), months and status.

    Censoring is exponential too, with the rate at which the stated share of the patients is
    expected to be censored.
    """
    rng = attributes.generator(seed, "cohort", "follow-up")
    scaled = patients[list(COEFFICIENTS)].apply(
        lambda column: (column - column.mean()) / column.std()
    )
    log_hazard = (scaled * pd.Series(COEFFICIENTS)).sum(axis=1).to_numpy()
    rate = np.log(2) / MEDIAN_MONTHS * np.exp(log_hazard)
    death = rng.exponential(1 / rate)
    end = rng.exponential(1 / _censoring_rate(rate, censored), len(rate))
    status = np.where(death <= end, "1:DECEASED", "0:LIVING")
    months = np.minimum(death, end).round(2)
    return patients.assign(log_hazard=log_hazard, months=months, status=status)


def _censoring_rate(rate: np.ndarray, share: float) -> float:
    """The rate c with mean c / (c + rate) = share, by bisection."""
    from scipy.optimize import brentq

    return brentq(lambda c: (c / (c + rate)).mean() - share, rate.min() * 1e-6, rate.max() * 1e6)


def write_features(embeddings: str, labels: str, layout: str, folder: str) -> None:
    """Write cached embeddings as one h5 file per slide, which is the folder of a tile's image.

    layout "trident": `features` and `coords` with TRIDENT's attributes, slide.h5. "clam": the same
    datasets without attributes, h5_files/slide.h5. The phantom's tiles have no place on their
    slide: coords count them along a row.
    """
    import h5py

    paths = tables.read(labels, ["image_id", "path"]).set_index("image_id")["path"]
    ids = tables.read(embeddings, ["image_id"])["image_id"]
    slides = paths.loc[ids].str.split("/").str[-2].to_numpy()
    vectors = tables.matrix(embeddings).astype(np.float32)
    with whole_folder(folder) as root:
        target = root / "h5_files" if layout == "clam" else root
        target.mkdir(exist_ok=True)
        for slide in sorted(set(slides)):
            features = vectors[slides == slide]
            n = len(features)
            coords = np.stack([256 * np.arange(n), np.zeros(n, int)], axis=1)
            with h5py.File(target / f"{slide}.h5", "w", track_order=False) as file:
                file.create_dataset("features", data=features, track_times=False)
                file.create_dataset("coords", data=coords, track_times=False)
                if layout == "trident":
                    file["features"].attrs["name"] = slide
                    file["coords"].attrs.update({"patch_size": 256, "patch_size_level0": 256})
                    file["coords"].attrs.update({"level0_magnification": 20, "name": slide})
                    file["coords"].attrs.update({"target_magnification": 20, "overlap": 0})
