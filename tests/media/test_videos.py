import wave
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from clips import HEIGHT, WIDTH, numbered, read_number, write_clip
from faceloom.errors import MediaError
from faceloom.faces import Image
from faceloom.frame import Frame
from faceloom.media import videos
from faceloom.media.chunks import PendingFrame, Span, Unreadable, cut_chunks
from faceloom.media.sources import Source, SourceKind
from faceloom.media.video_index import index_video
from faceloom.media.videos import VideoReader

COUNT = 75
PAL = [3600 * i for i in range(COUNT)]
"""25 frames a second in ticks of 1/90000."""
UNEVEN = (np.random.default_rng(0).integers(1, 120, COUNT).cumsum() * 90 - 90).tolist()
"""Whole milliseconds, in ticks of 1/90000."""
B_FRAMES = {"bf": "3", "g": "12", "preset": "veryfast", "crf": "18"}
VPX = {"g": "12", "deadline": "realtime", "cpu-used": "8"}
X265 = {"x265-params": "log-level=none:keyint=12:bframes=3:pools=none", "preset": "ultrafast"}
OPEN_GOP = {**B_FRAMES, "x264-params": "open-gop=1:keyint=12:min-keyint=12:bframes=3:scenecut=0"}
REFRESH = {"preset": "veryfast", "crf": "18", "x264-params": "intra-refresh=1:keyint=20:bframes=0:scenecut=0"}
rate_25 = partial(write_clip, ticks=range(COUNT), time_base=Fraction(1, 25))
uneven = partial(write_clip, ticks=UNEVEN)
pal = partial(write_clip, ticks=PAL)

EXACT: dict[str, partial[Path]] = {
    "b-frames.mp4": partial(uneven, options=B_FRAMES),
    "b-frames.mkv": partial(uneven, options=B_FRAMES),
    "late.mp4": partial(write_clip, ticks=[t + 9_000_000 for t in UNEVEN], options=B_FRAMES),
    "faststart.mp4": partial(uneven, options=B_FRAMES, container={"movflags": "faststart"}),
    "h265.mp4": partial(uneven, codec="libx265", options=X265),
    "refresh.mp4": partial(pal, options=REFRESH),
    "vp8.webm": partial(uneven, codec="libvpx", options=VPX),
    "vp9.webm": partial(uneven, codec="libvpx-vp9", options={**VPX, "lag-in-frames": "10", "auto-alt-ref": "1"}),
    "motion.mov": partial(uneven, codec="mjpeg"),
    "moving.gif": partial(write_clip, ticks=range(0, 10 * COUNT, 10), time_base=Fraction(1, 100), codec="gif"),
}
"""Clips whose containers keep the times as they are written."""
SHIFTED: dict[str, partial[Path]] = {
    "open-gop.ts": partial(pal, options=OPEN_GOP),
    "refresh.ts": partial(pal, options=REFRESH),
    "fragments.mp4": partial(uneven, options=B_FRAMES, container={"movflags": "frag_keyframe+empty_moov"}),
    "mpeg2.mpg": partial(rate_25, codec="mpeg2video", options={"g": "12", "bf": "2"}),
    "b-frames.avi": partial(rate_25, codec="mpeg4", options={"g": "12", "bf": "2"}),
    "plain.avi": partial(rate_25, codec="mpeg4", options={"g": "12"}),
}
"""Clips whose containers begin elsewhere than at the first time that is written."""
UNTIMED: dict[str, partial[Path]] = {"raw.h264": partial(rate_25, options=B_FRAMES)}
CLIPS = {**EXACT, **SHIFTED, **UNTIMED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """A clip, and each of its frames as a decoder gives them that reads on from the beginning."""

    path: Path
    decoded: Sequence[Image]
    times: Sequence[Fraction | None]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Clip]:
    """Gives a clip by its name; each is written once."""
    folder = tmp_path_factory.mktemp("clips")
    clips: dict[str, Clip] = {}

    def make(name: str) -> Clip:
        if name not in clips:
            clips[name] = decoded_whole(CLIPS[name](folder / name))
        return clips[name]

    return make


def decoded_whole(path: Path) -> Clip:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
        base = stream.time_base or Fraction(0)
    return Clip(
        path=path,
        decoded=[frame.to_ndarray(format="rgb24").astype(np.uint8) for frame in frames],
        times=[None if frame.pts is None else frame.pts * base for frame in frames],
    )


