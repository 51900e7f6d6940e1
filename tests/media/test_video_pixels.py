import struct
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from clips import write_clip
from faceloom.faces import Image
from faceloom.media.notes import Note
from faceloom.media.tone_mapping import Coded, Transfer, to_srgb
from faceloom.media.video_index import index_video
from media.field_clips import PATCHES, frames_of, lettered, patches, read_patches, write_frames

X264 = {"preset": "veryfast", "crf": "4"}
X265 = {"preset": "ultrafast", "x265-params": "log-level=none:pools=none:crf=4"}
ONE, NONE = 1 << 16, 0
# ISO/IEC 14496-12, 6.2.2: (x, y) goes to (a x + c y, b x + d y); and what that does to rows and columns.
MATRICES: dict[str, tuple[tuple[int, int, int, int], Callable[[Image], Image]]] = {
    "as it is": ((ONE, NONE, NONE, ONE), lambda image: image),
    "mirrored across": ((-ONE, NONE, NONE, ONE), lambda image: image[:, ::-1]),
    "mirrored down": ((ONE, NONE, NONE, -ONE), lambda image: image[::-1]),
    "turned about": ((-ONE, NONE, NONE, -ONE), lambda image: image[::-1, ::-1]),
    "transposed": ((NONE, ONE, ONE, NONE), lambda image: image.transpose(1, 0, 2)),
    "clockwise": ((NONE, ONE, -ONE, NONE), lambda image: np.rot90(image, -1)),
    "counterclockwise": ((NONE, -ONE, ONE, NONE), lambda image: np.rot90(image)),
    "transversed": ((NONE, -ONE, -ONE, NONE), lambda image: image[::-1, ::-1].transpose(1, 0, 2)),
}


def with_matrix(path: Path, matrix: tuple[int, int, int, int]) -> Path:
    """Writes a clip whose track has this matrix."""
    write_clip(path, range(3), time_base=Fraction(1, 25), options=X264, images=[lettered()] * 3)
    content = path.read_bytes()
    a, b, c, d = matrix
    identity = struct.pack(">9i", ONE, 0, 0, 0, ONE, 0, 0, 0, 1 << 30)
    told = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    place = content.index(identity, content.index(b"tkhd"))
    path.write_bytes(content[:place] + told + content[place + len(told) :])
    return path


@pytest.mark.parametrize("name", MATRICES)
def test_each_of_the_eight_display_matrices_is_followed(tmp_path: Path, name: str) -> None:
    matrix, lay = MATRICES[name]
    path = with_matrix(tmp_path / "clip.mp4", matrix)
    expected = lay(lettered())
    index, (frame, *_) = index_video(path), frames_of(path)
    assert (index.height, index.width) == frame.image.shape[:2] == expected.shape[:2]
    assert np.abs(frame.image.astype(int) - expected).mean() < 8
    a, b, c, d = (value // ONE for value in matrix)
    notes = {Note.MIRRORED} if a * d - b * c < 0 else {Note.TURNED} if name != "as it is" else set()
    assert set(frame.notes) == notes


@pytest.mark.parametrize("aspect", [Fraction(2), Fraction(4, 3), Fraction(8, 9), Fraction(16, 15), Fraction(1, 2)])
@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_pixels_become_square(tmp_path: Path, aspect: Fraction, codec: str) -> None:
    path = write_frames(tmp_path / "clip.mkv", [patches()] * 3, codec=codec, pixels="yuv420p", aspect=aspect)
    (frame, *_) = frames_of(path)
    height, width = patches().shape[:2]
    assert frame.image.shape[:2] == (height, round(width * aspect))
    assert Note.SQUARED in frame.notes
    np.testing.assert_allclose(read_patches(frame.image), PATCHES, atol=6)


@pytest.mark.parametrize("aspect", [Fraction(1), Fraction(1281, 1280), Fraction(1, 200)])
def test_an_aspect_ratio_that_says_nothing_changes_nothing(tmp_path: Path, aspect: Fraction) -> None:
    path = write_frames(tmp_path / "clip.mkv", [patches()] * 3, codec="libx264", pixels="yuv420p", aspect=aspect)
    (frame, *_) = frames_of(path)
    assert frame.image.shape == patches().shape
    assert not frame.notes


@pytest.mark.parametrize("pixels", ["yuv420p10le", "yuv422p10le", "yuv444p10le", "yuv420p12le"])
def test_deep_video_is_neither_darker_nor_lighter(tmp_path: Path, pixels: str) -> None:
    grey = np.repeat(np.arange(16, 240, 32, dtype=np.uint8), 64)
    image = np.repeat(np.repeat(grey[None, :, None], 64, axis=0), 3, axis=2)
    path = write_frames(tmp_path / "clip.mkv", [image] * 2, codec="libx265", pixels=pixels, options=X265)
    (frame, *_) = frames_of(path)
    shown = frame.image[32, 32::64, 1].astype(int)
    np.testing.assert_allclose(shown, grey[32::64], atol=1)


def in_matrix(image: Image, luma: tuple[float, float], *, full: bool = False) -> NDArray[np.float64]:
    """Luma and differences from 0 to 1 and from -0.5 to 0.5 (ITU-R BT.709, 3.2)."""
    red, blue = luma
    values = image.astype(float) / 255
    y = red * values[..., 0] + (1 - red - blue) * values[..., 1] + blue * values[..., 2]
    return np.stack([y, (values[..., 2] - y) / 2 / (1 - blue), (values[..., 0] - y) / 2 / (1 - red)], axis=-1)


def write_matrix(path: Path, image: Image, luma: tuple[float, float], tags: Mapping[str, int]) -> Path:
    """A clip of one picture, in a matrix of one's own."""
    parts = in_matrix(image, luma) * [219, 224, 224] + [16, 128, 128]
    planes = np.rint(parts).astype(np.uint8)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=25, options={"preset": "veryfast", "qp": "0"})
        stream.height, stream.width = image.shape[:2]
        stream.pix_fmt = "yuv444p"
        for name, value in tags.items():
            setattr(stream.codec_context, name, value)
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(planes.transpose(2, 0, 1)), "yuv444p")
        frame.pts = 0
        for name, value in tags.items():
            if name in {"colorspace", "color_range"}:
                setattr(frame, name, value)
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


