"""Grouping: the faces of a result folder by person, named in its store, and laid into folders if asked for."""

import os
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from faceloom.choices import Sort
from faceloom.errors import RequestError
from faceloom.flow import find_plugin
from faceloom.geometry.linkage import average_linkage
from faceloom.identify import Identifier
from faceloom.store.folder import locked
from faceloom.store.persons import FaceTraits, read_embeddings, read_identifier, read_persons, write_persons

SORTS: Mapping[Sort, Callable[[FaceTraits], float]] = {
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


def group(
    folder: str | Path,
    *,
    threshold: float | None = None,
    sort: str | None = None,
    folders: str | Path | None = None,
    copy: bool = False,
) -> list[Person]:
    """Names the persons of a result folder, the one with the most faces first.

    Args:
        folder: made with an identifier.
        threshold: mean cosine from which on two groups of faces are one person's; the identifier's own if left out.
        sort: what stands first of a person's faces: sharpness, size, pose or score; by source and frame if left out.
        folders: a new or empty folder, to be filled with a folder of links to the chips for each person.
        copy: whether there are to be copies in place of links.

    Raises:
        RequestError: an argument is wrong, or the folder holds no embeddings.
        StoreError: the folder cannot be used, or a run is writing to it.
    """
    if sort is not None and sort not in SORTS:
        raise RequestError(f"faces cannot be sorted by {sort!r}; they can by: {', '.join(SORTS)}")
    if copy and folders is None:
        raise RequestError("copies need a place: add --folders DIR")
    folder = Path(folder)
    if folders is not None:
        folders = Path(folders)
        _require_empty(folders)
    alike = _threshold(read_identifier(folder), threshold)
    with locked(folder):
        ids, embeddings = read_embeddings(folder)
        labels = average_linkage(embeddings, threshold=alike).tolist()
        del embeddings
        # Most faces first, and of as many the one who appears first: labels are in order of appearance.
        names = {label: f"person {rank}" for rank, (label, _) in enumerate(Counter(labels).most_common(), start=1)}
        write_persons(folder, ids, [names[label] for label in labels])
        faces = read_persons(folder)
        if sort is not None:
            for some in faces.values():
                some.sort(key=SORTS[sort])  # stable: equals stay by source and frame
        if folders is not None:
            for name in names.values():
                _lay(folder, faces[name], folders / name, copy=copy)
    return [Person(name=name, faces=len(faces[name]), best=_place(faces[name][0])) for name in names.values()]


def _threshold(stage: str, threshold: float | None) -> float:
    if threshold is None:
        plugin = find_plugin(*stage.split("/", 1))
        threshold = plugin.same_person if issubclass(plugin, Identifier) else None
    if threshold is None:
        raise RequestError(f"{stage} states no threshold of its own; give one with --threshold")
    if not -1 <= threshold <= 1:
        raise RequestError(f"the threshold is {threshold:g}, but a cosine is -1 to 1")
    return threshold


def _require_empty(folders: Path) -> None:
    try:
        folders.mkdir(parents=True, exist_ok=True)
        if any(folders.iterdir()):
            raise RequestError(f"{folders} is not empty; name a new folder with --folders")
    except OSError as error:
        raise RequestError(f"{folders} cannot be used: {error.strerror}") from error


def _place(face: FaceTraits) -> str:
    return face.chip or f"{face.frame} face {face.index}"


def _lay(folder: Path, faces: Sequence[FaceTraits], target: Path, *, copy: bool) -> None:
    """A link or a copy for each chip, whose name begins with its place in the order."""
    digits = len(str(len(faces)))
    try:
        for place, face in enumerate(faces, start=1):
            if face.chip is None:
                raise RequestError(f"{folder} has no crops to lay into folders: it was made without them")
            target.mkdir(exist_ok=True)
            chip = folder / face.chip
            # Names of sources have slashes, and may be as long as a name can be.
            name = f"{place:0{digits}}_{Path(face.frame.source).stem[:40]}_{chip.name}"
            if copy:
                shutil.copyfile(chip, target / name)
            else:
                (target / name).symlink_to(os.path.relpath(chip.resolve(), target.resolve()))
    except OSError as error:
        raise RequestError(f"{target} cannot be written: {error.strerror}") from error
