"""Writes into docs/ the tables that follow from the code: the attributes of a face, and what formats lose.

    python tools/document_tables.py            brings them up to date
    python tools/document_tables.py --check    says with exit status 1 if one is not

Each stands between two comments, `<!-- table: NAME -->` and `<!-- end of table -->`.
"""

import argparse
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from faceloom.attributes import ATTRIBUTES, Attribute, Kind, Presence
from faceloom.formats.registry import losses
from faceloom.store.columns import OF_FACES

DOCS = Path(__file__).parents[1] / "docs"
VALUES = {
    Kind.WHOLE: "int",
    Kind.NUMBER: "float",
    Kind.TEXT: "str",
    Kind.NAME: "str",
    Kind.MASKS: '{name: {"size": int, "png_base64": str}}',
}
PRESENCE = {Presence.ALWAYS: "always", Presence.KNOWN: "where known", Presence.ASKED: "where asked for"}


def attributes() -> str:
    """A row for each attribute of a face."""
    head = ["key", "value", "in lines", "decimals", "in chips", "in the store", "what it is"]
    rows = [head, ["---"] * len(head), *(_row(attribute) for attribute in ATTRIBUTES)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _row(attribute: Attribute) -> list[str]:
    return [
        f"`{attribute.key}`",
        VALUES.get(attribute.kind) or f"numbers ({', '.join('N' if n < 0 else str(n) for n in attribute.shape)})",
        PRESENCE[attribute.presence],
        "-" if attribute.digits is None else str(attribute.digits),
        "yes" if attribute.in_chips else "no",
        _columns(attribute),
        attribute.about,
    ]


def _columns(attribute: Attribute) -> str:
    if not attribute.columns:
        return "the table `mask`"
    kind, _ = OF_FACES.types[attribute.columns[0]]
    names = ", ".join(f"`{name}`" for name in attribute.columns)
    return f"{names} {kind}" + (f" of {np.dtype(attribute.dtype)}" if kind == "BLOB" else "")


TABLES: Mapping[str, Mapping[str, Callable[[], str]]] = {
    "store.md": {"attributes": attributes},
    "formats.md": {"losses": losses},
}


def with_tables(text: str, tables: Mapping[str, Callable[[], str]]) -> str:
    """A document with its tables as they are now."""
    for name, table in tables.items():
        first, last = f"<!-- table: {name} -->\n", "<!-- end of table -->\n"
        text, found = re.subn(f"({first}).*?({last})", lambda m: m[1] + table() + m[2], text, flags=re.DOTALL)  # noqa: B023
        if found != 1:
            raise SystemExit(f"the table {name} stands {found} times in its document, not once")
    return text


def main() -> int:
    """How many documents were not up to date, if that was asked; else 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing")
    asked = parser.parse_args()
    old = []
    for document, tables in TABLES.items():
        text = (DOCS / document).read_text(encoding="utf-8")
        if with_tables(text, tables) != text:
            old.append(document)
            if not asked.check:
                (DOCS / document).write_text(with_tables(text, tables), encoding="utf-8")
    if asked.check and old:
        print(f"not up to date: {', '.join(old)}; run python {Path(__file__).name}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
