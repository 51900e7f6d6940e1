"""Folders of pictures whose faces are known, for programs that read files; made once below `out/sets`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from detect_size import Finder, agreed, small_faces
from faceloom.choices import Subsampling
from faceloom.detect.centerface import CenterFace
from faceloom.detect.yunet import YuNet
from faceloom.geometry.boxes import Boxes
from media import PHOTO_SCALE, true_boxes, write_pictures, write_video
from truth import LFW, BoxedPicture, Tally, dlib_faces, load, picture_paths, tally

FOLDER = Path(__file__).resolve().parent / "out"
SMALL_PX = (24, 32, 48)
"""Heights of the faces that are pasted into frames of 1080p."""
PORTRAITS = "portraits"
_NO_IMAGE = np.zeros((0, 0, 3), np.uint8)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownFaces:
    """Pictures or a video, and the faces in them."""

    name: str
    source: Path
    """A folder, or a video file."""
    truth: Mapping[str, BoxedPicture]
    """By `NAME#INDEX`; without the pixels."""

    def tally(self, found: Mapping[str, Boxes]) -> Tally:
        """How boxes agree with the truth; a frame that is missing had none."""
        none = np.zeros((0, 4), np.float32)
        return tally(self.truth.values(), [found.get(name, none) for name in self.truth])


def jpegs(count: int) -> KnownFaces:
    """Pictures of 1080p with three heads each."""
    folder = write_pictures(FOLDER / f"1080p-{count}", frames=count)
    truth = {f"{i:06}.jpg#0": BoxedPicture(image=_NO_IMAGE, boxes=true_boxes(i)) for i in range(count)}
    return KnownFaces(name=f"{count} JPEGs of 1080p", source=folder, truth=truth)


def jpegs_420(count: int) -> KnownFaces:
    """The same as most JPEGs are, with a colour for each four pixels."""
    folder = write_pictures(FOLDER / f"1080p-{count}-420", frames=count, subsampling=Subsampling.QUARTER)
    return KnownFaces(name=f"{count} JPEGs of 1080p, 4:2:0", source=folder, truth=jpegs(count).truth)


def photos(count: int) -> KnownFaces:
    """The same enlarged to photos of 12 megapixels, as phones make them."""
    folder = write_pictures(FOLDER / f"photos-{count}", frames=count, subsampling=Subsampling.QUARTER, is_photo=True)
    truth = {
        f"{i:06}.jpg#0": BoxedPicture(image=_NO_IMAGE, boxes=true_boxes(i) * np.float32(PHOTO_SCALE))
        for i in range(count)
    }
    return KnownFaces(name=f"{count} photos of 12 megapixels", source=folder, truth=truth)


def empty(count: int) -> KnownFaces:
    """Pictures of 1080p without a face."""
    folder = write_pictures(FOLDER / f"1080p-{count}-empty", frames=count, heads=0)
    none = np.zeros((0, 4), np.float32)
    truth = {f"{i:06}.jpg#0": BoxedPicture(image=_NO_IMAGE, boxes=none) for i in range(count)}
    return KnownFaces(name=f"{count} JPEGs of 1080p without a face", source=folder, truth=truth)


def video(count: int) -> KnownFaces:
    """The same as a video."""
    path = write_video(FOLDER / f"1080p-{count}.mp4", frames=count)
    truth = {f"{path.name}#{i}": BoxedPicture(image=_NO_IMAGE, boxes=true_boxes(i)) for i in range(count)}
    return KnownFaces(name=f"video of 1080p, {count} frames", source=path, truth=truth)


def sets(data: Path) -> list[KnownFaces]:
    """Real pictures with boxes made by hand, real portraits, and portraits scaled down and pasted into frames."""
    folder = FOLDER / "sets"
    if not (folder / "installed").exists():
        finders = [Finder.of(YuNet()), Finder.of(CenterFace())]
        portraits = [agreed(finders, load(path)) for path in picture_paths(data / LFW)]
        _write(folder / "dlib", dlib_faces(data))
        _write(folder / PORTRAITS, portraits)
        for height_px in SMALL_PX:
            _write(folder / f"faces of {height_px} px", small_faces(portraits, height_px=height_px))
        (folder / "installed").touch()
    names = ("dlib", PORTRAITS, *(f"faces of {height_px} px" for height_px in SMALL_PX))
    return [_read(folder / name) for name in names]


def many(portraits: KnownFaces, data: Path, *, count: int) -> KnownFaces:
    """The portraits' own files under so many names."""
    folder = FOLDER / f"portraits-{count}"
    folder.mkdir(exist_ok=True)
    known = list(zip(picture_paths(data / LFW), portraits.truth.values(), strict=True))
    truth = {}
    for i in range(count):
        path, faces = known[i % len(known)]
        copy = folder / f"{i:06}.jpg"
        copy.write_bytes(path.read_bytes())
        truth[f"{copy.name}#0"] = faces
    return KnownFaces(name=f"{count} portraits of 250 px", source=folder, truth=truth)


def one_of(known: KnownFaces) -> Path:
    """A folder with only the first picture of another."""
    first = min(known.source.iterdir())
    folder = FOLDER / f"{known.source.name}-first"
    folder.mkdir(exist_ok=True)
    (folder / first.name).write_bytes(first.read_bytes())
    return folder


def _write(folder: Path, pictures: Sequence[BoxedPicture]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    truth = {}
    for i, picture in enumerate(pictures):
        cv2.imwrite(str(folder / f"{i:03}.png"), picture.image[..., ::-1])
        truth[f"{i:03}.png#0"] = {"boxes": picture.boxes.tolist(), "unsure": picture.unsure.tolist()}
    folder.with_suffix(".json").write_text(json.dumps(truth))


def _read(folder: Path) -> KnownFaces:
    truth = {
        name: BoxedPicture(image=_NO_IMAGE, boxes=_boxes(known["boxes"]), unsure=_boxes(known["unsure"]))
        for name, known in json.loads(folder.with_suffix(".json").read_text()).items()
    }
    return KnownFaces(name=folder.name, source=folder, truth=truth)


def _boxes(corners: list[list[float]]) -> Boxes:
    return np.array(corners, np.float32).reshape(-1, 4)
