"""Chips: a folder of pictures of faces, laid out for who reads them (docs/formats.md)."""

import json
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import Any

from faceloom.attributes import Part
from faceloom.formats import jsonl, webdataset
from faceloom.formats.names import below, flat_names
from faceloom.formats.record import ChipReader, FaceRecord, Format, FrameRecord, Frames, Piece

METADATA = "metadata.jsonl"
"""What Hugging Face's imagefolder reads beside pictures: a line each, with `file_name`."""
_CHIPS = "chips/"
_LONGEST = 60
"""Characters of a folder's name, each of which may take four bytes of the 255 that there are."""
_NamedFace = tuple[FrameRecord, FaceRecord, str]
"""A face with a chip, and the path of its file in the export's folder."""


def by_source(frames: Frames) -> Iterator[_NamedFace]:
    """Faces under the paths that they have in the result folder."""
    for frame, face, chip in with_chips(frames):
        yield frame, face, below(chip.removeprefix(_CHIPS))


def flat(frames: Frames) -> Iterator[_NamedFace]:
    """Faces in one folder, each under the name of its source, its frame and its index."""
    name = flat_names()
    for frame, face, chip in with_chips(frames):
        suffix = PurePosixPath(chip).suffix
        yield frame, face, f"{name(frame.id.source)}_{frame.id.index:06}_{face.index}{suffix}"


def by_person(frames: Frames) -> Iterator[_NamedFace]:
    """Faces in a folder for each person; those that are nobody's are left out."""
    folder = _folders()
    for frame, face, name in flat(frames):
        if face.person:
            yield frame, face, f"{folder(face.person)}/{name}"


def _folders() -> Callable[[str], str]:
    """Gives a folder for each person: it leads nowhere else, and no two have the same."""
    folders: dict[str, str] = {}
    taken: set[str] = set()

    def folder(person: str) -> str:
        if person not in folders:
            text = person.replace("/", "_").replace("\0", "_").strip()[:_LONGEST]
            text = text if text.strip(".") else f"_{text}"
            free, number = text, 2
            while free.casefold() in taken:
                free, number = f"{text} ({number})", number + 1
            folders[person] = free
            taken.add(free.casefold())
        return folders[person]

    return folder


def with_chips(frames: Frames) -> Iterator[tuple[FrameRecord, FaceRecord, str]]:
    """The faces that have a chip, and its path."""
    for frame in frames:
        for face in frame.faces:
            if face.chip is not None:
                yield frame, face, face.chip


def metadata_line(frame: FrameRecord, face: FaceRecord, name: str) -> bytes:
    """What is known of a face, as a line that begins with its file."""
    told: dict[str, Any] = {"file_name": name, **jsonl.sizes_line(frame, face)}
    return (json.dumps(told, separators=(",", ":")) + "\n").encode()


def _laid(names: Callable[[Frames], Iterator[_NamedFace]], *, metadata: bool) -> Callable[..., Iterator[Piece]]:
    """What writes chips under such names."""

    def write(frames: Frames, read_chip: ChipReader) -> Iterator[Piece]:
        if metadata:
            yield from ((METADATA, metadata_line(*named)) for named in names(frames))
        for _, face, name in names(frames):
            assert face.chip is not None
            yield name, read_chip(face.chip)

    return write


_SOURCE = _laid(by_source, metadata=True)
FORMAT = Format(
    name="chips",
    title="chips",
    suffix="",
    keeps=jsonl.KEEPS - {Part.MASKS},
    changes=f"{jsonl.CHANGES}; of masks there are the sizes; by person there are the pictures alone",
    write_with_chips=_SOURCE,
    layouts={
        "source": _SOURCE,
        "flat": _laid(flat, metadata=True),
        "person": _laid(by_person, metadata=False),
        "webdataset": webdataset.FORMAT.write_with_chips,
    },
    is_text=False,
    is_folder=True,
)
