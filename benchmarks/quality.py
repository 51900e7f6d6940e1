"""How well a face's quality foretells whether its embedding agrees with its person: `python benchmarks/quality.py`.

Every second of the 100 pictures of `lfw_subset_krasserm` is made harder in each of the ways of `several.HARDER`, and
cut so that the frame ends within the face. A face's truth is the mean cosine of its embedding with those of the
person's other pictures as they are, as a share of what is usual there. `--fit` fits the weights of the package to it
and writes src/faceloom/geometry/quality.toml: least squares of the quality itself, weights of 0 or more. The tables are
of qualities whose weights were fitted without the person that is tested. The fit knows the embeddings of fr_feature
alone; those of dlib's network it has never seen.

The error-versus-reject curve: faces are compared with clean pictures of their person, at the cosine which one in 1,000
pairs of clean pictures of strangers exceeds; the share that falls below it, of those faces that are left when so many
of the worst by a sign are taken out (Grother and Tabassi 2007, IEEE TPAMI 29(4)).
"""

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import faceloom
from accuracy import points_of
from faceloom.faces import Face
from faceloom.geometry.landmarks import outer_eye_distance
from faceloom.geometry.quality import Signs, faults
from faceloom.geometry.sharpness import look_of
from faceloom.pipeline.quality import signs_of
from several import HARDER, Harder, rank_correlation
from truth import LFW, SHARED_DATA, LandmarkedPicture, load, markdown, picture_paths

TARGET = Path(__file__).parents[1] / "src/faceloom/geometry/quality.toml"
FLOWS = {"alone": ("facemesh",), "several": ("facemesh_v2", "pfld")}
CLEAN = "as it is"
EVERY = 2
"""Of the pictures, that are made harder."""
FOLDS = 5
STRANGERS = 1e-3
REJECTED = (0.0, 0.05, 0.1, 0.2, 0.3)
STEPS = 20_000

Floats = NDArray[np.float64]


def _cut(side: int, share: float) -> Harder:
    """The picture without what lies beyond a share of the face, from the left, or from the right."""

    def change(picture: LandmarkedPicture) -> LandmarkedPicture:
        x0, _, x1, _ = picture.extent.tolist()
        if side:
            return replace(picture, image=picture.image[:, : round(x1 - share * (x1 - x0))].copy())
        start = round(x0 + share * (x1 - x0))
        shift = np.array([start, 0], np.float32)
        return replace(picture, image=picture.image[:, start:].copy(), landmarks=picture.landmarks - shift)

    return change


