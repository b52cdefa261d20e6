"""No network: nothing that is loaded inside can reach another machine, so that nothing hangs."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

ENVIRONMENT = "HF_HUB_OFFLINE"
OFF = ("0", "OFF", "NO", "FALSE")
SECONDS = 10  # until a machine that does not answer is given up
PATIENCE = {"HF_HUB_ETAG_TIMEOUT": "5", "HF_HUB_DOWNLOAD_TIMEOUT": str(SECONDS)}


class NoNetworkError(OSError):
    """A library wanted to reach another machine."""


def allowed(asked: bool) -> bool:
    """Whether the network may be used: if the user asks for it, or HF_HUB_OFFLINE is set off."""
    return asked or os.environ.get(ENVIRONMENT, "").upper() in OFF


def prepare(online: bool) -> None:
    """Tell the libraries that are loaded afterwards whether to use the network, and how long."""
    if not online:
        os.environ[ENVIRONMENT] = "1"
        return
    os.environ.update({**PATIENCE, **os.environ, ENVIRONMENT: "0"})
    socket.setdefaulttimeout(SECONDS)


@contextmanager
def no_network() -> Iterator[None]:
    """Inside, connections to other machines fail at once with NoNetworkError."""
    from huggingface_hub import constants

    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex
    resolve, offline = socket.getaddrinfo, constants.HF_HUB_OFFLINE

    def refuse(*_, **__):
        raise NoNetworkError("the doctor uses no network")

    def local(original):
        def call(self, address):
            return original(self, address) if isinstance(address, str | bytes) else refuse()

        return call

    socket.socket.connect, socket.socket.connect_ex = local(connect), local(connect_ex)
    socket.getaddrinfo = refuse
    constants.HF_HUB_OFFLINE = True  # else the hub's library would try again for half a minute
    try:
        yield
    finally:
        socket.socket.connect, socket.socket.connect_ex = connect, connect_ex
        socket.getaddrinfo, constants.HF_HUB_OFFLINE = resolve, offline
