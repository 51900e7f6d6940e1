"""The survey of a job before its first frame: how large its frames are, and what its stages cost with such frames."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Protocol

from faceloom.canvases import looks_a_frame
from faceloom.detect import Detector
from faceloom.engines.heap import LARGEST_KEPT_BYTES
from faceloom.errors import BudgetError
from faceloom.events import OnEvent
from faceloom.geometry.chips import PATCH_SCALE
from faceloom.job import Order, Outputs
from faceloom.media.chip_files import writing_bytes
from faceloom.media.sources import Shape, SourceKind
from faceloom.memory.footprints import Footprint
from faceloom.memory.usage import peak_bytes
from faceloom.solver.plan import HOST
from faceloom.solver.subsets import planning_bytes
from faceloom.store.frames import Counts
from faceloom.supervisor.costs import WAITING_LANES, Work
from faceloom.supervisor.host_seconds import face_s, reading_s
from faceloom.supervisor.planning import KEEP_BYTES, Planned
from faceloom.supervisor.profiling import Profiler, network_shape
from faceloom.supervisor.replanning import Planner
from faceloom.supervisor.rooms import Room
from faceloom.supervisor.workers import WorkerPool
from faceloom.targets import Target
from faceloom.units import KIB, MIB

EXPECTED_FACES = 1.0
"""How many faces a frame is expected to have, until some have been seen."""
LEAST_FACES = 0.01
"""Where none were seen: nothing divides by zero, and a plan still has room for one."""
EXPECTED_PATCH_BYTES = 256 * KIB
"""How large the patch of a face is expected to be, until some have been seen."""
SUPERVISOR_MORE_BYTES = 3 * MIB
"""What this process will additionally hold of rows on their way into the store (measured: 0.3 to 2.6 MiB)."""
LEAST_WORKER_BYTES = 96 * MIB
"""No worker has been seen to do anything with less: without a network and a frame it holds 86 to 112 MiB (measured), 17
less where there are no videos; a plan adds 10, and the smallest network and its frame more than that."""
_OVERLAY_FRAMES = 1.5
"""What drawing on a frame takes besides: a copy of it, and that as JPEG."""
NEARLY = 1.25
"""A run is refused where its largest frames need so many times the budget or less; where they need more, they fail."""
TYPICAL = Shape(height=1080, width=1920, reading_bytes=48 * MIB)
"""The shape that is assumed of frames about which nothing is known."""


class ListedFrames(Protocol):
    """Frames that are to be done, as far as their sizes are known."""

    def shapes(self) -> Iterator[tuple[SourceKind, Shape]]:
        """Every shape of them."""

    def counted(self) -> Iterator[tuple[SourceKind, Shape, int]]:
        """Every shape of them, and how many have it."""

    def starved_shapes(self) -> Iterator[tuple[SourceKind, Shape]]:
        """Every shape of those for which there was too little memory even to count them."""

    def pixels(self) -> Iterator[tuple[SourceKind, str, int, int]]:
        """Kind, last four letters of the name, number and sum of pixels of those whose sizes are known."""

    def counts(self) -> Counts:
        """How many there are."""


class Listing(Protocol):
    """What lists the frames of a job: a store, as a rule."""

    @property
    def frames(self) -> ListedFrames:
        """The frames."""


class Survey:
    """What is known of the frames that a store lists as still to be done."""

    def __init__(
        self,
        order: Order,
        target: Target,
        store: Listing,
        pool: WorkerPool,
        *,
        on_event: OnEvent,
        most_bytes: int | None = None,
        shapes: Sequence[tuple[SourceKind, Shape]] = (),
    ) -> None:
        """A survey, for one device, of all frames or of those that take no more than `most_bytes`; or of `shapes`."""
        self._again = partial(Survey, order, target, store, pool, on_event=on_event)
        self._store = store
        self._order = order
        self._target = target
        known = list(shapes or store.frames.shapes()) or [(SourceKind.VIDEO, TYPICAL)]
        self.has_videos = any(kind is SourceKind.VIDEO for kind, _ in known)
        """Whether any of them may be of a video."""
        shapes = [(kind, shape) for kind, shape in known if most_bytes is None or _takes(kind, shape) <= most_bytes]
        self.sizes = sorted({_takes(kind, shape) for kind, shape in shapes})
        """What reading and holding a frame takes, each size once."""
        self.too_large = [
            (kind, shape) for kind, shape in known if most_bytes is not None and _takes(kind, shape) > most_bytes
        ]
        """The shapes that are left out, each with the kind of its sources."""
        self.refusal: BudgetError | None = None
        """Why they are left out."""
        self._canvas_of = _largest_canvas(order, [(shape.height, shape.width) for _, shape in shapes])
        self._work = self._summed_up(shapes)
        self._profiler = Profiler(order, target, pool, on_event)

    def _summed_up(self, shapes: Sequence[tuple[SourceKind, Shape]]) -> Work:
        order, frames = self._order, self._store.frames
        reading = [_reading(kind, shape) for kind, shape in shapes]
        largest_bytes = max(shape.frame_bytes for _, shape in shapes)
        return Work(
            frames=max(1, frames.counts().pending),
            is_one_frame=frames.counts().pending == 1,
            less_bytes=_less(frames.counted(), shapes, order.cores),
            frame_bytes=largest_bytes,
            heap_frame_bytes=_heap_frame_bytes(shape for _, shape in shapes),
            decoder_bytes=max(decoder for decoder, _ in reading),
            reading_bytes=max(*(moment for _, moment in reading), _writing_bytes(order.outputs, largest_bytes)),
            faces_a_frame=_expected_faces(order),
            kept_bytes_a_frame=_kept_bytes(order, largest_bytes),
            decode_s=reading_s(frames.pixels()) * (order.seen.reading if order.seen else 1.0),
            face_s=face_s(order.outputs),
            looks_a_frame=_looks_a_frame(order, self._canvas_of),
            has_videos=self.has_videos,
        )

    @property
    def work(self) -> Work:
        """What there is to do, as a plan sees it."""
        return self._work

    @property
    def is_for_a_card(self) -> bool:
        """Whether it is for a device with a memory of its own."""
        return self._target.has_memory

    def nearly_fits(self, refusal: BudgetError, budget_bytes: int) -> bool:
        """Whether all frames would be done with a little more than was asked for, which is to be had."""
        asked, needed = self._order.memory_bytes, refusal.needed_bytes or 0
        is_to_be_had = asked is not None and asked <= budget_bytes and not self.is_for_a_card
        return is_to_be_had and needed <= NEARLY * budget_bytes

    @property
    def leaves_most_out(self) -> bool:
        """Whether more frames are too large than are done."""
        counted = list(self._store.frames.counted())
        return 2 * sum(n for kind, shape, n in counted if (kind, shape) in self.too_large) > sum(n for *_, n in counted)

    def is_hopeless(self, budget_bytes: int) -> bool:
        """Whether no plan fits the budget, whatever the stages and frames need."""
        beside = self._target.relay_bytes if self._target.node else _supervisor_bytes()
        return budget_bytes < beside + LEAST_WORKER_BYTES

    @property
    def _supervisor_bytes(self) -> int:
        """What this process may come to hold on the machine that is planned for."""
        if self._target.node:
            return 0
        flow = self._order.flow
        # Where there are masks in a chunk's rows, as much as a worker keeps of them (of 70 faces 2 MiB were measured).
        rows_bytes = KEEP_BYTES[0] if any(stage in flow.networks for stage in flow.of("mask")) else 0
        return _supervisor_bytes() + planning_bytes(len(flow.stages)) + rows_bytes

    def up_to(self, most_bytes: int) -> "Survey":
        """A survey of the frames that take no more than `most_bytes`."""
        return self._again(most_bytes=most_bytes)

    def with_uncounted(self) -> "Survey":
        """A survey of these frames and of those for which memory was too little even to count them."""
        shapes = [*self._store.frames.shapes(), *self._store.frames.starved_shapes()]
        return self._again(shapes=shapes)

    def measure(
        self, *, worker_bytes: int, device_bytes: int | None = None, again: bool = False
    ) -> dict[str, Footprint]:
        """What every stage costs: measured before, or now within these limits, or guessed if it cannot be.

        Raises:
            FaceloomError: a stage cannot be loaded, or breaks its contract.
        """
        return self._profiler.measure(
            self._canvas_of, worker_bytes=worker_bytes, device_bytes=device_bytes or 0, again=again
        )

    def guess(self) -> dict[str, Footprint]:
        """What every stage costs: measured before, or guessed."""
        return self._profiler.guess(self._canvas_of)

    def planner(
        self, footprints: Mapping[str, Footprint], *, budget_bytes: int, device_bytes: int | None = None
    ) -> Planner:
        """A planner for these frames."""
        cards = sum(target.runtime.kind != HOST for target in self._order.targets)
        room = Room(
            budget_bytes=budget_bytes,
            supervisor_bytes=self._supervisor_bytes,
            relay_bytes=self._target.relay_bytes,
            workers=max(1, self._order.cores - cards) if self._target.name == HOST else 1,
            memory_bytes=self._order.memory_bytes,
            device=self._target.name,
            device_bytes=device_bytes,
            device_memory_bytes=self._target.memory_bytes,
            lanes=max(1, self._order.cores // max(1, cards)) + WAITING_LANES,
        )
        return Planner(self._order, self._target, footprints, self._work, room)


_Part = tuple[Survey, Planner, Planned]
"""The frames that are done, and the best plan for them."""


def plan_what_fits(
    survey: Survey,
    footprints_of: Callable[[Survey], Mapping[str, Footprint]],
    *,
    budget_bytes: int,
    device_bytes: int | None = None,
) -> _Part:
    """The best plan for all frames, or else for all but the largest: one huge picture does not refuse the others.

    Raises:
        BudgetError: not even the smallest frames fit, or most do not, or all would with a little more than was asked
            for; it says what all of them need.
    """

    def attempt(some: Survey, footprints: Mapping[str, Footprint]) -> _Part:
        planner = some.planner(footprints, budget_bytes=budget_bytes, device_bytes=device_bytes)
        return some, planner, planner.plan()

    if survey.is_hopeless(budget_bytes):
        every = survey.with_uncounted()
        return attempt(every, every.guess())
    costs = footprints_of(survey)
    try:
        return attempt(survey, costs)
    except BudgetError as error:
        refusal = error
    if survey.planner(costs, budget_bytes=budget_bytes, device_bytes=device_bytes).would_fit_without_wishes:
        raise refusal  # no frame is given up for a wish
    if survey.nearly_fits(refusal, budget_bytes):
        raise refusal
    best = _largest_part(survey, lambda some: attempt(some, footprints_of(some)))
    if best is None or best[0].leaves_most_out:
        raise refusal
    best[0].refusal = refusal
    return best


def _largest_part(survey: Survey, attempt: Callable[[Survey], _Part]) -> _Part | None:
    """What an attempt gives for as many frames as fit, the smallest first, found by halving; None if none do."""
    sizes = survey.sizes
    best = None
    low, high = 0, len(sizes) - 1  # the last does not fit
    while low < high:
        middle = (low + high) // 2 if best else 0  # where the smallest does not fit, nothing does
        try:
            best = attempt(survey.up_to(sizes[middle]))
        except BudgetError:
            if best is None:
                break
            high = middle
        else:
            low = middle + 1
    return best


def probe_bytes(budget_bytes: int) -> int:
    """What a process that counts and reads headers may hold: no less than it does by itself.

    Under a budget that is below that, and will be refused, it looks into the inputs all the same: which budget would do
    can be named only once the sizes are known.
    """
    return max(LEAST_WORKER_BYTES, budget_bytes - _supervisor_bytes())


def refuse_starved(
    order: Order, store: Listing, pool: WorkerPool, *, budget_bytes: int, on_event: OnEvent, device_bytes: int | None
) -> None:
    """Raises an error if there are frames that memory was too little even to count, and no plan fits them.

    Raises:
        BudgetError: it names what would do.
    """
    shapes = list(store.frames.starved_shapes())
    if shapes:
        survey = Survey(order, order.targets[0], store, pool, on_event=on_event, shapes=shapes)
        survey.planner(survey.guess(), budget_bytes=budget_bytes, device_bytes=device_bytes).plan()


def _supervisor_bytes() -> int:
    """What this process may come to hold."""
    return peak_bytes() + SUPERVISOR_MORE_BYTES


def _heap_frame_bytes(shapes: Iterable[Shape]) -> int:
    return max((shape.frame_bytes for shape in shapes if shape.frame_bytes <= LARGEST_KEPT_BYTES), default=0)


def _takes(kind: SourceKind, shape: Shape) -> int:
    return shape.frame_bytes + sum(_reading(kind, shape))


def _less(
    counted: Iterable[tuple[SourceKind, Shape, int]], shapes: Sequence[tuple[SourceKind, Shape]], workers: int
) -> tuple[int, ...]:
    """By how much less than the largest frame takes each of the next ones, which workers have beside it."""
    there = [
        takes
        for kind, shape, number in counted
        if (kind, shape) in shapes
        for takes in [_takes(kind, shape)] * min(workers, number)
    ]
    most = max(_takes(*one) for one in shapes)
    return tuple(most - takes for takes in sorted(there, reverse=True))


def _reading(kind: SourceKind, shape: Shape) -> tuple[int, int]:
    """What reading a frame of this shape holds as long as its source is open, and what for a moment."""
    if kind is SourceKind.PICTURE:
        return 0, shape.reading_bytes
    # A video's decoder keeps pictures; the copy that is turned into RGB goes with each frame.
    return shape.reading_bytes - shape.frame_bytes, shape.frame_bytes


def _writing_bytes(outputs: Outputs, frame_bytes: int) -> int:
    """What making a chip or an overlay takes for a moment: nothing else of a frame is then under way."""
    overlay = round(_OVERLAY_FRAMES * frame_bytes) if outputs.overlay else 0
    if not outputs.write_chips:
        return overlay
    return max(overlay, writing_bytes(outputs.chip_format, size=outputs.chip_size, border=outputs.border))


def _kept_bytes(order: Order, frame_bytes: int) -> float:
    """What is kept of a frame for the next phase, until some have been seen; of one that is a face, all of it."""
    if order.outputs.framing.is_frame:
        return float(frame_bytes)
    return _expected_faces(order) * EXPECTED_PATCH_BYTES * _patch_area(order.outputs)


def _expected_faces(order: Order) -> float:
    """How many faces a frame is expected to have: as many as were seen, if frames were looked at."""
    return max(LEAST_FACES, order.seen.faces / order.seen.frames) if order.seen else EXPECTED_FACES


def _patch_area(outputs: Outputs) -> float:
    """The area that is kept of a frame around a face, as a multiple of the patch that stages read."""
    return (outputs.framing.patch_scale / PATCH_SCALE) ** 2


def _looks_a_frame(order: Order, shape: tuple[int, int]) -> float:
    """How often the flow's detector is expected to look at a frame of this shape."""
    looks = [
        looks_a_frame(stage.plugin, *shape) for stage in order.flow.of("detect") if isinstance(stage.plugin, Detector)
    ]
    return max(looks, default=1.0)


def _largest_canvas(order: Order, shapes: list[tuple[int, int]]) -> tuple[int, int]:
    """Of frame shapes (height, width), the one of which the flow's detector makes the largest canvas.

    Where faces are known there is no detector, and nothing that is measured depends on frames.
    """
    if not order.flow.of("detect"):
        return shapes[0]
    (detect,) = order.flow.of("detect")

    def pixels(shape: tuple[int, int]) -> tuple[int, tuple[int, int]]:
        height, width = network_shape(detect, shape)
        return height * width, shape

    return max(shapes, key=pixels)
