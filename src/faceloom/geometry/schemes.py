"""Landmark schemes of other networks, and what each of the 68 points of iBUG is in them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from faceloom.errors import DegeneratePointsError
from faceloom.geometry.affine import Points, apply, fit_similarity
from faceloom.geometry.landmarks import MEAN_FACE, five_keypoints, from_mesh, from_wflw

_MESH_VERTICES = 468
_MEAN_FIVE = five_keypoints(MEAN_FACE.astype(np.float32))

# Left to right, as the 68 points: jaw, brows, nose, eyes, mouth.
_INSIGHTFACE = np.array(
    [
        *(1, 10, 12, 14, 16, 3, 5, 7, 0, 23, 21, 19, 32, 30, 28, 26, 17),
        *(43, 48, 49, 51, 50, 102, 103, 104, 105, 101),
        *(72, 73, 74, 86, 78, 79, 80, 85, 84),
        *(35, 41, 42, 39, 37, 36, 89, 95, 96, 93, 91, 90),
        *(52, 64, 63, 71, 67, 68, 61, 58, 59, 53, 56, 55, 65, 66, 62, 70, 69, 57, 60, 54),
    ]
)
_JD = np.array([*range(0, 33, 2), *range(33, 43), *range(43, 52), *range(52, 64), *range(84, 104)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """One way of putting points on a face."""

    name: str
    counts: tuple[int, ...]
    """How many points it may have."""
    to_ibug: Callable[[Points], Points]
    """(N, 68, 2) of (N, K, 2) points."""
    about: str
    """What the points are, and where the way to the 68 is from."""


def from_five(points: Points) -> Points:
    """(N, 68, 2) of (N, 5, 2) keypoints: the mean face, laid on them by the nearest similarity.

    Points that all coincide are all there is of such a face.
    """
    return np.stack([_mean_face_on(five) for five in points])


def _mean_face_on(five: Points) -> Points:
    try:
        return apply(fit_similarity(_MEAN_FIVE, five), MEAN_FACE.astype(np.float32))
    except DegeneratePointsError:
        return np.repeat(five[:1], len(MEAN_FACE), axis=0)


def from_insightface(points: Points) -> Points:
    """(N, 68, 2) of (N, 106, 2) in the order of InsightFace's `2d106det`: each of the 68 is one of the 106.

    Source: the drawing `2d106markup.jpg` of github.com/deepinsight/insightface, `alignment/coordinate_reg`; its indexes
    of the 68 as they are commonly listed (stackoverflow.com/a/67174339).
    """
    return points[:, _INSIGHTFACE]


def from_jd(points: Points) -> Points:
    """(N, 68, 2) of (N, 106, 2) in the order of JD-landmark, which LaPa has too: each of the 68 is one of the 106.

    Jaw 0-32, of which every second; upper edges of the brows 33-42, nose 43-51, eyes 52-63 without the middles of the
    lids, mouth 84-103.

    Source: Liu et al. 2019, ICME Workshops, arXiv 1905.03469, "Grand Challenge of 106-Point Facial Landmark
    Localization", figure 1.
    """
    return points[:, _JD]


def _as_it_is(points: Points) -> Points:
    return points


def _from_mesh_without_irises(points: Points) -> Points:
    return from_mesh(points[:, :_MESH_VERTICES])


SCHEMES = {
    scheme.name: scheme
    for scheme in (
        Scheme(name="ibug", counts=(68,), to_ibug=_as_it_is, about="the 68 points themselves"),
        Scheme(
            name="five",
            counts=(5,),
            to_ibug=from_five,
            about="eye centres, nose tip, mouth corners: the mean face of `geometry/landmarks.toml`, laid on them",
        ),
        Scheme(
            name="wflw", counts=(98,), to_ibug=from_wflw, about="of Wu et al. 2018, CVPR: 68 of its points are the 68"
        ),
        Scheme(
            name="insightface",
            counts=(106,),
            to_ibug=from_insightface,
            about="of InsightFace's `2d106det`: by its drawing",
        ),
        Scheme(name="jd", counts=(106,), to_ibug=from_jd, about="of JD-landmark and LaPa: Liu et al. 2019, figure 1"),
        Scheme(
            name="mesh",
            counts=(_MESH_VERTICES, 478),
            to_ibug=_from_mesh_without_irises,
            about="of MediaPipe's FaceMesh, with irises or without: weighted means of vertices, as `align/facemesh`",
        ),
    )
}
"""By name; of those of one number of points the first is taken unless another is named."""


def scheme_of(count: int) -> Scheme | None:
    """The usual scheme of so many points, if there is one."""
    return next((scheme for scheme in SCHEMES.values() if count in scheme.counts), None)
