"""Naming: names of persons from and into picture files and their sidecars, as photo libraries keep them."""

import hashlib
import os
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from faceloom.correcting import corrections
from faceloom.errors import MediaError, RequestError
from faceloom.formats.record import FrameRecord
from faceloom.formats.regions import MAX_BYTES, RegionPacket, pairs_of, read_packet, write_packet
from faceloom.formats.xmp import SUFFIX, area_of, is_still, named_regions, stored_size
from faceloom.geometry.stored import Area, as_upright
from faceloom.media.stored_xmp import orientation_of_file, with_xmp, xmp_of
from faceloom.store.beside import refuse_full
from faceloom.store.database import connect, transaction
from faceloom.store.exports import read_paths
from faceloom.store.folder import locked
from faceloom.store.persons import placed_by_hand
from faceloom.store.reading import stored_frames

_FOR_FILES = "JPEG, PNG and WebP can be written into; write sidecars for the others"


@dataclass(frozen=True, slots=True, kw_only=True)
class NamesRead:
    """What came of the names in picture files and their sidecars."""

    named: int = 0
    """Faces that have another name now."""
    known: int = 0
    """Faces that had the name already."""
    unmatched: tuple[str, ...] = ()
    """Names for which there is no face, or that somebody has contradicted, and why."""

    def to_json(self) -> dict[str, Any]:
        """Gives it as `names --json` prints it."""
        return {**asdict(self), "unmatched": list(self.unmatched)}


@dataclass(frozen=True, slots=True, kw_only=True)
class NamesWritten:
    """Which files have names now."""

    files: int = 0
    """Written."""
    unchanged: int = 0
    """That said the same already."""
    failed: tuple[str, ...] = ()
    """That could not be written, and why."""

    def to_json(self) -> dict[str, Any]:
        """Gives it as `names --json` prints it."""
        return {**asdict(self), "failed": list(self.failed)}


@dataclass(slots=True)
class _ReadNames:
    named: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    known: int = 0
    unmatched: list[str] = field(default_factory=list)


def read_names(folder: str | Path, sidecars: str | Path | None = None) -> NamesRead:
    """Takes the names of face regions in the pictures of a result folder, and in their sidecars, as corrections.

    A region is of the face that it overlaps most, by three tenths or more. Faces of which somebody said whose they are
    keep what was said.

    Args:
        folder: a result folder.
        sidecars: a folder of sidecars, laid as `faceloom.export` lays them; else they are those beside the pictures,
            `a.jpg.xmp` or `a.xmp`, and before these what the pictures have in them counts.

    Raises:
        StoreError: the folder holds no results that can be read.
    """
    folder = Path(folder)
    found = _ReadNames()
    paths, by_hand = read_paths(folder), placed_by_hand(folder)
    with stored_frames(folder, rejected=False, raw=False) as stored:
        for frame in stored:
            if is_still(frame) and frame.id.source in paths:
                path = paths[frame.id.source]
                places = [path, *_sidecars_of(path)] if sidecars is None else [_below(Path(sidecars), frame)]
                for place in places:
                    _take_from(place, path, frame, by_hand, found)
    said = corrections(folder)
    for name, faces in sorted(found.named.items()):
        said.assign(list(dict.fromkeys(faces)), name)
    named = sum(len(set(faces)) for faces in found.named.values())
    return NamesRead(named=named, known=found.known, unmatched=tuple(found.unmatched))


def _below(sidecars: Path, frame: FrameRecord) -> Path:
    return sidecars / f"{frame.id.source}{SUFFIX}"


def _sidecars_of(path: Path) -> tuple[Path, Path]:
    return path.with_name(f"{path.name}{SUFFIX}"), path.with_suffix(SUFFIX)


def _take_from(
    place: Path, path: Path, frame: FrameRecord, by_hand: Mapping[str, str | None], found: _ReadNames
) -> None:
    """The names of one file."""
    try:
        packet = _packet_of(place, is_picture=place == path)
    except (OSError, ValueError) as error:
        found.unmatched.append(f"{place}: it cannot be read: {error}")
        return
    named = [] if packet is None else [region for region in packet.regions if region.name]
    if packet is None or not named:
        return
    orientation = orientation_of_file(path) if packet.orientation is None else packet.orientation
    if not packet.fits(*stored_size(frame, orientation)):
        found.unmatched.append(f"{place}: its regions were drawn on a picture of another shape")
        return
    areas = [as_upright(region.area, orientation) for region in named]
    pairs = pairs_of(areas, [area_of(face, frame) for face in frame.faces])
    for number, region in enumerate(named):
        assert region.name
        if number not in pairs:
            found.unmatched.append(f"{place}: {region.name!r} at {_in_words(areas[number], frame)}: no face is there")
            continue
        face = frame.faces[pairs[number]]
        address = f"{frame.id}/{face.index}"
        if face.person == region.name:
            found.known += 1
        elif by_hand.get(address, region.name) != region.name:
            found.unmatched.append(f"{place}: {region.name!r}: face {address} is {face.person or 'nobody'}'s by hand")
        elif not any(address in faces for name, faces in found.named.items() if name != region.name):
            found.named[region.name].append(address)


