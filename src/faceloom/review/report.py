"""A report of a result folder: one page in one file, which needs nothing beside it, and nothing of the network."""

import base64
import html
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceloom.errors import FaceloomError, RequestError
from faceloom.review.likeness import distances, farthest_alike
from faceloom.review.listing import PROBLEMS, Doubts, FaceQuery, listed, problem_rows
from faceloom.review.people import PersonList
from faceloom.review.pictures import thumbnail
from faceloom.review.plots import AXES, histogram, strip
from faceloom.review.table import FaceTable, as_corrected, hidden_faces, read_table
from faceloom.store.beside import new_file, refuse_full
from faceloom.store.copies import CopyKind, note_made
from faceloom.store.database import connect
from faceloom.store.summary import read_summary
from faceloom.store.view import replayed
from faceloom.version import VERSION

_COVER_PX, _FACE_PX = 96, 88
_MOST_PEOPLE, _MOST_STRIPS, _MOST_FACES, _MOST_FRAMES = 60, 12, 24, 200
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def report(folder: Path, out: Path, *, raw: bool = False, share: bool = False) -> Path:
    """Writes the report of a result folder to a new file.

    Args:
        folder: a result folder; a run may be writing to it.
        out: a new HTML file.
        raw: whether corrections are left out.
        share: whether the umask decides who may read it; otherwise only you may.

    Raises:
        RequestError: the file is there already, or cannot be written.
        StoreError: the folder holds no results that can be read.
    """
    with connect(folder, read_only=True) as db:
        found = _Reported.of(db, folder, raw=raw)
        try:
            with new_file(out, share=share) as part, part.open("w", encoding="utf-8") as file:
                file.writelines(_page(found))
        except FileExistsError as error:
            raise RequestError(f"{out} is there already; name another, or remove it") from error
        except OSError as error:
            refuse_full(error, out)
            raise RequestError(f"{out} cannot be written: {error.strerror}") from error
    note_made(folder, CopyKind.EXPORT, out)  # which forgetting will name
    return out


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Reported:
    """What a report tells of."""

    db: sqlite3.Connection
    folder: Path
    table: FaceTable
    people: PersonList
    doubts: Doubts
    summary: dict[str, Any] = field(repr=False)

    @classmethod
    def of(cls, db: sqlite3.Connection, folder: Path, *, raw: bool) -> "_Reported":
        table = read_table(db)
        table = table.without(hidden_faces(db, raw=True)) if raw else as_corrected(db, table, replayed(db))
        return cls(
            db=db,
            folder=folder,
            table=table,
            people=PersonList(table),
            doubts=Doubts(distances(db, table), farthest_alike(folder)),
            summary=read_summary(folder, raw=raw),
        )

    def picture(self, face: int, *, longest: int, label: str) -> str:
        """The chip of a face, in the page itself."""
        (chip,) = self.db.execute("SELECT chip FROM main.face WHERE id = ?", (face,)).fetchone()
        side = f'width="{longest}" height="{longest}" alt="{html.escape(label)}"'
        try:
            content = b"" if chip is None else thumbnail(self.folder, chip, longest=longest)
        except FaceloomError:  # the file is gone, and the face is not
            content = b""
        if not content:
            return f'<span class="none" style="width:{longest}px;height:{longest}px"></span>'
        return f'<img {side} src="data:image/jpeg;base64,{base64.b64encode(content).decode()}">'

    def place(self, row: int) -> str:
        """Source, frame and index of a face."""
        source = int(self.table.sources[row])
        (name,) = self.db.execute("SELECT name FROM main.source WHERE id = ?", (source,)).fetchone()
        return f"{name}#{self.table.frames[row]}/{self.table.indexes[row]}"


def _page(found: _Reported) -> Iterator[str]:
    title = f"Faces in {html.escape(found.folder.resolve().name)}"
    style = resources.files("faceloom.review").joinpath("report.css").read_text(encoding="utf-8")
    yield '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{title}</title><style>{style}</style></head><body><h1>{title}</h1>\n"
    yield from _counts(found)
    yield from _people(found)
    yield from _strips(found)
    yield from _plots(found)
    yield from _worst(found)
    yield from _problems(found)
    yield f"<footer>faceloom {html.escape(VERSION)}</footer></body></html>\n"


def _counts(found: _Reported) -> Iterator[str]:
    summary, frames = found.summary, found.summary["frames"]
    told = {
        **{f"{kind}{'s' * (number != 1)}": number for kind, number in sorted(summary["sources"].items())},
        "frames done": frames["done"],
        "failed": frames["failed"],
        "to do": frames["pending"],
        "faces": summary["faces"],
        "rejected": summary["rejected"],
        "persons": len(found.people),
        "corrections": summary["corrections"]["said"],
    }
    cells = "".join(
        f"<div><dd>{number:,}</dd><dt>{html.escape(name)}</dt></div>" for name, number in told.items() if number
    )
    yield f'<dl class="counts">{cells}</dl>\n'