def pending(path: Path) -> list[PendingFrame]:
    """Every frame of a video, still to be done."""
    index = index_video(path)
    source = Source(name=path.name, path=path, kind=SourceKind.VIDEO, time_base=str(index.time_base))
    return [
        PendingFrame(source=source, index=i, ticks=ticks, seek_ticks=seek)
        for i, (ticks, seek) in enumerate(index.times())
    ]


def answers(frames: Sequence[PendingFrame], *, backwards: bool = False) -> Iterator[Frame | Unreadable]:
    """What one reader gives for these frames, in chunks of at most 16, the last chunk first if it goes backwards."""
    chunks = list(cut_chunks(frames, frames_a_chunk=lambda: 16))
    with VideoReader(frames[0].source.path) as reader:
        for spans in reversed(chunks) if backwards else chunks:
            for span in spans:
                yield from reader.read(span)


def read(frames: Sequence[PendingFrame], *, backwards: bool = False) -> dict[int, Frame]:
    """Frames by their index, all of which have to come."""
    found = list(answers(frames, backwards=backwards))
    assert not [answer for answer in found if isinstance(answer, Unreadable)]
    return {frame.id.index: frame for frame in found if isinstance(frame, Frame)}


@pytest.mark.parametrize("name", CLIPS)
def test_every_frame_shows_the_number_of_its_index(made: Callable[[str], Clip], name: str) -> None:
    frames = read(pending(made(name).path))
    assert [read_number(frames[i].image) for i in sorted(frames)] == list(range(COUNT))


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("name", CLIPS)
def test_frames_are_the_pixels_of_a_decoder_that_reads_on(
    made: Callable[[str], Clip], name: str, backwards: bool
) -> None:
    clip = made(name)
    frames = read(pending(clip.path), backwards=backwards)
    assert len(frames) == len(clip.decoded)
    for i, image in enumerate(clip.decoded):
        np.testing.assert_array_equal(frames[i].image, image)


@pytest.mark.parametrize("name", CLIPS)
def test_frames_with_gaps_between_them_are_the_right_ones(made: Callable[[str], Clip], name: str) -> None:
    frames = read(pending(made(name).path)[5::7], backwards=True)
    assert {i: read_number(frame.image) for i, frame in frames.items()} == {i: i for i in range(5, COUNT, 7)}


@pytest.mark.parametrize("name", CLIPS)
def test_times_are_those_of_a_decoder_that_reads_on(made: Callable[[str], Clip], name: str) -> None:
    clip = made(name)
    frames = read(pending(clip.path))
    assert [frames[i].time for i in range(COUNT)] == clip.times


@pytest.mark.parametrize("name", EXACT)
def test_times_are_exactly_those_that_were_written(made: Callable[[str], Clip], name: str) -> None:
    clip = EXACT[name]
    ticks, base = clip.keywords["ticks"], clip.keywords.get("time_base", Fraction(1, 90_000))
    frames = read(pending(made(name).path))
    assert [frames[i].time for i in range(COUNT)] == [tick * base for tick in ticks]


@pytest.mark.parametrize("name", SHIFTED)
def test_frames_are_as_far_apart_as_they_were_written(made: Callable[[str], Clip], name: str) -> None:
    clip = SHIFTED[name]
    ticks, base = clip.keywords["ticks"], clip.keywords.get("time_base", Fraction(1, 90_000))
    times = [frame.time for _, frame in sorted(read(pending(made(name).path)).items())]
    assert times[0] is not None
    assert [time and time - times[0] for time in times] == [tick * base - ticks[0] * base for tick in ticks]


