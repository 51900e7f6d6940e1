"""Serving the page: a free port of this machine, a browser, and an end by Ctrl-C."""

import asyncio
import socket
import threading
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from faceloom.errors import RequestError
from faceloom.memory.budget import budget_bytes_of
from faceloom.review.guard import Door, Guard

if TYPE_CHECKING:
    from faceloom.review.server import ReviewServer

_CONCURRENT = 64
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def serve(
    folder: Path,
    *,
    port: int | None = None,
    host: str | None = None,
    password: str | None = None,
    memory: int | str | None = None,
    on_address: Callable[[str], None],
    browser: bool = True,
) -> None:
    """Serves the page of a result folder until Ctrl-C.

    Args:
        folder: a result folder; a run may be writing to it.
        port: to listen on; a free one if it is left out.
        host: an address of this machine that others reach it by; this machine alone if it is left out.
        password: asked of whoever comes; needed with `host`.
        memory: ceiling for the process.
        on_address: told the address of the page before anybody can have asked for it.
        browser: whether it is opened in a browser.

    Raises:
        RequestError: the extra is not installed, the port is taken, or a host has no password.
        StoreError: the folder holds no results that can be read.
        BudgetError: its faces do not fit into the memory.
    """
    _require_password(host, password)
    _require_extra()
    from faceloom.review.server import ReviewServer

    server = ReviewServer(folder, budget_bytes=budget_bytes_of(memory))
    try:
        with _listening(host or _LOOPBACK[0], port) as listening:
            door = Door.new(port=listening.getsockname()[1], host=host or _LOOPBACK[0], password=password or None)
            on_address(door.address)
            if browser:
                threading.Thread(target=webbrowser.open, args=(door.address,), daemon=True).start()
            _run(server, door, listening)
    finally:
        server.close()


def _require_password(host: str | None, password: str | None) -> None:
    if host is not None and host not in _LOOPBACK and not password:
        raise RequestError(f"on {host} others reach the page too: add --password TEXT, which they will be asked for")


def _require_extra() -> None:
    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise RequestError(f"the page needs {error.name}; pip install 'faceloom[review]'") from error


def _listening(host: str, port: int | None) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port or 0, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port or 0), family=family)
    except OSError as error:
        place = host if port is None else f"port {port} of {host}"
        raise RequestError(f"{place} cannot be listened on: {error.strerror}; choose another --port") from error


def _run(server: "ReviewServer", door: Door, listening: socket.socket) -> None:
    import uvicorn

    config = uvicorn.Config(
        Guard(server.app, door),
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        lifespan="off",
        ws="none",
        http="h11",
        loop="asyncio",
        limit_concurrency=_CONCURRENT,
        timeout_graceful_shutdown=2,
    )
    try:
        asyncio.run(uvicorn.Server(config).serve(sockets=[listening]))
    except KeyboardInterrupt:  # which is how it ends
        return
