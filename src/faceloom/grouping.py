"""Grouping: the faces of a result folder by person, named in its store, and laid into folders if asked for."""

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from faceloom.choices import Sort
from faceloom.engines.whole_numbers import by_runtime
from faceloom.errors import BudgetError, RequestError
from faceloom.geometry.linkage import average_linkage
from faceloom.geometry.nearest import MOST_ROWS
from faceloom.geometry.rounded import by_floats
from faceloom.media.sources import printable
from faceloom.memory.budget import budget_bytes_of
from faceloom.memory.usage import held_bytes
from faceloom.options.calls import GroupOptions
from faceloom.options.keywords import takes
from faceloom.options.stages import PathLike
from faceloom.people.collages import bound_to, collages, copy_threshold
from faceloom.people.doubt import is_doubtful
from faceloom.people.folders import folder_names
from faceloom.people.names import called
from faceloom.people.thresholds import same_person_of
from faceloom.people.ties import ties_of
from faceloom.people.votes import agreed, elected, following
from faceloom.store.beside import entries_of, new_folder, refuse_full
from faceloom.store.copies import MARK, CopyKind, note_copy
from faceloom.store.database import connect
from faceloom.store.folder import locked
from faceloom.store.persons import (
    FaceTraits,
    count_embeddings,
    is_corrected,
    read_circumstances,
    read_embeddings,
    read_followers,
    read_identifier,
    read_persons,
    read_told,
    write_persons,
)
from faceloom.store.places import file_below
from faceloom.store.privacy import make_folder, opener
from faceloom.units import MIB, format_bytes

