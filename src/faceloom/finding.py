"""Finding: who is on a picture, by the faces of result folders, and whether two pictures show one person."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from faceloom.errors import RequestError
from faceloom.events import OnEvent
from faceloom.identify import Identifier
from faceloom.job import Order, Outputs
from faceloom.options.calls import LEAST_QUALITY, FindOptions, VerifyOptions
from faceloom.options.keywords import takes
from faceloom.options.stages import PathLike
from faceloom.orders.configuration import colours_of
from faceloom.orders.flows import make_flow, recognising_flow
from faceloom.orders.inputs import existing
from faceloom.orders.order import make_order
from faceloom.people.doubt import is_doubtful
from faceloom.people.searching import GallerySearch, SearchAnswer
from faceloom.store.embeddings import FacePlacement, read_embedded, read_placements
from faceloom.store.persons import read_identifier
from faceloom.store.reading import read_config
from faceloom.store.rows import FaceRow
from faceloom.store.spelling import true_path
from faceloom.supervisor.references import LookedAt, find_faces, find_references


@dataclass(frozen=True, slots=True, kw_only=True)
class LikePerson:
    """Somebody of a result folder, and how like a face they are."""

    person: str
    score: float
    """The mean cosine over all their faces, as `faceloom group` compares persons."""
    best: float
    """The highest cosine."""
    faces: int
    folder: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LikeFace:
    """A face of a result folder, and how like another it is."""

    score: float
    """Their cosine."""
    person: str | None
    source: str
    frame: int
    index: int
    quality: float | None
    chip: str | None
    """The path of its chip."""
    folder: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFace:
    """A face of a picture, and who of the result folders is like it."""

    picture: str
    box: tuple[float, float, float, float]
    """x0, y0, x1, y1 in pixels."""
    quality: float | None
    is_doubtful: bool
    """Whether it is too small, blurred or turned to tell whose it is; then what follows says little."""
    threshold: float
    """The cosine from which on two faces pass for one person's."""
    persons: tuple[LikePerson, ...]
    """The most alike first."""
    faces: tuple[LikeFace, ...]
    """Likewise."""

    @property
    def person(self) -> str | None:
        """Whose face it is, by the threshold; None: nobody's of those who have a name."""
        return self.persons[0].person if self.persons and self.persons[0].score >= self.threshold else None

    def to_json(self) -> dict[str, Any]:
        """Gives it as `find --json` prints it."""
        told = asdict(self)
        told["doubtful"] = told.pop("is_doubtful")
        return {"person": self.person, **told}


