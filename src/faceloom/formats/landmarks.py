"""Landmarks: an npz of NumPy for each source that has faces, with an array for each attribute of numbers."""

import io
import itertools
import zipfile
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from faceloom.attributes import Part
from faceloom.formats.names import below
from faceloom.formats.record import FaceRecord, Format, FrameRecord, Frames, Piece

_SHAPES = {"keypoints": (5, 2), "landmarks": (68, 2), "frame_to_chip": (2, 3), "pose": (3,)}


def _write(frames: Frames) -> Iterator[Piece]:
    for source, of_source in itertools.groupby(frames, key=lambda frame: frame.id.source):
        faces = [(frame, face) for frame in of_source for face in frame.faces]
        if faces:
            yield f"{below(source)}.npz", _npz(_arrays(faces))


def _npz(arrays: Mapping[str, NDArray[np.generic]]) -> bytes:
    """What `numpy.load` reads: npy files in a zip, which tells no time."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        for name, array in arrays.items():
            with packed.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as part:
                np.save(part, array)
    return file.getvalue()


def _arrays(faces: Sequence[tuple[FrameRecord, FaceRecord]]) -> dict[str, NDArray[np.generic]]:
    """What is known of faces, a row each; NaN where it is not known."""
    arrays: dict[str, NDArray[np.generic]] = {
        "frame": np.array([frame.id.index for frame, _ in faces], np.int64),
        "time_s": np.array([np.nan if frame.time is None else frame.time for frame, _ in faces], np.float64),
        "index": np.array([face.index for _, face in faces], np.int64),
        "box": np.array([face.box for _, face in faces], np.float32),
        "score": np.array([np.nan if face.score is None else face.score for _, face in faces], np.float32),
    }
    for name, shape in _SHAPES.items():
        values = [getattr(face, name) for _, face in faces]
        nothing = np.full(shape, np.nan)
        dtype = np.float64 if name == "frame_to_chip" else np.float32
        arrays[name] = np.array([nothing if value is None else value for value in values], dtype)
    return arrays


FORMAT = Format(
    name="landmarks",
    title="NumPy arrays",
    suffix="",
    keeps=frozenset([Part.TIMES, Part.SCORES, Part.KEYPOINTS, Part.LANDMARKS, Part.AFFINES, Part.POSES]),
    changes="nothing",
    write=_write,
    is_text=False,
    is_folder=True,
)
