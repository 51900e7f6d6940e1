"""A look at a few frames before a plan: how many faces they have, and how long reading them takes on this machine.

How long a job takes depends on both more than on anything that its inputs state: a crowd has a hundred faces a frame,
an interview one, and a decoder of 10-bit video takes several times as long as another. The detector of the flow is run
on a few frames, chosen evenly among those that are to be done, in a worker such as a run has, within the same budget.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from faceloom.errors import FaceloomError
from faceloom.events import OnEvent
from faceloom.job import Glimpse, Order
from faceloom.media.chunks import Chunk, PendingFrame, cut_chunks
from faceloom.memory.budget import Budget
from faceloom.messages import Died, Do, Done, Fatal, Reading, Starved
from faceloom.solver.wishes import FREE
from faceloom.store.rows import ChunkRows, Status
from faceloom.store.store import Store
from faceloom.supervisor.costs import stage_costs
from faceloom.supervisor.devices import DeviceRun, PlannedDevice, guessed, plan_devices
from faceloom.supervisor.host_seconds import reading_s
from faceloom.supervisor.workers import ON_HOST, WorkerPool

PLACES = 8
"""How many parts of the inputs are looked at."""
FRAMES_A_PLACE = 4
"""Of a video; the first of them pays for the seek, and is not timed."""
_MOST_PIXELS = 100_000_000
"""Of all frames that are looked at, as long as there are `_LEAST_PLACES`: a second or two of decoding."""
_LEAST_PLACES = 3
_LEAST_SHARE = 0.1
"""Reading never takes less than this share of what is typical: a clock can be wrong by that much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Looked:
    """What came of a request: rows, and whether their seconds count."""

    frames: Sequence[PendingFrame]
    rows: ChunkRows
    is_timed: bool


def places_among(
    frames: Iterable[PendingFrame], number: int, *, places: int = PLACES, frames_a_place: int = FRAMES_A_PLACE
) -> list[list[PendingFrame]]:
    """Chooses runs of consecutive frames, spread evenly over `number` frames, where reading can begin without waste.

    Each run begins with the last frame, at or before its place, at which decoding can start; a run of a picture is one
    frame. No run is chosen twice.
    """
    wanted = [(2 * place + 1) * number // (2 * places) for place in range(places)]
    chosen: list[list[PendingFrame]] = []
    current: list[PendingFrame] = []
    for rank, frame in enumerate(frames):
        if frame.starts or not current:
            current = []
        if len(current) < frames_a_place and (not current or current[-1].index + 1 == frame.index):
            current.append(frame)
        if rank in wanted and not any(run is current for run in chosen):
            chosen.append(current)
    return chosen


def glance(order: Order, store: Store, pool: WorkerPool, *, budget: Budget, on_event: OnEvent) -> Glimpse | None:
    """Looks at a few of the frames that are to be done; None where nothing can be learnt by that.

    That is so where faces are known already, where the detector has not been measured on this machine, and where it or
    the frames do not fit into the budget.
    """
    names = [stage.name for stage in order.flow.of("detect")]
    if not names:
        return None
    outputs = replace(order.outputs, write_chips=False, overlay=False, overlay_chips=False)
    alone = replace(
        order,
        flow=order.flow.part(names),
        outputs=outputs,
        wishes=FREE,
        cores=1,
        people=None,
        targets=order.targets[:1],
    )
    if pool.used or alone.targets[0].place != ON_HOST.place:
        pool.stop()  # who has read a few headers can look at frames too; not there, and not who has counted videos
    try:
        found = plan_devices(alone, store, pool, budget=budget, footprints_of=guessed, on_event=on_event)[0]
        if found.survey.too_large or not all(one.is_measured for one in found.survey.guess().values()):
            return None
        return _Glance(store, pool, found).take()
    except FaceloomError:  # the plan itself will tell
        return None
    finally:
        pool.stop()


class _Glance:
    """One worker that looks at some frames."""

    def __init__(self, store: Store, pool: WorkerPool, found: PlannedDevice) -> None:
        self._store = store
        self._pool = pool
        self._found = found
        self._number = 0

    def take(self) -> Glimpse | None:
        """Has the frames looked at; None where a worker could not do it."""
        pixels = max(1, self._found.survey.work.frame_bytes // 3)
        places = max(_LEAST_PLACES, min(PLACES, _MOST_PIXELS // (pixels * FRAMES_A_PLACE)))
        counts = self._store.frames.counts()
        runs = places_among(self._store.frames.pending(), counts.pending, places=places)
        device = DeviceRun(self._pool, self._found)
        device.follow(self._found.planned)
        self._do(runs[0][:1])  # libraries are loaded by the first frame
        looked = []
        for run in runs:
            begin = 1 if len(run) > 1 else 0
            parts = [(run[:begin], False), (run[begin:], True)]
            for frames, is_timed in parts:
                looked += [_Looked(frames=frames, rows=self._do(frames), is_timed=is_timed)] if frames else []
        return self._seen(looked, pixels)

    def _do(self, frames: Sequence[PendingFrame]) -> ChunkRows:
        """The rows of some frames.

        Raises:
            FaceloomError: the worker could not do them.
        """
        (spans,) = cut_chunks(frames, frames_a_chunk=lambda: len(frames))
        (worker,) = self._pool.workers
        worker.send(Do(Chunk(number=self._number, spans=spans), self._store.files_of(self._number)))
        self._number += 1
        while isinstance(answer := self._pool.receive()[2], Reading):
            pass
        match answer:
            case Done(rows):
                return rows
            case Died() | Starved() | Fatal():
                raise FaceloomError(f"a look at some frames came to nothing: {answer}")
        raise AssertionError(answer)

    def _seen(self, looked: Sequence[_Looked], pixels: int) -> Glimpse | None:
        """What was seen, where any frame could be read."""
        frames = sum(row.status is Status.DONE for one in looked for row in one.rows.frames)
        faces = sum(face.rejected is None for one in looked for face in one.rows.faces)
        timed = [one for one in looked if one.is_timed]
        return Glimpse(frames=frames, faces=faces, reading=self._reading(timed, pixels)) if frames else None

    def _reading(self, timed: Sequence[_Looked], pixels: int) -> float:
        """How many times as long as is typical reading took: what is left of the seconds beside the network's.

        A device beside the host works while the host reads, so that seconds there tell nothing.
        """
        frames = [
            (frame.source.kind, frame.source.name[-4:], 1, (row.height or 0) * (row.width or 0) or pixels)
            for one in timed
            for frame, row in zip(one.frames, one.rows.frames, strict=False)
        ]
        typical_s = reading_s(frames)
        if not typical_s or self._found.target.has_memory:
            return 1.0
        costs = stage_costs(self._found.order.flow, self._found.survey.guess(), self._found.survey.work)
        network_s = sum(cost.items_per_frame * min(s / batch for batch, s in cost.batch_s.items()) for cost in costs)
        spent_s = sum(one.rows.processor_s for one in timed) / len(frames) - network_s
        return max(_LEAST_SHARE, spent_s / typical_s)
