"""Result folders as runs make them, written by the store alone: no network, no worker, and in some milliseconds."""

import hashlib
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from faceloom.choices import ChipFormat
from faceloom.faces import FrameId
from faceloom.formats.record import MaskRecord
from faceloom.geometry.pose import Pose
from faceloom.media.chip_files import encode_chip, encode_jpeg
from faceloom.media.sources import Source, SourceKind, VideoIndex, longer_names
from faceloom.store.folder import file_name, write_file
from faceloom.store.rows import ChunkRows, FaceRow, FrameRow, Status
from faceloom.store.store import Store

PICTURES: Mapping[str, int] = {"ann_in_july.png": 1, "bob.png": 1, "deep/crowd.jpg": 12, "nobody.jpg": 0}
"""The pictures of a result, and how many faces each has."""
CLIP = "walk.mp4"
"""A video of three frames with one face each, half a second apart."""
SIZE, MASK_SIZE = 64, 8
CONFIG: Mapping[str, Any] = {
    "border": "black",
    "chips": {"format": "jpg", "size": SIZE},
    "mask_size": MASK_SIZE,
    "overlay": True,
    "results": 3,
    "stages": {
        "align/facemesh": {"weights": "b" * 64},
        "detect/yunet": {"min_score": 0.6, "weights": "a" * 64},
        "identify/sface": {"weights": "c" * 64},
        "mask/components": {"grow": 0.04, "weights": None},
        "mask/extended": {"grow": 0.04, "lift": 0.3, "weights": None},
    },
}


def write_media(folder: Path) -> Path:
    """Files to take faces from: nothing looks into them, but each has a content of its own."""
    for name in (*PICTURES, CLIP):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(f"the content of {name}".encode() * 9)
    return folder


def write_result(
    media: Path, out: Path, *, config: Mapping[str, Any] = CONFIG, names: Collection[str] = (*PICTURES, CLIP)
) -> list[FaceRow]:
    """What a run over such files leaves, with chips and overlays; its faces, by source, frame and index."""
    faces = [face_of(FrameId(name, 0), i) for name, number in PICTURES.items() for i in range(number)]
    faces += [face_of(FrameId(CLIP, frame), 0) for frame in range(3)]
    faces = [face for face in faces if face.frame.source in names]
    with Store(out) as store:
        store.configuration.use(config)
        store.begin_run(versions={"faceloom": "0.1.0"})
        take_up(store, media, names)
        store.note_plan({"phases": []})
        commit(store, faces, overlays=bool(config["overlay"]), names=names)
        store.end_run(outcome="done", summary={"frames": 7, "faces": len(faces)})
    return faces


def take_up(store: Store, media: Path, names: Collection[str] = (*PICTURES, CLIP)) -> None:
    """The sources of a run, with all their frames to be done."""
    index = VideoIndex(
        height=480,
        width=640,
        time_base=Fraction(1, 10),
        ticks=np.array([0, 5, 10]),
        reading_bytes=1000,
        keyframes=np.array([True, False, True]),
    )
    with store.sources.adding():
        for name in sorted(names):
            kind = SourceKind.VIDEO if name == CLIP else SourceKind.PICTURE
            source = Source(name=name, path=media / name, kind=kind)
            named, _ = store.sources.add(source, other_names=longer_names(source))
            if kind is SourceKind.VIDEO:
                store.sources.add_video(named, index, sha256=digest(media / name))
            else:
                store.sources.add_picture(named)


def commit(
    store: Store,
    faces: Sequence[FaceRow],
    *,
    overlays: bool,
    number: int = 0,
    names: Collection[str] = (*PICTURES, CLIP),
) -> None:
    """All frames of such files as done, with these faces, in one chunk."""
    places = [FrameId(name, 0) for name in PICTURES] + [FrameId(CLIP, frame) for frame in range(3)]
    frames = [
        FrameRow(id=place, height=480, width=640, status=Status.DONE, sha256=digest_of(place.source))
        for place in places
        if place.source in names
    ]
    pending = store.files_of(number)
    for face in faces:
        assert face.chip
        write_file(pending / face.chip, chip_of(face))
        if overlays:
            below = f"overlays/{file_name(face.frame.source)}/{face.frame.index:06}"
            write_file(pending / f"{below}.jpg", picture_of(face.frame, 48))
            write_file(pending / f"{below}_{face.index}.jpg", picture_of(face.frame, 32))
    store.commit(ChunkRows(number=number, frames=tuple(frames), faces=tuple(faces), seconds=1.0))


def face_of(frame: FrameId, index: int, **changes: Any) -> FaceRow:
    """A face whose numbers are its own, drawn from its place."""
    rng = np.random.default_rng([zlib.crc32(frame.source.encode()), frame.index, index])
    corner = rng.random(2, np.float32) * 300
    masks = {name: MaskRecord(size=MASK_SIZE, content=_mask(rng)) for name in ("components", "extended")}
    face = FaceRow(
        frame=frame,
        index=index,
        box=np.concatenate([corner, corner + 20 + rng.random(2, np.float32) * 100]),
        score=round(0.99 - index / 100, 2),
        confidence=0.5,
        keypoints=rng.random((5, 2), np.float32) * 400,
        landmarks=rng.random((68, 2), np.float32) * 400,
        frame_to_chip=rng.random((2, 3)),
        pose=Pose(*(float(angle) for angle in rng.random(3) * 40 - 20)),
        sharpness=float(rng.random()),
        made_up=0.25,
        masks=masks,
        embedding=_unit(rng.normal(size=16)),
        chip=f"chips/{file_name(frame.source)}/{frame.index:06}_{index}.jpg",
    )
    return replace(face, **changes)


def chip_of(face: FaceRow) -> bytes:
    """The file of its chip, which says whose it is."""
    time = Fraction(face.frame.index, 2) if face.frame.source == CLIP else None
    image = cv2.imdecode(np.frombuffer(picture_of(face.frame, SIZE, face.index), np.uint8), cv2.IMREAD_COLOR)
    return encode_chip(np.asarray(image, np.uint8), ChipFormat.JPG, face.to_json(time))


def picture_of(frame: FrameId, side: int, index: int = 0) -> bytes:
    rng = np.random.default_rng([zlib.crc32(frame.source.encode()), frame.index, index, side])
    return encode_jpeg(rng.integers(0, 256, (side, side, 3), np.uint8))


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def digest_of(name: str) -> str:
    """Of the content that `write_media` gives it."""
    return hashlib.sha256(f"the content of {name}".encode() * 9).hexdigest()


def _mask(rng: np.random.Generator) -> bytes:
    _, content = cv2.imencode(".png", rng.integers(0, 256, (MASK_SIZE, MASK_SIZE), np.uint8))
    return content.tobytes()


def _unit(vector: "np.typing.NDArray[np.float64]") -> "np.typing.NDArray[np.float32]":
    return (vector / np.linalg.norm(vector)).astype(np.float32)