def _people(found: _Reported) -> Iterator[str]:
    if not len(found.people):
        return
    page = found.people.page(sort="size", search="", first=0, count=_MOST_PEOPLE)
    yield f"<h2>People</h2><p>{page['total']:,} person{'s' * (page['total'] != 1)}"
    yield f", the {_MOST_PEOPLE} with most faces" * (page["total"] > _MOST_PEOPLE) + '</p><ul class="people">'
    for person in page["people"]:
        name = html.escape(person["name"])
        picture = found.picture(person["cover"], longest=_COVER_PX, label=person["name"])
        yield f"<li>{picture}<strong>{name}</strong><small>{person['faces']:,}</small></li>"
    yield "</ul>\n"


def _strips(found: _Reported) -> Iterator[str]:
    """Where each person is, through all frames with faces in the order of sources and frames."""
    table = found.table
    if len(found.people) < 2:
        return
    is_next = (np.diff(table.sources) != 0) | (np.diff(table.frames) != 0)
    steps = np.concatenate([[0], np.cumsum(is_next)]) if len(table) else np.zeros(0, np.int64)
    yield "<h2>Where they appear</h2><p>Frames with faces, by source and time, from left to right.</p>"
    yield '<table class="strips">'
    for person in found.people.page(sort="size", search="", first=0, count=_MOST_STRIPS)["people"]:
        name = html.escape(person["name"])
        rows = np.flatnonzero(table.of_person(person["name"]) & table.is_shown)
        yield f"<tr><th>{name}</th><td>{strip(steps[rows], int(steps[-1]) + 1, label=name)}</td></tr>"
    yield "</table>\n"


def _plots(found: _Reported) -> Iterator[str]:
    shown = found.table.is_shown
    plots = [histogram(found.table.numbers[name][shown], axis) for name, axis in AXES.items()]
    if any(plots):
        yield f'<h2>What they are like</h2><div class="plots">{"".join(plots)}</div>\n'


def _worst(found: _Reported) -> Iterator[str]:
    for title, sort, name in (
        ("Poorest faces", "-quality", "quality"),
        ("Least certain faces", "-score", "score"),
        ("Farthest from their person", "doubt", ""),
    ):
        rows = listed(found.table, FaceQuery(sort=sort, rejected=False), doubts=found.doubts)
        values = found.table.numbers[name] if name else found.doubts.distances
        yield from _faces(
            found, title, [row for row in rows[:_MOST_FACES].tolist() if np.isfinite(values[row])], values
        )


def _faces(found: _Reported, title: str, rows: Sequence[int], values: NDArray[np.float32]) -> Iterator[str]:
    if not rows:
        return
    yield f'<h2>{title}</h2><ul class="faces">'
    for row in rows:
        place = found.place(row)
        picture = found.picture(int(found.table.ids[row]), longest=_FACE_PX, label=place)
        yield f'<li title="{html.escape(place)}">{picture}<small>{values[row]:.2f}</small></li>'
    yield "</ul>\n"


def _problems(found: _Reported) -> Iterator[str]:
    counts = [(PROBLEMS[name], int(problem_rows(found.table, name, found.doubts).sum())) for name in PROBLEMS]
    yield '<h2>Problems</h2><table class="problems">'
    for about, count in counts:
        yield f"<tr><td>{count:,}</td><td>{html.escape(about)}</td></tr>"
    for kind, count in found.summary["rejected_by"].items():
        yield f"<tr><td>{count:,}</td><td>of these by {html.escape(str(kind))}</td></tr>"
    yield "</table>\n"
    where = "FROM main.frame JOIN main.source ON source.id = source_id WHERE status = 'failed' OR reason IS NOT NULL"
    (total,) = found.db.execute(f"SELECT count(*) {where}").fetchone()
    if not total:
        return
    yield f"<h3>{total:,} frames that failed, or of which something was lost"
    yield f"; the first {_MOST_FRAMES}" * (total > _MOST_FRAMES) + '</h3><table class="frames">'
    query = f"SELECT name, frame.idx, status, reason {where} ORDER BY name, frame.idx LIMIT ?"
    for name, frame, status, reason in found.db.execute(query, (_MOST_FRAMES,)):
        cells = (f"{name}#{frame}", status, reason or "")
        yield f"<tr>{''.join(f'<td>{html.escape(str(cell))}</td>' for cell in cells)}</tr>"
    yield "</table>\n"
