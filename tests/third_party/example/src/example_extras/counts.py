"""A format that can be written and not read: how many faces each frame has."""

from collections.abc import Iterator

from faceloom.formats.record import Format, Frames, Piece


def _write(frames: Frames) -> Iterator[Piece]:
    for frame in frames:
        yield "", f"{frame.id.source} {frame.id.index} {len(frame.faces)}\n".encode()


FORMAT = Format(
    name="counts",
    title="numbers of faces",
    suffix=".counts",
    keeps=frozenset(),
    changes="all but numbers",
    write=_write,
)
