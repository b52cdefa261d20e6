"""The phantom's PCAM, BACH and NCT-CRC: tiles in classes, in the formats of the real data sets."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from histopair.files import tables
from histopair.jobs import progress
from histopair.phantom import attributes, stain, tiles
from histopair.phantom.entities import CATALOGUE, WORLDS
from histopair.readers._groups import COLUMNS, NAME


@contextmanager
def whole_folder(path: str | Path) -> Iterator[Path]:
    """Yield a temporary sibling folder, which replaces `path` only when the block succeeds."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in tables.leftovers(path):
        shutil.rmtree(left)
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    try:
        yield temporary
        temporary.chmod(0o755)
        if path.exists():
            shutil.rmtree(path)
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def render(
    table: pd.DataFrame, name: str, seed: int, shape: tuple[int, int], mpp
) -> Iterator[np.ndarray]:
    """The tiles of an attribute table in its order. (seed, name, group) decides a slide's stain.

    mpp is one number or one per row.
    """
    mpp = np.broadcast_to(mpp, len(table))
    rows = table.to_dict("records")
    for number in progress(range(len(rows)), len(rows), "tiles", name):
        row = rows[number]
        slide = stain.sample(attributes.generator(seed, name, "stain", row["group"]))
        rng = attributes.generator(seed, name, "tile", number)
        yield tiles.render(row, slide, shape, float(mpp[number]), rng)


def write_pngs(folder: str, table: pd.DataFrame, name: str, seed: int, size: dict) -> None:
    """Render a table's tiles to its paths in a folder. size: pixels, microns_per_pixel."""
    shape = (size["pixels"],) * 2
    with whole_folder(folder) as root:
        images = render(table, name, seed, shape, size["microns_per_pixel"])
        for path, pixels in zip(table["path"], images, strict=True):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(root / path)


def _given(name: str, table: pd.DataFrame, noise: float, seed: int, split: str) -> pd.DataFrame:
    """Add `label` (clean, by rule), `given` (the data set's label, noisy) and `split`."""
    label = attributes.label(name, table)
    rng = attributes.generator(seed, name, "noise", split)
    given = attributes.with_noise(label, sorted(set(label)), noise, rng)
    return table.assign(label=label, given=given, split=split)


def _people(name: str, split: str, n: int, seed: int) -> pd.DataFrame:
    """Patients with names that no other data set or split has."""
    rng = attributes.generator(seed, name, split, "people")
    return attributes.patients(n, f"{name}-{split}-", rng)


def pcam(folder: str, truth: str, size: dict, seed: int, about: dict) -> None:
    """Write the six h5 arrays, three tables of slides, and the truth.

    size: train, val, test (patches), pixels (96), microns_per_pixel, label_noise. Half the patches
    are tumor (a metastasis), half normal: node, sinus, fat or capsule. A slide has about 12
    patches. Train labels are wrong for `label_noise` of the patches; val and test are clean.
    """
    pixels = size["pixels"]
    parts = []
    with whole_folder(folder) as root:
        for split, file in (("train", "train"), ("val", "valid"), ("test", "test")):
            table = _pcam_table(split, size[split], seed)
            noise = size["label_noise"] if split == "train" else 0
            table = _given("pcam", table, noise, seed, split)
            mpp = size["microns_per_pixel"]
            x = np.stack([*render(table, f"pcam-{split}", seed, (pixels, pixels), mpp)])
            y = (table["given"] == "tumor").to_numpy(np.uint8).reshape(-1, 1, 1, 1)
            stem = f"camelyonpatch_level_2_split_{file}"
            _h5(root / f"{stem}_x.h5", "x", x)
            _h5(root / f"{stem}_y.h5", "y", y)
            meta = pd.DataFrame({"tumor_patch": y.ravel() == 1, "wsi": table["group"]})
            meta.to_csv(root / f"{stem}_meta.csv")
            parts.append(table.assign(path=[f"{stem}_x.h5#{i}" for i in range(len(table))]))
    tables.write(truth, _truth(parts), about)


