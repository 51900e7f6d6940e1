"""Folders for persons: what a person is called may come from anybody, and leads nowhere."""

from collections.abc import Iterable

from faceloom.media.sources import printable

_LONGEST_FOLDER = 60
"""Characters of names, each of which may take four bytes of the 255 that there are."""


def folder_names(names: Iterable[str]) -> dict[str, str]:
    """A name for a folder for each name: it leads nowhere else, and no two have the same."""
    folders: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        text = printable(name).replace("/", "_").strip()[:_LONGEST_FOLDER]
        text = text if text.strip(".") else f"_{text}"
        free, number = text, 2
        while free.casefold() in taken:
            free, number = f"{text} ({number})", number + 1
        folders[name] = free
        taken.add(free.casefold())
    return folders
