"""What hub, network and disk say when a repository is fetched, as one line with a remedy."""

from collections.abc import Iterator
from contextlib import contextmanager

from histopair import errors
from histopair.encoders.weights import Refusal, shortened

# What fetches the weights of a config.
FETCH = "snakemake --cores 1 fetch_weights"
LATER = (
    f"Try again later; for machines without a network run `{FETCH}` on one that has it, with the "
    "same HF_HOME"
)
# What a web page in place of a listing raises.
NO_ANSWER = (ValueError, TypeError, KeyError)


class NoAccess(Refusal):
    """The repository is there, and this user may not read it yet."""


class NoAnswer(Refusal):
    """The hub says nothing of the repository."""


@contextmanager
def in_words(name: str, revision: str | None) -> Iterator[None]:
    """Turn what a hub, a network or a disk says of a repository into a Refusal."""
    try:
        yield
    except Refusal:
        raise
    except Exception as error:  # a page in place of an answer can raise any type
        raise _refusal(name, revision, error) from error


def _refusal(name: str, revision: str | None, error: Exception) -> Refusal:
    from huggingface_hub import constants
    from huggingface_hub.errors import HfHubHTTPError, HTTPError, LocalEntryNotFoundError

    while isinstance(error, LocalEntryNotFoundError) and error.__cause__:
        error = error.__cause__
    place = constants.ENDPOINT
    if isinstance(error, HfHubHTTPError):
        return _of_status(name, revision, error)
    if type(error).__name__ == "HFValidationError":
        return Refusal(f"{name!r} is no name of a repository", "Write `model` as OWNER/NAME")
    if isinstance(error, HTTPError) and "Timeout" in type(error).__name__:
        seconds = constants.HF_HUB_ETAG_TIMEOUT
        problem = f"{place} did not answer within {seconds} s, asked for {name}"
        return NoAnswer(problem, f"{LATER}; HF_HUB_ETAG_TIMEOUT={3 * seconds:g} waits longer")
    if isinstance(error, (HTTPError, ConnectionError)):
        return NoAnswer(f"{place} cannot be reached for {name} ({shortened(error, 120)})", LATER)
    if isinstance(error, OSError) and error.errno is not None:
        return _of_disk(error)
    if isinstance(error, OSError) and "onsistency" in str(error):
        problem = f"a file of {name} came with another size than {place} states"
        return Refusal(problem, "Run it again: nothing of the file is kept")
    if isinstance(error, NO_ANSWER) or type(error).__name__ == "FileMetadataError":
        problem = f"what answers at {place} for {name} is no hub ({shortened(error, 120)})"
        return NoAnswer(problem, "Look at HF_ENDPOINT, and at this network's proxy or login page")
    reason = f"{type(error).__name__}: {shortened(error, 120)}"
    return NoAnswer(f"{name} cannot be fetched from {place} ({reason})", LATER)


def _of_disk(error: OSError) -> Refusal:
    from huggingface_hub import constants

    place = error.filename or constants.HF_HUB_CACHE
    if error.errno in errors.FULL:
        problem = f"no space is left for {place}"
        return Refusal(problem, "Free some space, or set HF_HOME to a folder of a larger disk")
    if constants.HF_HUB_CACHE not in str(place):
        problem = f"{place} cannot be used: {error.strerror}"
        return Refusal(problem, "Let this user read it, or set HF_TOKEN if it is the token's file")
    problem = f"the cache cannot be written: {error.strerror}: {place}"
    return Refusal(problem, "Let this user write there, or set HF_HOME to another folder")


def _of_status(name: str, revision: str | None, error) -> Refusal:
    """What a hub's refusal means, and what to do."""
    from huggingface_hub import constants

    kind, status = type(error).__name__, error.response.status_code
    page = f"{constants.ENDPOINT}/{name}"
    if kind == "RevisionNotFoundError":
        problem = f"{name} has no revision {revision!r}"
        return Refusal(problem, f"Correct `revision`: a commit, tag or branch of {page}")
    if kind == "RemoteEntryNotFoundError":
        problem = f"{name} lists a file that it does not have ({shortened(error, 120)})"
        return Refusal(problem, f"Look at {page}, and correct `model` or `revision`")
    if kind == "GatedRepoError" or status == 403:
        return _gated(name, status)
    if kind == "HfHubHTTPError" and status == 401:
        problem = "the hub does not know the token of this user (status 401)"
        return Refusal(problem, "Log in anew: `hf auth login`, or correct or unset HF_TOKEN")
    if kind == "RepositoryNotFoundError" or status == 404:
        problem = f"the hub has no repository {name} that this user may see (status {status})"
        remedy = f"Correct `model`; if {page} is private, log in: `hf auth login`, or set HF_TOKEN"
        return Refusal(problem, remedy)
    return NoAnswer(f"{constants.ENDPOINT} answers {name} with status {status}", LATER)


def _gated(name: str, status: int) -> Refusal:
    from huggingface_hub import get_token

    reason = "the token of this user has no access" if get_token() else "no token is set"
    return NoAccess(f"{name} is gated, and {reason} (status {status})", asking(name))


def asking(name: str) -> str:
    """How this user gets access to a gated repository."""
    from huggingface_hub import constants, get_token

    page = f"{constants.ENDPOINT}/{name}"
    if not get_token():
        return f"Ask for access at {page}, then log in: `hf auth login`, or set HF_TOKEN"
    return (
        f"Ask for access at {page} with the account of the token (HF_TOKEN, or `hf auth login`); a "
        "fine-grained token must be allowed to read gated repositories"
    )