BT709, BT601 = (0.2126, 0.0722), (0.299, 0.114)


@pytest.mark.parametrize(
    ("height", "width", "luma"),
    [(64, 448, BT601), (576, 720, BT601), (64, 1280, BT709), (720, 448, BT709), (578, 448, BT709)],
)
def test_colours_without_tags_are_read_by_their_size(
    tmp_path: Path, height: int, width: int, luma: tuple[float, float]
) -> None:
    image = patches(height=height)
    image = np.concatenate([image, np.zeros((height, max(0, width - image.shape[1]), 3), np.uint8)], axis=1)
    (frame,) = frames_of(write_matrix(tmp_path / "clip.mp4", image, luma, {}))
    np.testing.assert_allclose(read_patches(frame.image[:, :448]), PATCHES, atol=3)
    assert (Note.ASSUMED_BT709 in frame.notes) == (luma == BT709)


@pytest.mark.parametrize(("tag", "luma"), [(1, BT709), (5, BT601), (6, BT601)])
def test_tagged_colours_are_read_as_they_are_tagged(tmp_path: Path, tag: int, luma: tuple[float, float]) -> None:
    for height in (64, 720):
        path = write_matrix(tmp_path / f"{height}.mp4", patches(height=height), luma, {"colorspace": tag})
        (frame,) = frames_of(path)
        np.testing.assert_allclose(read_patches(frame.image), PATCHES, atol=3)
        assert not frame.notes


Bend = Callable[[NDArray[np.float64]], NDArray[np.float64]]
WHITE_NITS = 203
TO_2020 = np.linalg.inv([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]])


def light_of(image: Image) -> NDArray[np.float64]:
    """Nits of sRGB on a screen whose white is that of BT.2408, in the colours of BT.2020."""
    values = image / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    nits: NDArray[np.float64] = linear @ TO_2020.T * WHITE_NITS
    return nits


