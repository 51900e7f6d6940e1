"""Numbered pictures: which files they are, what tells that they are others now, and when each is shown."""

import os
from fractions import Fraction
from pathlib import Path

import pytest
from PIL import Image as PillowImage

from clips import numbered, read_number
from faceloom.errors import MediaError
from faceloom.frame import Frame
from faceloom.media.chunks import Span, Unreadable
from faceloom.media.notes import Note
from faceloom.media.numbered import digest_of, gaps_among, is_pattern, is_there, numbered_files, rate_of, state_of
from faceloom.media.numbered_index import index_numbered
from faceloom.media.reading import FrameReader
from faceloom.media.sources import Source, SourceKind, find_inputs

NUMBERS = (8, 9, 10, 13)


@pytest.fixture
def pattern(tmp_path: Path) -> Path:
    """Four pictures, with two numbers missing among them, and others that are none of them."""
    for number in NUMBERS:
        PillowImage.fromarray(numbered(number)).save(tmp_path / f"a_{number:03d}.png")
    for other in ("a_8.png", "a_0009.png", "b_008.png", "a_010.jpg"):
        (tmp_path / other).write_bytes(b"another")
    return tmp_path / "a_%03d.png"


def spans(pattern: Path, rate: Fraction) -> Span:
    index = index_numbered(pattern, rate)
    assert index.ticks is not None
    source = Source(name=pattern.name, path=pattern, kind=SourceKind.VIDEO, time_base=str(index.time_base))
    return Span(source=source, first=0, count=len(index.ticks), ticks=tuple(index.ticks.tolist()))


def test_files_are_those_whose_numbers_are_written_so(pattern: Path) -> None:
    assert [one.number for one in numbered_files(pattern)] == list(NUMBERS)
    assert [one.number for one in numbered_files(pattern.with_name("a_%d.png"))] == [8]
    assert gaps_among(numbered_files(pattern)) == "2 of the pictures are missing: 11 to 12; times go on over them"


@pytest.mark.parametrize("name", ["a.png", "a_%03d_%d.png", "100%.jpg", "a%s.png"])
def test_other_names_are_no_patterns(tmp_path: Path, name: str) -> None:
    assert not is_pattern(tmp_path / name)
    assert not is_there(tmp_path / name)


def test_a_number_tells_the_time(pattern: Path) -> None:
    span = spans(pattern, Fraction(24))
    with FrameReader() as reader:
        frames = [read() for read in reader.reads([span])]
    assert [read_number(frame.image) for frame in frames if isinstance(frame, Frame)] == list(NUMBERS)
    assert [frame.time for frame in frames if isinstance(frame, Frame)] == [Fraction(i, 24) for i in (0, 1, 2, 5)]
    assert [frame.id.index for frame in frames] == [0, 1, 2, 3]


def test_decimals_are_the_rate_that_was_written() -> None:
    assert rate_of(29.97) == Fraction(2997, 100)
    assert rate_of(None) == 25


def test_an_index_tells_the_largest_size_and_that_there_are_several(pattern: Path) -> None:
    PillowImage.new("RGB", (640, 500)).save(pattern.with_name("a_011.png"))
    index = index_numbered(pattern, Fraction(25))
    assert (index.height, index.width) == (500, 640)
    assert {Note.NUMBERED, Note.RESIZED, Note.MISSING} <= set(index.notes)


def test_content_tells_pictures_from_others_and_times_alone_do_not(pattern: Path) -> None:
    state, digest = state_of(pattern), digest_of(pattern)
    one = pattern.with_name("a_009.png")
    os.utime(one, ns=(1, 1))
    assert state_of(pattern) != state
    assert digest_of(pattern) == digest
    PillowImage.fromarray(numbered(1)).save(one)
    assert digest_of(pattern) != digest


def test_pictures_that_came_since_they_were_counted_shift_nothing(pattern: Path) -> None:
    span = spans(pattern, Fraction(25))
    PillowImage.fromarray(numbered(11)).save(pattern.with_name("a_011.png"))
    with FrameReader() as reader:
        frames = [read() for read in reader.reads([span])]
    assert [isinstance(frame, Unreadable) for frame in frames] == [False, False, False, True]


def test_a_pattern_is_one_video_and_a_folder_is_as_it_was(pattern: Path) -> None:
    (found,) = find_inputs([pattern])
    assert isinstance(found, Source)
    assert found.kind is SourceKind.VIDEO
    assert len([one for one in find_inputs([pattern.parent]) if isinstance(one, Source)]) > 1


def test_no_pictures_are_no_video(tmp_path: Path) -> None:
    with pytest.raises(MediaError):
        index_numbered(tmp_path / "a_%d.png", Fraction(25))
