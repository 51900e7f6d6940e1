"""Correcting: what people say of faces and persons, kept beside what was found, and read instead of it."""

import base64
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from sys import intern
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from faceloom.errors import RequestError
from faceloom.faces import Face, FrameId
from faceloom.formats.cvat import FORMAT as CVAT
from faceloom.formats.label_studio_edits import is_label_studio, read_annotations
from faceloom.formats.record import encode_mask
from faceloom.store.beside import new_file, refuse_full
from faceloom.store.carrying import Carried, read_lines, take_in, write_lines
from faceloom.store.copies import CopyKind, note_made
from faceloom.store.corrections import Correction, FaceAddress, Verb, select_corrections, undone_last
from faceloom.store.database import connect
from faceloom.store.edits import take_edits
from faceloom.store.origins import find_origin
from faceloom.store.saying import (
    FacePlace,
    add_face,
    all_names,
    fresh_name,
    is_somebody,
    mark,
    mask_square,
    say,
    saying,
)
from faceloom.store.view import number_of, replayed

FaceLike: TypeAlias = Face | str | Path
"""A face; or its place as `SOURCE#FRAME/INDEX`; or the path of its chip."""


def corrections(folder: str | Path) -> "Corrections":
    """The corrections of a result folder: to make, to undo, and to look at.

    Example:
        with faceloom.open("faces") as results:
            said = faceloom.corrections("faces")
            said.name("person 1", "Ann")
            said.reject(face for face in results.faces(max_size=20))
            said.undo()

    Args:
        folder: a result folder; a run may be writing to it.

    Raises:
        StoreError: it holds no results that can be read.
    """
    with connect(Path(folder), read_only=True):
        return Corrections(Path(folder))


