"""The formats there are, found by their place, and what each loses, as the documentation states it.

A format is a module of this folder that has a `FORMAT`, and is called as the module is, with `-` for `_`; or an entry
point of its name in the group `faceloom.formats`. Names are told without importing any.
"""

import importlib
from typing import TYPE_CHECKING

from faceloom.discovery import binds, load, modules_of, no_such, offered
from faceloom.errors import RequestError

if TYPE_CHECKING:
    from faceloom.formats.record import Format

ENTRY_POINTS = "faceloom.formats"
_PACKAGE = "faceloom.formats"


def own_names() -> list[str]:
    """The formats of this package, sorted."""
    return [module.replace("_", "-") for module in modules_of(_PACKAGE) if binds(f"{_PACKAGE}.{module}", "FORMAT")]


def format_names() -> list[str]:
    """Every format: ours, then those of installed packages."""
    own = own_names()
    return own + sorted(offered(ENTRY_POINTS).keys() - set(own))


def formats() -> "list[Format]":
    """Every format, in the order of their names."""
    return [format_named(name) for name in format_names()]


def format_named(name: str) -> "Format":
    """A format by its name; an installed one comes before one of ours that has the same name.

    Raises:
        RequestError: there is none of this name, or what is offered under it is no format.
    """
    point = offered(ENTRY_POINTS).get(name)
    if point is None and name not in own_names():
        raise no_such("format", name, format_names())
    module = f"{_PACKAGE}.{name.replace('-', '_')}"
    return _checked(load(point) if point else importlib.import_module(module).FORMAT, name)


def _checked(found: object, name: str) -> "Format":
    from faceloom.formats.record import Format

    if not isinstance(found, Format) or found.name != name:
        raise RequestError(f"the format {name!r} is {found!r}, which is no Format of that name (see docs/plugins.md)")
    return found


def format_to_write(name: str) -> "Format":
    """A format that can be written.

    Raises:
        RequestError: there is none of this name, or it can only be read.
    """
    found = format_named(name)
    if not found.is_written:
        known = ", ".join(one.name for one in formats() if one.is_written)
        raise RequestError(f"{found.title} can be read and not written; formats to write are: {known}")
    return found


def format_to_read(name: str) -> "Format":
    """A format that can be read.

    Raises:
        RequestError: there is none of this name, or it can only be written.
    """
    found = format_named(name)
    if not found.is_read:
        known = ", ".join(one.name for one in formats() if one.is_read)
        raise RequestError(f"{found.title} can be written and not read; formats to read are: {known}")
    return found


def losses() -> str:
    """The table of what each of our formats loses, for docs/formats.md."""
    from faceloom.attributes import Part

    rows = ["| `--to` | what it is | does not hold | what it changes |", "| --- | --- | --- | --- |"]
    for found in map(format_named, own_names()):
        lost = ", ".join(part for part in Part if part not in found.keeps) or "nothing"
        rows.append(f"| `{found.name}` | {found.title} | {lost} | {found.changes} |")
    return "\n".join(rows) + "\n"
