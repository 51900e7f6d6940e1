"""What supervisor and worker process say to each other, pickled one after another on a pipe."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from faceloom.engines.runtime import ON_CPU, Runtime
from faceloom.faces import Face
from faceloom.faults import Fault
from faceloom.job import Job
from faceloom.media.chunks import Chunk, Span
from faceloom.media.extents import Extents
from faceloom.media.numbered import USUAL_RATE
from faceloom.media.sources import Shape, Source, VideoIndex
from faceloom.memory.footprints import Footprint
from faceloom.stage import Stage
from faceloom.store.rows import ChunkRows


@dataclass(frozen=True, slots=True)
class Begin:
    """To a worker, once, before any chunk."""

    job: Job


@dataclass(frozen=True, slots=True)
class Confine:
    """To a worker that is to count and look, once, before anything else: what its process may hold."""

    worker_bytes: int
    has_videos: bool = True
    """Whether it may be told to count any."""


@dataclass(frozen=True, slots=True)
class Count:
    """To a worker: count the frames of a video."""

    source: Source
    rate: Fraction = USUAL_RATE
    """Frames a second of numbered pictures."""


@dataclass(frozen=True, slots=True)
class Locate:
    """To a worker: where the packets of a video lie, of which only the index is here."""

    source: Source


@dataclass(frozen=True, slots=True)
class Probe:
    """To a worker: how large these pictures are, by their headers."""

    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True)
class TryOut:
    """To a worker that has been confined: read a picture whose header does not tell its size, to see."""

    source: Source


@dataclass(frozen=True, slots=True)
class Do:
    """To a worker: take a chunk through all phases; its files go below the folder."""

    chunk: Chunk
    folder: Path | None
    """None where the worker's machine does not see it: then files are sent, one by one, before the rows."""
    known: tuple[Face, ...] = ()
    """The faces of its frames, for a flow that finds none."""
    leads: tuple[Span, ...] = ()
    """Frames before some of its own, from which faces are followed into those; they have no rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadFaces:
    """To a worker that has been confined: write the faces that a file tells of into a database of their own."""

    file: Path
    format: str
    database: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """To a scratch process: measure what a stage costs."""

    stage: Stage
    weights: Path
    frame_shape: tuple[int, int]
    """Height and width of the frames that a detector is given."""
    worker_bytes: int
    """What the process may hold of the host's memory; 0 is no limit."""
    runtime: Runtime = ON_CPU
    device_bytes: int = 0
    """What it may take of a device that has a memory of its own; 0 is no limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """To a scratch process: guess what a stage costs, from its network's graph."""

    stage: Stage
    weights: Path
    frame_shape: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Counted:
    """From a worker: what a video holds and the sha256 of its file, or why it cannot be read.

    Without that where only parts of the file are here.
    """

    source: Source
    index: VideoIndex | None = None
    sha256: str = ""
    reason: str | None = None
    is_input: bool = True
    """Whether it is one at all, so that it fails if it cannot be read."""
    fault: Fault | None = None
    """Whose fault it is that it cannot be read, if not the file's own."""


@dataclass(frozen=True, slots=True)
class Located:
    """From a worker: where the packets of a video lie, or why that cannot be told."""

    source: Source
    extents: Extents | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Probed:
    """From a worker: the shape of each picture; None where the header does not tell."""

    sources: tuple[Source, ...]
    shapes: tuple[Shape | None, ...]


@dataclass(frozen=True, slots=True)
class FacesRead:
    """From a worker: all that a file tells is in its database."""


@dataclass(frozen=True, slots=True)
class Reading:
    """From a worker, now and then: how far the chunks in hand are."""

    frames: int
    """Read so far, and not in the store."""
    phase: int
    """Under way, 0-based."""


@dataclass(frozen=True, slots=True)
class Done:
    """From a worker: a chunk's rows."""

    rows: ChunkRows


@dataclass(frozen=True, slots=True)
class Starved:
    """From a worker: a chunk cannot be done in the memory there is, not even item by item, or a video not counted."""

    stage: str
    reason: str
    shape: Shape | None = None
    """Of a video that could not be counted, what its frames take, as far as it states that."""


@dataclass(frozen=True, slots=True)
class Measured:
    """From a scratch process: what a stage costs."""

    footprint: Footprint


@dataclass(frozen=True, slots=True)
class Fatal:
    """From a worker, the last thing it says: why it cannot go on."""

    error: Exception


@dataclass(frozen=True, slots=True)
class Died:
    """Said of a worker: its process ended without a word."""

    reason: str


@dataclass(frozen=True, slots=True)
class Lost:
    """Said of a worker on a node of a cluster: it cannot be reached any more, which is no fault of what it had."""

    reason: str


@dataclass(frozen=True, slots=True)
class Sent:
    """From a worker whose node does not see the result folder: a file that belongs to the chunk in hand."""

    number: int
    """The chunk's."""
    place: str
    """Below the folder of its files."""
    content: bytes


@dataclass(frozen=True, slots=True)
class Held:
    """What a process holds; told with every answer."""

    peak_bytes: int = 0
    """Of RAM, at most so far."""
    device_bytes: int = 0
    """Of a device that has a memory of its own, by what its engine and libraries have taken."""
    device_peak_bytes: int = 0
    device_free_bytes: int | None = None
    """What is left of that device for anybody; None without one."""
    device_busy_s: float = 0.0
    """Seconds in which that device has worked."""
    device_span_s: float = 0.0
    """Seconds since this process began to read its first chunk."""


Request = Begin | Confine | Count | Locate | Probe | TryOut | ReadFaces | Do | Measure | Guess
Answer = Counted | Located | Probed | FacesRead | Reading | Done | Starved | Measured | Fatal | Died | Lost | Sent
