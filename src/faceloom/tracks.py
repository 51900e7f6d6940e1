"""Tracking: which faces of a result folder's videos are one face through consecutive frames, named in its store."""

import hashlib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from faceloom.choices import ChipFormat, Subsampling
from faceloom.engines.runtime import CPU
from faceloom.errors import BudgetError
from faceloom.events import NO_CUTS, Notice, OnEvent, Tracking
from faceloom.filling import Filling, look_order
from faceloom.flow import Flow, find_plugin
from faceloom.identify import Identifier
from faceloom.media.chunks import Unreadable, cut_chunks
from faceloom.media.numbered import is_there, state_of
from faceloom.media.signatures import signature_of
from faceloom.memory.budget import budget_bytes_of
from faceloom.memory.usage import held_bytes
from faceloom.options.calls import TrackOptions
from faceloom.options.keywords import takes
from faceloom.options.stages import PathLike
from faceloom.orders.configuration import colours_of, derivation_of, versions
from faceloom.orders.order import make_order
from faceloom.orders.outputs import border_of, outputs_of
from faceloom.store.again import CHIP_FILES
from faceloom.store.configuration import config_in
from faceloom.store.database import connect
from faceloom.store.folder import locked
from faceloom.store.gaps import MissingFace, boxes_in, chips_of_made, missing_faces
from faceloom.store.places import file_below
from faceloom.store.reading import read_config
from faceloom.store.rows import FaceRow
from faceloom.store.soundness import check_rows, sound
from faceloom.store.store import Store
from faceloom.store.tracked_videos import (
    Linked,
    TrackedVideo,
    digest_of_faces,
    frame_indexes,
    frames_to_read,
    made_of,
    seen_frames,
    select_videos,
    shot_starts,
)
from faceloom.store.tracks import write_tracks
from faceloom.store.view import looking_through
from faceloom.supervisor.run import run_again
from faceloom.tracking.cuts import Signature, find_cuts
from faceloom.tracking.tracks import link
from faceloom.units import MIB, format_bytes

