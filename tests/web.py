"""A web server and a package index on this machine, reached as the real ones are."""

import hashlib
import http.client
import io
import threading
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from faceloom.stage import PinnedFile


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the name in the base class
        pass


class _PlainHttps(urllib.request.HTTPSHandler):
    """Speaks to `https://` addresses without encryption, for which no certificate is needed."""

    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(http.client.HTTPConnection, request)


plain_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _PlainHttps())


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serves a folder; gives the address that `plain_opener` reaches it by."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"https://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def pinned_file(content: bytes, *places: str, file: str = "net.onnx") -> PinnedFile:
    """A catalog entry for this content."""
    return PinnedFile(
        name="net",
        file=file,
        sha256=hashlib.sha256(content).hexdigest(),
        size_bytes=len(content),
        licence="MIT",
        places=places,
    )


def archive(members: dict[str, bytes]) -> bytes:
    """A zip of these files."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as opened:
        for name, member in members.items():
            opened.writestr(name, member)
    return content.getvalue()


def write_wheel(folder: Path, members: dict[str, bytes]) -> None:
    """Writes the wheel of `faceloom-nets` 1.0 with these files in it."""
    about = "faceloom_nets-1.0.dist-info"
    with zipfile.ZipFile(folder / "faceloom_nets-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: faceloom-nets\nVersion: 1.0\n")
        wheel.writestr(
            f"{about}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{about}/RECORD", "")
        for name, content in members.items():
            wheel.writestr(name, content)
