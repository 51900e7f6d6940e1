"""Live sources without faces: covered while they come, looked at afterwards, and playable whenever they end."""

import io
import os
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

import faceloom
from faceloom.errors import MediaError, RequestError
from faceloom.events import Event, Writing

END = 12


@pytest.fixture(scope="module")
def images(samples: Path) -> list[NDArray[np.uint8]]:
    """Frames of the samples' clip, at half the size."""
    with av.open(str(samples / "clip.mp4")) as clip:
        frames = [frame for _, frame in zip(range(END), clip.decode(video=0), strict=False)]
        size = (frames[0].width // 2, frames[0].height // 2)
        return [frame.reformat(*size, format="rgb24").to_ndarray() for frame in frames]  # type: ignore[misc]


@pytest.fixture
def piped(monkeypatch: pytest.MonkeyPatch, images: list[NDArray[np.uint8]]) -> dict[str, Any]:
    """Raw frames on standard input, and what has to be said of them."""
    content = b"".join(image.tobytes() for image in images)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))
    height, width = images[0].shape[:2]
    return {"frame_size": f"{width}x{height}", "fps": 10.0, "proof": ("yunet",)}


def times(path: Path) -> list[Fraction]:
    with av.open(str(path)) as film:
        stream = film.streams.video[0]
        return [Fraction(frame.pts or 0) * Fraction(stream.time_base or 0) for frame in film.decode(stream)]


def test_what_comes_is_covered_and_nothing_is_found_afterwards(piped: dict[str, Any], tmp_path: Path) -> None:
    summary = faceloom.redact("-", tmp_path / "out", **piped)
    assert (summary.outcome, summary.found, summary.frames) == ("done", 0, END)
    assert summary.faces >= END
    assert times(tmp_path / "out" / "redacted" / "stdin.mp4") == [Fraction(i, 10) for i in range(END)]
    assert "sound" in " ".join(summary.items[0].redacted.notes)
    assert (tmp_path / "out" / "report.html").is_file()


def test_whoever_stops_it_has_what_came(piped: dict[str, Any], tmp_path: Path) -> None:
    """And it is looked at; another call makes another file."""
    written = []

    def on_event(event: Event) -> None:
        if isinstance(event, Writing):
            written.append(event.frames)

    for name in ("stdin.mp4", "stdin-2.mp4"):
        sys.stdin.buffer.seek(0)
        written.clear()
        summary = faceloom.redact(
            "-", tmp_path / "out", on_event=on_event, should_stop=lambda: len(written) > 1, delay=0.0, **piped
        )
        assert summary.outcome == "done"
        assert 1 < summary.items[0].redacted.frames <= END
        assert (tmp_path / "out" / "redacted" / name).is_file()


def test_what_was_killed_can_be_played_and_is_looked_at_later(
    images: list[NDArray[np.uint8]], piped: dict[str, Any], tmp_path: Path
) -> None:
    height, width = images[0].shape[:2]
    told = ["--frame-size", f"{width}x{height}", "--fps", "10", "--proof", "yunet", "--delay", "0"]
    command = [sys.executable, "-m", "faceloom", "redact", "-", "--out", str(tmp_path / "out"), *told]
    target = tmp_path / "out" / "unproven" / "stdin.mp4"
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdin is not None
        for i in range(400):
            process.stdin.write(images[i % END].tobytes())
            if i > 40 and target.is_file() and target.stat().st_size > 20_000:
                break
        for _ in range(100):
            if target.is_file() and target.stat().st_size > 20_000:
                break
            time.sleep(0.1)
        os.kill(process.pid, signal.SIGKILL)
    played = times(target)
    assert len(played) >= 10
    summary = faceloom.redact("-", tmp_path / "out", **{**piped, "delay": 0.0})
    assert summary.found == 0
    assert {path.name for path in (tmp_path / "out" / "redacted").iterdir()} == {"stdin.mp4", "stdin-2.mp4"}


@pytest.mark.parametrize(
    ("inputs", "options", "why"),
    [
        (["-", "camera:0"], {}, "alone"),
        ("rtsp://host/path", {"memory": "1GiB"}, "--memory"),
        ("camera:0", {"over": "mask"}, "ellipse"),
    ],
)
def test_what_cannot_be_is_refused(inputs: Any, options: dict[str, Any], why: str, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=why):
        faceloom.redact(inputs, tmp_path / "out", **options)


def test_a_source_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="cannot be opened"):
        faceloom.redact("http://127.0.0.1:9/none", tmp_path / "out", reconnect=0.0)