WAYS: Mapping[str, Harder] = {
    **HARDER,
    **{
        f"{share:.0%} beyond the {end} edge": _cut(side, share)
        for share in (0.2, 0.4)
        for side, end in ((0, "left"), (1, "right"))
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A picture of a person, and what was done to it."""

    person: str
    number: int
    how: str
    picture: LandmarkedPicture


@dataclass(frozen=True, kw_only=True)
class Found:
    """The probes that have a face, with what was found of them by one flow."""

    probes: Sequence[Probe]
    faces: Sequence[Face]

    @cached_property
    def persons(self) -> NDArray[np.str_]:
        return np.array([probe.person for probe in self.probes])

    @cached_property
    def numbers(self) -> NDArray[np.int_]:
        return np.array([probe.number for probe in self.probes])

    @cached_property
    def is_clean(self) -> NDArray[np.bool_]:
        return np.array([probe.how == CLEAN for probe in self.probes])

    @cached_property
    def cosines(self) -> Floats:
        """(P, P)"""
        rows = np.stack([np.asarray(face.embedding, np.float64) for face in self.faces])
        return np.asarray(rows @ rows.T, np.float64)

    @cached_property
    def mates(self) -> NDArray[np.bool_]:
        """(P, P) whether the second is a clean picture of the person of the first, and another picture."""
        same = (self.persons[:, None] == self.persons) & (self.numbers[:, None] != self.numbers)
        return np.asarray(same & self.is_clean, np.bool_)

    @cached_property
    def truth(self) -> Floats:
        """(P,) from 0 to 1."""
        agreed = (self.cosines * self.mates).sum(axis=1) / self.mates.sum(axis=1)
        return np.asarray(np.clip(agreed / np.median(agreed[self.is_clean]), 0, 1), np.float64)

    @cached_property
    def faults(self) -> tuple[tuple[str, ...], Floats]:
        """Names, and (P, F)."""
        rows = [faults(_signs(face)) for face in self.faces]
        return tuple(rows[0]), np.array([list(row.values()) for row in rows])


def _signs(face: Face) -> Signs:
    assert face.patch is not None
    corner = np.array([face.patch.x, face.patch.y], np.float32)
    return signs_of(face, look_of(face.patch.pixels, points_of(face) - corner))


def probes_of(data: Path) -> list[Probe]:
    """Every picture as it is, and every second made harder."""
    paths = picture_paths(data / LFW)
    images = [load(path) for path in paths]
    faces = [_nearest(frame.faces, _middle(frame)) for frame in faceloom.stream(images, mask=())]
    pictures = [
        LandmarkedPicture(image=image, landmarks=points_of(face))
        for image, face in zip(images, faces, strict=True)
        if face
    ]
    return [
        Probe(person=path.parent.name, number=number, how=how, picture=make(picture))
        for number, (path, picture) in enumerate(zip(paths, pictures, strict=True))
        for how, make in WAYS.items()
        if how == CLEAN or number % EVERY == 0
    ]


def _middle(frame: faceloom.Frame) -> Floats:
    return np.array(frame.image.shape[1::-1]) / 2


def _nearest(faces: Sequence[Face], place: NDArray[Any]) -> Face | None:
    """The face whose box has its middle nearest to a place."""
    apart = [float(np.linalg.norm(face.box.reshape(2, 2).mean(axis=0) - place)) for face in faces]
    return faces[int(np.argmin(apart))] if apart else None


def found_by(probes: Sequence[Probe], align: Sequence[str], identify: str, options: Mapping[str, Any]) -> Found:
    """The faces of the probes where they are, with embeddings."""
    images = (probe.picture.image for probe in probes)
    frames = faceloom.stream(images, align=align, identify=identify, mask=(), min_score=0.3, **options)
    kept: list[tuple[Probe, Face]] = []
    for probe, frame in zip(probes, frames, strict=True):
        place, unit = probe.picture.landmarks.mean(axis=0), float(outer_eye_distance(probe.picture.landmarks))
        face = _nearest(frame.faces, place)
        if face and face.embedding is not None and np.linalg.norm(face.box.reshape(2, 2).mean(axis=0) - place) < unit:
            kept.append((probe, face))
    return Found(probes=[probe for probe, _ in kept], faces=[face for _, face in kept])


def fit(faults_: Floats, truth: Floats) -> Floats:
    """(F,) weights, 0 or more, with the least squares of exp(-faults @ weights) - truth.

    By projected gradient (Goldstein 1964), each weight in steps of its own size.
    """
    weights = np.where(faults_.any(axis=0), 0.3, 0.0)
    pace = 1 / np.maximum((faults_**2).mean(axis=0), 1e-6)
    for _ in range(STEPS):
        quality = np.exp(-faults_ @ weights)
        gradient = faults_.T @ ((quality - truth) * -quality) / len(truth)
        weights = np.maximum(weights - 0.1 * pace * gradient, 0)
    return np.asarray(weights)


def foretold(found: Found) -> Floats:
    """(P,) qualities by weights that were fitted without the person."""
    _, rows = found.faults
    people = sorted(set(found.persons))
    quality = np.zeros(len(rows))
    for fold in range(FOLDS):
        tested = np.isin(found.persons, people[fold::FOLDS])
        quality[tested] = np.exp(-rows[tested] @ fit(rows[~tested], found.truth[~tested]))
    return quality


SIGNS: Mapping[str, Callable[[Face], float]] = {
    "score of the detector": lambda face: face.score,
    "confidence of the aligner": lambda face: face.confidence or 0.0,
    "landmark_spread": lambda face: -(face.landmark_spread or 0.0),
    "sharpness": lambda face: face.sharpness or 0.0,
    "size": lambda face: float(face.box[2] - face.box[0]),
}


def curve_rows(name: str, found: Found, quality: Floats) -> Iterator[tuple[str, ...]]:
    """By sign the rank correlation with the truth, and the error when the worst faces by it are taken out."""
    signs = {"quality": quality, **{what: np.array([sign(f) for f in found.faces]) for what, sign in SIGNS.items()}}
    for what, values in {**signs, "the truth itself": found.truth}.items():
        if len(set(values)) > 1:
            errors = [f"{100 * error:.1f}" for error in _errors(found, values)]
            yield name, what, f"{rank_correlation(values, found.truth):.2f}", *errors


def _errors(found: Found, values: Floats) -> Iterator[float]:
    """The share of genuine pairs that are refused, by how many faces are taken out."""
    clean = np.flatnonzero(found.is_clean)
    others = found.persons[clean][:, None] != found.persons[clean]
    threshold = np.quantile(found.cosines[np.ix_(clean, clean)][others], 1 - STRANGERS)
    for share in REJECTED:
        left = values >= np.quantile(values, share)
        yield float((found.cosines[left][found.mates[left]] < threshold).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=SHARED_DATA)
    parser.add_argument("--fit", action="store_true", help="write the weights that the package has")
    chosen = parser.parse_args()
    own = {"weights": {"identify/arcface": chosen.data.parent / "weights/fr_feature.onnx"}}
    bgr = {"settings": {"identify/arcface": {"order": "bgr"}}}
    probes = probes_of(chosen.data)
    rows: list[tuple[str, ...]] = []
    lines = ["# Made by benchmarks/quality.py --fit, which says how; alone: of one aligner, several: of more."]
    for flow, align in FLOWS.items():
        fitted, other = found_by(probes, align, "arcface", {**own, **bgr}), found_by(probes, align, "dlib", {})
        names, faulty = fitted.faults
        weights = fit(faulty, fitted.truth)
        lines += ["", f"[{flow}]", *(f"{name} = {w:.3f}" for name, w in zip(names, weights, strict=True) if w)]
        quality = foretold(fitted)
        told = " + ".join(align)
        rows += [*curve_rows(f"{told}, fr_feature", fitted, quality), *curve_rows(f"{told}, dlib", other, quality)]
    print(f"{len(probes)} pictures, {len(fitted.faces)} faces\n" + "\n".join(lines) + "\n")
    columns = ("aligners, embedding", "sign", "rank correlation", *(f"{share:.0%} taken out" for share in REJECTED))
    print(markdown("Error versus reject, %", columns, rows))
    if chosen.fit:
        TARGET.write_text("\n".join([*lines, ""]))


if __name__ == "__main__":
    main()
