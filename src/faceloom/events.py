"""What a run tells whoever watches it."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, TypeAlias

OUT_OF_MEMORY = "oom"
REPLANNED = "replanned"
WORKER_RESTARTED = "worker_restarted"
SOURCE_CHANGED = "source_changed"
NOT_MEASURED = "not_measured"
FORGOTTEN = "forgotten"
NOT_AN_INPUT = "not_an_input"
NOT_DONE_YET = "not_done_yet"
DEVICE_LOST = "device_lost"
NODE_JOINED = "node_joined"
TRIED_ANYWAY = "tried_anyway"
FROM_CHIPS = "from_chips"
SHARDS_MISSING = "shards_missing"
OTHER_VERSIONS = "other_versions"
NOT_GROUPED = "not_grouped"
CHIPS_LOST = "chips_lost"
NOT_CARRIED = "not_carried"
NOT_PUBLISHED = "not_published"
NO_EFFECT = "no_effect"
NO_CUTS = "no_cuts"
NOT_REMADE = "not_remade"
_SIZES = ("peak_bytes", "predicted_peak_bytes", "budget_bytes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetching:
    """A weight file is being fetched."""

    name: str
    done_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Measuring:
    """What a stage costs on this machine is being measured, once."""

    stage: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Counting:
    """The inputs are being counted."""

    sources: int
    frames: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Frames go through the plan."""

    stages: tuple[str, ...]
    """Of the phase that is under way."""
    phase: int
    """1-based."""
    phases: int
    frames: int
    """Done, those of earlier runs included."""
    total_frames: int
    faces: int
    frames_per_second: float
    eta_s: float | None
    held_bytes: int
    """Most memory of the host that all processes have held so far."""
    budget_bytes: int
    devices: tuple[str, ...] = ()
    """That take part, if there are several; the phase is then that of the one that has told of itself last."""
    cards: tuple[tuple[str, int, int], ...] = ()
    """Names of devices that have a memory of their own, most bytes held of it so far, and its budget."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracking:
    """Frames of videos are looked at for cuts."""

    source: str
    frames: int
    total_frames: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """A source is written anew with its faces covered."""

    source: str
    frames: int
    """Written so far."""
    number: int
    """0-based."""
    total: int
    """Of all sources that are written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something that a person should know and that stops nothing; it is noted in the store too."""

    kind: str
    """One of the names above."""
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CardSummary:
    """What a run held of a device that has a memory of its own, and how it was used."""

    peak_bytes: int
    predicted_peak_bytes: int
    budget_bytes: int
    busy_share: float = 0.0
    """The share of the time from its first frame on in which the device worked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSummary:
    """What a node of a cluster has done in a run, and what its workers held of its memory."""

    frames: int
    peak_bytes: int
    predicted_peak_bytes: int
    budget_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """How a run ended."""

    frames: int
    """Done and failed, those of earlier runs included."""
    faces: int
    failed: int
    skipped: int
    """Frames that earlier runs had done."""
    seconds: float
    peak_bytes: int
    """Most that all processes held of the host's memory together, as measured."""
    predicted_peak_bytes: int
    """By the last plan."""
    budget_bytes: int
    events: dict[str, int]
    """How often each kind of notice was given."""
    images: dict[str, int]
    """That each network was given in this run, by stage."""
    plan: dict[str, Any]
    failures: tuple[str, ...]
    """The first of them, in words."""
    outcome: str
    """done, or interrupted."""
    cards: Mapping[str, CardSummary] = field(default_factory=dict)
    """By the names of devices that have a memory of their own."""
    device_frames: Mapping[str, int] = field(default_factory=dict)
    """How many frames each device has done in this run, if there were several."""
    damaged: int = 0
    """Frames that are done, of which something was lost: what was left of a picture that was cut off was used, say."""
    damages: tuple[str, ...] = ()
    """The first of them, in words."""
    nodes: Mapping[str, NodeSummary] = field(default_factory=dict)
    """By their names, the nodes of the cluster that did the work, if one did."""

    def after(self, first: "Summary") -> "Summary":
        """Adds up two runs one after the other over the same sources, this one being the second."""
        kinds = {*first.events, *self.events}
        return replace(
            self,
            failed=first.failed + self.failed,
            skipped=first.skipped,
            seconds=first.seconds + self.seconds,
            peak_bytes=max(first.peak_bytes, self.peak_bytes),
            predicted_peak_bytes=max(first.predicted_peak_bytes, self.predicted_peak_bytes),
            events={kind: first.events.get(kind, 0) + self.events.get(kind, 0) for kind in kinds},
            images={**first.images, **self.images},
            cards={**first.cards, **self.cards},
            device_frames={**first.device_frames, **self.device_frames},
            nodes={**first.nodes, **self.nodes},
            failures=first.failures + self.failures,
        )

    def to_json(self) -> dict[str, Any]:
        """Gives the summary as `extract --json` prints it."""
        return {
            "frames": self.frames,
            "faces": self.faces,
            "failed": self.failed,
            "damaged": self.damaged,
            "skipped": self.skipped,
            "seconds": round(self.seconds, 3),
            **{name: {"cpu": getattr(self, name), **self._of_cards(name)} for name in _SIZES},
            "events": {kind: self.events.get(kind, 0) for kind in self._told_events},
            **({"device_frames": dict(self.device_frames)} if self.device_frames else {}),
            **({"device_busy": self._busy} if self.cards else {}),
            **({"nodes": {name: asdict(one) for name, one in self.nodes.items()}} if self.nodes else {}),
            "images": self.images,
            "plan": self.plan,
        }

    def _of_cards(self, name: str) -> dict[str, int]:
        return {card: getattr(told, name) for card, told in self.cards.items()}

    @property
    def _busy(self) -> dict[str, float]:
        return {card: round(told.busy_share, 3) for card, told in self.cards.items()}

    @property
    def _told_events(self) -> tuple[str, ...]:
        lost = (DEVICE_LOST,) if self.cards or self.device_frames or self.nodes else ()
        return (OUT_OF_MEMORY, REPLANNED, WORKER_RESTARTED, *lost)


Event: TypeAlias = Fetching | Measuring | Counting | Progress | Tracking | Writing | Notice
OnEvent: TypeAlias = Callable[[Event], None]
