import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from clips import numbered, read_number, write_clip
from faceloom.faces import Image
from faceloom.frame import Frame
from faceloom.media import videos
from faceloom.media.chip_files import encode_jpeg
from faceloom.media.chunks import PendingFrame, Span, Unreadable, cut_chunks
from faceloom.media.reading import FrameReader, can_read_side_by_side, read_still
from faceloom.media.sources import Source, SourceKind
from faceloom.media.video_index import index_video


def picture(path: Path, number: int = 0) -> Source:
    path.write_bytes(encode_jpeg(numbered(number)))
    return Source(name=path.name, path=path, kind=SourceKind.PICTURE)


def spans_of_clip(path: Path, *, frames_a_chunk: int = 100) -> list[Span]:
    write_clip(path, range(0, 3600 * 20, 3600), options={"g": "5", "bf": "2", "preset": "veryfast"})
    index = index_video(path)
    source = Source(name=path.name, path=path, kind=SourceKind.VIDEO, time_base=str(index.time_base))
    frames = [
        PendingFrame(source=source, index=i, ticks=ticks, seek_ticks=seek)
        for i, (ticks, seek) in enumerate(index.times())
    ]
    return [span for chunk in cut_chunks(frames, frames_a_chunk=lambda: frames_a_chunk) for span in chunk]


@pytest.fixture
def reader() -> Iterator[FrameReader]:
    with FrameReader() as reader:
        yield reader


def test_a_picture_comes_with_the_digest_of_its_file(tmp_path: Path) -> None:
    frame = read_still(picture(tmp_path / "a.jpg"))
    assert isinstance(frame, Frame)
    assert frame.digest == hashlib.sha256((tmp_path / "a.jpg").read_bytes()).hexdigest()


@pytest.mark.parametrize("kind", ["missing", "folder", "text"])
def test_a_picture_that_cannot_be_read_says_why(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.jpg"
    if kind == "folder":
        path.mkdir()
    elif kind == "text":
        path.write_text("text")
    answer = read_still(Source(name="a.jpg", path=path, kind=SourceKind.PICTURE))
    assert isinstance(answer, Unreadable)
    assert answer.reason


def test_pictures_and_videos_are_read_one_after_another(tmp_path: Path, reader: FrameReader) -> None:
    still = Span(source=picture(tmp_path / "a.jpg", 77), first=0, count=1)
    clip = spans_of_clip(tmp_path / "b.mp4")
    frames = [read() for read in reader.reads([still, *clip, still])]
    numbers = [read_number(frame.image) for frame in frames if isinstance(frame, Frame)]
    assert numbers == [77, *range(20), 77]


def test_there_is_one_read_for_each_frame_before_any_is_made(tmp_path: Path, reader: FrameReader) -> None:
    spans = spans_of_clip(tmp_path / "b.mp4", frames_a_chunk=7)
    assert len(list(reader.reads(spans))) == 20


def test_a_video_that_is_gone_gives_a_reason_for_each_frame(tmp_path: Path, reader: FrameReader) -> None:
    spans = spans_of_clip(tmp_path / "b.mp4")
    (tmp_path / "b.mp4").unlink()
    answers = [read() for read in reader.reads(spans)]
    assert [answer.id.index for answer in answers if isinstance(answer, Unreadable)] == list(range(20))


def test_a_video_that_cannot_be_read_costs_no_other(tmp_path: Path, reader: FrameReader) -> None:
    gone, whole = spans_of_clip(tmp_path / "a.mp4"), spans_of_clip(tmp_path / "b.mp4")
    (tmp_path / "a.mp4").unlink()
    answers = [read() for read in reader.reads([*gone, *whole])]
    assert [type(answer) for answer in answers] == [Unreadable] * 20 + [Frame] * 20


def test_only_pictures_can_be_read_side_by_side(tmp_path: Path) -> None:
    still = Span(source=picture(tmp_path / "a.jpg"), first=0, count=1)
    assert can_read_side_by_side([still, still])
    assert not can_read_side_by_side([still, *spans_of_clip(tmp_path / "b.mp4")])


def test_a_read_that_lacked_memory_can_be_made_again(
    tmp_path: Path, reader: FrameReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = list(reader.reads(spans_of_clip(tmp_path / "b.mp4")))
    answers = [read() for read in reads[:7]]
    with monkeypatch.context() as patch:
        patch.setattr(videos, "to_upright", lacking)
        for _ in range(2):
            with pytest.raises(MemoryError):
                reads[7]()
    answers += [read() for read in reads[7:]]
    assert [read_number(frame.image) for frame in answers if isinstance(frame, Frame)] == list(range(20))


def test_a_failure_after_a_missing_frame_gives_one_answer_for_each_frame(
    tmp_path: Path, reader: FrameReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    (span,) = spans_of_clip(tmp_path / "b.mp4")
    assert span.ticks is not None
    odd = replace(span, ticks=(*span.ticks[:4], span.ticks[4] + 1, *span.ticks[5:]))  # no frame has that time
    reads = list(reader.reads([odd]))
    answers = [read() for read in reads[:7]]
    monkeypatch.setattr(videos, "to_upright", failing)
    answers += [read() for read in reads[7:]]
    assert sorted(answer.id.index for answer in answers) == list(range(20))


def lacking(*_: object) -> Image:
    raise MemoryError


def failing(*_: object) -> Image:
    raise ValueError("no")
