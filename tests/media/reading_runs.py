"""What is tried in a process of its own: reading with little memory, and what reading takes.

Called with a verb and a file: `shortage FILE` or `peaks WARM_UP_FILE FILE...`; prints one JSON object.
"""

import ctypes
import gc
import hashlib
import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from faceloom.early import WORKER_SETTINGS
from faceloom.frame import Frame
from faceloom.media.chunks import Span, Unreadable
from faceloom.media.headers import look
from faceloom.media.reading import FrameReader, Read
from faceloom.media.sources import Source, SourceKind, kind_of
from faceloom.media.video_index import index_video
from faceloom.memory.usage import address_bytes, held_bytes, peak_bytes, reset_peak

STEPS = (0.1, 0.3, 0.6, 0.9, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.5)
"""Memory that is left, in frames."""


def tried(verb: str, *paths: Path) -> dict[str, Any]:
    """What a run of this file prints."""
    command = [sys.executable, __file__, verb, *map(str, paths)]
    ran = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **WORKER_SETTINGS}, check=False)
    assert ran.returncode == 0, ran.stderr
    return dict(json.loads(ran.stdout.splitlines()[-1]))


def span_of(path: Path) -> Span:
    """All frames of a picture or a video."""
    source = Source(name=path.name, path=path, kind=SourceKind.PICTURE)
    if kind_of(path) is SourceKind.PICTURE:
        shape = look(source)
        return Span(source=source, first=0, count=shape.pages if shape else 1)
    index = index_video(path)
    assert index.ticks is not None
    ticks = tuple(index.ticks.tolist())
    source = Source(name=path.name, path=path, kind=SourceKind.VIDEO, time_base=str(index.time_base))
    return Span(source=source, first=0, count=len(ticks), ticks=ticks, seek_ticks=ticks[0])


def shortage(path: Path) -> dict[str, int]:
    """How often memory was said to be short, and how often something else than the right frame came."""
    span = span_of(path)
    right = {frame.id: fingerprint(frame) for frame in frames(span)}
    frame_bytes = next(frames(span)).image.nbytes
    short = wrong = 0
    for step in STEPS:
        ctypes.CDLL(None).malloc_trim(0)
        for answer in frames_with(span, spare_bytes=int(step * frame_bytes)):
            short += answer is None
            wrong += answer is not None and (isinstance(answer, Unreadable) or fingerprint(answer) != right[answer.id])
    return {"short": short, "wrong": wrong}


def frames(span: Span) -> Iterator[Frame]:
    """The frames of a span that can all be read."""
    with FrameReader() as reader:
        for read in reader.reads([span]):
            answer = read()
            assert isinstance(answer, Frame)
            yield answer


def frames_with(span: Span, *, spare_bytes: int) -> Iterator[Frame | Unreadable | None]:
    """Each answer; None where memory is short, after which the limit is lifted and the frame is read again."""
    limits = resource.getrlimit(resource.RLIMIT_DATA)
    with FrameReader() as reader:
        reads = list(reader.reads([span]))
        resource.setrlimit(resource.RLIMIT_DATA, (address_bytes() + spare_bytes, limits[1]))
        try:
            for read in reads:
                answer = tried_once(read)
                if answer is None:
                    resource.setrlimit(resource.RLIMIT_DATA, limits)
                    yield None
                    answer = read()
                yield answer
        finally:
            resource.setrlimit(resource.RLIMIT_DATA, limits)


def tried_once(read: Read) -> Frame | Unreadable | None:
    """What a read gives; None where memory is short."""
    try:
        return read()
    except MemoryError:
        return None


def fingerprint(frame: Frame) -> str:
    """Of the pixels, and of what is said to be wrong with them."""
    return hashlib.sha256(frame.image.data).hexdigest() + str(frame.problem)


def peaks(warm_up: Path, *paths: Path) -> dict[str, list[int]]:
    """Of each file what reading it took, frame and all, and what it was said to take at most."""
    for _ in frames(span_of(warm_up)):
        pass
    measured = [measure(span_of(path)) for path in paths]
    return {"taken": [taken for taken, _ in measured], "said": [said for _, said in measured]}


def measure(span: Span) -> tuple[int, int]:
    """What reading took, and what it was said to take."""
    is_video = span.source.kind is SourceKind.VIDEO
    said = index_video(span.source.path).reading_bytes if is_video else None
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    before = held_bytes()
    reset_peak()
    for frame in frames(span):
        height, width = frame.image.shape[:2]
        del frame
    taken = peak_bytes() - before
    if said is not None:
        return taken, 3 * height * width + said
    shape = look(span.source)
    assert shape is not None
    return taken, shape.frame_bytes + shape.reading_bytes


if __name__ == "__main__":
    called = {"shortage": shortage, "peaks": peaks}[sys.argv[1]]
    print(json.dumps(called(*map(Path, sys.argv[2:]))))  # type: ignore[operator]
