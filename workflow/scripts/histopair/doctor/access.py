"""Why an encoder cannot be loaded, and what to do; what a hub says of its repository."""

from collections.abc import Iterator
from pathlib import Path

from histopair.doctor.offline import ENVIRONMENT as OFFLINE
from histopair.doctor.offline import NoNetworkError
from histopair.doctor.rows import LATER, LOOK, MISSING, OK, UNKNOWN, WRONG, Row, of_mistake
from histopair.encoders import hub
from histopair.errors import InputError
from histopair.plan import places, presets

# The rule that fetches the weights of a config, and what fetches one encoder's.
FETCH = "snakemake --cores 1 fetch_weights fetches those of a config"
FETCH += ", `histopair doctor {} --online` these alone"
ABSENT = ("LocalEntryNotFoundError", "OfflineModeIsEnabled", "NoNetworkError")
SECONDS = 5


def trained_here(name: str, entry: dict) -> Row | None:
    """The row of an encoder that the config trains itself and that is not there yet."""
    folder = places.ENCODER.format(encoder=name)
    if "train" not in entry or Path(folder).exists():
        return None
    finding = f"rule train_encoder makes its weights from {entry['train']['dataset']}"
    return Row(f"encoder {name}", LATER, finding, f"snakemake --cores all {folder}")


def refused(name: str, entry: dict, mistake: InputError) -> list[Row]:
    """The rows of an encoder that could not be loaded: its files are not here, or its mistake."""
    if OFFLINE in mistake.problem or any(_is_absent(cause) for cause in _causes(mistake)):
        return [_absent(name, entry)]
    its_mistake = of_mistake(f"encoder {name}", mistake)
    cached = all(_is_cached(*repository) for repository in repositories(entry))
    return [its_mistake] if cached else [_absent(name, entry), its_mistake]


def _absent(name: str, entry: dict) -> Row:
    where = entry.get("weights") or entry["model"]
    pinned = f" at revision {entry['revision'][:12]}" if entry.get("revision") else ""
    finding = f"its files ({where}{pinned}) are not in the cache of this machine"
    return Row(f"encoder {name}", MISSING, finding, _gate(entry) + FETCH.format(name))


def _is_cached(repository: str, revision: str | None) -> bool:
    """Whether the cache has any file of a repository at a revision."""
    from huggingface_hub import snapshot_download

    try:
        options = {"revision": revision, "allow_patterns": [], "local_files_only": True}
        return Path(snapshot_download(repository, **options)).is_dir()
    except (OSError, ValueError):
        return False


def _is_absent(cause: BaseException) -> bool:
    return isinstance(cause, NoNetworkError) or type(cause).__name__ in ABSENT


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        seen.append(error)
        yield error
        reason = getattr(error, "reason", None)  # where urllib keeps it
        if isinstance(reason, BaseException):
            yield reason
        error = error.__cause__ or error.__context__


def _gate(entry: dict) -> str:
    """What to do first, where a preset of the same files says that access must be asked for."""
    named = repositories(entry)
    gated = {
        repository
        for preset in presets.read().values()
        if preset["gated"]
        for repository, _ in repositories(preset["entry"])
    }
    for repository, _ in named:
        if repository in gated:
            login = "" if _token() else ", then run `hf auth login` or set HF_TOKEN"
            return f"It is gated: ask for access at {_page(repository)}{login}; "
    return ""


def repositories(entry: dict) -> list[tuple[str, str | None]]:
    """The repositories of a hub that an entry names, each with its revision."""
    text, bare = entry.get("text_model", {}), entry["library"] in ("transformers", "keep")
    named = [
        (_repository(entry.get("weights", ""), False), entry.get("revision")),
        (_repository(entry["model"], bare), entry.get("revision")),
        (_repository(text.get("model", ""), True), text.get("revision")),
    ]
    return list(dict.fromkeys((name, revision) for name, revision in named if name))


def _repository(address: str, bare: bool) -> str | None:
    """OWNER/NAME of an address of a hub; None for a local one, and a library's own name.

    bare: whether a name without the hub's prefix is one of the hub.
    """
    plain = address.removeprefix(hub.HUB).removeprefix("hf_hub:")
    parts = plain.split("/")
    of_hub = plain != address or (bare and len(parts) == 2 and not Path(plain).exists())
    return "/".join(parts[:2]) if of_hub and len(parts) > 1 and ":" not in plain else None


def asked(name: str, entry: dict) -> Iterator[Row]:
    """What the hub says of an encoder's repositories: there, with access, at this revision."""
    for repository, revision in repositories(entry):
        yield _asked(f"hub {name}", repository, revision)


def _asked(check: str, repository: str, revision: str | None) -> Row:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import (
        GatedRepoError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    page, login = _page(repository), "" if _token() else "Run `hf auth login` or set HF_TOKEN; "
    try:
        info = HfApi().model_info(repository, revision=revision, timeout=SECONDS)
        if info.gated:
            HfApi().auth_check(repository)
    except GatedRepoError:
        return Row(check, MISSING, f"{repository} is gated", f"{login}ask for access at {page}")
    except RevisionNotFoundError:
        finding = f"{repository} has no revision {revision!r}"
        return Row(check, WRONG, finding, "Correct `revision`, or leave it out")
    except RepositoryNotFoundError:
        finding = f"the hub has no {repository}, or hides it without a token"
        return Row(check, WRONG, finding, f"{login}Correct `model`; its page would be {page}")
    except Exception as error:  # no answer: any kind of a network's errors
        finding = f"the hub does not answer for {repository} ({type(error).__name__})"
        return Row(check, UNKNOWN, finding, "Try again, or on a machine with a network")
    state = OK if revision else LOOK
    pin = "" if revision else f"Set `revision: {info.sha}`, so that it stays the same"
    return Row(check, state, f"{repository} is there and open to you", pin)


def _page(repository: str) -> str:
    from huggingface_hub import constants

    return f"{constants.ENDPOINT}/{repository}"


def _token() -> str | None:
    from huggingface_hub import get_token

    return get_token()
