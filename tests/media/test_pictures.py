import io
import struct
import time
import zlib
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import UnidentifiedImageError, features

from faceloom.errors import MediaError
from faceloom.faces import Image
from faceloom.media.notes import Note
from faceloom.media.pictures import read_picture
from media.picture_files import KINDS, shaded

PATH = Path("picture")
ORIENTATION = 0x0112
# EXIF 2.32, table 6: where the stored picture's first row and first column are in the upright one.
STORED: dict[int, Callable[[Image], Image]] = {
    1: lambda upright: upright,  # top, left
    2: lambda upright: upright[:, ::-1],  # top, right
    3: lambda upright: np.rot90(upright, 2),  # bottom, right
    4: lambda upright: upright[::-1],  # bottom, left
    5: lambda upright: upright.transpose(1, 0, 2),  # left, top
    6: lambda upright: np.rot90(upright, 1),  # right, top
    7: lambda upright: np.rot90(upright, 2).transpose(1, 0, 2),  # right, bottom
    8: lambda upright: np.rot90(upright, -1),  # left, bottom
}
EXACT_FORMATS: dict[str, dict[str, Any]] = {
    "BMP": {},
    "DDS": {},
    "GIF": {},
    "ICO": {"sizes": [(48, 32)]},
    "JPEG2000": {"irreversible": False},
    "PCX": {},
    "PNG": {},
    "PPM": {},
    "QOI": {},
    "SGI": {},
    "TGA": {},
    "TIFF": {"compression": "tiff_lzw"},
    "WEBP": {"lossless": True},
}
TURNED_OPTIONS: dict[str, dict[str, Any]] = {"JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"lossless": True}}


def scene(height: int = 32, width: int = 48) -> Image:
    """Blocks of eight pixels, none of which looks like another: no compression and no turn can hide in them."""
    y, x = np.mgrid[:height, :width] // 8
    return np.stack([x * 255 // (width // 8), y * 255 // (height // 8), (x + y) % 2 * 255], axis=2).astype(np.uint8)


def encoded(picture: PillowImage.Image, kind: str, **options: Any) -> bytes:
    content = io.BytesIO()
    picture.save(content, kind, **options)
    return content.getvalue()


def read_whole(content: bytes) -> Image:
    """The picture, which has to be read without a loss."""
    still = read_picture(content, PATH)
    assert still.problem is None
    return still.image


def over_white(layers: NDArray[np.uint8]) -> NDArray[np.float64]:
    alpha = layers[..., 3:] / 255
    return layers[..., :3] * alpha + 255 * (1 - alpha)


def turned_files(kind: str, orientation: int) -> bytes:
    exif = PillowImage.Exif()
    exif[ORIENTATION] = orientation
    stored = PillowImage.fromarray(np.ascontiguousarray(STORED[orientation](scene())))
    options = TURNED_OPTIONS.get(kind, {})
    return encoded(stored, kind, exif=exif, **options)


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_a_turned_picture_stands_upright(kind: str, orientation: int) -> None:
    np.testing.assert_allclose(read_whole(turned_files(kind, orientation)), scene(), atol=12)


@pytest.mark.parametrize("kind", EXACT_FORMATS)
def test_a_picture_of_a_lossless_format_is_read_exactly(kind: str) -> None:
    content = encoded(PillowImage.fromarray(scene()), kind, **EXACT_FORMATS[kind])
    np.testing.assert_array_equal(read_whole(content), scene())


def test_a_jpeg_is_what_opencv_reads() -> None:
    content = encoded(PillowImage.fromarray(scene(250, 333)), "JPEG", quality=80)
    theirs = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR_RGB)
    np.testing.assert_allclose(read_whole(content), np.asarray(theirs), atol=2)


@pytest.mark.parametrize("options", [{"progressive": True}, {"subsampling": 2}, {"restart_marker_rows": 1}])
def test_a_jpeg_of_any_making_is_read(options: dict[str, Any]) -> None:
    content = encoded(PillowImage.fromarray(scene()), "JPEG", quality=95, **options)
    np.testing.assert_allclose(read_whole(content), np.asarray(PillowImage.open(io.BytesIO(content))), atol=2)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "PPM", "WEBP", "BMP"])
def test_a_grey_picture_is_grey_in_three_channels(kind: str) -> None:
    grey = scene()[..., 0]
    options = {"lossless": True} if kind == "WEBP" else {"quality": 100} if kind == "JPEG" else {}
    image = read_whole(encoded(PillowImage.fromarray(grey), kind, **options))
    np.testing.assert_allclose(image, np.repeat(grey[..., None], 3, axis=2), atol=2)