_CUTS, _LINKS = "1", "2"
"""Versions of what finds cuts and links faces: with another all is done again."""
_FRAMES_A_SPAN = 256
_READING_BYTES = 80 * MIB
"""Of what is imported to read frames, and of decoders besides their pictures (measured: 62 MiB)."""
_FRAMES_HELD = 4
"""Pictures at a time: as decoded, as RGB, turned, and the one before."""
_FACE_BYTES = 300
"""Of a face in its tracklet, and of where it stands in the store (measured)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracked:
    """What tracking a result folder has come to, in numbers."""

    videos: int
    unchanged: int
    """Of them, those whose tracks were right as they were."""
    shots: int
    tracks: int
    faces: int
    """That are in tracks."""

    def to_json(self) -> dict[str, Any]:
        """Gives it as `track --json` prints it."""
        return asdict(self)


@takes(TrackOptions)
def track(folder: PathLike, *, on_event: OnEvent = lambda event: None, **options: Unpack[TrackOptions]) -> Tracked:
    """Finds the shots of a result folder's videos, and links the faces of each shot to tracks, in the store.

    A track is one face through consecutive frames of one shot. What is in no video, or rejected, is in no track. Called
    again, only videos are done again whose frames or faces have changed.

    Args:
        folder: a result folder; its videos are read again to find cuts.
        on_event: told how it goes on.
        options: as docs/options.md lists them.

    Raises:
        TypeError: there is no such keyword.
        RequestError: an argument is wrong.
        BudgetError: reading the frames does not fit into the memory; nothing is changed.
        StoreError: the folder cannot be used, or a run is writing to it.
    """
    folder = Path(folder)
    with connect(folder, read_only=True):  # a folder that holds no results stays as it is
        pass
    with locked(folder), connect(folder, read_only=False) as db:
        check_rows(db, folder)
        videos = select_videos(db)
        _require_room(videos, budget_bytes_of(options["memory"]))
        tracking = _Tracking(db, folder, options, on_event, total_frames=sum(video.frames for video in videos))
        for video in videos:
            tracking.do(video)
        told = tracking.told()
    cut_missing_chips(folder, options, on_event=on_event)
    return told


class _Tracking:
    """One call."""

    def __init__(
        self,
        db: sqlite3.Connection,
        folder: Path,
        options: TrackOptions,
        on_event: OnEvent,
        *,
        total_frames: int,
    ) -> None:
        self._db = db
        self._options = options
        self._config = config_in(db)
        self._seeing: Filling | None = None
        self._folder = folder
        self._on_event = on_event
        self._total_frames = total_frames
        self._frames = 0
        self._videos = self._unchanged = 0
        self._same_person = _same_person(self._config)

    def do(self, video: TrackedVideo) -> None:
        """Brings the tracks of a video up to date."""
        self._videos += 1
        shots_before, tracks_before = made_of(self._db, video)
        indexes = frame_indexes(self._db, video)
        shots_of: str | None = _digest(_CUTS, video.sha256, video.size_bytes, indexes.tobytes())
        if shots_of == shots_before:
            starts = shot_starts(self._db, video)
        else:
            found = self._starts(video, indexes)
            starts, shots_of = ([int(indexes[0])], None) if found is None else (found, shots_of)
        with sound(self._folder), looking_through(self._db):
            settings = (self._same_person, self._options["fill"])
            tracks_of = _digest(_LINKS, starts, settings, shots_of is None, digest_of_faces(self._db, video))
            is_same = tracks_of == tracks_before
            tracks = None if is_same else list(self._link(video, indexes, starts))
            made = [] if tracks is None else self._fill(video, tracks, indexes, is_there=shots_of is not None)
        self._unchanged += is_same
        if not is_same or shots_of != shots_before:
            before = set(chips_of_made(self._db, video))
            write_tracks(self._db, video, tracks, made, starts=starts, shots_of=shots_of, tracks_of=tracks_of)
            for chip in before - set(chips_of_made(self._db, video)):
                file_below(self._folder, chip).unlink(missing_ok=True)
        self._frames += video.frames
        self._tell(video, 0)

    def _starts(self, video: TrackedVideo, indexes: NDArray[np.int64]) -> list[int] | None:
        """The indexes of the frames with which shots begin; None where the file cannot be read as it was."""
        path = video.source.path
        problem = "is gone" if not is_there(path) else None
        if problem is None and state_of(path)[0] != video.size_bytes:
            problem = "has changed since it was read"
        seen: list[int] = []
        if problem is None:
            cuts = find_cuts(self._signatures(video, seen))
            if len(seen) == len(indexes) or seen:
                return [int(indexes[0]), *(seen[at] for at in cuts)]
            problem = "cannot be read any more"
        text = f"{video.source.name}: the file {path} {problem}, so no cuts are looked for in it"
        self._on_event(Notice(kind=NO_CUTS, text=text))
        return None

    def _signatures(self, video: TrackedVideo, seen: list[int]) -> Iterator[Signature]:
        """Of the frames that can be read, whose indexes go to `seen`."""
        from faceloom.media.reading import FrameReader  # decoders take time and memory that planning need not

        frames = frames_to_read(self._db, video)
        with FrameReader() as reader:
            for spans in cut_chunks(frames, frames_a_chunk=lambda: _FRAMES_A_SPAN):
                for read in reader.reads(spans):
                    frame = read()
                    if not isinstance(frame, Unreadable):
                        seen.append(frame.id.index)
                        yield signature_of(frame.image)
                self._tell(video, len(seen))

    def _link(self, video: TrackedVideo, indexes: NDArray[np.int64], starts: Sequence[int]) -> Iterator[Linked]:
        """The faces of each shot, in their tracks."""
        numbers: list[tuple[int, int]] = []
        positions = np.searchsorted(indexes, np.array(starts, np.int64))
        frames = seen_frames(self._db, video, indexes, numbers)
        last = 0
        for _, of_shot in groupby(frames, key=lambda frame: int(np.searchsorted(positions, frame.position, "right"))):
            for faces in link(of_shot, same_person=self._same_person):
                last += 1
                yield from (Linked(*numbers[face], last) for face in faces)

    def _fill(
        self, video: TrackedVideo, tracks: Sequence[Linked], indexes: NDArray[np.int64], *, is_there: bool
    ) -> list[tuple[MissingFace, FaceRow]]:
        """The faces that fill the gaps of tracks; where the file is not there none is seen, and all are laid."""
        fill_s = self._options["fill"]
        missing = missing_faces(self._db, video, tracks, indexes, longest_s=fill_s) if fill_s else []
        if not missing:
            return []
        if is_there and self._seeing is None:
            self._seeing = Filling(look_order(self._config, self._options), self._config)
        filling = self._seeing if is_there and self._seeing else Filling(None, self._config)
        wanted = {one.expected.frame for one in missing}
        return filling.made(missing, frames_to_read(self._db, video, wanted), boxes_in(self._db, video, wanted))

    def _tell(self, video: TrackedVideo, frames: int) -> None:
        event = Tracking(source=video.source.name, frames=self._frames + frames, total_frames=self._total_frames)
        self._on_event(event)

    def told(self) -> Tracked:
        """What there is now."""
        (shots,) = self._db.execute("SELECT count(*) FROM shot").fetchone()
        query = "SELECT count(*), count(DISTINCT source_id || ' ' || track) FROM face WHERE track IS NOT NULL"
        faces, tracks = self._db.execute(query).fetchone()
        return Tracked(videos=self._videos, unchanged=self._unchanged, shots=shots, tracks=tracks, faces=faces)


def _digest(*told: object) -> str:
    return hashlib.sha256(repr(told).encode()).hexdigest()


def _same_person(config: Mapping[str, Any]) -> float | None:
    """The cosine from which on faces are one person's, by the identifier that a folder was made with."""
    stages = config.get("stages", {})
    name = next((stage for stage in stages if stage.startswith("identify/")), None)
    if name is None:
        return None
    plugin = find_plugin(*name.split("/", 1))
    return plugin.same_person if issubclass(plugin, Identifier) else None


