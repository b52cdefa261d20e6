"""Files of encoders on a hub: fetched before a library loads them, verified, or refused in words.

Libraries fetch file by file, and some go on without a file that did not come. Here all that an
encoder reads of a repository is fetched first, and the library then reads the cache alone.
"""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from histopair.encoders import hub
from histopair.encoders.hub_answers import FETCH, in_words
from histopair.encoders.weights import Refusal, check_sum, replaced

INDEX = ".index.json"


@dataclass(frozen=True)
class Repository:
    """What an encoder reads of a repository `OWNER/NAME`.

    weights: names of its file of weights, of which the first that is there is read; () for none.
    file: read this file alone. code: read the code that it brings, too.
    """

    name: str
    revision: str | None = None
    weights: tuple[str, ...] = ()
    file: str | None = None
    code: bool = False

    def chosen(self, names: list[str]) -> list[str]:
        """The files that are read, of all `names`; weights come last.

        Raises Refusal if the file that is meant, or all weights, are not among them.
        """
        if self.file:
            self._require([self.file], names, "Correct the file's name in the config")
            return [self.file]
        patterns = [*hub.DESCRIBING, "*.py"] if self.code else hub.DESCRIBING
        describing = [name for name in names if any(fnmatch(name, one) for one in patterns)]
        if not self.weights:
            return describing
        remedy = "Correct `model`; library timm reads a file of any name that `weights` names"
        first = self._require(self.weights, names, remedy)
        stem, _, suffix = first.removesuffix(INDEX).rpartition(".")
        parts = [name for name in names if fnmatch(name, f"{stem}-*-of-*.{suffix}")]
        others = [name for name in describing if name != first]
        return [*others, *(parts if first.endswith(INDEX) else []), first]

    def _require(self, wanted: Iterable[str], names: list[str], remedy: str) -> str:
        for name in wanted:
            if name in names:
                return name
        holds = ", ".join(sorted(names)[:5]) or "no files"
        problem = f"the repository {self.name} has no {' or '.join(wanted)}; it holds {holds}"
        raise Refusal(problem, remedy)


class NotCached(Refusal):
    """The network may not be used, and the cache lacks something of a repository."""

    def __init__(self, repository: Repository):
        from huggingface_hub import constants

        place = constants.HF_HUB_CACHE
        problem = f"HF_HUB_OFFLINE is set, and {repository.name} is not whole in {place}"
        remedy = (
            f"Where there is a network, with the same HF_HOME, run `{FETCH} -R fetch_encoder`; or "
            "give the files as a local folder"
        )
        super().__init__(problem, remedy)
        self.repository = repository


@contextmanager
def ready(repositories: Iterable[Repository]) -> Iterator[None]:
    """Fetch repositories; inside, libraries read the cache and never ask the network.

    What a hub cannot be asked for is taken from the cache if it is there. Raises Refusal if it is
    not, and for files that are not those that the hub states.
    """
    for repository in repositories:
        _make_ready(repository)
    with offline():
        yield


@contextmanager
def offline() -> Iterator[None]:
    """Inside, hubs are not asked: their files come from the cache."""
    from huggingface_hub import constants

    with replaced(constants, "HF_HUB_OFFLINE", True):
        yield


def commit(repository: Repository) -> str:
    """The commit that a hub has of a repository, if this user may read it.

    Raises Refusal, also for a repository without the files that an encoder reads.
    """
    from huggingface_hub import HfApi

    info = _listing(repository)
    if info.gated:
        with in_words(repository.name, repository.revision):
            HfApi().auth_check(repository.name)
    repository.chosen([file.rfilename for file in info.siblings or []])
    return info.sha


def fetch(repository: Repository) -> dict:
    """Fetch all that is read of a repository, and verify it, also what the cache had.

    Gives repository, revision, commit and files, each with name, size in bytes, sha256, and whether
    the hub states a checksum, which it then has. Raises Refusal.
    """
    from huggingface_hub import is_offline_mode

    if is_offline_mode():
        raise Refusal("HF_HUB_OFFLINE is set, so nothing can be fetched", "Unset it for this step")
    info = _listing(repository)
    files = _download(repository, info, thorough=True)
    about = {"repository": repository.name, "revision": repository.revision, "commit": info.sha}
    return about | {"files": files}


