"""What is asked of a run, and what a worker is told once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from faceloom.choices import Border, ChipFormat, Subsampling
from faceloom.engines.runtime import ON_CPU, Runtime
from faceloom.flow import Flow
from faceloom.geometry.chips import STANDARD, Framing
from faceloom.media.excerpts import WHOLE, Excerpt
from faceloom.selection import EVERY_FACE, Choice, People
from faceloom.solver.plan import Plan
from faceloom.solver.wishes import FREE, Wishes
from faceloom.targets import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """What is made of each face besides its row."""

    chip_size: int = 512
    chip_format: ChipFormat = ChipFormat.JPG
    subsampling: Subsampling = Subsampling.NONE
    """Of JPEG chips."""
    write_chips: bool = True
    mask_size: int = 256
    overlay: bool = False
    overlay_chips: bool = False
    share: bool = False
    """Whether the umask decides who may read what is written; otherwise only its owner may."""
    framing: Framing = STANDARD
    """The square that chips show, and masks cover."""
    border: Border | None = None
    """What chips show beyond the frame. None: black, or as those of a result folder that is gone on with."""
    max_border: float | None = None
    """The largest share of a chip beyond the frame that a face may have and not be rejected."""

    @property
    def edge(self) -> Border:
        """What chips show beyond the frame, where no folder has chips already."""
        return self.border or Border.BLACK


@dataclass(frozen=True, slots=True, kw_only=True)
class FacesFile:
    """A file, or a folder, that tells which faces there are, so that no detector need look for them."""

    path: Path
    format: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Derivation:
    """The result folder whose faces get other chips."""

    folder: Path
    framing: Framing
    """The square that its masks cover."""
    models: tuple[Mapping[str, str], ...]
    """By look, sha256 of the weights of each stage that found the faces; the first look is the flow's own."""
    raw: bool = False
    """Whether corrections are left out."""
    smooth: bool = False
    """Whether faces in tracks are taken as they are steady."""
    interpolated: bool = False
    """Whether faces get chips that nothing was seen of, and that are laid between others of their track."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Glimpse:
    """What a look at a few of the frames has shown."""

    frames: int
    faces: int
    """In all of them together."""
    reading: float = 1.0
    """How many times as long as is typical it takes to read one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is asked for; how it is done is planned when the inputs are known."""

    flow: Flow
    weights: Mapping[str, Path]
    """Prepared network file of each stage that has one, by stage name."""
    outputs: Outputs
    cores: int
    memory_bytes: int | None = None
    """RAM for all processes together; None: what is free, but for a reserve."""
    reserve_bytes: int | None = None
    """What is left to other programs of what is free; None: the usual reserve, where nothing was asked for."""
    wishes: Wishes = FREE
    """What plans are held to; nothing that is found depends on it."""
    footprints: Path
    """Folder of measured footprints."""
    excerpt: Excerpt = WHOLE
    """Of every video."""
    choice: Choice = EVERY_FACE
    """Of what detectors find."""
    raw_colours: bool = False
    """Whether the colours of pictures stay as they are stored, whatever their profiles say."""
    targets: tuple[Target, ...] = (Target(),)
    """The devices whose workers do it."""
    faces_file: FacesFile | None = None
    """Where the faces are known from, if the flow has no detector."""
    aligned: bool = False
    """Whether pictures are faces already, and the flow has no detector for that."""
    people: People | None = None
    """Whose faces are kept; everybody's if left out."""
    derivation: Derivation | None = None
    """Whose faces get other chips, if nothing is to be found."""
    chips_of: Path | None = None
    """The result folder whose chips take the place of sources that are gone, if any may."""
    corrections: Path | None = None
    """The result folder whose corrections are carried here at the end."""
    scratch_bytes: int | None = None
    """What remote inputs may take of the disk while they are read; None: the usual."""
    retry_failed: bool = False
    """Whether all that failed before is done again, whyever it failed."""
    seen: Glimpse | None = None
    """What is known of the frames before they are done; None: nothing."""
    threads: int | None = None
    """The most cores that were asked for, of each machine; None if nothing was."""
    cluster: str | None = None
    """Where the workers run, as `--cluster` names it; None: on this machine."""
    choose_targets: Callable[[], tuple[Target, ...]] | None = None
    """Finds the devices that are meant on the machine on which it is called, for a cluster."""

    @property
    def runtime(self) -> Runtime:
        """What runs the networks on the first of the devices."""
        return self.targets[0].runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineJob:
    """What an engine is told."""

    runtime: Runtime = ON_CPU
    arena_bytes: int = 0
    """Limit of its networks and their activations; 0 is none."""
    reserve_bytes: tuple[int, ...] = ()
    """What to reserve for activations in each phase; nothing if left out."""
    weights_bytes: int = 0
    """The part of that limit which the networks of the largest phase take."""
    base_bytes: int = 0
    """Of a device that has a memory of its own: what a process holds of it besides what the engine does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Everything a worker needs to turn chunks into rows."""

    flow: Flow
    weights: Mapping[str, Path]
    """Prepared network file of each stage that has one, by stage name."""
    plan: Plan
    outputs: Outputs
    in_flight_bytes: int
    """Bytes of pixels that may be in flight before another frame is read."""
    read_bytes: int = 0
    """What each read that is under way counts in that; 0 where there is one lane, and so no other."""
    engine: EngineJob = field(default_factory=EngineJob)
    """What runs the networks."""
    host_engine: EngineJob | None = None
    """What runs the stages that the plan has placed on the host of another device."""
    worker_bytes: int = 0
    """Limit of what a worker process may hold of the host's memory; 0 is none."""
    choice: Choice = EVERY_FACE
    """Of what detectors find."""
    raw_colours: bool = False
    """Whether the colours of pictures stay as they are stored, whatever their profiles say."""
    trim_above_bytes: int = 0
    """A worker process keeps what it frees, which is faster, until it holds more than this; 0 if it keeps nothing."""
    people: People | None = None
    """Whose faces are kept; everybody's if left out."""
    derivation: Derivation | None = None
    """Whose faces get other chips, if nothing is to be found."""
    aligned: bool = False
    """Whether pictures are faces already, and the flow has no detector for that."""
    chips_of: Path | None = None
    """The result folder whose chips take the place of sources that are gone, if any may."""
    has_videos: bool = True
    """Whether any of the sources may be a video."""
    report_every_s: float = 0.2
    """How often a worker says how far it is, at most."""
