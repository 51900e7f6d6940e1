"""The catalog: every file that faceloom may fetch, read once from `catalog.toml`."""

import tomllib
from collections.abc import Mapping
from importlib import resources

from faceloom.errors import WeightsError
from faceloom.stage import PinnedFile


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
    lists = {key: tuple(table.get(key, ())) for key in ("places", "dynamic")}
    try:
        entry = PinnedFile(name=name, **{**table, **lists})
    except TypeError as error:
        raise WeightsError(f"catalog entry {name!r}: {error}", name=name) from error
    if len(entry.sha256) != 64 or not isinstance(entry.size_bytes, int):
        raise WeightsError(f"catalog entry {name!r} needs a sha256 of 64 digits and a size in bytes", name=name)
    return entry


CATALOG: Mapping[str, PinnedFile] = read_catalog(
    resources.files("faceloom.models").joinpath("catalog.toml").read_text(encoding="utf-8")
)
