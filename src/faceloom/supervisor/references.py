"""References: pictures of one face each, taken through the same flow as the faces that they are compared with."""

import os
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from faceloom.align import Aligner
from faceloom.errors import MediaError, RequestError
from faceloom.events import Counting, Event, Notice, OnEvent, Progress
from faceloom.flow import Flow
from faceloom.identify import Identifier
from faceloom.job import Order, Outputs
from faceloom.media.excerpts import WHOLE
from faceloom.media.listing import Inputs
from faceloom.media.sources import SourceKind, kind_of
from faceloom.models.made import sha256_of
from faceloom.selection import EVERY_FACE, People, Reference
from faceloom.stage import Stage
from faceloom.store.database import connect
from faceloom.store.reading import read_faces
from faceloom.store.rows import FaceRow
from faceloom.store.spelling import true_path
from faceloom.store.store import Store
from faceloom.supervisor.run import run_job

_KINDS = frozenset(["detect", "align", "identify"])
_MOST_TOLD = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The people that a request names, by pictures: those whose faces are kept, and those whose faces are not."""

    like: Sequence[Path]
    unlike: Sequence[Path]
    threshold: float

    def to_json(self) -> dict[str, Any]:
        """What results depend on: the content of the pictures, not where they are."""
        digests = {"like": sorted(map(sha256_of, self.like)), "unlike": sorted(map(sha256_of, self.unlike))}
        return {**digests, "threshold": self.threshold}


def want_people(flow: Flow, *, like: Sequence[Path], unlike: Sequence[Path], threshold: float | None) -> Wanted | None:
    """The people that a request names; None if it names nobody.

    Raises:
        RequestError: there is no identifier in the flow, no threshold, or a reference is no picture.
    """
    if not like and not unlike:
        if threshold is not None:
            raise RequestError("a threshold is of use only with pictures of people: add --like or --unlike")
        return None
    for path in (*like, *unlike):
        if path.is_dir() or kind_of(path) is SourceKind.VIDEO:
            raise RequestError(f"the reference {path} is no picture; name pictures that show one face each")
    if not flow.of("detect"):
        raise RequestError("faces known from a file cannot be told apart by pictures: those need a detector")
    identifier = next((stage for stage in flow.of("identify")), None)
    if identifier is None or not isinstance(identifier.plugin, Identifier):
        raise RequestError("faces can be told apart only by an identifier; add one, as in --identify dlib")
    threshold = identifier.plugin.same_person if threshold is None else threshold
    if threshold is None:
        raise RequestError(f"{identifier.name} states no threshold of its own; give one with --threshold")
    if not -1 <= threshold <= 1:
        raise RequestError(f"the threshold is {threshold:g}, but a cosine is -1 to 1")
    return Wanted(like=like, unlike=unlike, threshold=threshold)


def find_people(order: Order, wanted: Wanted, *, on_event: OnEvent) -> People:
    """Finds the faces of the people that are wanted.

    Raises:
        RequestError, FaceloomError: as `find_references`.
    """
    found = find_references(order, [*wanted.like, *wanted.unlike], on_event=on_event)

    def named(path: Path) -> Reference:
        return replace(found[true_path(path)], name=path.name)

    return People(
        like=[named(path) for path in wanted.like],
        unlike=[named(path) for path in wanted.unlike],
        threshold=wanted.threshold,
    )


def find_references(order: Order, paths: Sequence[Path], *, on_event: OnEvent) -> dict[Path, Reference]:
    """The one face of each picture, by its true path, found under the order's own budget; what it took is gone
    afterwards.

    Raises:
        RequestError: one is no picture that can be read, or shows no face, or several; the message says which.
        FaceloomError: as a run.
    """
    try:
        found = find_faces(order, paths, on_event=on_event)
    except MediaError as error:
        raise RequestError(f"no reference can be read: {error}") from error
    return {path: _reference(path, one.faces, one.reason) for path, one in found.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class LookedAt:
    """What was found in a picture that is compared with others."""

    faces: Sequence[FaceRow]
    """Best score first."""
    reason: str | None
    """Why it could not be read, or what was lost of it."""


def find_faces(order: Order, paths: Sequence[Path], *, on_event: OnEvent) -> dict[Path, LookedAt]:
    """The faces of each picture, by its true path, found under the order's own budget; what it took is gone afterwards.

    Raises:
        MediaError: there is no picture among them.
        FaceloomError: as a run.
    """
    flow = Flow(tuple(_unfiltered(stage) for stage in order.flow.stages if stage.plugin.kind in _KINDS))
    bare = Outputs(write_chips=False)
    small = replace(order, flow=flow, outputs=bare, excerpt=WHOLE, choice=EVERY_FACE, people=None)

    def tell(event: Event) -> None:
        if not isinstance(event, Counting | Progress | Notice):  # which are about the job itself
            on_event(event)

    with tempfile.TemporaryDirectory(prefix="faceloom-references-") as folder:
        with Store(Path(folder)) as store:
            store.begin_run(versions={})
            run_job(small, Inputs(roots=tuple(paths)), store, on_event=tell)
        return _found(Path(folder))


def _unfiltered(stage: Stage) -> Stage:
    """The flow without filters: a face that a user has picked should not be rejected."""
    plugin = stage.plugin
    return replace(stage, plugin=replace(plugin, filters=())) if isinstance(plugin, Aligner) else stage


def _found(folder: Path) -> dict[Path, LookedAt]:
    faces: dict[str, list[FaceRow]] = defaultdict(list)
    for face, _ in read_faces(folder):
        faces[face.frame.source].append(face)
    query = "SELECT path, name, reason FROM source JOIN frame ON source_id = source.id"
    with connect(folder, read_only=True) as db:
        frames = db.execute(query).fetchall()
    return {Path(os.fsdecode(content)): LookedAt(faces=faces[name], reason=reason) for content, name, reason in frames}


def _reference(path: Path, faces: Sequence[FaceRow], reason: str | None) -> Reference:
    if not faces:
        why = f"cannot be read: {reason}" if reason else "shows no face that is found"
        raise RequestError(f"the reference {path} {why}; name a picture that shows the person's face")
    if len(faces) > 1:
        places = "; ".join(_place(face) for face in faces[:_MOST_TOLD])
        more = f"; and {len(faces) - _MOST_TOLD} more" if len(faces) > _MOST_TOLD else ""
        message = f"the reference {path} shows {len(faces)} faces, and has to show one: {places}{more}; cut the one out"
        raise RequestError(message)
    (face,) = faces
    if face.embedding is None:
        raise RequestError(f"the face in the reference {path} has no embedding: {reason}; name another picture")
    return Reference(name=path.name, embedding=face.embedding)


def _place(face: FaceRow) -> str:
    x0, y0, x1, y1 = face.box.round().astype(int).tolist()
    return f"{x1 - x0} x {y1 - y0} pixels at ({x0}, {y0})"
