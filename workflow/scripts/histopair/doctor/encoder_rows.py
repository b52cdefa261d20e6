"""An encoder by itself: does it load, with which weights, and does it give what it should?"""

import contextlib
import io
from collections.abc import Iterator
from dataclasses import replace

from histopair import encoders
from histopair.doctor import access, reference
from histopair.doctor.offline import no_network
from histopair.doctor.rows import LATER, LOOK, MISSING, OK, UNKNOWN, WRONG, Row, checked
from histopair.encoders import Encoder
from histopair.errors import InputError, nearest
from histopair.plan import encoders as planned
from histopair.plan import presets

REMEDY = (
    "Compare `pooling`, `pixels`, `kwargs` and the revision with those of the preset and its card"
)
# Keys of an entry that are about its weights alone.
FILLING = ("weights", "sha256", "checkpoint")
ESTIMATED = "time and memory below are estimates of its architecture, with random weights"


def entry(config: dict, name: str) -> dict:
    """All that the config says of an encoder, with its name; or the preset of that name.

    Raises InputError for a name that is neither.
    """
    if name in config["encoders"]:
        return {"name": name, **config["encoders"][name]}
    if name in presets.read():
        return {"name": name, "preset": name, **presets.entry(name)}
    names = [*config["encoders"], *presets.read()]
    problem = f"neither the config nor the presets have an encoder {name!r}{nearest(name, names)}"
    raise InputError("doctor", problem, "histopair presets lists those that are known by name")


def loaded(entry: dict, online: bool, fetch: str) -> tuple[Encoder | None, Row]:
    """The encoder, if it can be loaded, and a row that says so or why not.

    fetch: the command that fetches its files if they are not here.
    """
    name = entry["name"]
    if row := access.trained_here(name, entry):
        return None, row
    computing = planned.entry_of({"encoders": {name: entry}}, name)
    guard = contextlib.nullcontext() if online else no_network()
    try:
        with _quiet(), guard:
            encoder = encoders.load(computing)
    except InputError as mistake:
        return None, access.refused(entry, mistake, fetch)
    return encoder, Row(f"encoder {name}", OK, _finding(encoder))


def architecture(entry: dict) -> Encoder | None:
    """The encoder with random weights, to be tried; None where its description is not here."""
    shape = {key: value for key, value in entry.items() if key not in FILLING}
    with contextlib.suppress(InputError), _quiet(), no_network():
        encoder = encoders.load(planned.entry_of({"encoders": {"": shape}}, ""), weights=False)
        return encoder if encoder.preprocess else None


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """What libraries print belongs in no table."""
    notes = io.StringIO()
    with contextlib.redirect_stdout(notes), contextlib.redirect_stderr(notes):
        yield


def _finding(encoder: Encoder) -> str:
    towers = []
    if encoder.image is not None:
        towers.append(f"images -> {encoder.image_dim}")
    if encoder.text is not None:
        towers.append(f"texts of {encoder.context} tokens -> {encoder.text_dim}")
    count = sum(
        parameter.numel()
        for tower in (encoder.image, encoder.text)
        if tower is not None
        for parameter in tower.parameters()
    )
    return f"all its weights are its own: {', '.join(towers)}; {count / 1e6:,.1f} M parameters"


def compared(entry: dict, fingerprint: dict) -> Iterator[Row]:
    """The row of a fingerprint against the stored one."""
    name, check = reference.key(entry), f"fingerprint {entry['name']}"
    theirs = reference.stored().get(name)
    if theirs is None:
        others = ", ".join(reference.other_keys(entry) or [])
        why = f": other than its preset's are {others}" if others else ""
        remedy = "Compute one with the authors' code; --write keeps this one"
        yield Row(check, UNKNOWN, f"{reference.FILE.name} has none to compare with{why}", remedy)
        return
    lines = reference.differences(fingerprint, theirs, name)
    yield from (Row(check, WRONG, line, REMEDY) for line in lines)
    if lines:
        return
    source = theirs.get("source", "nobody named")
    if theirs.get("weights") not in (None, fingerprint["weights"]):
        finding = f"the vectors agree with those of {source}; the digest of the weights differs"
        yield Row(check, LOOK, finding, "Other files or versions of libraries may explain it")
    else:
        yield Row(check, OK, f"agrees with that of {source}")


def fingerprinted(entry: dict, online: bool) -> tuple[list[Row], dict | None]:
    """The rows of one encoder, and its fingerprint if it could be computed.

    online: what is missing is downloaded, if the hub answers first and gives access.
    """
    asked = list(access.asked(entry)) if online else []
    open_to_us = online and all(row.state in (OK, LOOK) for row in asked)
    encoder, row = loaded(entry, open_to_us, f"histopair doctor {entry['name']} --online")
    if encoder is None:
        return [*asked, replace(row, state=MISSING) if row.state == LATER else row], None
    fingerprint = reference.computed(encoder, entry)
    rows = checked(f"fingerprint {entry['name']}", lambda: compared(entry, fingerprint))
    return [*asked, row, *rows], fingerprint