def pq(nits: NDArray[np.float64]) -> NDArray[np.float64]:
    """BT.2100-2, table 4, the inverse EOTF."""
    power = np.maximum(nits / 10_000, 0) ** 0.1593017578125
    return np.asarray(((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375)


def hlg(nits: NDArray[np.float64]) -> NDArray[np.float64]:
    """BT.2100-2, table 5, from the light of a display of 1000 nits."""
    display = np.maximum(nits / 1000, 0)
    luminance = display @ [0.2627, 0.6780, 0.0593]
    scene = display * np.maximum(luminance, 1e-9)[..., None] ** (1 / 1.2 - 1)
    low, high = np.sqrt(3 * scene), 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    return np.asarray(np.where(scene <= 1 / 12, low, high), np.float64)


def coded(bent: NDArray[np.float64], transfer: Transfer, *, is_full_range: bool = False) -> Coded:
    """What a decoder of 10 bits gives for values that are bent already."""
    y, blue, red = np.moveaxis(in_matrix(np.asarray(bent * 255), (0.2627, 0.0593)), -1, 0)
    if is_full_range:
        planes = (y * 1023, blue * 1023 + 512, red * 1023 + 512)
    else:
        planes = (y * 876 + 64, blue * 896 + 512, red * 896 + 512)
    first, second, third = (np.rint(plane).clip(0, 1023).astype(np.uint16) << 6 for plane in planes)
    return Coded(planes=(first, second, third), bits=10, is_full_range=is_full_range, transfer=transfer)


@pytest.mark.parametrize("is_full_range", [False, True])
@pytest.mark.parametrize(("transfer", "bend"), [(Transfer.PQ, pq), (Transfer.HLG, hlg)])
def test_what_a_usual_screen_can_show_of_hdr_is_shown_as_it_is(
    transfer: Transfer, bend: Bend, is_full_range: bool
) -> None:
    image = to_srgb(coded(bend(light_of(patches())), transfer, is_full_range=is_full_range))
    np.testing.assert_allclose(read_patches(image), PATCHES, atol=6)


@pytest.mark.parametrize(("transfer", "bend", "most"), [(Transfer.PQ, pq, 10_000), (Transfer.HLG, hlg, 1000)])
def test_light_beyond_white_keeps_its_order_and_is_not_cut_off(transfer: Transfer, bend: Bend, most: int) -> None:
    nits = np.geomspace(1, most, 64)
    grey = to_srgb(coded(bend(np.repeat(nits[None, :, None], 3, axis=2)), transfer))[0, :, 1].astype(int)
    assert (np.diff(grey) >= 0).all()
    assert grey[-1] in range(250, 256)
    assert grey[np.searchsorted(nits, 600)] < 255


@pytest.mark.parametrize(("number", "bend"), [(16, pq), (18, hlg)])
def test_a_video_that_is_tagged_as_hdr_is_tone_mapped(tmp_path: Path, number: int, bend: Bend) -> None:
    bent = np.rint(bend(light_of(patches())) * 65535).clip(0, 65535).astype(np.uint16)
    path = write_hdr(tmp_path / "clip.mkv", bent, {"color_trc": number, "color_primaries": 9, "colorspace": 9})
    (frame,) = frames_of(path)
    assert set(frame.notes) == {Note.TONE_MAPPED}
    np.testing.assert_allclose(read_patches(frame.image), PATCHES, atol=12)


def test_colours_of_bt2020_without_hdr_are_converted(tmp_path: Path) -> None:
    linear = (patches() / 255) ** 2.4
    bent = np.rint(np.maximum(linear @ TO_2020.T, 0) ** (1 / 2.4) * 65535).clip(0, 65535).astype(np.uint16)
    path = write_hdr(tmp_path / "clip.mkv", bent, {"color_trc": 14, "color_primaries": 9, "colorspace": 9})
    (frame,) = frames_of(path)
    assert set(frame.notes) == {Note.COLOURS}
    np.testing.assert_allclose(read_patches(frame.image), PATCHES, atol=6)


def write_hdr(path: Path, bent: NDArray[np.uint16], tags: Mapping[str, int]) -> Path:
    """A clip of one picture whose values mean what the tags say, in 10 bits."""
    planes = coded(bent / 65535, Transfer.PQ).planes
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx265", rate=25, options=X265)
        stream.height, stream.width = bent.shape[:2]
        stream.pix_fmt = "yuv444p10le"
        for name, value in tags.items():
            setattr(stream.codec_context, name, value)
        frame = av.VideoFrame(bent.shape[1], bent.shape[0], "yuv444p10le")
        for plane, values in zip(frame.planes, planes, strict=True):
            rows = np.zeros((plane.height, plane.line_size // 2), np.uint16)
            rows[:, : plane.width] = values >> 6
            plane.update(rows.tobytes())
        frame.pts = 0
        frame.colorspace = tags["colorspace"]
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path