def test_a_bilevel_picture_is_black_and_white() -> None:
    bits = scene()[..., 2] > 0
    image = read_whole(encoded(PillowImage.fromarray(bits), "PNG"))
    np.testing.assert_array_equal(image, np.repeat(bits[..., None], 3, axis=2) * np.uint8(255))


def test_a_picture_with_a_palette_has_the_colours_of_the_palette() -> None:
    colours = np.array([[10, 20, 30], [200, 100, 50], [0, 255, 0], [255, 255, 255]], np.uint8)
    indexes = (scene()[..., 0] // 64).astype(np.uint8)
    picture = PillowImage.fromarray(indexes)
    picture.putpalette(colours.tobytes())
    np.testing.assert_array_equal(read_whole(encoded(picture, "PNG")), colours[indexes])


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_a_transparent_picture_lies_on_white(kind: str) -> None:
    layers = np.dstack([scene(), np.tile(np.linspace(0, 255, 48).astype(np.uint8), (32, 1))])
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    image = read_whole(encoded(PillowImage.fromarray(layers), kind, **options))
    np.testing.assert_allclose(image, over_white(layers), atol=1)


def test_a_grey_picture_with_transparency_lies_on_white() -> None:
    grey = scene()[..., 0]
    layers = np.dstack([grey, grey, grey, 255 - grey])
    image = read_whole(encoded(PillowImage.fromarray(layers[..., 2:]), "PNG"))
    np.testing.assert_allclose(image, over_white(layers), atol=1)


def test_a_transparent_colour_of_a_palette_lies_on_white() -> None:
    picture = PillowImage.fromarray((scene()[..., 0] // 128).astype(np.uint8))
    picture.putpalette([10, 20, 30, 200, 100, 50])
    image = read_whole(encoded(picture, "PNG", transparency=0))
    np.testing.assert_array_equal(image, np.array([[255, 255, 255], [200, 100, 50]])[np.asarray(picture)])


def whole(content: bytes) -> Image:
    """As read in one piece, with copies of the whole picture."""
    with PillowImage.open(io.BytesIO(content)) as picture:
        if picture.mode.startswith("I") or picture.mode == "F":
            values = np.asarray(picture)
            white = 255.0 if values.dtype.kind == "f" else 65535.0
            grey = np.rint(np.clip(np.nan_to_num(values.astype(np.float64)) / white, 0, 1) * 255).astype(np.uint8)
            return np.repeat(grey[..., None], 3, axis=2)
        layers: PillowImage.Image = picture
        if picture.has_transparency_data:
            layers = picture.convert("RGBA")
            layers = PillowImage.alpha_composite(PillowImage.new("RGBA", picture.size, "white"), layers)
        return np.array(layers.convert("RGB"))


READ_BY_OTHERS = (".jpg", ".hdr", ".pam", ".pfm", ".mpo", "colours.png", "colours.tif")


@pytest.mark.parametrize("name", [name for name in KINDS if not name.endswith(READ_BY_OTHERS)])
def test_a_picture_read_in_strips_is_the_one_read_in_one_piece(name: str) -> None:
    content = KINDS[name](shaded(333, 1001))  # more than four strips, the last one shorter
    expected = whole(content)
    if name in ("turned.png", "turned.webp"):
        stored = {"turned.png": expected.transpose(1, 0, 2), "turned.webp": np.rot90(expected, 2).transpose(1, 0, 2)}
        expected = stored[name]
    np.testing.assert_array_equal(read_whole(content), expected)


@pytest.mark.parametrize("orientation", STORED)
def test_a_picture_of_many_strips_stands_upright(orientation: int) -> None:
    exif = PillowImage.Exif()
    exif[ORIENTATION] = orientation
    stored = PillowImage.fromarray(np.ascontiguousarray(STORED[orientation](scene(800, 648))))
    np.testing.assert_array_equal(read_whole(encoded(stored, "PNG", exif=exif)), scene(800, 648))


def deep(channels: int) -> NDArray[np.uint16]:
    y, x = np.mgrid[:32, :48]
    return np.stack([x * 1365, y * 2114, (x + y) * 830], axis=2)[..., :channels].astype(np.uint16)


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_of_16_bits_keeps_its_light(suffix: str, channels: int) -> None:
    values = deep(channels)
    _, content = cv2.imencode(suffix, values[..., ::-1] if channels == 3 else values)
    image = read_whole(content.tobytes())
    np.testing.assert_allclose(image, np.broadcast_to(values / 257, image.shape), atol=1)


@pytest.mark.parametrize(("least", "most"), [(0.0, 1.0), (0.0, 255.0), (-0.5, 1.5), (0.0, 1.2), (-20.0, 3000.0)])
def test_a_picture_of_floating_point_goes_from_black_to_white(least: float, most: float) -> None:
    values = np.linspace(least, most, 48 * 32, dtype=np.float32).reshape(32, 48)
    values[3, 5] = np.nan
    still = read_picture(encoded(PillowImage.fromarray(values), "TIFF"), PATH)
    image = still.image
    assert (Note.SCALED in still.notes) == ((least, most) not in {(0.0, 1.0), (0.0, 255.0)})
    expected = np.nan_to_num((values - least) / (most - least)) * 255
    expected[3, 5] = round(255 * -least / (most - least))
    np.testing.assert_allclose(image, np.repeat(expected[..., None], 3, axis=2), atol=0.51)


@pytest.mark.parametrize(
    ("ink", "colour"),
    [
        ((0, 0, 0, 0), (255, 255, 255)),
        ((255, 0, 0, 0), (0, 255, 255)),
        ((0, 255, 0, 0), (255, 0, 255)),
        ((0, 0, 255, 0), (255, 255, 0)),
        ((0, 0, 0, 255), (0, 0, 0)),
    ],
)
def test_the_inks_of_a_cmyk_jpeg_become_their_colours(ink: tuple[int, ...], colour: tuple[int, ...]) -> None:
    image = read_whole(encoded(PillowImage.new("CMYK", (16, 16), ink), "JPEG", quality=100))
    np.testing.assert_allclose(image, np.broadcast_to(colour, (16, 16, 3)), atol=3)


def test_a_picture_that_only_opencv_knows_is_read() -> None:
    _, content = cv2.imencode(".hdr", scene().astype(np.float32) / 255)
    with pytest.raises(UnidentifiedImageError):
        PillowImage.open(io.BytesIO(content.tobytes()))
    assert read_whole(content.tobytes()).shape == (32, 48, 3)


@pytest.mark.parametrize("begins", [b"#?RADIANCE", b"#?RGBE"])
@pytest.mark.parametrize("side", [32, 60_000])
def test_no_copy_of_a_picture_is_left_in_a_folder_for_all(
    begins: bytes, side: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENCV_TEMP_PATH", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    whole = cv2.imencode(".hdr", np.full((32, 32, 3), 0.5, np.float32))[1].tobytes()
    content = whole.replace(b"#?RADIANCE", begins).replace(b"-Y 32 +X 32", b"-Y %d +X %d" % (side, side))
    seen: list[Path] = []
    reads = cv2.imread

    def look(path: str, flags: int) -> object:
        seen.extend(tmp_path.iterdir())
        return reads(path, flags)

    monkeypatch.setattr(cv2, "imread", look)
    with nullcontext() if side == 32 else pytest.raises((MediaError, MemoryError)):
        assert read_whole(content).shape == (32, 32, 3)
    assert not list(tmp_path.iterdir())
    if Path("/proc/self/fd").exists():
        assert not seen  # not while it is read either, so that nothing is left by a process that is killed


def test_the_first_picture_of_an_animation_is_read() -> None:
    first, second = PillowImage.fromarray(scene()), PillowImage.fromarray(255 - scene())
    content = encoded(first, "WEBP", save_all=True, append_images=[second], lossless=True)
    np.testing.assert_array_equal(read_whole(content), scene())


# Releases of Pillow before 11.3 do not know the word, and warn.
@pytest.mark.skipif("avif" not in features.modules or not features.check("avif"), reason="this Pillow reads no AVIF")
def test_an_avif_is_read() -> None:
    content = encoded(PillowImage.fromarray(scene()), "AVIF", quality=95, subsampling="4:4:4")
    assert np.abs(read_whole(content).astype(int) - scene()).mean() < 4


def test_a_jpeg_that_ends_early_gives_what_there_is_and_says_so() -> None:
    whole = encoded(PillowImage.fromarray(scene(160, 160)), "JPEG", quality=95)
    still = read_picture(whole[: len(whole) * 2 // 3], PATH)
    np.testing.assert_allclose(still.image[:64], read_whole(whole)[:64], atol=2)
    assert still.problem


@pytest.mark.parametrize("name", ["baseline.jpg", "progressive.jpg", "scans.jpg"])
def test_a_jpeg_that_ends_anywhere_is_refused_or_the_same_each_time(name: str) -> None:
    whole = KINDS[name](scene())
    outcomes = set()
    for end in range(whole.index(b"\xff\xda"), len(whole), 3):
        answers = []
        for shade in (0, 255):
            litter = [np.full((32, 48, 3), shade, np.uint8) for _ in range(20)]
            del litter  # whose memory the next picture is likely to get
            answers.append(read_or_none(whole[:end]))
        one, other = answers
        assert (one is None) == (other is None)
        assert one is None or np.array_equal(one, other if other is not None else ())
        outcomes.add(one is None)
    assert False in outcomes


def read_or_none(content: bytes) -> Image | None:
    try:
        return read_picture(content, PATH).image
    except MediaError:
        return None


def test_a_jpeg_sampled_in_an_uncommon_way_is_read() -> None:
    content = KINDS["unnamed.jpg"](scene(64, 96))
    theirs = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR_RGB)
    np.testing.assert_allclose(read_whole(content), np.asarray(theirs), atol=2)


@pytest.mark.parametrize("name", ["baseline.jpg", "progressive.jpg", "unnamed.jpg"])
def test_a_jpeg_that_ends_in_its_header_is_refused_in_words_that_tell_so(name: str) -> None:
    whole = KINDS[name](scene())
    for end in range(3, whole.index(b"\xff\xda")):
        with pytest.raises(MediaError, match="within its header"):
            read_picture(whole[:end], PATH)


def test_a_jpeg_with_damaged_metadata_is_read() -> None:
    exif = PillowImage.Exif()
    exif[ORIENTATION] = 6
    content = encoded(PillowImage.fromarray(scene()), "JPEG", exif=exif).replace(b"Exif\0\0MM", b"Exif\0\0??")
    assert read_whole(content).shape == (32, 48, 3)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "WEBP", "GIF", "PPM"])
def test_a_picture_without_recovery_that_ends_early_is_refused(kind: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    content = encoded(PillowImage.fromarray(noise), kind)
    with pytest.raises(MediaError):
        read_picture(content[: len(content) // 2], PATH)


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xd8\xff", b"\xff\xd8\xff\xe0garbage", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"text"]
)
def test_what_is_no_picture_is_refused(content: bytes) -> None:
    with pytest.raises(MediaError):
        read_picture(content, PATH)


FORMATS = ["JPEG", "PNG", "TIFF", "BMP", "WEBP", "PPM", "JPEG2000"]
FILES = {kind: encoded(PillowImage.fromarray(scene(16, 24)), kind) for kind in FORMATS}


@given(
    st.sampled_from(FORMATS), st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=4)
)
def test_a_damaged_file_is_a_picture_or_refused(kind: str, damage: list[tuple[float, int]]) -> None:
    content = bytearray(FILES[kind])
    for place, value in damage:
        content[int(place * len(content))] = value
    try:
        image = read_picture(bytes(content), PATH).image
    except MediaError:
        return
    assert image.ndim == 3
    assert image.shape[2] == 3
    assert image.dtype == np.uint8


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_header(height: int, width: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def jpeg_header(height: int, width: int) -> bytes:
    content = encoded(PillowImage.fromarray(scene()), "JPEG")
    return content.replace(struct.pack(">HH", 32, 48), struct.pack(">HH", height, width))


@pytest.mark.parametrize("content", [png_header(30000, 30000), jpeg_header(30000, 30000)], ids=["PNG", "JPEG"])
def test_a_picture_that_declares_too_many_pixels_is_refused_before_it_is_decoded(content: bytes) -> None:
    start = time.process_time()
    with pytest.raises(MediaError, match="declares"):
        read_picture(content, PATH)
    assert time.process_time() - start < 0.5


@pytest.mark.parametrize(("height", "width"), [(9_000, 10_000), (15_000, 15_000)])
def test_a_picture_below_the_limit_is_not_refused_for_its_size(height: int, width: int) -> None:
    with pytest.raises(MediaError) as caught:
        read_picture(png_header(height, width), PATH)  # whose rows are missing
    assert "pixels" not in str(caught.value)


def test_a_picture_that_nobody_knows_is_refused_in_the_same_words_each_time() -> None:
    # Its text chunk could be what is wrong, so it is read without that too; Pillow then names the bytes by their place.
    content = b"\x89PNG\r\n\x1a\n and nothing else"
    told: list[tuple[str, bytearray]] = []
    for _ in range(2):
        with pytest.raises(MediaError) as refused:
            read_picture(content, Path("a.png"))
        told.append((str(refused.value), bytearray(len(told) << 20)))  # so that the next lies elsewhere
    assert "0x" not in told[0][0]
    assert told[0][0] == told[1][0]
