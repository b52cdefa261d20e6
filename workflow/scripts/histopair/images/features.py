"""Bags: patch features of slides from h5 files as TRIDENT and CLAM write them.

TRIDENT: datasets `features` (n, d) and `coords` (n, 2) with attributes such as patch_size_level0.
CLAM: the same two datasets without attributes, in a folder h5_files beside pt_files. Some tools
write `features` with a leading axis of length 1.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from histopair import errors
from histopair.errors import InputError
from histopair.files import hdf5, paths

BLOCK = 65536  # patches checked at a time
AGAIN = "Extract this slide's features again"


def files(folder: str | Path) -> dict[str, Path]:
    """The feature file of each slide of a folder, by the slide's name (the file's stem).

    CLAM's output folder may be given instead of its h5_files. Raises InputError for a folder that
    is missing or holds no h5 file, and for a name that is not UTF-8; .pt files are never opened.
    """
    folder = _place(folder)
    names = _names(folder)
    h5_files = [folder / name for name in names if _is_h5(name)]
    if not h5_files and any(name.endswith(".pt") for name in names):
        raise InputError(
            folder,
            "it holds .pt files, which are pickles and are not opened here",
            "Give the folder of .h5 files; CLAM writes them to h5_files beside pt_files, TRIDENT "
            "with --saveas h5. A .pt that is a plain tensor can be loaded by "
            "torch.load(..., weights_only=True) and saved as an h5 dataset `features`",
        )
    if not h5_files:
        remedy = "Give the folder with one h5 file of features per slide"
        raise InputError(folder, "it holds no .h5 file", remedy)
    slides: dict[str, Path] = {}
    for path in h5_files:
        if paths.leads_to(path) is None:
            raise InputError(path, "the link leads nowhere", "Restore its target or remove it")
        if paths.printable(path.name) != path.name:
            shown = folder / paths.printable(path.name)
            raise InputError(shown, "its name is not UTF-8", "Rename it")
        if slides.setdefault(path.stem, path) != path:
            raise InputError(path, f"{slides[path.stem].name} is the same slide", "Keep one")
    return slides


def of_bags(slides: Iterable[list[str]], folder: str | Path) -> list[list[Path]]:
    """The feature files of each bag, from the names of its slides.

    Raises InputError for a slide that the folder lacks.
    """
    by_name = files(folder)
    for name in (name for names in slides for name in names):
        if name not in by_name:
            remedy = "Extract the features of the same slides"
            raise InputError(folder, f"there is no {name}.h5", remedy)
    return [[by_name[name] for name in names] for names in slides]


def bag(paths: list[Path], most: int | None = None) -> np.ndarray:
    """The patches of a bag, (n, d) float32; `most` of them, evenly spaced, if there are more."""
    patches = np.concatenate([read(path) for path in paths])
    if most is not None and len(patches) > most:
        patches = patches[np.linspace(0, len(patches) - 1, most).round().astype(int)]
    return patches


def others(folder: str | Path) -> list[str]:
    """The files in a folder that `files` does not give, also those in folders within it."""
    below = paths.files_below(str(_place(folder)), all_of_them=False)
    return [paths.printable(name) for name in below if "/" in name or not _is_h5(name)]


def _place(folder: str | Path) -> Path:
    """The folder itself, or its h5_files."""
    folder = Path(folder)
    if not paths.is_folder(folder):
        raise InputError(folder, "there is no such folder", "Correct the path in the config")
    inner = folder / "h5_files"
    return inner if "h5_files" in _names(folder) and paths.is_folder(inner) else folder


def _is_h5(name: str) -> bool:
    return name.lower().endswith(".h5") and not paths.hidden(name)


def _names(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError as error:
        raise errors.of_system(folder, error) from error


def size(path: str | Path) -> tuple[int, int]:
    """Patches and dimensions (n, d) of a slide, after checking its features.

    Raises InputError if the file is not h5, lacks `features` or has them in another file, describes
    a slide instead of its patches, is empty, or holds values that are not finite or coords of
    another number of patches.
    """
    with _opened(path) as file:
        dataset = _dataset(file, path)
        n, d = dataset.shape[-2:]
        coords = np.shape(file["coords"])[:1] if "coords" in file else (n,)
        if coords != (n,):
            problem = f"it has {n} features and {' '.join(map(str, coords)) or 'no'} coords"
            raise InputError(path, problem, AGAIN)
        for start, block in _blocks(dataset):
            bad = ~np.isfinite(block).all(axis=1)
            if bad.any():
                remedy = "Extract this slide's features again, in float32"
                row = start + int(bad.argmax())
                raise InputError(path, "a feature is not finite", remedy, row)
    return int(n), int(d)


def read(path: str | Path) -> np.ndarray:
    """The features of one slide, (n, d) float32."""
    with _opened(path) as file:
        dataset = _dataset(file, path)
        values = np.asarray(dataset, dtype=np.float32)
    return values.reshape(values.shape[-2:])


@contextmanager
def _opened(path: str | Path):
    if Path(path).suffix == ".pt":
        raise InputError(path, "a .pt file is a pickle and is not opened here", "Give its .h5 file")
    with hdf5.opened(path, "Rerun clean_labels", AGAIN) as file:
        try:
            yield file
        except OSError as error:  # from a damaged chunk
            raise InputError(path, f"a part of it is damaged ({error})", AGAIN) from error


def _dataset(file, path: str | Path):
    import h5py

    dataset = file.get("features")
    if not isinstance(dataset, h5py.Dataset):
        raise InputError(
            path,
            f"it has no dataset `features`; it holds {sorted(file) or 'nothing'}",
            "Give feature files, not coordinates: TRIDENT's folder features_ENCODER, or CLAM's "
            "h5_files of extract_features",
        )
    if hdf5.elsewhere(file, dataset):
        raise InputError(path, "its features lie in another file", "Copy them into this one")
    if dataset.dtype.kind not in "fiu":
        problem = f"its features are {dataset.dtype}, not numbers"
        raise InputError(path, problem, "Give patch features")
    shape = dataset.shape or ()
    if len(shape) == 3 and shape[0] == 1:
        shape = shape[1:]
    if len(shape) != 2:
        problem = f"its features have the shape {dataset.shape}, not (patches, dimensions)"
        raise InputError(path, problem, "Give patch features, not slide features")
    if 0 in shape:
        raise InputError(path, "it holds no patches", "Remove the file, or extract it again")
    return dataset


def _blocks(dataset) -> Iterator[tuple[int, np.ndarray]]:
    flat = dataset if dataset.ndim == 2 else dataset[0]
    for start in range(0, len(flat), BLOCK):
        yield start, np.asarray(flat[start : start + BLOCK], dtype=np.float32)
