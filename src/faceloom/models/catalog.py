"""The catalog: every file that faceloom may fetch, read once from `catalog.toml`."""

import re
import tomllib
from collections.abc import Mapping
from importlib import resources

from faceloom.errors import WeightsError
from faceloom.stage import PinnedFile

_FIELDS = {
    "file": str,
    "sha256": str,
    "size_bytes": int,
    "licence": str,
    "about": str,
    "places": list,
    "dynamic": list,
    "pixels": str,
}


def read_catalog(text: str) -> dict[str, PinnedFile]:
    """The files of a catalog by name.

    Raises:
        WeightsError: not TOML, or an entry lacks a field or has one of the wrong type.
    """
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise WeightsError(f"the catalog is not valid TOML: {error}", name="catalog") from error
    return {name: _entry(name, table) for name, table in tables.items()}


def _entry(name: str, table: object) -> PinnedFile:
    if not isinstance(table, Mapping):
        raise WeightsError(f"catalog entry {name!r} is not a table", name=name)
    wrong = [key for key, kind in _FIELDS.items() if not isinstance(table.get(key, kind()), kind)]
    lists = [table.get(key, []) for key in ("places", "dynamic")]
    if wrong or not all(isinstance(item, str) for items in lists for item in items):
        raise WeightsError(f"catalog entry {name!r} has a field of the wrong type", name=name)
    try:
        entry = PinnedFile(name=name, **{**table, "places": tuple(lists[0]), "dynamic": tuple(lists[1])})
    except TypeError as error:
        raise WeightsError(f"catalog entry {name!r}: {error}", name=name) from error
    if not re.fullmatch("[0-9a-f]{64}", entry.sha256):
        raise WeightsError(f"catalog entry {name!r} needs a sha256 of 64 digits and a size in bytes", name=name)
    return entry


CATALOG: Mapping[str, PinnedFile] = read_catalog(
    resources.files("faceloom.models").joinpath("catalog.toml").read_text(encoding="utf-8")
)