class Corrections:
    """The corrections of a result folder, in the order in which they were said.

    Every method that says something is one transaction: when it returns, what was said is on disk. Faces are `Face`
    objects, or texts like `clip.mp4#12/0` (source, frame and index), or paths of chips.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __repr__(self) -> str:
        return f"<Corrections of {self._folder}>"

    def __iter__(self) -> Iterator[Correction]:
        with connect(self._folder, read_only=True) as db:
            yield from select_corrections(db)

    def __len__(self) -> int:
        with connect(self._folder, read_only=True) as db:
            return int(db.execute("SELECT count(*) FROM correction").fetchone()[0])

    def missing(self, said: Correction) -> tuple[FaceAddress, ...]:
        """Gives the faces of a correction that are not there, or not any more: of these it says nothing."""
        with connect(self._folder, read_only=True) as db:
            return tuple(face for face in said.faces if number_of(db, face) is None)

    def name(self, person: str, name: str) -> Correction:
        """Gives a person another name.

        Raises:
            RequestError: there is no such person, or somebody else has the name: then `merge` them.
        """
        return self._of_persons(Verb.NAME, [person], name, is_new=True)

    def merge(self, person: str, others: str | Iterable[str]) -> Correction:
        """Says that others are this person too; their faces are then this one's.

        Raises:
            RequestError: one of them is not there.
        """
        names = [others] if isinstance(others, str) else list(others)
        return self._of_persons(Verb.MERGE, names, person, is_new=False)

    def assign(self, faces: FaceLike | Iterable[FaceLike], person: str | None) -> Correction:
        """Says whose faces these are, somebody's who may be new, or with None nobody's."""
        return self._of_faces(Verb.ASSIGN, faces, person)

    def split(self, faces: FaceLike | Iterable[FaceLike], name: str | None = None) -> Correction:
        """Says that these faces are another person's, who is new; one without a name is called like `person 7`.

        Raises:
            RequestError: there is somebody of this name.
        """
        with saying(self._folder) as db:
            if name is not None and is_somebody(db, replayed(db), name):
                raise RequestError(f"there is a {name!r} already; assign the faces to them, or choose another name")
            return say(db, Verb.SPLIT, _places(faces), after=name or fresh_name(all_names(db)))

    def same(self, faces: Iterable[FaceLike]) -> Correction:
        """Says that these faces, two or more, are of one person; their persons are one from now on."""
        return self._of_faces(Verb.SAME, faces, None)

    def different(self, faces: Iterable[FaceLike]) -> Correction:
        """Says that each of these faces, two or more, is another person's.

        Of those that passed for one person's, the first stays and the others are nobody's until `faceloom.group`.
        """
        return self._of_faces(Verb.DIFFERENT, faces, None)

    def reject(self, faces: FaceLike | Iterable[FaceLike], reason: str | None = None) -> Correction:
        """Says that these are no faces, or none that are wanted; readers leave them out."""
        return self._of_faces(Verb.REJECT, faces, reason)

    def restore(self, faces: FaceLike | Iterable[FaceLike]) -> Correction:
        """Says that these faces are wanted which a filter, or somebody, rejected."""
        return self._of_faces(Verb.RESTORE, faces, None)

    def add(self, frame: FrameId | str, box: ArrayLike) -> Correction:
        """Says that there is a face which no detector found.

        `faceloom.remake`, and the next run of the command that made the folder, make of the box what a run would have.

        Args:
            frame: that the face is in, as `FrameId` or like `clip.mp4#12`; a picture also by its name alone.
            box: x0, y0, x1, y1 in pixels of the frame.

        Raises:
            RequestError: there is no such frame, a face is there already, or the box makes no sense.
        """
        numbers = np.asarray(box, np.float64)
        if numbers.shape != (4,) or not np.isfinite(numbers).all():
            raise RequestError(f"a box is four numbers of pixels: x0, y0, x1, y1; and not {box!r:.80}")
        with saying(self._folder) as db:
            return add_face(db, _frame(frame), numbers.astype(np.float32))

    def move_box(self, face: FaceLike, box: ArrayLike) -> Correction:
        """Says where a face is: x0, y0, x1, y1 in pixels of the frame.

        `faceloom.remake`, and the next run of the command that made the folder, look for its landmarks there.
        """
        return self._of_faces(Verb.BOX, face, np.asarray(box).tolist())

    def move_landmarks(self, face: FaceLike, landmarks: ArrayLike) -> Correction:
        """Says where the 68 landmarks of a face are (68, 2), in pixels of the frame.

        The next run of the same command, and `faceloom.derive`, cut its chip by them.
        """
        return self._of_faces(Verb.LANDMARKS, face, np.asarray(landmarks).tolist())

    def draw_mask(self, face: FaceLike, name: str, mask: NDArray[np.uint8]) -> Correction:
        """Says what a mask of a face is: coverage (S, S) 0 to 255 of the square that its chip shows.

        Args:
            face: one that has landmarks.
            name: of the mask, which may be a new one.
            mask: as `Results.mask` gives it, with strokes added or taken away.

        Raises:
            RequestError: there is no such face, it has no landmarks, or the mask has another shape.
        """
        pixels = np.asarray(mask, np.uint8)
        if pixels.ndim != 2 or pixels.shape[0] != pixels.shape[1]:
            raise RequestError(f"a mask is a square of bytes, and not {pixels.shape}")
        (place,), size = _places(face), len(pixels)
        with saying(self._folder) as db:
            told = {"name": name, "size": size, "affine": mask_square(db, place, size=size)}
            told["png_base64"] = base64.b64encode(encode_mask(pixels)).decode()
            return say(db, Verb.MASK, [place], after=told)

    def note(self, faces: FaceLike | Iterable[FaceLike], text: str) -> Correction:
        """Keeps a text with faces; it changes nothing."""
        return self._of_faces(Verb.NOTE, faces, text)

    def undo(self, *numbers: int) -> list[Correction]:
        """Undoes corrections by their numbers (`Correction.id`), in any order, however long ago; or the last one.

        Raises:
            RequestError: there is none of such a number, or it is undone already.
        """
        return self._mark(numbers, undone=True)

    def redo(self, *numbers: int) -> list[Correction]:
        """Says corrections again that were undone, by their numbers; or the one undone last.

        Raises:
            RequestError: there is none of such a number, or it is not undone.
        """
        return self._mark(numbers, undone=False)

    def export(self, out: str | Path) -> Path:
        """Writes all corrections, those that are undone too, to a new file of JSON lines, for `read`.

        Raises:
            RequestError: the file is there already, or cannot be written.
        """
        target = Path(out)
        try:
            with new_file(target, share=False) as part, part.open("w", encoding="utf-8") as file:
                file.writelines(write_lines(self._folder))
        except FileExistsError as error:
            raise RequestError(f"{out} is there already; name another, or remove it") from error
        except OSError as error:
            refuse_full(error, target)
            raise RequestError(f"{out} cannot be written: {error.strerror}") from error
        note_made(self._folder, CopyKind.EXPORT, target)  # which forgetting will name
        return target

    def read(self, path: str | Path) -> Carried:
        """Adds the corrections of such a file, after those that there are; what is here already is left as it is.

        Faces are found again by the content of their source, their frame and how much their boxes overlap. A file, or
        folder, of CVAT for video, and one of annotations that Label Studio exports as JSON, becomes corrections of what
        it tells otherwise than the folder does now.

        Returns:
            How many were added, and what is not here to be corrected.

        Raises:
            MediaError: the file is none of these; nothing is changed then.
        """
        given = Path(path)
        with saying(self._folder) as db:
            if given.is_dir() or given.suffix.lower() == ".xml":
                return take_edits(db, CVAT.read(given), whole_sources=True)
            if is_label_studio(given):
                return take_edits(db, read_annotations(given), whole_sources=False)
            return take_in(db, read_lines(given))

    def _mark(self, numbers: Sequence[int], *, undone: bool) -> list[Correction]:
        with saying(self._folder) as db:
            there = dict(db.execute("SELECT id, undone > 0 FROM correction").fetchall())
            for number in numbers:
                if there.get(number) != (not undone):
                    state = "is none" if number not in there else f"is {'undone already' if undone else 'not undone'}"
                    raise RequestError(f"correction {number} {state}; faceloom corrections {self._folder} lists them")
            if not numbers:
                numbers = (_last(db, undone=undone),)
            chosen = [one for number in numbers for one in select_corrections(db, number=number)]
            return mark(db, chosen, undone=undone)

    def _of_faces(self, verb: Verb, faces: FaceLike | Iterable[FaceLike], after: Any) -> Correction:
        places = _places(faces)
        with saying(self._folder) as db:
            return say(db, verb, places, after=after)

    def _of_persons(self, verb: Verb, persons: Sequence[str], name: str, *, is_new: bool) -> Correction:
        with saying(self._folder) as db:
            now = replayed(db)

            def is_there(person: str) -> bool:
                return is_somebody(db, now, person)

            for person in (*persons, *([] if is_new else [name])):
                if not is_there(person):
                    raise RequestError(f"there is no {person!r} in {self._folder}; faceloom group names persons")
            if is_new and is_there(name):
                raise RequestError(f"there is a {name!r} already; merge them if they are one person")
            return say(db, verb, [], persons=tuple(persons), after=name)


def _last(db: sqlite3.Connection, *, undone: bool) -> int:
    """The last correction that holds; or that which was undone last."""
    number = undone_last(db)
    if undone:
        (number,) = db.execute("SELECT max(id) FROM correction WHERE undone = 0").fetchone()
    if number is None:
        raise RequestError(f"there is nothing to {'undo' if undone else 'say again'}")
    return int(number)


def _frame(frame: FrameId | str) -> FrameId:
    if isinstance(frame, FrameId):
        return frame
    source, _, index = frame.rpartition("#")
    return FrameId(source, int(index)) if source and index.isascii() and index.isdecimal() else FrameId(frame, 0)


def _places(faces: FaceLike | Iterable[FaceLike]) -> list[FacePlace]:
    return [_place(face) for face in ([faces] if isinstance(faces, Face | str | Path) else faces)]


def _place(face: FaceLike) -> FacePlace:
    if isinstance(face, Face):
        return face.frame, face.index
    source, _, place = str(face).rpartition("#")
    frame, _, index = place.partition("/")
    if source and frame.isdecimal() and index.isdecimal():
        return FrameId(intern(source), int(frame)), int(index)
    if Path(face).is_file():
        origin = find_origin(Path(face))
        return FrameId(origin.source, origin.frame), origin.index
    raise RequestError(f"{str(face)!r} names no face; write SOURCE#FRAME/INDEX as in clip.mp4#12/0, or a chip's path")
