"""Live sources: what comes is what was sent, and of what is too much the newest."""

import io
import sys
import threading
from collections.abc import Iterator
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from PIL import Image as PillowImage

import faceloom
from clips import numbered, read_number, write_clip
from faceloom.errors import MediaError, RequestError
from faceloom.media.decoding import Decoded
from faceloom.media.live import LiveSettings, LiveSource, Newest, is_live, opened_again, size_of

TICKS = [0, 3600, 7300, 9000]


def numbers(source: LiveSource) -> list[int | None]:
    return [read_number(frame.image) for frame in source.frames()]


@pytest.fixture
def piped(monkeypatch: pytest.MonkeyPatch) -> Any:
    def pipe(content: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))

    return pipe


@pytest.mark.parametrize(
    ("item", "live"),
    [
        ("-", True),
        ("camera:0", True),
        ("/dev/video12", True),
        ("rtsp://user:secret@host/path", True),
        ("https://host/a.m3u8", True),
        ("shots/frame_%04d.png", True),
        ("clip.mp4", False),
        ("camera:x", False),
        ("file:///etc/passwd", False),
        ("100%.jpg", False),
    ],
)
def test_live_sources_are_told_from_files_by_what_they_are_called(item: str, live: bool) -> None:
    assert is_live(item) is live


def test_a_file_that_is_called_like_a_pattern_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a%d.png"
    PillowImage.fromarray(numbered(1)).save(path)
    assert not is_live(str(path))


def test_a_file_on_standard_input_comes_with_its_times(tmp_path: Path, piped: Any) -> None:
    piped(write_clip(tmp_path / "a.mkv", TICKS).read_bytes())
    frames = list(LiveSource("-", LiveSettings()).frames())
    assert [read_number(frame.image) for frame in frames] == [0, 1, 2, 3]
    assert [frame.time for frame in frames] == [Fraction(round(ticks / 90), 1000) for ticks in TICKS]
    assert {frame.problem for frame in frames} == {None}


def test_raw_frames_on_standard_input_are_cut_by_their_size(piped: Any) -> None:
    images = [numbered(i) for i in range(3)]
    piped(b"".join(image.tobytes() for image in images) + b"the rest of one")
    frames = list(LiveSource("-", LiveSettings(size=images[0].shape[:2], rate=50)).frames())
    assert [read_number(frame.image) for frame in frames] == [0, 1, 2]
    assert [frame.time for frame in frames] == [0, Fraction(1, 50), Fraction(2, 50)]


def test_numbered_pictures_are_frames_at_a_rate(tmp_path: Path) -> None:
    for i in range(3):
        PillowImage.fromarray(numbered(i)).save(tmp_path / f"frame_{i:04d}.png")
    frames = list(LiveSource(str(tmp_path / "frame_%04d.png"), LiveSettings(rate=24)).frames())
    assert [read_number(frame.image) for frame in frames] == [0, 1, 2]
    assert [frame.time for frame in frames] == [0, Fraction(1, 24), Fraction(2, 24)]


def test_numbered_pictures_come_by_their_numbers_and_a_broken_one_costs_itself(tmp_path: Path) -> None:
    for i in (9, 10, 11, 100):
        PillowImage.fromarray(numbered(i)).save(tmp_path / f"f{i}.png")
    (tmp_path / "f10.png").write_bytes(b"\x89PNG no picture")
    (tmp_path / "fx.png").write_bytes(b"")
    frames = list(LiveSource(str(tmp_path / "f%d.png"), LiveSettings()).frames())
    assert [read_number(frame.image) for frame in frames] == [9, None, 11, 100]
    assert frames[1].problem is not None
    assert frames[1].problem.startswith("f10.png: ")
    with pytest.raises(MediaError, match="no picture"):
        list(LiveSource(str(tmp_path / "g%d.png"), LiveSettings()).frames())


class Server(BaseHTTPRequestHandler):
    """Sends what each request is to be answered with: whole files, or streams that break off."""

    answers: list[tuple[bytes, bool]]

    def do_GET(self) -> None:  # as the standard library calls it
        if not self.answers:
            self.send_error(404)
            return
        content, is_whole = self.answers.pop(0)
        self.send_response(200)
        if is_whole:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture
def served() -> Iterator[Any]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()

    def serve(*answers: tuple[bytes, bool]) -> str:
        Server.answers = list(answers)
        return f"http://127.0.0.1:{server.server_address[1]}/a"

    yield serve
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_file_of_an_address_waits_for_whoever_reads_it(tmp_path: Path, served: Any) -> None:
    address = served((write_clip(tmp_path / "a.mkv", TICKS).read_bytes(), True))
    assert numbers(LiveSource(address, LiveSettings())) == [0, 1, 2, 3]


def test_what_breaks_off_is_opened_again_until_it_does_not_come_back(tmp_path: Path, served: Any) -> None:
    content = _live_stream(tmp_path / "a.mkv")
    address = served((content, False), (content, False))
    *frames, last = LiveSource(address, LiveSettings(reconnect_s=0.6)).frames()
    seen = [read_number(frame.image) for frame in frames]
    assert seen[-1] == 3
    assert len(seen) + sum(int((frame.problem or "late, 0").split("late, ")[1].split()[0]) for frame in frames) == 8
    assert last.image.size == 0
    assert last.problem is not None
    assert "did not come back within 0.6 s" in last.problem


def _live_stream(path: Path) -> bytes:
    """What states no length."""
    return write_clip(path, TICKS, format="matroska", container={"live": "1"}).read_bytes()


def test_the_newest_are_held_and_what_is_dropped_is_counted() -> None:
    newest = Newest(held=2)
    for i in range(5):
        newest.put(cast("Decoded", i))  # anything will do
    told: list[Any] = [newest.take(), newest.take()]
    assert told == [(3, 3), (4, 0)]
    newest.end()
    assert newest.take() is None


def test_waits_get_longer_and_end() -> None:
    waits: list[float] = []

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        return False

    assert opened_again(lambda: None, wait, within_s=30) is None
    assert waits == [0.5, 1, 2, 4, 8, 8, 6.5]
    assert opened_again(lambda: None, lambda _: True, within_s=30) is None


def test_what_cannot_be_opened_says_so_without_a_password() -> None:
    source = LiveSource("rtsp://ann:secret@127.0.0.1:1/nothing", LiveSettings())
    with pytest.raises(MediaError) as caught:
        next(source.frames())
    assert "secret" not in str(caught.value)
    assert "127.0.0.1" in str(caught.value)


@pytest.mark.parametrize("told", ["1280", "0x5", "axb", "99999x99999"])
def test_a_size_that_is_none_is_refused(told: str) -> None:
    with pytest.raises(RequestError, match="WIDTHxHEIGHT"):
        size_of(told)


def test_faces_of_numbered_pictures_are_streamed(samples: Path, tmp_path: Path) -> None:
    with PillowImage.open(samples / "portrait.png") as picture:
        small = picture.convert("RGB").resize((256, 256))
    for i in range(2):
        small.save(tmp_path / f"{i:02d}.png")
    pattern = str(tmp_path / "%02d.png")
    frames = list(faceloom.stream(pattern, align=None, fps=10.0))
    assert [len(frame.faces) for frame in frames] == [1, 1]
    assert [frame.time for frame in frames] == [0, Fraction(1, 10)]
    with pytest.raises(RequestError, match="leave out memory"):
        next(faceloom.stream(pattern, align=None, memory="500MiB"))
