"""The version of faceloom, and those of the packages beside it.

Python's module for that brings packages for mail and archives, and takes as long to import as all the rest of `faceloom
--help`. It is asked only where packages lie in an archive.
"""

import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import cache, lru_cache
from pathlib import Path

VERSION = "0.1.0"
"""Of this package; `pyproject.toml` takes it from here."""
_SEPARATORS = re.compile(r"[-_.]+")


@cache
def version_of(package: str) -> str | None:
    """The version of an installed distribution; None where there is none of this name."""
    if any(Path(place).is_file() for place in sys.path):
        return _version_in_archives(package)
    folder = _folders(tuple(sys.path)).get(_plain(package))
    if folder is None:
        return None
    for name in ("METADATA", "PKG-INFO"):
        with suppress(OSError):
            return _told((folder / name).read_text(encoding="utf-8", errors="replace"))
    return None


@lru_cache(maxsize=1)
def _folders(places: tuple[str, ...]) -> Mapping[str, Path]:
    """Where packages tell about themselves, by their names; of several of one name the first."""
    found: dict[str, Path] = {}
    for place in places:
        with suppress(OSError):
            for folder in Path(place).iterdir():
                if folder.suffix in {".dist-info", ".egg-info"}:
                    found.setdefault(_plain(folder.stem.partition("-")[0]), folder)
    return found


def _plain(name: str) -> str:
    return _SEPARATORS.sub("-", name).lower()


def _told(text: str) -> str | None:
    """What the header says; the description after it may be long."""
    header = text.partition("\n\n")[0]
    told = [line.partition(":")[2].strip() for line in header.splitlines() if line.startswith("Version:")]
    return told[0] if told else None


def _version_in_archives(package: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return None
