"""MOTChallenge: text of a line a face, a file a source: frame, track, box, score.

Source: Dendorfer et al. 2020, MOT20, arXiv:2003.09003, table 5; frames and pixels are counted from 1, as py-motmetrics
(`io.py`, `load_motchallenge`) and TrackEval take them.
"""

import itertools
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from faceloom.attributes import Part
from faceloom.faces import FrameId
from faceloom.formats import checks
from faceloom.formats.names import below
from faceloom.formats.record import FaceRecord, Format, FrameRecord, Frames, Piece

_SUFFIX = ".txt"
_NO_TRACK = -1
"""As files of detections have it."""
_LEAST_CELLS = 7
_MAX_FACES = 1_000_000


def _write(frames: Frames) -> Iterator[Piece]:
    for source, of_source in itertools.groupby(frames, key=lambda frame: frame.id.source):
        name = below(source) + _SUFFIX
        for frame in of_source:
            yield from ((name, _line(frame.id.index, face)) for face in frame.faces)


def _line(index: int, face: FaceRecord) -> bytes:
    x0, y0, x1, y1 = face.box.tolist()
    track = _NO_TRACK if face.track is None else face.track
    score = 1 if face.score is None else face.score
    box = f"{x0 + 1:.3f},{y0 + 1:.3f},{x1 - x0:.3f},{y1 - y0:.3f}"
    return f"{index + 1},{track},{box},{score:.4f},-1,-1,-1\n".encode()


def _read(path: Path) -> Iterator[FrameRecord]:
    with checks.reading(path, FORMAT.title):
        files = {path.stem: path}
        if path.is_dir():
            files = {file.relative_to(path).as_posix().removesuffix(_SUFFIX): file for file in path.rglob("*.txt")}
        for source in sorted(files):
            yield from _frames(checks.name(source, "a source"), files[source])


def _frames(source: str, path: Path) -> Iterator[FrameRecord]:
    """Ground truth is sorted by track, and results by frame, so all of a file is read."""
    faces: dict[int, list[FaceRecord]] = defaultdict(list)
    for number, line in enumerate(checks.read_lines(path)):
        if number >= _MAX_FACES:
            raise ValueError(f"it has more than {_MAX_FACES:,} faces")
        cells = line.split(",")
        if len(cells) < _LEAST_CELLS:
            raise ValueError(f"a face of {len(cells)} numbers, not {_LEAST_CELLS} or more")
        x, y, width, height, score = (float(cell) for cell in cells[2:_LEAST_CELLS])
        track = int(cells[1])
        of_frame = faces[checks.whole(int(cells[0]), "a frame", at_least=1) - 1]
        of_frame.append(
            FaceRecord(
                index=len(of_frame),
                box=checks.box(x - 1, y - 1, x - 1 + width, y - 1 + height),
                score=checks.score(score),
                track=None if track == _NO_TRACK else checks.whole(track, "a track"),
            )
        )
    for index in sorted(faces):
        yield FrameRecord(id=FrameId(source, index), faces=tuple(faces[index]))


FORMAT = Format(
    name="mot",
    title="MOTChallenge",
    suffix="",
    keeps=frozenset([Part.SCORES, Part.TRACKS]),
    changes="pixels are rounded to 3 decimals, scores to 4",
    write=_write,
    read=_read,
    is_folder=True,
)