@dataclass(frozen=True, slots=True, kw_only=True)
class PicturesFound:
    """What was found in pictures."""

    faces: tuple[FoundFace, ...]
    """Of the pictures in the order in which they were named, and of each the surest face first."""
    searched: int
    """Faces that they were compared with."""
    failed: tuple[str, ...]
    """Pictures without a face, or that cannot be read, and why."""

    def to_json(self) -> dict[str, Any]:
        """Gives it as `find --json` prints it."""
        return {
            "faces": [face.to_json() for face in self.faces],
            "searched": self.searched,
            "failed": list(self.failed),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """An answer to whether two pictures show one person."""

    is_same: bool
    score: float
    """The cosine of the two faces, rounded to four decimals."""
    threshold: float
    identifier: str
    """As in `identify/dlib`."""

    def to_json(self) -> dict[str, Any]:
        """Gives it as `verify --json` prints it."""
        return {"same": self.is_same, **{name: value for name, value in asdict(self).items() if name != "is_same"}}


@takes(FindOptions)
def find(
    pictures: PathLike | Iterable[PathLike],
    folders: PathLike | Iterable[PathLike],
    *,
    on_event: OnEvent = lambda event: None,
    **options: Unpack[FindOptions],
) -> PicturesFound:
    """Tells who is on pictures: every face of them is compared with every face of result folders.

    The search is exact, and memory does not grow with the folders.

    Args:
        pictures: files, or folders of them.
        folders: made with the same identifier and weights.
        on_event: told how finding faces in the pictures goes on.
        options: as docs/options.md lists them.

    Raises:
        TypeError: there is no such keyword.
        RequestError: an argument is wrong, a folder has no embeddings, or they are of another network.
        MediaError: none of the pictures can be read.
        BudgetError, WeightsError, StageError, StoreError: as `extract`.
    """
    galleries, paths = existing(folders), existing(pictures)
    order, stage = _order_for(galleries, options, on_event=on_event)
    threshold = _threshold(order, options["threshold"])
    looked = _in_order(find_faces(order, paths, on_event=on_event), paths)
    found = [(path, face) for path, one in looked for face in one.faces if face.embedding is not None]
    failed = tuple(f"{path}: {one.reason or 'no face is found'}" for path, one in looked if not one.faces)
    if not found:
        return PicturesFound(faces=(), searched=0, failed=failed)
    queries = np.stack([np.asarray(face.embedding) for _, face in found])
    search = GallerySearch(queries, most=options["most"])
    searched = sum(search.look_through(one, read_embedded(one, numbers=queries.shape[1])) for one in galleries)
    if not searched:
        raise RequestError(f"{galleries[0]} holds no faces yet that {stage} has told apart; run faceloom extend first")
    answers = list(search.answers())
    placed = _placed(answers)
    faces = [_found_face(*one, answer, placed, threshold) for one, answer in zip(found, answers, strict=True)]
    return PicturesFound(faces=tuple(faces), searched=searched, failed=failed)


@takes(VerifyOptions)
def verify(
    first: PathLike,
    second: PathLike,
    *,
    on_event: OnEvent = lambda event: None,
    **options: Unpack[VerifyOptions],
) -> Verification:
    """Tells whether two pictures, which show one face each, show one person.

    Args:
        first: a picture.
        second: another.
        on_event: told how finding the faces goes on.
        options: as docs/options.md lists them.

    Raises:
        TypeError: there is no such keyword.
        RequestError: an argument is wrong, or a picture does not show one face.
        BudgetError, WeightsError, StageError: as `extract`.
    """
    paths = existing([first, second])
    order = make_order(make_flow({**options, "mask": ()}), Outputs(), options, on_event=on_event)
    threshold = _threshold(order, options["threshold"])
    found = find_references(order, list(dict.fromkeys(map(true_path, paths))), on_event=on_event)
    one, other = (np.asarray(found[true_path(path)].embedding, np.float64) for path in paths)
    score = round(float(one @ other), 4)
    (stage,) = order.flow.of("identify")
    return Verification(is_same=score >= threshold, score=score, threshold=threshold, identifier=stage.name)


def _order_for(galleries: Sequence[Path], options: FindOptions, *, on_event: OnEvent) -> tuple[Order, str]:
    """What it takes to find and identify faces as in result folders, and the stage that identifies them."""
    configs = [read_config(folder) for folder in galleries]
    stage = read_identifier(galleries[0])
    for folder, config in zip(galleries, configs, strict=True):
        if read_identifier(folder) != stage or config["stages"][stage] != configs[0]["stages"][stage]:
            raise RequestError(
                f"{galleries[0]} and {folder} were made by different identifiers, whose numbers cannot be compared;"
                " ask for them one by one"
            )
    flow = recognising_flow(configs[0]["stages"], options["weights"], folder=galleries[0])
    asked = {**options, "precision": configs[0].get("precision", "fp32"), **colours_of(configs[0])}
    return make_order(flow, Outputs(), asked, on_event=on_event), stage


def _threshold(order: Order, threshold: float | None) -> float:
    (stage,) = order.flow.of("identify")
    assert isinstance(stage.plugin, Identifier)
    threshold = stage.plugin.same_person if threshold is None else threshold
    if threshold is None:
        raise RequestError(f"{stage.name} states no threshold of its own; give one with --threshold")
    return threshold


def _in_order(looked: Mapping[Path, LookedAt], paths: Sequence[Path]) -> list[tuple[Path, LookedAt]]:
    """By the order in which pictures were named; of folders by their files' names."""
    places = {true_path(path): place for place, path in enumerate(paths)}

    def place_of(path: Path) -> tuple[int, Path]:
        return next((places[one] for one in (path, *path.parents) if one in places), len(places)), path

    return sorted(looked.items(), key=lambda item: place_of(item[0]))


_Placed = Mapping[Path, Mapping[int, FacePlacement]]


def _placed(answers: Iterable[SearchAnswer]) -> _Placed:
    wanted: dict[Path, set[int]] = {}
    for answer in answers:
        for hit in answer.faces:
            wanted.setdefault(hit.folder, set()).add(hit.face)
    return {folder: read_placements(folder, sorted(ids)) for folder, ids in wanted.items()}


def _found_face(path: Path, face: FaceRow, answer: SearchAnswer, placed: _Placed, threshold: float) -> FoundFace:
    x0, y0, x1, y1 = (round(float(value), 1) for value in face.box)
    quality = np.array([np.nan if face.quality is None else face.quality])
    doubtful = is_doubtful(quality, np.array([max(x1 - x0, y1 - y0)]), least=LEAST_QUALITY)
    return FoundFace(
        picture=str(path),
        box=(x0, y0, x1, y1),
        quality=None if face.quality is None else round(face.quality, 3),
        is_doubtful=bool(doubtful[0]),
        threshold=threshold,
        persons=tuple(
            LikePerson(person=hit.person, score=hit.score, best=hit.best, faces=hit.faces, folder=str(hit.folder))
            for hit in answer.persons
        ),
        faces=tuple(
            _like_face(hit.folder, hit.score, placed[hit.folder][hit.face])
            for hit in answer.faces
            if hit.face in placed[hit.folder]
        ),
    )


def _like_face(folder: Path, score: float, there: FacePlacement) -> LikeFace:
    return LikeFace(
        score=score,
        person=there.person,
        source=there.frame.source,
        frame=there.frame.index,
        index=there.index,
        quality=None if there.quality is None else round(there.quality, 3),
        chip=None if there.chip is None else str(folder / there.chip),
        folder=str(folder),
    )