def _pcam_table(split: str, n: int, seed: int) -> pd.DataFrame:
    rng = attributes.generator(seed, "pcam", split)
    people = _people("pcam", split, max(2, n // 12), seed)
    normal = [name for name in WORLDS["pcam"] if name != "node-metastasis"]
    benign = rng.choice(normal, n, p=[0.5, 0.25, 0.12, 0.13])
    entities = np.where(np.arange(n) % 2 == 0, "node-metastasis", benign)
    rows = people.iloc[rng.integers(0, len(people), n)].reset_index(drop=True)
    return attributes.sample(list(entities), rows, rng)


def _h5(path: Path, key: str, array: np.ndarray) -> None:
    import h5py

    with h5py.File(path, "w", track_order=False) as file:
        file.create_dataset(
            key,
            data=array,
            compression="gzip",
            compression_opts=4,
            track_times=False,
            chunks=(min(64, len(array)), *array.shape[1:]),
        )


def bach(folder: str, truth: str, size: dict, seed: int, about: dict) -> None:
    """Write Photos/{Benign,InSitu,Invasive,Normal}/*.tif, groups.csv two folders up, and the truth.

    size: per_class, width, height, microns_per_pixel, label_noise. The class is the behaviour of
    the tissue. BACH has no split: `label_noise` of all labels are wrong, truth has the clean one.
    """
    rng = attributes.generator(seed, "bach")
    behaviour = CATALOGUE["behaviour"]
    entities = [
        rng.choice([e for e in WORLDS["bach"] if behaviour[e] == kind])
        for kind in ("benign", "in-situ", "malignant", "normal")
        for _ in range(size["per_class"])
    ]
    people = _people("bach", "all", max(4, len(entities) // 4), seed)
    rows = people.iloc[rng.integers(0, len(people), len(entities))].reset_index(drop=True)
    table = _given(
        "bach", attributes.sample(entities, rows, rng), size["label_noise"], seed, "train"
    )
    number = table.groupby("given").cumcount() + 1
    prefix = table["given"].map({"Benign": "b", "InSitu": "is", "Invasive": "iv", "Normal": "n"})
    table["path"] = table["given"] + "/" + prefix + number.map("{:03d}".format) + ".tif"
    with whole_folder(folder) as root:
        _photos(
            root, table, "bach", seed, (size["height"], size["width"]), size["microns_per_pixel"]
        )
    table["path"] = "ICIAR2018_BACH_Challenge/Photos/" + table["path"]
    _groups(Path(folder).parents[1], table)
    tables.write(truth, _truth([table.assign(split=None)]), about)


def nct_crc(train: str, test: str, truth: str, size: dict, seed: int, about: dict) -> None:
    """Write NCT-CRC-HE-100K (folder `train`), CRC-VAL-HE-7K (`test`), groups.csv and the truth.

    size: train_per_class, test_per_class, pixels, microns_per_pixel, label_noise. The class is the
    tissue. Train labels are wrong for `label_noise` of the tiles; test labels are clean.
    """
    parts = []
    for split, folder in (("train", train), ("test", test)):
        rng = attributes.generator(seed, "nct-crc", split)
        entities = np.repeat(WORLDS["nct-crc"], size[f"{split}_per_class"])
        people = _people("nct-crc", split, max(3, len(entities) // 10), seed)
        rows = people.iloc[rng.integers(0, len(people), len(entities))].reset_index(drop=True)
        noise = size["label_noise"] if split == "train" else 0
        table = _given("nct-crc", attributes.sample(list(entities), rows, rng), noise, seed, split)
        codes = ["".join(rng.choice(list("ACDEFHIKLMNPQRSTVWY"), 8)) for _ in range(len(table))]
        table["path"] = table["given"] + "/" + table["given"] + "-" + pd.Series(codes) + ".tif"
        pixels = size["pixels"]
        with whole_folder(folder) as root:
            _photos(
                root, table, f"nct-crc-{split}", seed, (pixels, pixels), size["microns_per_pixel"]
            )
        table["path"] = Path(folder).name + "/" + table["path"]
        parts.append(table)
    _groups(Path(train).parent, pd.concat(parts))
    tables.write(truth, _truth(parts), about)


def _photos(root: Path, table: pd.DataFrame, name: str, seed: int, shape, mpp) -> None:
    for path, pixels in zip(table["path"], render(table, name, seed, shape, mpp), strict=True):
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(target, compression="tiff_lzw")


def _groups(root: Path, table: pd.DataFrame) -> None:
    """Write the patients as the readers take them: the format itself has no place for them."""
    tables.write_text(root / NAME, table[COLUMNS].to_csv(index=False))


def _truth(parts: list[pd.DataFrame]) -> pd.DataFrame:
    table = pd.concat(parts, ignore_index=True)
    return table[["path", *(name for name in table if name != "path")]]
