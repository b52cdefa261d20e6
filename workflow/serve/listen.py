"""A server at an address of this machine, until it is stopped."""

import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import uvicorn

from histopair import jobs
from histopair.errors import InputError
from histopair.export.findings import USE
from serve import api, guard, private
from serve.desk import Desk

HOW = {"log_level": "warning", "access_log": False, "server_header": False, "lifespan": "off"}
HOW |= {"ws": "none", "timeout_graceful_shutdown": 5}


def forever(make: Callable[[Path], Desk], host: str, port: int) -> None:
    """Serve a desk until Ctrl-C. `make` gets the folder for uploads.

    Raises InputError for a bad host or port, before it makes the desk, which takes longer.
    """
    with bound(host, port) as place, private.folder() as folder:
        desk = make(folder)
        app = api.create(desk, host)
        say(desk, host, place)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # which uvicorn restores and raises
        with suppress(KeyboardInterrupt):
            uvicorn.Server(uvicorn.Config(app, **HOW)).run(sockets=[place])


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises InputError if the address is taken, or of no use here."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        problem = f"nothing can listen there ({getattr(error, 'strerror', None) or error})"
        raise InputError(f"{host}:{port}", problem, "Choose another --port or --host") from error


def say(desk: Desk, host: str, place: socket.socket) -> None:
    name = f"[{host}]" if ":" in host else host
    jobs.say(
        f"{', '.join(desk.models)}\nOpen http://{name}:{place.getsockname()[1]}  (Ctrl-C ends it)"
    )
    if host not in guard.LOCAL:
        jobs.say(f"Anyone who reaches {host} can use it: no password is asked.")
    jobs.say(USE)
