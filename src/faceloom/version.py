"""The version of faceloom, and those of the packages beside it.

Python's module for that takes as long to import as all the rest of `faceloom --help`, so that it is imported when
somebody asks.
"""

from functools import cache

VERSION = "0.1.0"
"""Of this package; `pyproject.toml` takes it from here."""


@cache
def version_of(package: str) -> str | None:
    """The version of an installed distribution; None where there is none of this name."""
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        found = distribution(package)
    except PackageNotFoundError:
        return None
    # The header alone: Python's parser of mails goes through the whole description, which takes ten times as long.
    header = (found.read_text("METADATA") or "").partition("\n\n")[0]
    told = [line.partition(":")[2].strip() for line in header.splitlines() if line.startswith("Version:")]
    return told[0] if told else found.version