def _require_room(videos: Sequence[TrackedVideo], budget_bytes: int | None) -> None:
    if budget_bytes is None or not videos:
        return
    held = held_bytes()
    video = max(videos, key=_needed_bytes)
    needed = held + _needed_bytes(video)
    if needed > budget_bytes:
        message = (
            f"tracking the faces of {video.source.name} does not fit into {format_bytes(budget_bytes)}; the smallest"
            f" budget that would do is {-(-needed // MIB):,} MiB: raise --memory"
        )
        raise BudgetError(message, stage="track", needed_bytes=needed, budget_bytes=budget_bytes)


def _needed_bytes(video: TrackedVideo) -> int:
    frames = video.reading_bytes + _FRAMES_HELD * video.frame_bytes + video.frames * 64
    return _READING_BYTES + frames + video.faces * _FACE_BYTES


def cut_missing_chips(folder: Path, options: TrackOptions, *, on_event: OnEvent) -> None:
    """Cuts the chips of the faces that fill gaps, as the run would have that made the folder."""
    config = read_config(folder)
    chips = config.get("chips")
    with connect(folder, read_only=True) as db:
        is_missing = db.execute("SELECT 1 FROM again WHERE stage = ? LIMIT 1", (CHIP_FILES,)).fetchone()
    if not chips or is_missing is None:
        return
    outputs = replace(
        outputs_of(config),
        write_chips=True,
        chip_size=chips["size"],
        chip_format=ChipFormat(chips["format"]),
        subsampling=Subsampling(chips.get("subsampling", Subsampling.NONE)),
        border=border_of(config),
    )
    order = make_order(Flow(()), outputs, {**options, "device": CPU, **colours_of(config)}, on_event=on_event)
    derivation = derivation_of(folder, config)
    with Store(folder) as store:
        store.begin_run(versions=versions())
        summary = run_again(replace(order, derivation=derivation), store, stages=[CHIP_FILES], on_event=on_event)
        store.end_run(outcome=summary.outcome, summary=summary.to_json())
