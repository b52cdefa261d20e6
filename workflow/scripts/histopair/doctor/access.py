"""Why an encoder cannot be loaded, and what to do; what a hub says of its repositories."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from histopair import encoders
from histopair.doctor.offline import NoNetworkError
from histopair.doctor.rows import LATER, LOOK, MISSING, OK, UNKNOWN, WRONG, Row, of_mistake
from histopair.encoders import hub_answers, repositories
from histopair.encoders.weights import Refusal
from histopair.errors import InputError, causes
from histopair.plan import places, presets

STATES = {hub_answers.NoAccess: MISSING, hub_answers.NoAnswer: UNKNOWN}


def trained_here(name: str, entry: dict) -> Row | None:
    """The row of an encoder that the config trains itself and that is not there yet."""
    folder = places.ENCODER.format(encoder=name)
    if "train" not in entry or Path(folder).exists():
        return None
    finding = f"rule train_encoder makes its weights from {entry['train']['dataset']}"
    return Row(f"encoder {name}", LATER, finding, f"snakemake --cores all {folder}")


def refused(entry: dict, mistake: InputError, fetch: str) -> Row:
    """The row of an encoder that could not be loaded: its files are not here, or its mistake.

    fetch: the command that fetches them.
    """
    check = f"encoder {entry['name']}"
    for cause in causes(mistake):
        if isinstance(cause, repositories.NotCached):
            name, revision = cause.repository.name, cause.repository.revision
            pinned = f" at revision {revision[:12]}" if revision else ""
            return _absent(check, name + pinned, _gate(name) + fetch)
        if isinstance(cause, NoNetworkError):
            return _absent(check, entry.get("weights") or entry["model"], fetch)
    return of_mistake(check, mistake)


def _absent(check: str, place: str, remedy: str) -> Row:
    return Row(check, MISSING, f"its files ({place}) are not in the cache of this machine", remedy)


def _gate(repository: str) -> str:
    """What to do first, where a preset says that a repository `OWNER/NAME` is gated."""
    entries = [preset["entry"] for preset in presets.read().values() if preset["gated"]]
    addresses = [entry.get(key, "") for entry in entries for key in ("model", "weights")]
    gated = ["/".join(address.rpartition(":")[2].split("/")[:2]) for address in addresses]
    if repository not in gated:
        return ""
    return f"It is gated. {hub_answers.asking(repository)}. Then run: "


def asked(entry: dict) -> Iterator[Row]:
    """What the hub says of an encoder's repositories: there, with access, at this revision."""
    with suppress(InputError):  # the row of loading says it
        for repository in encoders.on_hub(entry):
            yield _asked(f"hub {entry['name']}", repository)


def _asked(check: str, repository: repositories.Repository) -> Row:
    try:
        commit = repositories.commit(repository)
    except Refusal as refusal:
        return Row(check, STATES.get(type(refusal), WRONG), refusal.problem, refusal.remedy)
    finding = f"{repository.name} is there and open to you"
    if repository.revision:
        return Row(check, OK, finding)
    return Row(check, LOOK, finding, f"Set `revision: {commit}`, so that it stays the same")