_GROUPING_BYTES = 64 * MIB
"""Of cosines that are looked at, and what goes with them (measured: 50 MiB)."""
_MANY = 5000
"""Faces from which on it pays to load ONNX Runtime, which multiplies whole numbers faster; groups are the same."""
_RUNTIME_BYTES = 64 * MIB
"""Of ONNX Runtime, where it is loaded."""
_FACE_BYTES = 2560
"""Of a face's row, its names, what faces are sorted by, and the list of its nearest."""
_TOLD_BYTES = 512
"""Of what was said of the persons of a face, and what was found."""
_NUMBER_BYTES = 11
"""Of each number of an embedding: as read, as its cluster's mean, rounded, and while it is looked at (measured)."""
SORTS: Mapping[Sort, Callable[[FaceTraits], float]] = {
    Sort.QUALITY: lambda face: -(face.quality or 0),
    Sort.SHARPNESS: lambda face: -(face.sharpness or 0),
    Sort.SIZE: lambda face: -face.size_px,
    Sort.POSE: lambda face: float("inf") if face.yaw is None else abs(face.yaw) + abs(face.pitch or 0),
    Sort.SCORE: lambda face: -face.score,
}
"""The best first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody whose faces are in a result folder."""

    name: str
    faces: int
    best: str
    """The chip of the first face in the order asked for; its source and frame where there are no chips."""

    def to_json(self) -> dict[str, Any]:
        """Gives the person as `group --json` prints it."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """How faces are told apart."""

    threshold: float
    min_quality: float
    copies_from: float | None
    """The cosine from which on two faces of a frame are copies; None: nothing follows from being in one frame."""
    anew: bool


@takes(GroupOptions)
def group(folder: PathLike, **options: Unpack[GroupOptions]) -> list[Person]:
    """Names the persons of a result folder, the one with the most faces first.

    Args:
        folder: made with an identifier.
        options: as docs/options.md lists them.

    Raises:
        TypeError: there is no such keyword.
        RequestError: an argument is wrong, or the folder holds no embeddings.
        BudgetError: so many faces do not fit into the memory; nothing is changed, and the message says what would do.
        StoreError: the folder cannot be used, or a run is writing to it.
    """
    folder = Path(folder)
    folders = None if options["folders"] is None else Path(options["folders"])
    if options["copy"] and folders is None:
        raise RequestError("copies need a place: add --folders DIR")
    if folders is not None:
        _require_empty(folders, share=options["share"])
    wanted = _wanted(read_identifier(folder), options)
    with locked(folder):
        _require_room(folder, budget_bytes_of(options["memory"]))
        names, faces = _named(folder, wanted)
        if options["sort"] is not None:
            for some in faces.values():
                some.sort(key=SORTS[Sort(options["sort"])])  # stable: equals stay by source and frame
        if folders is not None:
            _lay_all(
                folder, {name: faces[name] for name in names}, folders, copy=options["copy"], share=options["share"]
            )
    return [Person(name=name, faces=len(faces[name]), best=_place(faces[name][0])) for name in names]


def _named(folder: Path, wanted: "_Wanted") -> tuple[list[str], dict[str, list[FaceTraits]]]:
    """Names the persons in the store: the names, most faces first, and the faces of each.

    What people said of persons holds: their faces stay together and apart, and the others come to them. Faces that say
    too little of whose they are, and of whom nobody spoke, are nobody's.
    """
    faces = _gathered(folder, wanted)
    everybody = [*faces.ids, *faces.rest]
    is_written = False
    while not is_written:  # until nobody has corrected anything meanwhile
        of_all = read_told(folder, everybody)
        told = of_all.first(len(faces.ids))
        ties = ties_of(told, faces.frames, tracks=faces.tracks, also=faces.also)
        labels = average_linkage(
            faces.embeddings,
            threshold=wanted.threshold,
            ties=ties,
            multiply=by_runtime if len(faces.ids) >= _MANY else by_floats,
        ).tolist()
        names = called(labels, told, anew=wanted.anew)
        new = [(face, name) for face, name in zip(faces.ids, names, strict=True) if face not in told.kept]
        tracks = [*faces.tracks.tolist(), *faces.rest_tracks.tolist()]
        winners = elected(tracks, [*names, *of_all.calls[len(names) :]])
        others, theirs = following(faces.rest, faces.rest_tracks.tolist(), winners, told.kept)
        is_written = write_persons(
            folder, [*(face for face, _ in new), *others], [*(name for _, name in new), *theirs], told=told
        )
    del faces
    found = read_persons(folder)
    # Most faces first, and of as many the one who appears first.
    return sorted(found, key=lambda name: -len(found[name])), found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Gathered:
    """The faces of a folder: those that say enough of whose they are, and the rest of their tracks."""

    ids: list[int]
    embeddings: NDArray[np.float32]
    frames: NDArray[np.intp] | None
    """(N,) as `Ties.frames`; None: nothing follows from being in one frame."""
    tracks: NDArray[np.intp]
    """(N,) -1 for none."""
    also: NDArray[np.intp] | None
    """(P, 2) as `Ties.also`: frames in which their tracks are too."""
    rest: list[int]
    """Faces that say too little, or have no embedding, and are in a track."""
    rest_tracks: NDArray[np.intp]


def _gathered(folder: Path, wanted: "_Wanted") -> _Gathered:
    ids, embeddings = read_embeddings(folder)
    everybody = [*ids, *read_followers(folder)]
    found = read_circumstances(folder, everybody)
    is_poor = is_doubtful(found.qualities, found.sizes_px, least=wanted.min_quality)
    is_poor[len(ids) :] = True
    kept = np.flatnonzero(~is_poor)
    if len(kept) < len(ids):
        ids, embeddings = [ids[place] for place in kept.tolist()], embeddings[kept]
    tracks = agreed(found.tracks[kept], embeddings, threshold=wanted.threshold)
    divided = np.setdiff1d(found.tracks[kept], tracks)
    rest = np.flatnonzero(is_poor & (found.tracks >= 0) & ~np.isin(found.tracks, divided))
    frames, also = None, None
    if wanted.copies_from is not None:
        twice = collages(embeddings, found.frames[kept], copies_from=wanted.copies_from)
        frames = bound_to(found.frames[kept], twice)
        also = _also(tracks, found.tracks[rest], bound_to(found.frames[rest], twice))
    return _Gathered(
        ids=ids,
        embeddings=embeddings,
        frames=frames,
        tracks=tracks,
        also=also,
        rest=[everybody[place] for place in rest.tolist()],
        rest_tracks=found.tracks[rest],
    )


def _also(tracks: NDArray[np.intp], rest: NDArray[np.intp], frames: NDArray[np.intp]) -> NDArray[np.intp]:
    """(P, 2) for faces of tracks that are not compared: the first of the track that is, and their frame."""
    known, firsts = np.unique(tracks, return_index=True)
    places = np.minimum(np.searchsorted(known, rest), max(len(known) - 1, 0))
    is_there = (known[places] == rest) & (rest >= 0) & (frames >= 0) if len(known) else np.zeros(len(rest), np.bool_)
    return np.stack([firsts[places[is_there]], frames[is_there]], axis=1) if len(known) else np.zeros((0, 2), np.intp)


def _require_room(folder: Path, budget_bytes: int | None) -> None:
    faces, numbers = count_embeddings(folder)
    if faces > MOST_ROWS:
        raise RequestError(f"{faces:,} faces are too many to be grouped at once: {MOST_ROWS:,} at most")
    if budget_bytes is None:
        return
    face_bytes = _FACE_BYTES + _NUMBER_BYTES * numbers + (_TOLD_BYTES if is_corrected(folder) else 0)
    needed = held_bytes() + _GROUPING_BYTES + (_RUNTIME_BYTES if faces >= _MANY else 0) + faces * face_bytes
    if needed > budget_bytes:
        message = (
            f"grouping {faces:,} faces does not fit into {format_bytes(budget_bytes)}; the smallest budget that would"
            f" do is {-(-needed // MIB):,} MiB: raise --memory"
        )
        raise BudgetError(message, stage="group", needed_bytes=needed, budget_bytes=budget_bytes)


def _wanted(stage: str, options: GroupOptions) -> _Wanted:
    own = same_person_of(stage)
    threshold = own if options["threshold"] is None else options["threshold"]
    if threshold is None:
        raise RequestError(f"{stage} states no threshold of its own; give one with --threshold")
    return _Wanted(
        threshold=threshold,
        min_quality=options["min_quality"],
        copies_from=None if options["collages"] else copy_threshold(threshold if own is None else own),
        anew=options["anew"],
    )


def _require_empty(folders: Path, *, share: bool) -> None:
    try:
        make_folder(folders.parent, share=share)
        if folders.is_dir() and entries_of(folders):
            raise RequestError(f"{folders} is not empty; name a new folder with --folders")
        if os.path.lexists(folders) and not folders.is_dir():
            raise RequestError(f"{folders} is no folder; name a new one with --folders")
    except OSError as error:
        raise RequestError(f"{folders} cannot be used: {error.strerror}") from error


def _place(face: FaceTraits) -> str:
    return face.chip or f"{face.frame} face {face.index}"


def _lay_all(
    folder: Path, persons: Mapping[str, Sequence[FaceTraits]], folders: Path, *, copy: bool, share: bool
) -> None:
    """Fills a new folder, which has its name only when it is whole, and which the store knows of from before that.

    Raises:
        RequestError: there are no chips, or it cannot be written.
        StoreError: the disk is full.
    """
    with connect(folder, read_only=False) as db:
        identity = note_copy(db, CopyKind.PEOPLE, folders)
    try:
        with new_folder(folders, share=share) as part:
            with open(
                part / MARK, "x", encoding="utf-8", opener=opener(share=share)
            ) as mark:  # Path.open has no opener
                mark.write(f"{identity}\n")
            names = folder_names(persons)
            for name, faces in persons.items():
                _lay(folder, faces, part / names[name], folders / names[name], copy=copy, share=share)
    except OSError as error:
        refuse_full(error, folders)
        raise RequestError(f"{folders} cannot be written: {error.strerror}") from error


def _lay(folder: Path, faces: Sequence[FaceTraits], part: Path, target: Path, *, copy: bool, share: bool) -> None:
    """A link or a copy for each chip, whose name begins with its place in the order."""
    digits = len(str(len(faces)))
    make_folder(part, share=share)
    for place, face in enumerate(faces, start=1):
        if face.chip is None:
            raise RequestError(f"{folder} has no chips to lay into folders: it was made without them")
        chip = file_below(folder, face.chip)
        # Names of sources have slashes, and may be as long as a name can be.
        name = f"{place:0{digits}}_{printable(Path(face.frame.source).stem)[:40]}_{chip.name}"
        if copy:
            with chip.open("rb") as file, open(part / name, "xb", opener=opener(share=share)) as copied:
                shutil.copyfileobj(file, copied)
        else:
            (part / name).symlink_to(os.path.relpath(chip.resolve(), target.resolve()))
