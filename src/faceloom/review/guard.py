"""Who is let in to the page: whoever knows its address, from that address, and nothing else of the browser's."""

import base64
import binascii
import ipaddress
import secrets
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
WebApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_EVERYWHERE = ("0.0.0.0", "::")  # what users may ask for
_MOST_BODY_BYTES = 16 << 20
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
HEADERS: Mapping[str, str] = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
"""Of every answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """What a request has to know, and to be."""

    token: str
    """What every path begins with."""
    port: int
    host: str = "127.0.0.1"
    """What is listened on."""
    password: str | None = None

    @classmethod
    def new(cls, **told: Any) -> "Door":
        """One with a token that nobody can guess."""
        return cls(token=secrets.token_urlsafe(24), **told)

    @property
    def address(self) -> str:
        """What is opened in a browser."""
        host = socket.gethostname() if self.host in _EVERYWHERE else self.host
        return f"http://{_bracketed(host)}:{self.port}/{self.token}/"

    def refuses(self, path: str, headers: Mapping[str, str], method: str) -> tuple[int, str] | None:
        """Why a request is not answered, with the status; None: it is."""
        host = headers.get("host", "")
        if not self._is_ours(host):
            return 403, "this page is not known by that name"
        if headers.get("origin", f"http://{host}") != f"http://{host}":
            return 403, "another page has asked"
        if headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}:
            return 403, "another page has asked"
        if not secrets.compare_digest(path[1:].partition("/")[0].encode(), self.token.encode()):
            return 403, "open the whole address that faceloom review has printed"
        if self.password is not None and not self._knows_password(headers.get("authorization", "")):
            return 401, "the password is missing"
        return self._refuses_body(headers) if method == "POST" else None

    def _refuses_body(self, headers: Mapping[str, str]) -> tuple[int, str] | None:
        if headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            return 415, "what is said is JSON"
        length = headers.get("content-length", "")
        if not length.isdecimal() or int(length) > _MOST_BODY_BYTES:
            return 413, "that is too long"
        return None

    def _is_ours(self, host: str) -> bool:
        name, _, port = host.rpartition(":")
        if port != str(self.port):
            return False
        if name in _LOOPBACK or name == _bracketed(self.host):
            return True
        return self.host in _EVERYWHERE and (name == socket.gethostname() or _is_number(name.strip("[]")))

    def _knows_password(self, told: str) -> bool:
        scheme, _, text = told.partition(" ")
        try:
            given = base64.b64decode(text, validate=True).partition(b":")[2]
        except binascii.Error:
            return False
        return scheme.lower() == "basic" and secrets.compare_digest(given, (self.password or "").encode())


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _is_number(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


class Guard:
    """Lets in what a door does not refuse, with the path that comes after the token, and adds headers to answers."""

    def __init__(self, app: WebApp, door: Door) -> None:
        self._app = app
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request."""
        if scope["type"] != "http":
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *_encoded(HEADERS)]}
            await send(message)

        headers = dict(_decoded(scope["headers"]))
        refused = self._door.refuses(scope["path"], headers, scope["method"])
        if refused is not None:
            await _answer(send_with_headers, *refused)
            return
        path = scope["path"].removeprefix(f"/{self._door.token}") or "/"
        inner = {**scope, "path": path, "raw_path": path.encode(), "root_path": ""}
        await self._app(inner, receive, send_with_headers)


async def _answer(send: Send, status: int, text: str) -> None:
    headers = {"content-type": "text/plain; charset=utf-8", "connection": "close"}
    if status == 401:
        headers["www-authenticate"] = 'Basic realm="faceloom review", charset="UTF-8"'
    await send({"type": "http.response.start", "status": status, "headers": list(_encoded(headers))})
    await send({"type": "http.response.body", "body": text.encode()})


def _encoded(headers: Mapping[str, str]) -> Iterator[tuple[bytes, bytes]]:
    for name, value in headers.items():
        yield name.encode("ascii"), value.encode("latin-1")


def _decoded(headers: Sequence[tuple[bytes, bytes]]) -> Iterator[tuple[str, str]]:
    for name, value in headers:
        yield name.decode("latin-1").lower(), value.decode("latin-1")
