"""What is written of pictures: their format and what tells nothing of faces stays, all else of them goes."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage
from PIL import ImageCms
from PIL.ExifTags import IFD, Base

from faceloom.faces import Image
from faceloom.media.sources import Source, SourceKind
from faceloom.redacting.painting import Plane
from faceloom.redacting.stills import StillWriter
from faceloom.redacting.written import Written

ON_FACE = b"shows the face"


def smooth(*, height: int = 48, width: int = 80) -> Image:
    y, x = np.mgrid[:height, :width]
    return np.stack([2 * x + 20, 3 * y + 30, (x + y) % 200 + 20], axis=2).astype(np.uint8)


def corner(_frame: int, planes: list[Plane]) -> bool:
    """Covers the upper left corner, as the picture stands upright."""
    for plane in planes:
        plane.values[:16, :16] = plane.solid
    return True


def rewritten(path: Path, out: Path) -> Written:
    source = Source(name=path.name, path=path, kind=SourceKind.PICTURE)
    return StillWriter(source).write(out, corner, stamp=None, on_frames=lambda _: None)


def jpeg(path: Path, *, orientation: int = 1) -> Path:
    """A JPEG with much beside its pixels."""
    exif = PillowImage.Exif()
    exif[Base.Orientation] = orientation
    exif[Base.DateTime] = "2026:11:30 10:00:00"
    exif[Base.ImageDescription] = "Ann " + ON_FACE.decode()
    exif[IFD.Exif] = {Base.DateTimeOriginal: "2026:11:30 10:00:00", Base.MakerNote: ON_FACE, Base.UserComment: ON_FACE}
    exif[IFD.GPSInfo] = {1: "N", 2: (47.0, 22.0, 0.0)}
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    told = {"exif": exif, "icc_profile": profile, "xmp": b"<x:xmpmeta>" + ON_FACE, "comment": ON_FACE}
    PillowImage.fromarray(smooth()).save(path, quality=92, subsampling=0, **told)  # type: ignore[arg-type]
    content = path.read_bytes()
    thumbnail = io.BytesIO()
    PillowImage.fromarray(smooth(height=16, width=16)).save(thumbnail, "JPEG")
    path.write_bytes(content + b"\0\0\0\x18ftypmp42" + ON_FACE + thumbnail.getvalue())  # as a Motion Photo has it
    return path


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_stays_and_the_upright_picture_is_covered(tmp_path: Path, orientation: int) -> None:
    from faceloom.media.pictures import read_picture

    path, out = jpeg(tmp_path / "a.jpg", orientation=orientation), tmp_path / "b.jpg"
    rewritten(path, out)
    before, after = (read_picture(one.read_bytes(), one).image for one in (path, out))
    assert before.shape == after.shape
    changed = np.abs(before.astype(int) - after.astype(int)).max(axis=2) > 12
    y, x = np.nonzero(changed)
    assert (x.max(), y.max()) <= (16, 16)
    assert changed[4:12, 4:12].mean() > 0.9
    with PillowImage.open(out) as picture:
        assert picture.getexif()[Base.Orientation] == orientation


def test_what_may_show_the_face_is_gone_and_what_cannot_stays(tmp_path: Path) -> None:
    path, out = jpeg(tmp_path / "a.jpg"), tmp_path / "b.jpg"
    assert path.read_bytes().count(ON_FACE) >= 5
    rewritten(path, out)
    assert ON_FACE not in out.read_bytes()
    assert b"ftyp" not in out.read_bytes()
    assert out.read_bytes().count(b"\xff\xd8\xff") == 1, "no other picture in it"
    with PillowImage.open(path) as before, PillowImage.open(out) as after:
        assert after.info["icc_profile"] == before.info["icc_profile"]
        assert getattr(after, "quantization") == getattr(before, "quantization")  # noqa: B009  # of JPEGs alone
        assert after.getexif()[Base.DateTime] == "2026:11:30 10:00:00"
        assert after.getexif().get_ifd(IFD.Exif)[Base.DateTimeOriginal] == "2026:11:30 10:00:00"
        assert not after.getexif().get_ifd(IFD.GPSInfo)
        assert Base.ImageDescription not in after.getexif()


def test_a_jpeg_keeps_its_tables_so_that_what_is_not_covered_hardly_changes(tmp_path: Path) -> None:
    path, out = jpeg(tmp_path / "a.jpg"), tmp_path / "b.jpg"
    rewritten(path, out)
    before, after = (np.asarray(PillowImage.open(one)).astype(int) for one in (path, out))
    assert np.abs(before - after)[24:, 24:].max() <= 2


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif", ".bmp", ".avif", ".gif"])
def test_pictures_keep_their_format(tmp_path: Path, suffix: str) -> None:
    path, out = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    PillowImage.fromarray(smooth()).save(path)
    written = rewritten(path, out)
    with PillowImage.open(path) as before, PillowImage.open(out) as after:
        assert before.format == after.format == written.codec
        image = np.asarray(after.convert("RGB"))
    assert image[2:12, 2:12].max() < 30
    assert np.abs(image.astype(int) - smooth().astype(int))[24:, 24:].mean() < 12


def test_transparency_stays_and_what_is_covered_can_be_seen(tmp_path: Path) -> None:
    layers = np.dstack([smooth(), np.full((48, 80), 100, np.uint8)])
    PillowImage.fromarray(layers).save(tmp_path / "a.png")
    rewritten(tmp_path / "a.png", tmp_path / "b.png")
    after = np.asarray(PillowImage.open(tmp_path / "b.png"))
    assert after.shape == (48, 80, 4)
    assert (after[:16, :16] == [0, 0, 0, 255]).all()
    assert (after[20:] == layers[20:]).all()


def test_sixteen_bits_and_greys_stay_what_they_are(tmp_path: Path) -> None:
    deep = (np.arange(48 * 80).reshape(48, 80) * 13 + 500).astype(np.uint16)
    PillowImage.fromarray(deep).save(tmp_path / "a.png")
    rewritten(tmp_path / "a.png", tmp_path / "b.png")
    after = np.asarray(PillowImage.open(tmp_path / "b.png"))
    assert after.dtype == np.uint16
    assert (after[20:] == deep[20:]).all()
    assert not after[:16, :16].any()


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
def test_every_frame_of_an_animation_is_covered_and_shown_as_long_as_before(tmp_path: Path, suffix: str) -> None:
    path, out = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    frames = [PillowImage.fromarray(np.roll(smooth(), 9 * i, axis=1)) for i in range(4)]
    durations = [40, 120, 80, 200]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=durations, loop=0)
    source = Source(name=path.name, path=path, kind=SourceKind.PICTURE)
    writer = StillWriter(source, np.arange(4, dtype=np.float64) if suffix == ".gif" else None)
    assert len(writer.times) == 4
    assert writer.write(out, corner, stamp=None, on_frames=lambda _: None).frames == 4
    with PillowImage.open(out) as after:
        assert getattr(after, "n_frames", 1) == 4
        for i in range(4):
            after.seek(i)
            after.load()
            assert after.info["duration"] == durations[i]
            assert np.asarray(after.convert("RGB"))[2:12, 2:12].max() < 40


def test_every_page_of_a_tiff_is_covered(tmp_path: Path) -> None:
    pages = [PillowImage.fromarray(np.roll(smooth(), 9 * i, axis=1)) for i in range(3)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    assert rewritten(tmp_path / "a.tif", tmp_path / "b.tif").frames == 3
    with PillowImage.open(tmp_path / "b.tif") as after:
        for i in range(3):
            after.seek(i)
            image = np.asarray(after)
            assert not image[:16, :16].any()
            assert (image[20:] == np.asarray(pages[i])[20:]).all()
