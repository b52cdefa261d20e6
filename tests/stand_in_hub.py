"""A stand-in for the model hub: a local server that answers huggingface_hub as the real one does.

It serves repositories from memory: listings, files by branch or commit, large files (LFS) by a
redirect to another host, ranges, and the errors that the real one names in `X-Error-Code`.
`faults` make it bad: see `Hub`.
"""

import hashlib
import http.server
import json
import threading
from dataclasses import dataclass, field
from pathlib import Path

PAGE = b"<!DOCTYPE html><html><body>Please log in to this network</body></html>"
LARGE = (".safetensors", ".bin", ".pth", ".pt")


@dataclass
class Stored:
    """A repository: one commit, on the branch `main`."""

    files: dict[str, bytes]
    commit: str
    token: str | None = None  # of the only user with access, where it is gated


@dataclass
class Hub:
    """What is served, what was asked (method and path), and the faults.

    faults: `api` or `files` is a status that all answers of that kind have; with `hang` or `hang
    for files` they come seconds late; `drops` is how many answers with a large file end early;
    `changed` large files have the same size but other content, `short` ones lack their end; `page`
    is a web page for everything, `page for files` only in place of large files.
    """

    stored: dict[str, Stored] = field(default_factory=dict)
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)
    faults: dict = field(default_factory=dict)
    address: str = ""
    elsewhere: str = ""  # of large files

    def add(self, name: str, folder: Path, token: str | None = None) -> str:
        """Serve a folder as a repository; gives its commit."""
        files = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }
        commit = hashlib.sha1(name.encode() + b"".join(files.values())).hexdigest()
        self.stored[name] = Stored(files, commit, token)
        return commit

    def fetched(self, ending: str) -> int:
        """How often files that end so were sent from their first byte."""
        sent = [path for method, path, span in self.asked if method == "GET" and not span]
        return sum(path.endswith(ending) and "/api/" not in path for path in sent)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def git_name(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self._answer()

    def do_GET(self):
        self._answer()

    def _answer(self):
        hub, path = self.server.hub, self.path.partition("?")[0]
        hub.asked.append((self.command, path, self.headers.get("Range")))
        if ("hang" if "/api/" in path else "hang for files") in hub.faults:
            threading.Event().wait(3.0)
        if "page" in hub.faults:
            return self._send(200, {"Content-Type": "text/html"}, PAGE)
        if self.headers.get("Authorization") == "Bearer hf_unknown":
            told = "Invalid credentials in Authorization header"
            return self._send(401, {"X-Error-Message": told})
        if path.startswith("/api/models/"):
            return self._listing(path.removeprefix("/api/models/"))
        if path.startswith("/large/"):
            return self._large(path)
        return self._file(path.removeprefix("/"))

    def _listing(self, path: str):
        if status := self.server.hub.faults.get("api"):
            return self._send(status)
        name, _, revision = path.removesuffix("/auth-check").partition("/revision/")
        stored = self.server.hub.stored.get(name)
        if stored is None:
            return self._send(401, {"X-Error-Code": "RepoNotFound"})
        if path.endswith("/auth-check"):
            return self._refuse() if self._is_closed(stored) else self._send(200)
        if revision not in ("", "main", stored.commit):
            return self._send(404, {"X-Error-Code": "RevisionNotFound"})
        files = [_described(name, content) for name, content in stored.files.items()]
        content = {"id": name, "modelId": name, "sha": stored.commit, "siblings": files}
        content["gated"] = "manual" if stored.token else False
        return self._send(200, {"Content-Type": "application/json"}, json.dumps(content).encode())

    def _file(self, path: str):
        hub = self.server.hub
        if status := hub.faults.get("files"):
            return self._send(status)
        name, _, rest = path.partition("/resolve/")
        revision, _, file = rest.partition("/")
        stored = hub.stored.get(name)
        if stored is None:
            return self._send(401, {"X-Error-Code": "RepoNotFound"})
        if self._is_closed(stored):
            return self._refuse()
        if revision not in ("main", stored.commit):
            return self._send(404, {"X-Error-Code": "RevisionNotFound"})
        headers = {"X-Repo-Commit": stored.commit}
        if file not in stored.files:
            return self._send(404, headers | {"X-Error-Code": "EntryNotFound"})
        content = stored.files[file]
        if not file.endswith(LARGE):
            return self._send(200, headers | {"ETag": f'"{git_name(content)}"'}, content)
        headers |= {"X-Linked-Size": str(len(content)), "X-Linked-ETag": f'"{sha256(content)}"'}
        return self._send(302, headers | {"Location": f"{hub.elsewhere}/large/{name}/{file}"})

    def _is_closed(self, stored: Stored) -> bool:
        return bool(stored.token) and self.headers.get("Authorization") != f"Bearer {stored.token}"

    def _refuse(self):
        status = 403 if self.headers.get("Authorization") else 401
        return self._send(status, {"X-Error-Code": "GatedRepo"})

    def _large(self, path: str):
        faults = self.server.hub.faults
        owner, name, file = path.removeprefix("/large/").split("/", 2)
        content = self.server.hub.stored[f"{owner}/{name}"].files[file]
        if "page for files" in faults:
            return self._send(200, {"Content-Type": "text/html"}, PAGE)
        content = content[:-1] + bytes([content[-1] ^ 1]) if "changed" in faults else content
        content = content[: len(content) // 2] if "short" in faults else content
        start, headers, status = 0, {"ETag": f'"{sha256(content)}"'}, 200
        if span := self.headers.get("Range"):
            start, status = int(span.removeprefix("bytes=").partition("-")[0]), 206
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        body, sent = content[start:], None
        if self.command == "GET" and faults.get("drops", 0) > 0:
            faults["drops"] -= 1
            sent = len(body) // 3
        return self._send(status, headers, body, sent)

    def _send(self, status: int, headers: dict | None = None, body: bytes = b"", sent=None):
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body[:sent])
        self.close_connection = sent is not None


def _described(name: str, content: bytes) -> dict:
    entry = {"rfilename": name, "size": len(content), "blobId": git_name(content)}
    if name.endswith(LARGE):
        entry["lfs"] = {"sha256": sha256(content), "size": len(content), "pointerSize": 134}
    return entry


class Server(http.server.ThreadingHTTPServer):
    """Serves a `Hub` on a port of its own, in a thread, inside `with`."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        port = self.server_port
        self.hub = Hub(address=f"http://127.0.0.1:{port}", elsewhere=f"http://localhost:{port}")
        self.thread = threading.Thread(target=self.serve_forever, args=[0.01], daemon=True)

    def handle_error(self, *_):
        pass

    def __enter__(self) -> Hub:
        self.thread.start()
        return self.hub

    def __exit__(self, *_):
        self.shutdown()
        self.thread.join()
        self.server_close()
