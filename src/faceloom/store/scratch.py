"""Scratch: where fetched files lie below a result folder while they are read; the store knows them by their address."""

import hashlib
import os
from pathlib import Path, PurePosixPath

SCRATCH = ".scratch"
_MARK = "://"
_DIGITS = 32
_LONGEST_SUFFIX = 10


def place_of(folder: Path, stored: bytes | str) -> Path:
    """Where a source's file is: at its path, or, if it has an address, in the scratch of the result folder."""
    text = os.fsdecode(stored)
    return scratch_file(folder, text) if _MARK in text else Path(text)


def scratch_file(folder: Path, url: str) -> Path:
    """Where what is fetched from an address lies."""
    suffix = PurePosixPath(url.partition("::")[0].partition("?")[0]).suffix
    kept = suffix if len(suffix) <= _LONGEST_SUFFIX and suffix.isprintable() else ""
    return folder / SCRATCH / f"{hashlib.sha256(url.encode()).hexdigest()[:_DIGITS]}{kept}"


def is_address(stored: bytes | str) -> bool:
    """Whether a stored path is an address."""
    return _MARK in os.fsdecode(stored)
