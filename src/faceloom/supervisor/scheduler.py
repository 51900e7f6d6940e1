"""The scheduler: chunks go from one queue to the devices' workers, and their answers into one store."""

import logging
import queue
import time
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from typing import Any

from faceloom.errors import ContractError, DeviceLostError, StageError, StoreError
from faceloom.events import (
    DEVICE_LOST,
    OUT_OF_MEMORY,
    REPLANNED,
    WORKER_RESTARTED,
    CardSummary,
    NodeSummary,
    Notice,
    OnEvent,
)
from faceloom.faces import FrameId
from faceloom.job import Order
from faceloom.media.chunks import Chunk
from faceloom.memory.budget import Budget
from faceloom.memory.usage import peak_bytes
from faceloom.messages import Answer, Died, Do, Done, Fatal, Lost, Reading, Starved
from faceloom.store.frames import STARVED, Counts
from faceloom.store.rows import ChunkRows, FrameRow, Status
from faceloom.store.store import Store
from faceloom.supervisor.devices import DeviceRun, assemble_devices, leave_out, take_part
from faceloom.supervisor.inputs import ShouldStop
from faceloom.supervisor.node_intake import NodeIntake
from faceloom.supervisor.planning import CHUNKS_A_WORKER, Planned
from faceloom.supervisor.progress import ProgressMeter
from faceloom.supervisor.queue import Attempt, ChunkQueue, idlest, shortest_chunk
from faceloom.supervisor.workers import PooledWorker, WorkerPool

_LOG = logging.getLogger(__name__)
_AHEAD = 2
"""How many chunks a worker has at a time, so that it need not wait for the next one."""
_AHEAD_OF_A_DEVICE = 3
"""Where two of them are under way together."""
_LOOK_UP_S = 1.0
"""With a cluster, how long the scheduler waits for an answer before it looks for nodes and slow chunks."""
_LAST_CHUNK_S = 120.0
"""How long the chunks in hand on nodes are waited for when a run is asked to end."""
_PATIENCE_S = 30.0
"""How long a run waits for a node where none is left."""
_SLOW = 1.5
_SLOW_S = 2.0
"""A chunk is done once more elsewhere, if there is nothing else to do, when it takes so many times as long as any took,
and at least so many seconds."""
_HOPELESS_DEATHS = 8
_HOPELESSLY_STARVED = 3
_HOPELESS_LOSSES = 3
"""How often in a row a device may fail, with a new worker after each failure, before it is left out."""