def fetch_address(address: str, sha256: str | None) -> dict:
    """Fetch a file by its address, once. Raises Refusal if its checksum is not the given one."""
    path = hub.file(address)
    check_sum(path, sha256)
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    record = {"name": path.name, "size": path.stat().st_size, "sha256": digest}
    return {"address": address, "files": [record | {"verified": sha256 is not None}]}


def _make_ready(repository: Repository) -> None:
    from huggingface_hub import is_offline_mode

    if is_offline_mode():
        _require_cached(repository, NotCached(repository))
        return
    try:
        info = _listing(repository)
    except Refusal as refusal:
        _require_cached(repository, refusal)
        print(f"weights: {repository.name} is read from the cache, because {refusal.problem}")
        return
    _download(repository, info)


def _require_cached(repository: Repository, refusal: Refusal) -> None:
    """Raise `refusal` unless what is read of a repository is in the cache.

    Weights come last, so the rest is there if they are.
    """
    from huggingface_hub.errors import HFValidationError

    try:
        folder = cached(repository)
        names = [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]
        there = repository.chosen(names)
    except (FileNotFoundError, HFValidationError, Refusal):
        there = []
    if not there:
        raise refusal


def cached(repository: Repository) -> Path:
    """The folder of a repository's files in the cache. Raises FileNotFoundError without one."""
    from huggingface_hub import snapshot_download

    options = {"revision": repository.revision, "local_files_only": True}
    return Path(snapshot_download(repository.name, allow_patterns=[], **options))


def _listing(repository: Repository):
    """The hub's answer: commit, and files with size and checksum."""
    from huggingface_hub import HfApi, constants

    options = {"revision": repository.revision, "timeout": constants.HF_HUB_ETAG_TIMEOUT}
    with in_words(repository.name, repository.revision):
        return HfApi().model_info(repository.name, files_metadata=True, **options)


def _download(repository: Repository, info, thorough: bool = False) -> list[dict]:
    """Records of the files, which are in the cache afterwards; `thorough` verifies old ones too."""
    from huggingface_hub import constants, file_download, hf_hub_download, try_to_load_from_cache

    stated = {file.rfilename: file for file in info.siblings or []}
    names, records = repository.chosen(list(stated)), []
    waits = replaced(file_download, "_ETAG_RETRY_TIMEOUT", constants.HF_HUB_ETAG_TIMEOUT)
    with in_words(repository.name, repository.revision), waits:
        for place, name in enumerate(names):
            old = try_to_load_from_cache(repository.name, name, revision=info.sha)
            # The first notes in the cache which commit a branch or tag is.
            revision = info.sha if place else repository.revision
            path = Path(hf_hub_download(repository.name, name, revision=revision))
            new = not isinstance(old, str)
            records.append(_verified(repository, path, stated[name], new or thorough))
    return records


def _verified(repository: Repository, path: Path, stated, thorough: bool) -> dict:
    """The record of a file. Raises Refusal, and removes it, if it is not as the hub states."""
    lfs, size = stated.lfs, path.stat().st_size
    record = {"name": stated.rfilename, "size": size}
    problem = None
    if size != (stated.size if stated.size is not None else size):
        problem = f"has {size:,} bytes, and the hub states {stated.size:,}"
    elif thorough:
        with open(path, "rb") as file:
            record["sha256"] = hashlib.file_digest(file, "sha256").hexdigest()
        expected = (lfs.sha256 if lfs else stated.blob_id) or None
        actual = record["sha256"] if lfs else _git_name(path)
        record["verified"] = expected is not None
        if expected not in (None, actual):
            problem = f"has the checksum {actual}, and the hub states {expected}"
    if problem is None:
        return record
    _remove(path)
    problem = f"the file {stated.rfilename} of {repository.name} {problem}"
    raise Refusal(problem, "Run it again: the file is no more in the cache, and is fetched anew")


def _git_name(path: Path) -> str:
    """Git's name of a file's content."""
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _remove(path: Path) -> None:
    """Remove a file of the cache: its name, and its content."""
    content = path.resolve()
    path.unlink()
    content.unlink(missing_ok=True)
