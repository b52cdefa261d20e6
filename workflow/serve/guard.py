"""Who may ask, how many at once, and what a browser may do with the answers (ASGI)."""

import asyncio
import ipaddress
from contextlib import suppress
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve import refusals
from serve.limits import FORM, Limits

LOCAL = ("localhost", "127.0.0.1", "::1")
POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
POLICY += "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
FREE = "/api/models"  # computes nothing, so it needs no place
BODY_SECONDS = 120  # an upload that takes longer gives up its place


class Guard:
    """Refuses other hosts' names, other sites' scripts, and requests beyond the places.

    A page that another site opens reaches this server through its own name in DNS, so the name in
    Host is checked; its scripts send an Origin that is not this server's.
    """

    def __init__(self, app: ASGIApp, host: str, limits: Limits):
        self.app, self.host, self.limits, self.busy = app, host, limits, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        body = Body(receive, self.limits.upload)
        send = body.sender(send)
        headers = Headers(scope=scope)
        try:
            check_host(headers, self.host)
            check_origin(headers, scope)
            await self._placed(scope, body, send)
        except refusals.Refusal as refusal:
            await refusals.response(refusal)(scope, body.receive, send)

    async def _placed(self, scope: Scope, body: "Body", send: Send) -> None:
        if not scope["path"].startswith("/api/") or scope["path"] == FREE:
            await self.app(scope, body.receive, send)
            return
        if self.busy >= self.limits.places:
            problem = f"{self.busy} requests are at work or wait"
            raise refusals.Refusal(503, "the server", problem, "Send it again in a moment")
        self.busy += 1
        try:
            await self.app(scope, body.receive, send)
        finally:
            self.busy -= 1


class Body:
    """A request's body: never more than an upload, and read to its end before the answer starts.

    A client that still sends while the server has answered and closed sees a broken connection, not
    the answer. What is read then is dropped, up to 8 uploads and 10 seconds.
    """

    def __init__(self, receive: Receive, upload: int):
        self._receive, self._upload, self._size, self._ended = receive, upload, 0, False
        self._deadline = asyncio.get_running_loop().time() + BODY_SECONDS

    async def receive(self) -> Message:
        if self._ended:
            return await self._receive()  # the client's leave, which may come any time later
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError as error:
            self._ended = True
            raise HTTPException(408) from error  # FastAPI passes on no other error of a body
        self._ended = not message.get("more_body", False)
        self._size += len(message.get("body", b""))
        if self._size > self._upload + FORM:
            raise HTTPException(413)
        return message

    def sender(self, send: Send) -> Send:
        """Send with the headers that stand on every answer, after the body was read."""

        async def sends(message: Message) -> None:
            if message["type"] == "http.response.start":
                await self._drop()
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        return sends

    async def _drop(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(10):
                while not self._ended and self._size < 8 * self._upload:
                    with suppress(HTTPException):
                        await self.receive()


def check_host(headers: Headers, host: str) -> None:
    """Refuse a Host that is neither this machine's name for itself nor `host`.

    If `host` is every address of the machine, any address will do, but no name.
    """
    asked = ""
    with suppress(ValueError):  # of brackets that do not close
        asked = urlsplit(f"//{headers.get('host', '')}").hostname or ""
    if asked in LOCAL or asked == host or (_every(host) and _address(asked)):
        return
    problem = f"this server has no name {asked!r}"
    raise refusals.Refusal(421, "Host", problem, "Open the address that it printed at its start")


def check_origin(headers: Headers, scope: Scope) -> None:
    """Refuse what the scripts of other sites ask for."""
    origin, asked = headers.get("origin"), headers.get("host")
    foreign = origin is not None and origin not in (f"http://{asked}", f"https://{asked}")
    within = scope["path"].startswith("/api/")
    if within and headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        foreign = True
    if foreign:
        problem = "a page of another site asked"
        raise refusals.Refusal(403, "Origin", problem, "Use this server's own page, or no browser")


def _address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _every(host: str) -> bool:
    return _address(host) and ipaddress.ip_address(host).is_unspecified