class Scheduler:
    """Has the frames of a run done under the plans of its devices."""

    def __init__(
        self,
        order: Order,
        store: Store,
        pool: WorkerPool,
        *,
        budget: Budget,
        on_event: OnEvent,
        should_stop: ShouldStop,
        nodes: NodeIntake | None = None,
    ) -> None:
        """A scheduler for this machine's devices, or for those of a cluster's `nodes`."""
        self._finds_faces = bool(order.flow.of("detect"))
        self._store = store
        self._pool = pool
        self._tell = on_event
        self._should_stop = should_stop
        self._budget = budget
        self._nodes = nodes
        self._devices = self._first_devices(order)
        self._all_devices = list(self._devices)
        self._before_bytes = pool.peak_bytes  # what counting and measuring took
        self.predicted_peak_bytes = peak_bytes() + self._before_bytes
        counts = store.frames.counts()
        self._frames = counts.pending
        self._meter = self._new_meter(order, counts)
        self._dealt_to = self._devices[0]
        self._begun: dict[int, float] = {}
        """When each chunk that is under way was given to its worker."""
        self._block = order.flow.detect_every
        self._queue = ChunkQueue(store.frames.pending(), self._chunk_frames, first=store.next_chunk, block=self._block)
        self._chunk_s = 0.0
        """How long the longest chunk took so far."""
        self._alone_since: float | None = None
        """Since when no node is left, and what the last one was lost over."""
        self._last_loss: Exception | None = None
        self.images: Counter[str] = Counter()
        """How many images each network was given, in chunks that have been committed."""

    def _first_devices(self, order: Order) -> list[DeviceRun]:
        """Those that are there when the run begins."""
        if self._nodes is None:
            return assemble_devices(order, self._store, self._pool, budget=self._budget, on_event=self._tell)
        return take_part(self._nodes.first(), self._store, self._pool, on_event=self._tell)

    def _new_meter(self, order: Order, counts: Counts) -> ProgressMeter:
        networks = order.flow.networks
        drawn = [stage.name for stage in order.flow.stages if stage not in networks]
        return ProgressMeter(counts, self._tell, drawn=drawn, held_bytes=self._held_bytes)

    @property
    def cards(self) -> dict[str, CardSummary]:
        """What was held of each device that has a memory of its own."""
        return {
            device.name: CardSummary(
                peak_bytes=device.peak_bytes,
                predicted_peak_bytes=device.predicted_peak_bytes,
                budget_bytes=device.planner.device_bytes,
                busy_share=device.busy_share,
            )
            for device in self._all_devices
            if device.planner.device_bytes is not None
        }

    @property
    def device_frames(self) -> dict[str, int]:
        """How many frames each of several devices has done."""
        several = len(self._all_devices) > 1
        return {device.name: device.frames for device in self._all_devices} if several else {}

    @property
    def nodes(self) -> dict[str, NodeSummary]:
        """What each node of a cluster has done, and what its workers held; empty without one."""
        return {
            device.name: NodeSummary(
                frames=device.frames,
                peak_bytes=device.host_peak_bytes,
                predicted_peak_bytes=device.planned.plan.host_bytes,
                budget_bytes=device.planner.budget_bytes,
            )
            for device in self._all_devices
            if device.target.node is not None
        }

    @property
    def plan(self) -> dict[str, Any]:
        """The plan that is followed; with several devices, the plan of each."""
        plans = {device.name: device.planned.plan.to_json() for device in self._all_devices}
        return {"devices": plans} if len(plans) > 1 else next(iter(plans.values()))

    def do(self) -> None:
        """Has every pending frame done and committed, or as many as there are until it is asked to stop."""
        while not self._should_stop():
            self._take_in()
            for device in tuple(self._devices):
                if device.wanted is not None and not device.is_busy:
                    self._follow(device, device.wanted)
                self._deal(device)
            if any(device.is_busy for device in self._devices):
                self._hear_soon()
            elif not self._devices:
                self._await_node()
            elif all(device.wanted is None for device in self._devices):
                return
        self._finish()

    def _held_bytes(self) -> int:
        """The most that was held: by all processes here, or by the workers of all nodes."""
        if self._nodes is None:
            return peak_bytes() + sum(worker.peak_bytes for worker in self._pool.workers)
        return sum(device.host_peak_bytes for device in self._all_devices)

    def _take_in(self) -> None:
        """Has nodes take part that have come since the run began."""
        for found in self._nodes.poll() if self._nodes else ():
            if found.survey.too_large:
                leave_out(found.target.place, "its frames are too large", self._tell)
                continue
            device = DeviceRun(self._pool, found)
            self._devices.append(device)
            self._all_devices.append(device)
            self._alone_since = None

    def _await_node(self) -> None:
        """Waits a little for a node, where none is left.

        Raises:
            DeviceLostError: none has come.
        """
        now = time.monotonic()
        self._alone_since = self._alone_since or now
        if now - self._alone_since > _PATIENCE_S and not (self._nodes and self._nodes.is_open):
            message = f"no node of the cluster is left ({self._last_loss}); the same command goes on from here"
            raise DeviceLostError(message) from self._last_loss
        with suppress(queue.Empty):
            self._pool.receive(within_s=_LOOK_UP_S)

    def _hear_soon(self) -> None:
        """Waits for the next answer; with a cluster no longer than it takes to see what else there is to do."""
        if self._nodes is None:
            self._hear()
            return
        with suppress(queue.Empty):
            self._hear(within_s=_LOOK_UP_S)

    def _chunk_frames(self) -> int:
        """The frames of the next chunk: as planned, or fewer where little is known yet and near the end.

        The first ones show how many faces there are, and of short ones workers end at about one time.
        """
        planned = self._dealt_to.planned
        plan = planned.plan
        if len(plan.phases) > 1:
            return plan.chunk_frames
        shortest = shortest_chunk(planned.share.seconds / planned.problem.frames)
        if not any(device.frames for device in self._devices):
            return min(plan.chunk_frames, shortest)
        workers = sum(device.planned.plan.workers for device in self._devices)
        share = (self._frames - self._queue.frames_cut) // (CHUNKS_A_WORKER * workers)
        return min(plan.chunk_frames, max(shortest, share))

    def _finish(self) -> None:
        """Waits for the chunk that each worker has in hand, and no more."""
        busy = {worker for worker in self._pool.workers if worker.is_busy}
        while busy := {worker for worker in busy if worker in self._pool.workers}:
            try:
                worker, answer = self._hear(within_s=None if self._nodes is None else _LAST_CHUNK_S)
            except queue.Empty:
                return
            if not isinstance(answer, Reading):
                busy.discard(worker)

    def _deal(self, device: DeviceRun) -> None:
        """Gives every worker its next chunks, unless another plan is waiting for all of them to be done."""
        if device.wanted is None:
            starving = self._queue.is_starving(device.name) and not any(
                other.is_frugal for other in self._devices if other is not device
            )
            if starving is not device.is_frugal:
                device.is_frugal = starving
                device.wanted = device.planner.frugal_plan() if starving else device.best_plan()
                how = "one stage and one item at a time, for this chunk" if starving else "as before that chunk"
                self._tell(Notice(kind=REPLANNED, text=f"planned again: {how}"))
        if device.wanted is not None:
            return
        device.start()
        self._dealt_to = device
        ahead = _AHEAD_OF_A_DEVICE if device.planned.plan.lanes > 1 else _AHEAD
        workers, most = device.workers, 1 if device.is_frugal else ahead
        while (place := idlest([len(worker.open) for worker in workers], most)) is not None:
            chunk = self._queue.begin(workers[place], device=device.name, starving=device.is_frugal)
            if chunk is None and self._nodes is not None and not workers[place].open:
                chunk = self._once_more(device)
            if chunk is None:
                return
            self._begun[chunk.number] = time.monotonic()
            known = () if self._finds_faces else tuple(self._store.known_faces(chunk.spans))
            leads = tuple(self._store.frames.leads(chunk.spans, self._block)) if self._block > 1 else ()
            workers[place].send(Do(chunk, self._store.files_of(chunk.number), known, leads))

    def _once_more(self, device: DeviceRun) -> Chunk | None:
        """A chunk that another node has, for a worker that would have nothing to do: whichever is done first counts.

        One that waits there behind another, or else the one that takes longer than any has taken so far.
        """
        others = [worker for one in self._devices if one is not device for worker in one.workers]
        waiting = [number for worker in others for number in _chunks_of(worker)[1:]]
        now = time.monotonic()
        heads = [number for worker in others for number in _chunks_of(worker)[:1]]
        slow = [number for number in heads if now - self._begun[number] > max(_SLOW_S, _SLOW * self._chunk_s)]
        number = next((one for one in [*waiting[::-1], *sorted(slow)] if self._queue.is_single(one)), None)
        return None if number is None else self._queue.double(number)

    def _follow(self, device: DeviceRun, planned: Planned) -> None:
        """Starts workers under a plan, in place of those there are."""
        self._stop(*(worker for worker in device.workers if not worker.is_fresh))
        plan = device.follow(planned)
        _LOG.info("on %s from here on: %s", device.name, plan.to_json())
        budget = self._budget.host_bytes
        if self._nodes is not None:
            budget = sum(one.planner.budget_bytes for one in self._devices)
        supervisor = max(one.planner.supervisor_bytes for one in self._devices)
        host = sum(one.planned.plan.host_bytes - one.planner.supervisor_bytes for one in self._devices)
        # The plan of a chunk that nothing fits is tried within the budget all the same.
        predicted = min(supervisor + max(host, self._before_bytes), budget)
        self.predicted_peak_bytes = max(self.predicted_peak_bytes, predicted)
        self._store.note_plan(self.plan)
        self._meter.follow(device.name, plan, budget_bytes=budget)

    def _stop(self, *workers: PooledWorker) -> None:
        for worker in workers:
            self._queue.leave(worker)
            self._meter.drop(worker)
        if workers:
            self._pool.stop(*workers)

    def _hear(self, *, within_s: float | None = None) -> tuple[PooledWorker, Answer]:
        """Waits for the next answer, and does what follows from it.

        Raises:
            queue.Empty: there is none within so many seconds.
        """
        worker, request, answer = self._pool.receive(within_s=within_s)
        device = next(one for one in self._devices if worker in one.workers)
        if worker.held.device_peak_bytes:
            device.peak_bytes = max(device.peak_bytes, worker.held.device_peak_bytes)
            device.note_work(worker)
            self._meter.note_card(device.name, device.peak_bytes)
        device.note_held()
        if isinstance(request, Do) and request.chunk.number in worker.unwanted:
            worker.unwanted.discard(request.chunk.number)
            self._store.drop_files(request.chunk.number)
            return worker, answer
        match answer:
            case Reading(frames, phase):
                self._meter.read(device.name, worker, frames, phase)
            case Done(rows):
                device.deaths_in_a_row = device.losses_in_a_row = 0
                device.frames += len(rows.frames)
                self._chunk_s = max(self._chunk_s, time.monotonic() - self._begun.pop(rows.number))
                self._leave_undone(self._queue.end(rows.number, len(rows.frames)))
                self._commit(device, worker, rows)
                self._learn(device, worker, rows)
            case Starved():
                assert isinstance(request, Do)
                device.deaths_in_a_row = 0
                self._starved(device, worker, request, answer)
            case Died(reason):
                self._died(device, worker, reason)
            case Lost(reason):
                self._lost(device, worker, reason)
            case Fatal(error):
                self._failed(device, worker, error)
        return worker, answer

    def _commit(self, device: DeviceRun, worker: PooledWorker, rows: ChunkRows) -> None:
        self.images.update(rows.images)
        self._store.commit(rows)
        _LOG.debug("chunk %d on %s: %d frames, %d faces", rows.number, device.name, len(rows.frames), len(rows.faces))
        self._meter.commit(device.name, worker, rows)

    def _leave_undone(self, number: int | None) -> None:
        """Has nobody wait for a chunk that another worker has done meanwhile."""
        for worker in self._pool.workers if number is not None else ():
            if number in _chunks_of(worker):
                worker.unwanted.add(number)

    def _learn(self, device: DeviceRun, worker: PooledWorker, rows: ChunkRows) -> None:
        """Plans again for the chunks to come if this one went otherwise than planned."""
        for stage, batch in rows.starved:
            self._tell(
                Notice(kind=OUT_OF_MEMORY, text=f"{stage} did not get the memory for a batch of {batch} at once")
            )
        for one in self._devices:
            one.planner.note_done(len(rows.frames))
        others = sum(one.host_bytes for one in self._devices if one is not device)
        why = device.planner.observe(
            rows, holding=device.holding(worker, others_bytes=others), plan=device.planned
        ) or device.planner.outgrown(worker.held.peak_bytes, device.planned)
        if rows.starved:
            why = device.planner.starved(*rows.starved[0], device.planned.plan)
        if why and not device.is_frugal and device.wanted is None:
            self._plan_again(device, why)

    def _plan_again(self, device: DeviceRun, why: str) -> None:
        device.wanted = device.best_plan()
        self._tell(Notice(kind=REPLANNED, text=f"planned again: {why}"))

    def _starved(self, device: DeviceRun, worker: PooledWorker, request: Do, answer: Starved) -> None:
        """A chunk could not be done in the memory there is: with a better informed plan, with the most frugal one,
        in halves, and at last the one frame that is too much fails.
        """
        self._tell(Notice(kind=OUT_OF_MEMORY, text=f"{answer.reason}; doing the chunk again"))
        attempt = self._queue.lose(request.chunk.number)
        others = [self._queue.lose(number) for number in _chunks_of(worker)]
        self._stop(worker)
        if not attempt:  # another worker has it too
            self._queue.retry(*others)
            return
        attempt = replace(attempt, starved=attempt.starved + 1)
        if attempt.starved < _HOPELESSLY_STARVED:
            self._queue.retry(attempt, *others)
            belief = device.planner.starved(answer.stage, 1, device.planned.plan)
            if attempt.starved == 1:
                self._plan_again(device, belief)
        elif len(attempt) > 1:
            self._queue.retry(*attempt.halves(), *others)
        else:
            self._queue.retry(*others)
            self._give_up(device, worker, attempt, request.chunk.number, STARVED + answer.reason)

    def _died(self, device: DeviceRun, worker: PooledWorker, reason: str) -> None:
        """A worker is gone: its chunk is tried again, then in halves, and at last the one frame that kills it fails."""
        device.deaths_in_a_row += 1
        if device.deaths_in_a_row == _HOPELESS_DEATHS:
            error = StageError(f"no worker lives long enough to finish anything: {reason}", stage="worker")
            self._lose(device, error)
            return
        self._tell(Notice(kind=WORKER_RESTARTED, text=f"{reason}; starting another"))
        numbers = _chunks_of(worker)
        attempts = [self._queue.lose(number) for number in numbers]
        self._stop(worker)
        if not attempts or not attempts[0]:
            self._queue.retry(*attempts)
            return
        attempt, *others = attempts
        attempt = replace(attempt, deaths=attempt.deaths + 1)
        if attempt.deaths == 1:
            self._queue.retry(attempt, *others)
        elif len(attempt) > 1:
            self._queue.retry(*(replace(half, deaths=1) for half in attempt.halves()), *others)
        else:
            self._queue.retry(*others)
            self._give_up(device, worker, attempt, numbers[0], reason)

    def _lost(self, device: DeviceRun, worker: PooledWorker, reason: str) -> None:
        """A worker on a node is out of reach: what it had goes to others, and the node too if it is gone."""
        assert self._nodes is not None
        assert device.target.node is not None
        device.losses_in_a_row += 1
        is_hopeless = device.losses_in_a_row >= _HOPELESS_LOSSES + device.planned.plan.workers
        if is_hopeless or not self._nodes.has(device.target.node.id):
            self._lose(device, DeviceLostError(reason))
            return
        self._tell(Notice(kind=WORKER_RESTARTED, text=f"{reason}; starting another"))
        self._give_back(worker)

    def _failed(self, device: DeviceRun, worker: PooledWorker, error: Exception) -> None:
        """A worker on a card says why it cannot go on: the card is tried a few times more, anything else is final."""
        device.losses_in_a_row += 1
        if not isinstance(error, DeviceLostError) or device.losses_in_a_row == _HOPELESS_LOSSES:
            self._lose(device, error)
            return
        self._tell(Notice(kind=WORKER_RESTARTED, text=f"{device.name}: {error}; starting another worker"))
        self._give_back(worker)

    def _give_back(self, *workers: PooledWorker) -> None:
        """Puts what workers had in hand back into the queue; the frames are not at fault."""
        for worker in workers:
            attempts = [self._queue.lose(number) for number in _chunks_of(worker)]
            self._queue.retry(*attempts)
            self._stop(worker)

    def _lose(self, device: DeviceRun, error: Exception) -> None:
        """Leaves out a device; the others do its share.

        Raises:
            The error: there are no others, or it is no fault of the device.
        """
        if isinstance(error, ContractError | StoreError):
            raise error
        self._last_loss = error
        if len(self._devices) == 1 and self._nodes is None:
            if not device.target.has_memory:
                raise error
            hint = "see faceloom doctor, or go on with --device cpu"
            message = f"{device.name} was lost, and no other device is left: {error}; {hint}"
            raise DeviceLostError(message) from error
        self._give_back(*device.workers)
        self._devices.remove(device)
        self._queue.forget_devices()
        self._meter.leave(device.name)
        self._tell(Notice(kind=DEVICE_LOST, text=f"{device.name} is left out from now on: {error}"))

    def _give_up(self, device: DeviceRun, worker: PooledWorker, attempt: Attempt, number: int, reason: str) -> None:
        """Leaves one frame to the other devices, if there are any; otherwise gives it up, with the reason."""
        barred = attempt.barred | {device.name}
        if any(other.name not in barred for other in self._devices):
            device.deaths_in_a_row = 0
            self._queue.retry(replace(attempt, barred=barred, deaths=0, starved=0))
            return
        (span,) = attempt.spans
        frame = FrameRow(id=FrameId(span.source.name, span.first), status=Status.FAILED, reason=reason)
        self._commit(device, worker, ChunkRows(number=number, frames=(frame,), faces=(), seconds=0))


def _chunks_of(worker: PooledWorker) -> list[int]:
    """Numbers of the chunks that a worker has been told of and has not answered, in order, if they are wanted."""
    told = [request.chunk.number for request in worker.open if isinstance(request, Do)]
    return [number for number in told if number not in worker.unwanted]
