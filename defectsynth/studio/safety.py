"""Who may ask: the page itself, from the address that is served, and nobody else; what an answer may do in a browser.

A page of another host cannot reach the studio by having its name point here (DNS rebinding): the Host header must be an address
that is served. It cannot send anything either: whatever is sent must come from the page itself and carry a header of its own,
which a browser lets no other page add without being asked first, and nobody is ever told yes.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from contextlib import suppress
from typing import Any

from defectsynth.studio.limits import BODY_BYTES, UPLOAD_BYTES

__all__ = ["HEADER", "Guard", "is_loopback"]

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

HEADER = "x-defectsynth-studio"
"""What the page sends with everything that is not a plain look."""
_JSON, _FORM = "application/json", "multipart/form-data"

POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_ALWAYS = {
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine alone."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


class Guard:
    """Lets through what the page may ask, and adds the headers that keep it by itself.

    Args:
        app: what answers.
        host: the address that is listened on.
        port: its port.
        upload_paths: paths that take files instead of JSON.
    """

    def __init__(self, app: App, *, host: str, port: int, upload_paths: Iterable[str]) -> None:
        self._app, self._host, self._port = app, host, port
        self._uploads = frozenset(upload_paths)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            raise RuntimeError("the studio has no web sockets")

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *((a.encode(), b.encode()) for a, b in _ALWAYS.items())]
            await send(message)

        headers = _single(scope["headers"])
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            await _refuse(guarded, *refusal)
            return
        most = UPLOAD_BYTES if scope["path"] in self._uploads else BODY_BYTES
        await self._limited(scope, receive, guarded, most, headers)

    def _refusal(self, scope: MutableMapping[str, Any], headers: dict[str, str]) -> tuple[int, str] | None:
        host = headers.get("host", "")
        if not self._served(host):
            return 421, f"host {host!r} is not served here: open http://{self._host}:{self._port}/"
        if scope["method"] in ("GET", "HEAD"):
            return None
        if scope["method"] != "POST":
            return 405, f"method {scope['method']} is not used here: the page asks with GET and POST"
        origin = headers.get("origin")
        if origin is not None and origin != f"http://{host}":
            return 403, f"this was sent by a page of {origin!r}: only the studio's own page may send anything"
        if headers.get("sec-fetch-site", "same-origin") != "same-origin" or HEADER not in headers:
            return 403, "this was not sent by the studio's own page: open the studio and use that"
        wanted = _FORM if scope["path"] in self._uploads else _JSON
        kind = headers.get("content-type", "").split(";")[0].strip().lower()
        if kind != wanted:
            return 415, f"content type {kind!r} is not used here: send {wanted}"
        return None

    def _served(self, host: str) -> bool:
        """Whether a Host header names the address that is listened on. An address of digits has no name to be rebound."""
        name, colon, port = host.rpartition(":") if not host.endswith("]") else (host, "", "")
        if not colon:
            name, port = host, "80"
        if port != str(self._port):
            return False
        name = name.lower()
        if is_loopback(self._host):
            return name in {"localhost", "127.0.0.1", "[::1]", self._host, f"[{self._host}]"}
        if name.strip("[]") == self._host.lower():
            return True
        try:
            address = ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return name == "localhost"
        return self._host in ("0.0.0.0", "::") or address.is_loopback

    async def _limited(
        self, scope: MutableMapping[str, Any], receive: Receive, send: Send, most: int, headers: dict[str, str]
    ) -> None:
        """Answers a request that may bring so many bytes, whether it says how many it brings or not."""
        too_many = f"this request brings more than {most:,} bytes: drop fewer or smaller pictures, or draw a simpler ROI"
        declared = headers.get("content-length", "0")
        if not declared.isdigit() or int(declared) > most:
            await _refuse(send, 413, too_many)
            return
        taken, started, over = 0, False, False

        async def counted() -> Message:
            nonlocal taken, over
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > most:
                over = True
                raise _TooLarge
            return message

        async def noted(message: Message) -> None:
            nonlocal started
            if not over:  # else what would be told is that the request could not be read
                started = started or message["type"] == "http.response.start"
                await send(message)

        with suppress(_TooLarge):
            await self._app(scope, counted, noted)
        if over and not started:
            await _refuse(send, 413, too_many)


class _TooLarge(Exception):  # noqa: N818 - becomes an answer
    """More bytes came than may."""


def _single(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """The headers by name; a Host or Origin that comes twice is none."""
    found: dict[str, str] = {}
    for raw, value in headers:
        name = raw.decode("latin-1").lower()
        found[name] = "twice" if name in found and name in ("host", "origin") else value.decode("latin-1")
    return found


async def _refuse(send: Send, status: int, message: str) -> None:
    body = json.dumps({"error": message}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
