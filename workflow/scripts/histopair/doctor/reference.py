"""The fingerprint of an encoder: what it gives for fixed tiles and texts, and a stored one.

All is computed in float32 on the CPU and rounded, so that machines agree within the tolerances.
"""

from importlib import metadata
from itertools import combinations

import torch
import yaml
from torch import Tensor

from histopair import errors
from histopair.doctor import fixed_inputs
from histopair.encoders import Encoder
from histopair.errors import InputError
from histopair.jobs import devices
from histopair.plan import presets
from histopair.plan.config_files import LOADER

FILE = presets.PACKAGE / "encoders" / "fingerprints.yaml"
PARTS = ("image", "text")
FIRST = 4  # values of each vector
DIGITS = 6  # that are kept
# Other machines and versions of the libraries change vectors by about 1e-5 of their length.
NORM = 1e-3  # share by which a norm may differ
VALUE = 1e-2  # by which a value may differ, as a share of the vector's root mean square
COSINE = 1e-3
# Keys of an entry that say where its files lie, and not what is computed with them.
PLACES = {"model", "weights", "revision", "sha256", "checkpoint", "text_model", "pretrained"}
FACTS = {"name", "preset", "licence", "description", "templates", "backbone", "train"}


def computed(encoder: Encoder, entry: dict) -> dict:
    """The fingerprint of a loaded encoder: source, revision, weights, image and text."""
    names = ("torch", "timm", "transformers", "open_clip_torch")
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in names)
    result = {"source": f"histopair, {versions}", "revision": entry.get("revision")}
    result["weights"] = devices.weights_digest(encoder.image, encoder.text)
    with torch.inference_mode():
        if encoder.image is not None:
            pixels = [encoder.preprocess(tile) for tile in fixed_inputs.tiles()]
            result["image"] = described(encoder.image(torch.stack(pixels)))
        if encoder.text is not None:
            tokens = encoder.tokenize(list(fixed_inputs.TEXTS))
            result["text"] = described(encoder.text(tokens))
    return result


def described(vectors: Tensor) -> dict:
    """Width, norms, first values and pairwise cosines of raw vectors (3, d), rounded."""
    vectors = vectors.double()
    units = torch.nn.functional.normalize(vectors, dim=1)
    cosines = [float(units[i] @ units[j]) for i, j in combinations(range(len(units)), 2)]
    return {
        "width": vectors.shape[1],
        "norms": [_rounded(norm) for norm in vectors.norm(dim=1).tolist()],
        "first": [[_rounded(value) for value in row] for row in vectors[:, :FIRST].tolist()],
        "cosines": [round(cosine, DIGITS) for cosine in cosines],
    }


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def stored() -> dict[str, dict]:
    """The stored fingerprints by name. Raises InputError for a file that is not YAML's map."""
    try:
        content = yaml.load(FILE.read_text(encoding="utf-8"), LOADER) or {}
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise InputError(FILE, f"it cannot be read ({error})", "Correct it") from error
    if not isinstance(content, dict) or not all(isinstance(x, dict) for x in content.values()):
        raise InputError(FILE, "it is no map of names", "Its head shows what an entry looks like")
    return content


def key(entry: dict) -> str | None:
    """The name of an entry's fingerprint: its preset's, or its own if it computes something else.

    None if its own is that of a preset which it is not.
    """
    if other_keys(entry) == []:
        return entry["preset"]
    return None if entry["name"] in presets.read() else entry["name"]


def other_keys(entry: dict) -> list[str] | None:
    """The keys by which an entry computes something else than its preset; None without preset."""
    if "preset" not in entry:
        return None
    preset = presets.entry(entry["preset"])
    names = (entry.keys() | preset.keys()) - PLACES - FACTS
    return sorted(name for name in names if entry.get(name) != preset.get(name))


def differences(computed: dict, stored: dict, name: str) -> list[str]:
    """What of a stored fingerprint is not what was computed, beyond the tolerances.

    Raises InputError for an entry that lacks something.
    """
    lines = []
    for part in PARTS:
        if part in stored and part not in computed:
            lines.append(f"it gives no {part} vectors")
        elif part in stored:
            try:
                lines += [f"{part}: {line}" for line in _differing(computed[part], stored[part])]
            except (KeyError, TypeError, ValueError) as error:
                problem = f"the fingerprint of {name} is not whole ({part}: {error})"
                raise InputError(FILE.name, problem, "Its head says what it needs") from error
    return lines


def _differing(ours: dict, theirs: dict) -> list[str]:
    if ours["width"] != theirs["width"]:
        return [f"{ours['width']} wide, and not {theirs['width']}"]
    lines = []
    for i, (norm, other) in enumerate(zip(ours["norms"], theirs["norms"], strict=True), 1):
        if not abs(norm - other) <= NORM * abs(other):
            lines.append(f"norm {i} is {norm:g}, and not {other:g} ± {NORM:.1%}")
    for i, (values, others) in enumerate(zip(ours["first"], theirs["first"], strict=True)):
        scale = VALUE * theirs["norms"][i] / theirs["width"] ** 0.5
        pairs = zip(values, others, strict=True)
        if not all(abs(value - other) <= scale for value, other in pairs):
            lines.append(f"vector {i + 1} begins {values}, and not {others} ± {scale:.2g}")
    pairs = zip(ours["cosines"], theirs["cosines"], strict=True)
    if not all(abs(cosine - other) <= COSINE for cosine, other in pairs):
        lines.append(f"cosines are {ours['cosines']}, and not {theirs['cosines']} ± {COSINE}")
    return lines


def entry_text(name: str, fingerprint: dict) -> str:
    """The lines of a fingerprint in the file."""
    return yaml.safe_dump({name: fingerprint}, sort_keys=False, default_flow_style=None, width=120)


def write(name: str | None, fingerprint: dict) -> None:
    """Add a fingerprint to the file, under the `key` of its entry.

    Raises InputError if there is one of that name, and for an entry without a name of its own.
    """
    if name is None:
        problem = "the entry has the name of a preset, and computes something else"
        raise InputError("--write", problem, "Give the encoder another name")
    if name in stored():
        raise InputError(FILE, f"it has a fingerprint of {name!r}", "Remove it first")
    try:
        with open(FILE, "a", encoding="utf-8") as opened:
            opened.write(f"\n{entry_text(name, fingerprint)}")
    except OSError as error:
        raise errors.of_system(FILE, error) from error
