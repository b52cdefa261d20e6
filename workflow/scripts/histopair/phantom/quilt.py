"""The phantom's Quilt-1M: captioned images with up to three labels, as dirty as the real table."""

import uuid
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from histopair.files import tables
from histopair.phantom import attributes, formats, grammar
from histopair.phantom.entities import CATALOGUE, WORLDS

ORGAN_LABEL = {
    "breast": "Breast",
    "colon": "Gastrointestinal",
    "lymph-node": "Hematopathology",
    "skin": "Dermatopathology",
    "lung": "Pulmonary",
    "kidney": "Renal",
    "brain": "Neuropathology",
    "thyroid": "Endocrine",
    "prostate": "Genitourinary",
    "uterus": "Gynecologic",
    "soft-tissue": "Soft tissue",
    "bone": "Bone",
    "eye": "Ophthalmic",
    "mouth": "Head and Neck",
}
CONTEXT_LABEL = {
    "child": "Pediatric",
    "infection": "Infectious disease",
    "molecular": "Molecular pathology",
}
LABELS = sorted(
    {
        *ORGAN_LABEL.values(),
        *CONTEXT_LABEL.values(),
        "Cytopathology",
        "Immunopathology",
        "Surgical pathology",
    }
)
SYNONYMS = {
    "Immunopathology": ["Immunology"],
    "Breast": ["Breast pathology"],
    "Dermatopathology": ["Dermatology"],
    "Hematopathology": ["Hematology"],
    "Gastrointestinal": ["GI", "Gastrointestinal pathology"],
    "Gynecologic": ["Gynecology"],
    "Neuropathology": ["Neurology"],
    "Pediatric": ["Pediatrics"],
    "Infectious disease": ["Infectious diseases"],
    "Cytopathology": ["Cytology"],
    "Soft tissue": ["Soft Tissue", "soft tissue"],
    "Head and Neck": ["Head and neck"],
    "Renal": ["Nephrology", "renal"],
}
COLUMNS = ["caption", "image_path", "subset", "split", "pathology", "roi_text", "noisy_text"]
COLUMNS += ["corrected_text", "med_umls_ids", "magnification", "height", "width"]
COLUMNS += ["not_histology", "single_wsi"]


def labels(row: dict) -> list[str]:
    """The three clean labels of an image: the first three of the rules that hold.

    Its organ; Cytopathology if a smear; its context's label (only the caption shows it);
    Immunopathology if lymphoid or lymphocytes >= 0.35; Soft tissue if fat, muscle or stroma, or
    stroma >= 0.5; Surgical pathology if malignant or in situ; then, to fill up, Surgical pathology,
    Cytopathology, Immunopathology.
    """
    rules = [
        (ORGAN_LABEL[row["organ"]], True),
        ("Cytopathology", row["tissue"] == "smear"),
        (CONTEXT_LABEL.get(row["context"], ""), row["context"] != "none"),
        ("Immunopathology", row["tissue"] == "lymphoid" or row["lymphocytes"] >= 0.35),
        ("Soft tissue", row["tissue"] in ("adipose", "muscle", "stroma") or row["stroma"] >= 0.5),
        ("Surgical pathology", row["behaviour"] in ("malignant", "in-situ")),
        ("Surgical pathology", True),
        ("Cytopathology", True),
        ("Immunopathology", True),
    ]
    return list(dict.fromkeys(name for name, holds in rules if holds))[:3]