@pytest.mark.parametrize("name", CLIPS)
def test_an_index_tells_the_shape_of_the_frames(made: Callable[[str], Clip], name: str) -> None:
    index = index_video(made(name).path)
    assert (index.height, index.width) == (HEIGHT, WIDTH)


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_a_turned_video_stands_upright(tmp_path: Path, rotation: int) -> None:
    stored = [np.ascontiguousarray(np.rot90(numbered(i), -rotation // 90)) for i in range(10)]
    path = write_clip(tmp_path / "turned.mp4", PAL[:10], options=B_FRAMES, images=stored, rotation=rotation)
    frames = read(pending(path))
    assert [read_number(frames[i].image) for i in range(10)] == list(range(10))


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_a_turned_video_stands_as_opencv_shows_it(tmp_path: Path, rotation: int) -> None:
    path = write_clip(tmp_path / "turned.mp4", PAL[:3], options=B_FRAMES, rotation=rotation)
    capture = cv2.VideoCapture(str(path))
    _, theirs = capture.read()
    capture.release()
    if cv2.__version__.startswith("4.11."):
        pytest.skip("OpenCV 4.11 turns no video")
    image = read(pending(path))[0].image
    assert image.shape == theirs.shape
    assert np.abs(image.astype(int) - theirs[..., ::-1]).mean() < 8


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_the_index_of_a_turned_video_tells_its_upright_shape(tmp_path: Path, rotation: int) -> None:
    index = index_video(write_clip(tmp_path / "turned.mp4", PAL[:3], options=B_FRAMES, rotation=rotation))
    assert (index.height, index.width) == ((HEIGHT, WIDTH) if rotation == 180 else (WIDTH, HEIGHT))


def test_a_reader_with_several_threads_gives_the_same_pixels(made: Callable[[str], Clip]) -> None:
    clip = made("b-frames.mp4")
    (span,) = next(cut_chunks(pending(clip.path), frames_a_chunk=lambda: COUNT))
    with VideoReader(clip.path, threads=4) as reader:
        for image, frame in zip(clip.decoded, reader.read(span), strict=True):
            assert isinstance(frame, Frame)
            np.testing.assert_array_equal(frame.image, image)


@pytest.mark.parametrize("content", [b"", b"no video", bytes(10_000), b"\x00\x00\x00\x18ftypmp42" + bytes(100)])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi", ".ts", ".h264", ".gif"])
def test_what_is_no_video_is_refused(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"video{suffix}"
    path.write_bytes(content)
    with pytest.raises(MediaError):
        index_video(path)


def test_sound_alone_is_refused(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "sound.wav"), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(16_000))
    with pytest.raises(MediaError, match="no video stream"):
        index_video(tmp_path / "sound.wav")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MediaError):
        index_video(tmp_path)


def test_a_video_whose_table_of_contents_is_cut_off_is_refused(made: Callable[[str], Clip], tmp_path: Path) -> None:
    content = made("b-frames.mp4").path.read_bytes()
    (tmp_path / "cut.mp4").write_bytes(content[: len(content) * 9 // 10])
    with pytest.raises(MediaError):
        index_video(tmp_path / "cut.mp4")


def shown_by_time(whole: Clip, damaged: Path, *, backwards: bool = False) -> list[tuple[int, int | None]]:
    """For each frame of a damaged copy that comes without a problem: the number for its time, and what it shows."""
    numbers = {time: i for i, time in enumerate(whole.times)}
    found = answers(pending(damaged), backwards=backwards)
    clean = [frame for frame in found if isinstance(frame, Frame) and not frame.problem]
    assert not [frame for frame in clean if frame.time is None], "frames have lost their times"
    return [(numbers[frame.time], read_number(frame.image)) for frame in clean]


def packets_of(clip: Clip) -> list[tuple[int, int]]:
    """Where in the file each packet begins, and how many bytes it has."""
    with av.open(str(clip.path)) as container:
        return [(packet.pos or 0, packet.size) for packet in container.demux(video=0) if packet.size]


def damage(clip: Clip, packet: int, path: Path) -> None:
    """Writes a copy of a clip in which one packet is blank."""
    place, size = packets_of(clip)[packet]
    content = clip.path.read_bytes()
    path.write_bytes(content[:place] + bytes(size) + content[place + size :])


@pytest.mark.parametrize("kept", [4, 12])
@pytest.mark.parametrize("packet", [7, 30, 49, 74])
@pytest.mark.parametrize(
    "name", ["faststart.mp4", "fragments.mp4", "b-frames.mkv", "vp9.webm", "open-gop.ts", "plain.avi"]
)
def test_a_video_that_ends_in_a_packet_gives_no_wrong_frame(
    made: Callable[[str], Clip], tmp_path: Path, name: str, packet: int, kept: int
) -> None:
    clip = made(name)
    place, _ = packets_of(clip)[packet]
    (tmp_path / name).write_bytes(clip.path.read_bytes()[: place + kept])
    shown = shown_by_time(clip, tmp_path / name)
    assert shown
    assert [number for _, number in shown] == [number for number, _ in shown]


def test_a_video_that_ends_early_gives_the_frames_before(made: Callable[[str], Clip], tmp_path: Path) -> None:
    clip = made("open-gop.ts")
    content = clip.path.read_bytes()
    (tmp_path / "cut.ts").write_bytes(content[: len(content) // 2])
    shown = shown_by_time(clip, tmp_path / "cut.ts")
    assert shown[:30] == [(i, i) for i in range(30)]


@pytest.mark.parametrize("name", CLIPS)
def test_a_whole_video_is_not_said_to_be_cut_off(made: Callable[[str], Clip], name: str) -> None:
    assert index_video(made(name).path).problem is None


@pytest.mark.parametrize("name", ["b-frames.mkv", "vp9.webm"])
def test_a_video_that_is_shorter_than_it_states_says_so(made: Callable[[str], Clip], tmp_path: Path, name: str) -> None:
    content = made(name).path.read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) // 3])
    assert "cut off" in (index_video(tmp_path / name).problem or "")


@pytest.mark.parametrize("part", [0.1, 0.3, 0.5])
def test_a_video_that_begins_in_the_middle_gives_no_wrong_frame(
    made: Callable[[str], Clip], tmp_path: Path, part: float
) -> None:
    clip = made("open-gop.ts")
    content = clip.path.read_bytes()
    (tmp_path / "cut.ts").write_bytes(content[int(len(content) * part) :])
    shown = shown_by_time(clip, tmp_path / "cut.ts")
    assert shown[-1] == (COUNT - 1, COUNT - 1)
    assert [number for _, number in shown] == [number for number, _ in shown]


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("packet", [3, 5, 40])
@pytest.mark.parametrize("name", ["faststart.mp4", "motion.mov", "h265.mp4"])
def test_a_damaged_packet_shifts_no_other_frame(
    made: Callable[[str], Clip], tmp_path: Path, name: str, packet: int, backwards: bool
) -> None:
    clip = made(name)
    damage(clip, packet, tmp_path / name)
    shown = shown_by_time(clip, tmp_path / name, backwards=backwards)
    assert len(shown) >= COUNT - 12
    assert [number for _, number in shown] == [number for number, _ in shown]


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("byte", [14, 24, 26])
def test_a_bit_of_a_keyframe_costs_no_frame_after_the_next(
    made: Callable[[str], Clip], tmp_path: Path, byte: int, backwards: bool
) -> None:
    clip = made("plain.avi")
    place, _ = packets_of(clip)[12]
    for bit in range(8):
        content = bytearray(clip.path.read_bytes())
        content[place + byte] ^= 1 << bit
        (tmp_path / "damaged.avi").write_bytes(content)
        shown = shown_by_time(clip, tmp_path / "damaged.avi", backwards=backwards)
        assert {(i, i) for i in range(24, COUNT)} <= set(shown)


def test_a_stream_that_turns_up_late_costs_nothing(made: Callable[[str], Clip], tmp_path: Path) -> None:
    first, second = tmp_path / "first.ts", tmp_path / "second.ts"
    write_clip(first, PAL[:20], options=B_FRAMES)
    write_clip(second, PAL[:20], options=B_FRAMES, container={"mpegts_start_pid": "0x200"})
    # The packets of a second programme follow, under identifiers that the first has not declared.
    (tmp_path / "both.ts").write_bytes(first.read_bytes() + second.read_bytes())
    frames = read(pending(tmp_path / "both.ts"))
    assert [read_number(frames[i].image) for i in range(20)] == list(range(20))


def test_frames_that_the_decoder_does_not_give_come_as_unreadable_at_the_end(
    made: Callable[[str], Clip], tmp_path: Path
) -> None:
    clip = made("motion.mov")
    damage(clip, 40, tmp_path / "damaged.mov")
    found = list(answers(pending(tmp_path / "damaged.mov")[36:46]))
    assert [answer.id.index for answer in found] == [36, 37, 38, 39, 41, 42, 43, 44, 45, 40]
    assert isinstance(found[-1], Unreadable)


def span_between(frames: Sequence[PendingFrame], first: int, end: int) -> Span:
    ticks = tuple(frame.ticks for frame in frames[first:end] if frame.ticks is not None)
    return Span(
        source=frames[first].source,
        first=first,
        count=end - first,
        ticks=ticks or None,
        seek_ticks=frames[first].seek_ticks,
    )


def first_answers(reader: VideoReader, span: Span, count: int) -> list[Frame]:
    """The first frames of a span, whose reading is broken off then."""
    found = list(islice(reader.read(span), count))
    assert all(isinstance(answer, Frame) for answer in found)
    return [answer for answer in found if isinstance(answer, Frame)]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", CLIPS)
def test_spans_that_are_broken_off_or_skipped_do_not_change_a_pixel(
    made: Callable[[str], Clip], name: str, seed: int
) -> None:
    clip = made(name)
    frames = pending(clip.path)
    random = np.random.default_rng(seed)
    place = 0
    with VideoReader(clip.path) as reader:
        for _ in range(30):
            if place >= COUNT or random.random() < 0.1:
                place = int(random.integers(COUNT))  # backwards, as a rule
            end = min(COUNT, place + int(random.integers(1, 20)))
            kept = end - place if random.random() < 0.5 else int(random.integers(1, end - place + 1))
            found = {frame.id.index: frame for frame in first_answers(reader, span_between(frames, place, end), kept)}
            # Where a stream is refreshed bit by bit, frames in front of the first whole one come last.
            assert set(found) <= set(range(place, end))
            assert len(found) == kept
            for index, frame in found.items():
                np.testing.assert_array_equal(frame.image, clip.decoded[index])
            place = list(found)[-1] + 1 + (int(random.integers(12)) if random.random() < 0.5 else 0)


@pytest.mark.parametrize("name", CLIPS)
def test_a_span_that_begins_where_another_was_broken_off_is_read_on_to(made: Callable[[str], Clip], name: str) -> None:
    clip = made(name)
    frames = pending(clip.path)
    with VideoReader(clip.path) as reader:
        for place in range(0, COUNT - 5, 5):
            first_answers(reader, span_between(frames, place, COUNT), 5)
        assert reader.decoded_frames <= COUNT


ONE_GROUP = {"g": "1000", "keyint_min": "1000", "bf": "3", "sc_threshold": "0", "preset": "veryfast"}


@pytest.fixture(scope="module")
def one_group(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip with a keyframe at its beginning alone."""
    return uneven(tmp_path_factory.mktemp("group") / "one.mkv", options=ONE_GROUP)


def test_what_lies_ahead_in_a_group_is_read_on_to(one_group: Path) -> None:
    frames = pending(one_group)
    with VideoReader(one_group) as reader:
        for first in (3, 20, 33, 60):
            found = first_answers(reader, span_between(frames, first, first + 4), 4)
            assert [read_number(frame.image) for frame in found] == list(range(first, first + 4))
        assert reader.decoded_frames <= 64


def test_two_readers_that_take_turns_decode_no_frame_twice(one_group: Path) -> None:
    frames = pending(one_group)
    with VideoReader(one_group) as one, VideoReader(one_group) as other:
        for i, reader in enumerate([one, other] * 4):
            found = first_answers(reader, span_between(frames, 9 * i, 9 * i + 9), 9)
            assert [read_number(frame.image) for frame in found] == list(range(9 * i, 9 * i + 9))
        assert max(one.decoded_frames, other.decoded_frames) <= 9 * 8 + 1


def test_a_keyframe_on_the_way_is_the_shorter_way(made: Callable[[str], Clip]) -> None:
    clip = made("b-frames.mkv")
    frames = pending(clip.path)
    with VideoReader(clip.path) as reader:
        first_answers(reader, span_between(frames, 0, 4), 4)
        first_answers(reader, span_between(frames, 62, 66), 4)
        assert reader.decoded_frames < 30


def test_a_reader_that_was_closed_opens_its_file_again(made: Callable[[str], Clip]) -> None:
    clip = made("b-frames.mkv")
    frames = pending(clip.path)
    with VideoReader(clip.path) as reader:
        first_answers(reader, span_between(frames, 0, 20), 9)
        reader.close()
        found = first_answers(reader, span_between(frames, 9, 20), 11)
        assert [read_number(frame.image) for frame in found] == list(range(9, 20))


def test_a_lack_of_memory_goes_through_and_costs_no_frame(
    made: Callable[[str], Clip], monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = made("b-frames.mkv")
    frames = pending(clip.path)
    with VideoReader(clip.path) as reader:
        answers = reader.read(span_between(frames, 0, 30))
        next(answers)
        with monkeypatch.context() as patch:
            patch.setattr(videos, "to_upright", lacking)
            with pytest.raises(MemoryError):
                next(answers)
        found = first_answers(reader, span_between(frames, 1, 30), 29)
        assert [read_number(frame.image) for frame in found] == list(range(1, 30))


def lacking(*_: object) -> Image:
    raise MemoryError
