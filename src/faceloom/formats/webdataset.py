"""WebDataset: chips, masks and what is known of each face in tar files of ten thousand faces (docs/formats.md)."""

import json
import tarfile
from collections.abc import Iterator

from faceloom.formats import jsonl
from faceloom.formats.record import ChipReader, FaceRecord, Format, FrameRecord, Frames, Piece

FACES_OF_SHARD = 10_000
"""In the order of every export, so that shards are the same whatever the run was like that found the faces."""
_END = bytes(2 * tarfile.BLOCKSIZE)


def _write(frames: Frames, read_chip: ChipReader) -> Iterator[Piece]:
    faces = ((frame, face) for frame in frames for face in frame.faces)
    shard = ""
    for number, (frame, face) in enumerate(faces):
        if number % FACES_OF_SHARD == 0:
            if shard:
                yield shard, _END
            shard = f"faces-{number // FACES_OF_SHARD:06}.tar"
        for name, content in _files(frame, face, read_chip):
            yield shard, _header(name, len(content))
            yield shard, content + bytes(-len(content) % tarfile.BLOCKSIZE)
    yield shard or "faces-000000.tar", _END


def _files(frame: FrameRecord, face: FaceRecord, read_chip: ChipReader) -> Iterator[tuple[str, bytes]]:
    """The files of a face, which have one name and several suffixes: what is known, the chip, the masks."""
    key = f"{_folder(frame.id.source)}/{frame.id.index:06}_{face.index}"
    yield f"{key}.json", json.dumps(jsonl.sizes_line(frame, face), separators=(",", ":")).encode()
    if face.chip is not None:
        yield f"{key}.{face.chip.rpartition('.')[2]}", read_chip(face.chip)
    for name, mask in sorted(face.masks.items()):
        yield f"{key}.{name}.png", mask.png


def _folder(source: str) -> str:
    """A source's name as folders of an archive, whatever parts it has."""
    parts = [part if part.strip(".") else f"_{part}" for part in source.split("/") if part]
    return "/".join(parts) or "_"


def _header(name: str, size: int) -> bytes:
    """Of a file in a tar: nothing in it but name and size depends on anything."""
    told = tarfile.TarInfo(name)
    told.size = size
    return told.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


FORMAT = Format(
    name="webdataset",
    title="WebDataset",
    suffix="",
    keeps=jsonl.KEEPS,
    changes=jsonl.CHANGES,
    write_with_chips=_write,
    is_text=False,
    is_folder=True,
)