def quilt(folder: str, truth: str, size: dict, seed: int, about: dict) -> None:
    """Write quilt_1M_lookup.csv, images/ and the truth of the multi-label set.

    size: rows, images, videos, pixels, microns_per_pixel, label_noise. One row in eight lost a
    label or two, `label_noise` of the rows have a wrong third label, and about 3% lack a caption
    or a corrected text; one image is truncated.
    """
    rng = attributes.generator(seed, "quilt-1m")
    people = attributes.patients(size["videos"], "video", rng)
    people["group"] = _video_ids(size["videos"], rng)
    people["context"] = rng.choice(
        ["none", "child", "infection", "molecular"], size["videos"], p=[0.52, 0.16, 0.16, 0.16]
    )
    organs = rng.choice(list(ORGAN_LABEL), size["videos"])
    video = np.sort(rng.integers(0, size["videos"], size["images"]))
    of_organ = {
        o: [e for e in WORLDS["quilt-1m"] if CATALOGUE.loc[e, "organ"] == o] for o in ORGAN_LABEL
    }
    entities = [rng.choice(of_organ[organs[v]]) for v in video]
    rows = people.iloc[video].reset_index(drop=True)
    table = attributes.sample(entities, rows, rng).assign(context=rows["context"])
    table["path"] = _image_paths(table["group"], rng)
    table["labels"] = [labels(row) for row in table.to_dict("records")]
    extra = rng.integers(0, size["images"], max(0, size["rows"] - size["images"]))
    shown = table.iloc[np.sort(np.r_[np.arange(size["images"]), extra])].reset_index(drop=True)
    lookup = _lookup(shown, "quilt", size, rng)
    lookup["pathology"] = [_noisy(row, size["label_noise"], rng) for row in shown["labels"]]
    _make_dirty(lookup, rng)
    with formats.whole_folder(folder) as root:
        _write(root, table, lookup, "quilt-1m", seed, size["microns_per_pixel"], size["pixels"])
        _truncate(root / "images" / table["path"].iloc[len(table) // 2])
    tables.write(truth, _truth(table), about)


def captions(folder: str, truth: str, size: dict, seed: int, about: dict) -> None:
    """Write clean image-caption pairs of yet other patients, of every entity of every phantom set.

    size: pairs, pixels; the field of view turns through 96, 112, 128 and 192 microns, as the
    other sets show them. Three quarters of the pairs are of colon, breast and lymph node.
    """
    rng = attributes.generator(seed, "captions")
    n = size["pairs"]
    people = attributes.patients(max(2, n // 4), "captions", rng)
    people["group"] = _video_ids(len(people), rng)
    names = WORLDS["captions"]
    main = [name for name in names if name.startswith(("colon-", "breast-", "node-"))]
    entities = [
        (main if i % 4 else names)[rng.integers(len(main if i % 4 else names))] for i in range(n)
    ]
    rows = people.iloc[rng.integers(0, len(people), n)].reset_index(drop=True)
    table = attributes.sample(entities, rows, rng).assign(context="none")
    table["path"] = _image_paths(table["group"], rng)
    table["labels"] = [labels(row) for row in table.to_dict("records")]
    lookup = _lookup(table, "quilt", size, rng)
    lookup["pathology"] = [str(row) for row in table["labels"]]
    mpp = np.array([96, 112, 128, 192])[rng.integers(0, 4, n)] / size["pixels"]
    with formats.whole_folder(folder) as root:
        _write(root, table, lookup, "captions", seed, mpp, size["pixels"])
    tables.write(truth, _truth(table), about)


def _video_ids(n: int, rng) -> list[str]:
    letters = np.array(list("ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz0123456789-"))
    ids = ["".join(rng.choice(letters, 10)) + letters[i % 60] for i in range(n)]
    return [f"{name.strip('-')}{i:02x}" for i, name in enumerate(ids)]


def _image_paths(groups: pd.Series, rng) -> list[str]:
    return [f"{group}_image_{uuid.UUID(bytes=rng.bytes(16), version=4)}.jpg" for group in groups]


def _lookup(shown: pd.DataFrame, subset: str, size: dict, rng) -> pd.DataFrame:
    texts = [grammar.caption(row, rng, row["context"]) for row in shown.to_dict("records")]
    lookup = pd.DataFrame({"caption": texts, "image_path": shown["path"]})
    lookup["subset"] = rng.choice(
        [subset, "openpath", "pubmed", "laion"], len(shown), p=[0.85, 0.05, 0.05, 0.05]
    )
    lookup["split"] = rng.choice(["train", "val"], len(shown), p=[0.95, 0.05])
    lookup["roi_text"] = [str([text.split(".")[0]]) for text in texts]
    lookup["noisy_text"] = [f"um okay so {text.lower().replace('.', '')} right" for text in texts]
    lookup["corrected_text"] = texts
    lookup["med_umls_ids"] = [str([f"C{rng.integers(10**6):07d}"]) for _ in texts]
    lookup["magnification"] = rng.choice([0.0, 1.0, 2.0], len(shown))
    lookup["height"] = lookup["width"] = float(size["pixels"])
    lookup["not_histology"] = 0.0
    lookup["single_wsi"] = (rng.random(len(shown)) < 0.5).astype(float)
    return lookup


def _noisy(clean: list[str], noise: float, rng) -> str:
    """The labels as the table has them: synonyms, case, spaces, lost and wrong ones."""
    names = list(clean)
    if rng.random() < noise:
        names[-1] = rng.choice([name for name in LABELS if name not in clean])
    names = names[: 3 - int(rng.choice([0, 1, 2], p=[0.875, 0.1, 0.025]))]
    names = [rng.choice(SYNONYMS[x]) if x in SYNONYMS and rng.random() < 0.2 else x for x in names]
    names = [f" {x} " if rng.random() < 0.05 else x for x in names]
    if len(names) < 3 and rng.random() < 0.5:
        names.append("Unknown")
    return str([str(x) for x in names])


def _make_dirty(lookup: pd.DataFrame, rng) -> None:
    """Empty some captions and corrected texts, and one label list; repeat nothing silently."""
    n = len(lookup)
    hit = rng.permutation(n)[: max(3, round(0.03 * n))]
    third = len(hit) // 3
    lookup.loc[hit[:third], "caption"] = np.nan
    lookup.loc[hit[third : 2 * third], "corrected_text"] = np.nan
    lookup.loc[hit[2 * third :], ["pathology"]] = "['Unknown']"
    lookup.loc[hit[-1], "pathology"] = np.nan


def _write(
    root: Path, table: pd.DataFrame, lookup: pd.DataFrame, name: str, seed: int, mpp, pixels: int
) -> None:
    (root / "images").mkdir()
    images = formats.render(table, name, seed, (pixels, pixels), mpp)
    for path, image in zip(table["path"], images, strict=True):
        Image.fromarray(image).save(root / "images" / path, quality=92)
    lookup[COLUMNS].to_csv(root / "quilt_1M_lookup.csv", index_label="Unnamed: 0")


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])


def _truth(table: pd.DataFrame) -> pd.DataFrame:
    table = table.assign(path="images/" + table["path"])
    return table[["path", *(name for name in table if name != "path")]]
