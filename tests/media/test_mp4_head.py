"""The index of MP4 files: found in files that FFmpeg writes, and refused in what is none, whatever it says."""

import random
from pathlib import Path

import pytest

from faceloom.errors import MediaError
from faceloom.media.mp4_head import find_head
from faceloom.media.parts import total_bytes
from films import write_film

OPTIONS = {"g": "10"}


def head_of(content: bytes) -> tuple[tuple[int, int], ...]:
    return find_head(lambda first, stop: content[first:stop], len(content))


@pytest.mark.parametrize("flags", ["", "faststart"])
def test_everything_but_the_pictures_is_found(flags: str, samples: Path, tmp_path: Path) -> None:
    container = {"movflags": flags} if flags else {}
    path = write_film(tmp_path / "a.mp4", samples / "clip.mp4", times=1, options=OPTIONS, container=container)
    content = path.read_bytes()
    head = head_of(content)
    assert total_bytes(head) < len(content) / 20
    kept = b"".join(content[begin:end] for begin, end in head)
    assert all(kind in kept for kind in (b"ftyp", b"moov", b"stsz", b"stco"))


def test_an_index_in_fragments_is_refused(samples: Path, tmp_path: Path) -> None:
    container = {"movflags": "frag_keyframe+empty_moov"}
    path = write_film(tmp_path / "a.mp4", samples / "clip.mp4", times=1, options=OPTIONS, container=container)
    with pytest.raises(MediaError, match="spread"):
        head_of(path.read_bytes())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 100,
        b"\xff" * 100,
        b"\0\0\0\x10ftypisom\0\0\0\0",
        b"\0\0\0\x04ftyp" * 10,
        b"\0\0\0\x01ftyp" + b"\xff" * 8,
    ],
    ids=repr,
)
def test_what_is_no_such_file_is_refused(content: bytes) -> None:
    with pytest.raises(MediaError):
        head_of(content)


def test_noise_is_refused_or_lies_within_the_file() -> None:
    draw = random.Random(1)
    for _ in range(300):
        content = bytearray(
            b"\0\0\0\x18ftypisom" + bytes(12) + b"\0\0\x01\0moov" + bytes(248) + b"\0\0\x10\0mdat" + bytes(4088)
        )
        for _ in range(draw.randrange(1, 6)):
            content[draw.randrange(len(content))] = draw.randrange(256)
        try:
            head = head_of(bytes(content))
        except MediaError:
            continue
        assert all(0 <= begin < end <= len(content) for begin, end in head)
