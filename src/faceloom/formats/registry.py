"""The formats there are, and what each loses, as the documentation states it."""

from faceloom.attributes import Part
from faceloom.errors import RequestError
from faceloom.formats import coco, csv, cvat, fsa, jsonl, parquet, pts, wider
from faceloom.formats.record import Format
from faceloom.suggestions import or_else

FORMATS = {
    found.name: found
    for found in (
        jsonl.FORMAT,
        csv.FORMAT,
        coco.FORMAT,
        wider.PREDICTIONS,
        wider.TRUTH,
        pts.FORMAT,
        cvat.FORMAT,
        parquet.FORMAT,
        fsa.FORMAT,
    )
}


def format_named(name: str) -> Format:
    """A format by its name.

    Raises:
        RequestError: there is none of this name.
    """
    if name not in FORMATS:
        raise RequestError(f"there is no format {name!r}; {or_else(name, FORMATS)}")
    return FORMATS[name]


def losses() -> str:
    """The table of what each format loses, for docs/formats.md."""
    rows = ["| `--to` | what it is | does not hold | what it changes |", "| --- | --- | --- | --- |"]
    for found in FORMATS.values():
        lost = ", ".join(part for part in Part if part not in found.keeps) or "nothing"
        rows.append(f"| `{found.name}` | {found.title} | {lost} | {found.changes} |")
    return "\n".join(rows) + "\n"
