import io
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PillowImage
from PIL import ImageCms

from faceloom.faces import Image
from faceloom.media.notes import Note
from faceloom.media.pictures import read_picture
from media.field_clips import PATCHES, patches, read_patches

PATH = Path("picture")
# ICC.1:2022, 9.2 and 10.6: what a display profile of three primaries and a gamma holds, relative to D50.
PRIMARIES = {
    "Adobe RGB": ([[0.60974, 0.20528, 0.14919], [0.31111, 0.62567, 0.06322], [0.01947, 0.06087, 0.74457]], 2.19921875),
    "Display P3": ([[0.51512, 0.29198, 0.15710], [0.24120, 0.69225, 0.06657], [-0.00105, 0.04189, 0.78407]], 2.2),
    "sRGB": ([[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]], 2.2),
}
SRGB = np.array(PRIMARIES["sRGB"][0])


def s15(value: float) -> bytes:
    return round(value * 65536).to_bytes(4, "big", signed=True)


def display_profile(name: str) -> bytes:
    """A matrix profile, written by hand."""
    matrix, gamma = PRIMARIES[name]
    curve = b"curv\0\0\0\0" + (1).to_bytes(4, "big") + round(gamma * 256).to_bytes(2, "big") + b"\0\0"
    tags = {b"desc": b"desc\0\0\0\0" + (5).to_bytes(4, "big") + b"test\0" + bytes(78 + 3)}
    tags[b"wtpt"] = b"XYZ \0\0\0\0" + s15(0.9642) + s15(1) + s15(0.8249)
    for i, letter in enumerate(b"rgb"):
        tags[bytes([letter]) + b"XYZ"] = b"XYZ \0\0\0\0" + b"".join(s15(row[i]) for row in matrix)
        tags[bytes([letter]) + b"TRC"] = curve
    place = 128 + 4 + 12 * len(tags)
    table, content = len(tags).to_bytes(4, "big"), b""
    for tag, value in tags.items():
        table += tag + (place + len(content)).to_bytes(4, "big") + len(value).to_bytes(4, "big")
        content += value + bytes(-len(value) % 4)
    size = place + len(content)
    head = size.to_bytes(4, "big") + b"lcms\x02\x10\0\0mntrRGB XYZ " + bytes(12) + b"acsp" + bytes(28)
    head += s15(0.9642) + s15(1) + s15(0.8249)
    return head + bytes(128 - len(head)) + table + content


def in_profile(image: Image, name: str) -> Image:
    """The values that stand for the same colours in another profile."""
    matrix, gamma = PRIMARIES[name]
    values = image / 255
    light = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    theirs = np.clip(light @ SRGB.T @ np.linalg.inv(matrix).T, 0, 1)
    other: Image = np.rint(theirs ** (1 / gamma) * 255).astype(np.uint8)
    return other


def encoded(image: Image | PillowImage.Image, kind: str, **options: Any) -> bytes:
    content = io.BytesIO()
    picture = image if isinstance(image, PillowImage.Image) else PillowImage.fromarray(image)
    picture.save(content, kind, **options)
    return content.getvalue()


OPTIONS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 97, "subsampling": 0},
    "PNG": {},
    "WEBP": {"lossless": True},
    "TIFF": {},
}


@pytest.mark.parametrize("kind", OPTIONS)
@pytest.mark.parametrize("name", ["Adobe RGB", "Display P3"])
def test_colours_of_a_profile_become_srgb(kind: str, name: str) -> None:
    content = encoded(in_profile(patches(), name), kind, icc_profile=display_profile(name), **OPTIONS[kind])
    still = read_picture(content, PATH)
    np.testing.assert_allclose(read_patches(still.image), PATCHES, atol=6)
    assert still.notes == (Note.COLOURS,)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_raw_colours_are_what_is_stored(kind: str) -> None:
    stored = in_profile(patches(), "Adobe RGB")
    content = encoded(stored, kind, icc_profile=display_profile("Adobe RGB"), **OPTIONS[kind])
    still = read_picture(content, PATH, raw_colours=True)
    np.testing.assert_allclose(read_patches(still.image), read_patches(stored), atol=2)
    assert not still.notes


SRGB_PROFILES = {
    "lcms": ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
    "by hand": display_profile("sRGB"),
}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_pixels_of_an_srgb_profile_stay_bit_for_bit(kind: str) -> None:
    bare = read_picture(encoded(patches(), kind, **OPTIONS[kind]), PATH).image
    content = encoded(patches(), kind, icc_profile=SRGB_PROFILES["lcms"], **OPTIONS[kind])
    still = read_picture(content, PATH)
    np.testing.assert_array_equal(still.image, bare)
    assert not still.notes


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("profile", [b"no profile", b"", display_profile("Adobe RGB")[:150]])
def test_a_profile_that_is_damaged_changes_nothing(kind: str, profile: bytes) -> None:
    bare = read_picture(encoded(patches(), kind, **OPTIONS[kind]), PATH).image
    still = read_picture(encoded(patches(), kind, icc_profile=profile, **OPTIONS[kind]), PATH)
    np.testing.assert_array_equal(still.image, bare)
    assert still.notes == ((Note.PROFILE_IGNORED,) if profile else ())


def test_a_profile_of_other_channels_is_ignored() -> None:
    grey = PillowImage.fromarray(patches()).convert("L")
    content = encoded(grey, "PNG", icc_profile=display_profile("Adobe RGB"))
    still = read_picture(content, PATH)
    np.testing.assert_array_equal(still.image[..., 0], np.asarray(grey))
    assert still.notes == (Note.PROFILE_IGNORED,)


def test_a_transparent_picture_has_its_colours_converted_below_the_paper() -> None:
    layers = np.dstack([in_profile(patches(), "Adobe RGB"), np.full(patches().shape[:2], 128, np.uint8)])
    content = encoded(layers, "PNG", icc_profile=display_profile("Adobe RGB"))
    expected = PATCHES * (128 / 255) + 255 * (1 - 128 / 255)
    np.testing.assert_allclose(read_patches(read_picture(content, PATH).image), expected, atol=6)


def test_a_profile_in_several_segments_of_a_jpeg_is_put_together() -> None:
    profile = display_profile("Adobe RGB") + bytes(150_000)
    profile = len(profile).to_bytes(4, "big") + profile[4:]
    content = encoded(in_profile(patches(), "Adobe RGB"), "JPEG", icc_profile=profile, **OPTIONS["JPEG"])
    still = read_picture(content, PATH)
    np.testing.assert_allclose(read_patches(still.image), PATCHES, atol=6)


def test_a_profile_that_is_a_bomb_costs_no_pixel() -> None:
    content = encoded(patches(), "PNG", icc_profile=bytes(64 << 20))
    assert len(zlib.compress(bytes(64 << 20))) < len(content) < 1 << 20
    still = read_picture(content, PATH)
    np.testing.assert_array_equal(still.image, patches())
    assert still.notes
