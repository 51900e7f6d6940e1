"""What supervisor and worker process say to each other, pickled one after another on a pipe."""

from dataclasses import dataclass
from pathlib import Path

from faceloom.media.chunks import Chunk
from faceloom.media.sources import Source, VideoIndex
from faceloom.run.job import Job
from faceloom.store.rows import ChunkRows


@dataclass(frozen=True, slots=True)
class Begin:
    """To the worker, once, before any chunk."""

    job: Job


@dataclass(frozen=True, slots=True)
class Count:
    """To the worker: count the frames of a video."""

    source: Source


@dataclass(frozen=True, slots=True)
class Do:
    """To the worker: take a chunk through all phases; its files go below the folder."""

    chunk: Chunk
    folder: Path


@dataclass(frozen=True, slots=True)
class Counted:
    """From the worker: what a video holds and the sha256 of its file, or why it cannot be read."""

    source: Source
    index: VideoIndex | None
    sha256: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class Reading:
    """From the worker, now and then: frames of the present chunk read so far."""

    frames: int
    peak_bytes: int


@dataclass(frozen=True, slots=True)
class Done:
    """From the worker: a chunk's rows."""

    rows: ChunkRows


@dataclass(frozen=True, slots=True)
class Fatal:
    """From the worker, the last thing it says: why it cannot go on."""

    error: Exception


Request = Begin | Count | Do
Answer = Counted | Reading | Done | Fatal