def _in_words(area: Area, frame: FrameRecord) -> str:
    x, y = area.x * (frame.width or 0), area.y * (frame.height or 0)
    return f"({x:.0f}, {y:.0f})"


def _packet_of(place: Path, *, is_picture: bool) -> RegionPacket | None:
    """What a file says of faces; None if it is not there, or says nothing."""
    try:
        with place.open("rb") as file:
            content = file.read() if is_picture else file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    packet = xmp_of(content) if is_picture else content
    return None if packet is None else read_packet(packet)


def write_sidecars(folder: str | Path) -> NamesWritten:
    """Writes the names of persons beside the pictures of a result folder, to `a.jpg.xmp`; pictures stay untouched.

    What else a sidecar says stays.

    Raises:
        RequestError: nobody has a name.
        StoreError: the folder holds no results that can be read.
    """
    return _written(Path(folder), _write_sidecar)


def write_into_files(folder: str | Path) -> NamesWritten:
    """Writes the names of persons into the pictures of a result folder: JPEG, PNG and WebP.

    The compressed picture stays as it is, byte for byte, and everything else that the file says does too. Files get
    their names at once, and the result folder knows them again.

    Raises:
        RequestError: nobody has a name.
        StoreError: the folder holds no results that can be read, or a run is writing to it.
    """
    folder = Path(folder)
    with locked(folder):
        return _written(folder, lambda path, frame: _write_into(folder, path, frame))


def _written(folder: Path, write: Callable[[Path, FrameRecord], bool]) -> NamesWritten:
    files, unchanged, failed = 0, 0, list[str]()
    frames = list(_named_frames(folder))
    if not frames:
        raise RequestError(f"nobody on the pictures of {folder} has a name; faceloom group names persons")
    for path, frame in frames:
        try:
            is_new = write(path, frame)
            files, unchanged = files + is_new, unchanged + (not is_new)
        except OSError as error:
            refuse_full(error, path)
            failed.append(f"{path}: {error.strerror}")
        except (MediaError, ValueError) as error:
            failed.append(f"{path}: {error}")
    return NamesWritten(files=files, unchanged=unchanged, failed=tuple(failed))


def _named_frames(folder: Path) -> Iterator[tuple[Path, FrameRecord]]:
    """The still pictures on which somebody has a name, without what is known of faces besides."""
    paths = read_paths(folder)
    with stored_frames(folder, rejected=False, raw=False) as stored:
        for frame in stored:
            if is_still(frame) and frame.id.source in paths and any(face.person for face in frame.faces):
                yield paths[frame.id.source], frame


def _packet_with(frame: FrameRecord, orientation: int, before: bytes | None, *, tells_orientation: bool) -> bytes:
    width, height = stored_size(frame, orientation)
    return write_packet(
        named_regions(frame, orientation),
        width=width,
        height=height,
        orientation=orientation if tells_orientation else 1,
        before=before,
    )


def _write_sidecar(path: Path, frame: FrameRecord) -> bool:
    target = _sidecars_of(path)[0]
    before = target.read_bytes() if target.is_file() else None
    content = _packet_with(frame, orientation_of_file(path), before, tells_orientation=True)
    if content == before:
        return False
    _replace(target, content)
    return True


def _write_into(folder: Path, path: Path, frame: FrameRecord) -> bool:
    """Writes into a picture, and has the store know it again."""
    content = path.read_bytes()
    packet = _packet_with(frame, orientation_of_file(path), xmp_of(content), tells_orientation=False)
    made = with_xmp(content, packet)
    if made is None:
        raise ValueError(_FOR_FILES)
    if made == content:
        return False
    _require_known(folder, frame.id.source, content)
    _replace(path, made)
    _note(folder, frame.id.source, path, before=_digest(content), now=_digest(made))
    return True


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _require_known(folder: Path, source: str, content: bytes) -> None:
    with connect(folder, read_only=True) as db:
        row = db.execute("SELECT sha256 FROM source WHERE name = ?", (source,)).fetchone()
    if row is None or row[0] not in {None, _digest(content)}:
        raise ValueError("it has changed since its faces were found; run the same faceloom extract again first")


def _note(folder: Path, source: str, path: Path, *, before: str, now: str) -> None:
    """Has the store know a file again whose picture is the one that it was."""
    state = path.stat()
    with connect(folder, read_only=False) as db, transaction(db):
        db.execute(
            "UPDATE source SET sha256 = ?, size_bytes = ?, mtime_ns = ? WHERE name = ?",
            (now, state.st_size, state.st_mtime_ns, source),
        )
        db.execute("UPDATE corrected_face SET sha256 = ? WHERE sha256 = ? AND source = ?", (now, before, source))


def _replace(target: Path, content: bytes) -> None:
    """Gives a file another content, at once, and leaves who may read it as it was; of a link the file itself."""
    target = Path(os.path.realpath(target))
    part = target.with_name(f".{target.name[:200]}.faceloom-part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            shutil.copymode(target, part)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
