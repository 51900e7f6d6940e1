"""The supervisor: takes up the inputs, plans, hands chunks to worker processes, writes the store. It sees no pixel."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from faceloom.errors import BudgetError, MediaError, StageError
from faceloom.faces import FrameId
from faceloom.media.excerpts import WHOLE
from faceloom.memory.ram import read_ram
from faceloom.memory.usage import held_bytes, peak_bytes
from faceloom.plan.plan import Plan, one_phase
from faceloom.run.agenda import Agenda, Attempt
from faceloom.run.crew import Crew, Member
from faceloom.run.events import (
    OUT_OF_MEMORY,
    REPLANNED,
    SOURCE_CHANGED,
    WORKER_RESTARTED,
    Event,
    Notice,
    OnEvent,
    Summary,
)
from faceloom.run.importing import take_faces
from faceloom.run.job import Job, Order
from faceloom.run.messages import Answer, Begin, Died, Do, Done, Reading, Starved
from faceloom.run.meter import Meter
from faceloom.run.planner import budget_of
from faceloom.run.planning import CHUNKS_A_WORKER, Planned
from faceloom.run.survey import Survey, clerk_bytes, plan_what_fits
from faceloom.run.takeup import ShouldStop, take_up
from faceloom.store.rows import ChunkRows, FrameRow, Status
from faceloom.store.store import STARVED, Store
from faceloom.units import MIB, format_bytes

_AHEAD = 2
"""Chunks that a worker has been told of, so that it need not wait for the next one."""
_SHORTEST_CHUNK_FRAMES = 8
_HOPELESS_DEATHS = 8
_HOPELESSLY_STARVED = 3
_LEAST_ARENA_BYTES = 16 * MIB
_FAILURES_TOLD = 20


def run_job(
    order: Order,
    inputs: Sequence[Path],
    store: Store,
    *,
    on_event: OnEvent,
    should_stop: ShouldStop = lambda: False,
    look: int = 0,
) -> Summary:
    """Takes every frame of the inputs through the best plan that fits, and tells how it ended.

    With `look`, the number of a second look, only those in which no face was found, and that have not had it.

    Raises:
        MediaError: there is no picture and no video among the inputs.
        BudgetError: no plan fits the budget.
        StageError: a stage cannot be loaded or breaks its contract.
        StoreError: the store or the result folder can no longer be written.
    """

    def begin(crew: Crew, tell: OnEvent) -> None:
        limit = clerk_bytes(budget_of(order, read_ram()))
        if order.derivation is not None:
            store.adopt(order.derivation.folder)
        else:
            take_up(
                inputs, store, crew, excerpt=order.excerpt, limit_bytes=limit, on_event=tell, should_stop=should_stop
            )
        if order.faces_file and not should_stop():
            take_faces(order.faces_file, store, crew, limit_bytes=limit, on_event=tell)
        counts = store.counts()
        if not counts.pending + counts.done + counts.failed and not should_stop():
            why = "" if order.excerpt == WHOLE else " with a frame between --start and --end"
            raise MediaError(f"no picture and no video{why} among {', '.join(map(str, inputs))}")
        if not counts.pending + counts.done:
            _refuse_if_starved(store, order)
        if look:
            store.look_again(look)
            _refuse_changed(store, tell)

    return _go(order, store, begin, on_event=on_event, should_stop=should_stop)


def run_again(
    order: Order,
    store: Store,
    *,
    sources_of: int | None = None,
    on_event: OnEvent,
    should_stop: ShouldStop = lambda: False,
) -> Summary:
    """Takes every face that misses a stage of the flow through the best plan that fits, and tells how it ended.

    Those of all sources of the store, or of those of an earlier run.

    Raises:
        BudgetError: no plan fits the budget.
        StageError: a stage cannot be loaded or breaks its contract.
        StoreError: the store can no longer be written.
    """

    def begin(crew: Crew, tell: OnEvent) -> None:
        store.do_again([stage.name for stage in order.flow.stages], sources_of=sources_of)
        _refuse_changed(store, tell)

    return _go(order, store, begin, on_event=on_event, should_stop=should_stop)


def _refuse_changed(store: Store, tell: OnEvent) -> None:
    for text in store.refuse_changed():
        tell(Notice(kind=SOURCE_CHANGED, text=text))


def _go(
    order: Order,
    store: Store,
    begin: Callable[[Crew, OnEvent], None],
    *,
    on_event: OnEvent,
    should_stop: ShouldStop,
) -> Summary:
    """What a run is once `begin` has seen to it that the store knows what there is to do."""
    started = time.monotonic()
    notices: Counter[str] = Counter()

    def tell(event: Event) -> None:
        if isinstance(event, Notice):
            notices[event.kind] += 1
            store.add_event(event.kind, {"text": event.text})
        on_event(event)

    with Crew() as crew:
        begin(crew, tell)
        for member in crew.used:
            crew.dismiss(member)
        is_known = not should_stop()
        before = store.counts()
        run = None
        if before.pending and not should_stop():
            run = _Run(order, store, crew, on_event=tell, should_stop=should_stop)
            run.do()
        worker_peak_bytes = crew.peak_bytes
    counts = store.counts()
    return Summary(
        frames=counts.done + counts.failed,
        faces=counts.faces,
        failed=counts.failed,
        skipped=before.done + before.failed,
        seconds=time.monotonic() - started,
        peak_bytes=peak_bytes() + worker_peak_bytes,
        predicted_peak_bytes=run.predicted_peak_bytes if run else peak_bytes() + worker_peak_bytes,
        budget_bytes=run.budget_bytes if run else budget_of(order, read_ram()),
        events=dict(notices),
        images=dict(run.images) if run else {},
        plan=(run.planned.plan if run else _nothing_to_do(order)).to_json(),
        failures=tuple(f"{name}#{index}: {reason}" for name, index, reason in store.failures(_FAILURES_TOLD)),
        outcome="done" if is_known and not counts.pending else "interrupted",
    )


def _refuse_if_starved(store: Store, order: Order) -> None:
    """Where no frame was done or can be, and memory is among the reasons, the budget is at fault and not the inputs."""
    for name, _, reason in store.failures(_FAILURES_TOLD):
        if reason.startswith(STARVED):
            budget = budget_of(order, read_ram())
            message = f"{name} cannot even be counted in {format_bytes(budget)}: {reason}; raise --memory"
            raise BudgetError(message, budget_bytes=budget)


def _nothing_to_do(order: Order) -> Plan:
    return one_phase([stage.name for stage in order.flow.networks], chunk_frames=0, lanes=1)


class _Run:
    """The part of a run in which frames go through the plan."""

    def __init__(self, order: Order, store: Store, crew: Crew, *, on_event: OnEvent, should_stop: ShouldStop) -> None:
        self._order = order
        self._finds_faces = bool(order.flow.of("detect"))
        self._store = store
        self._crew = crew
        self._tell = on_event
        self._should_stop = should_stop
        survey = Survey(order, store, crew, on_event=on_event)
        budget = budget_of(order, read_ram())
        survey, self._planner, self.planned = plan_what_fits(
            survey, lambda some: some.measure(limit_bytes=budget - held_bytes()), budget_bytes=budget
        )
        for kind, shape in survey.too_large:
            reason = f"a frame of {shape.width} x {shape.height} does not fit into {format_bytes(budget)}"
            store.give_up(kind, shape, STARVED + reason)
        self._wanted: Planned | None = self.planned
        """The plan that is to be followed as soon as no worker is busy; None while the present one is good."""
        self.budget_bytes = self._planner.budget_bytes
        self.predicted_peak_bytes = peak_bytes() + crew.peak_bytes  # what counting and measuring took
        counts = store.counts()
        self._frames = counts.pending
        self._agenda = Agenda(store.pending(), self._chunk_frames)
        networks = order.flow.networks
        self._meter = Meter(
            counts,
            on_event,
            drawn=[stage.name for stage in order.flow.stages if stage not in networks],
            held_bytes=lambda: peak_bytes() + sum(member.peak_bytes for member in crew.members),
        )
        self.images: Counter[str] = Counter()
        """That each network was given, in chunks that have been committed."""
        self._deaths_in_a_row = 0
        self._is_frugal = False

    def do(self) -> None:
        """Has every pending frame done and committed, or as many as there are until it is asked to stop."""
        while not self._should_stop():
            if self._wanted is not None and not self._busy():
                self._follow(self._wanted)
            self._deal()
            if self._busy():
                self._hear()
            elif self._wanted is None:
                return
        self._finish()

    def _chunk_frames(self) -> int:
        """As planned; shorter towards the end, where that costs no loading, so that workers end at about one time."""
        plan = self.planned.plan
        if len(plan.phases) > 1:
            return plan.chunk_frames
        share = (self._frames - self._agenda.frames_cut) // (CHUNKS_A_WORKER * plan.workers)
        return min(plan.chunk_frames, max(_SHORTEST_CHUNK_FRAMES, share))

    def _finish(self) -> None:
        """Waits for the chunk that each worker has in hand, and no more."""
        busy = {member for member in self._crew.members if member.open}
        while busy:
            member, answer = self._hear()
            if not isinstance(answer, Reading):
                busy.discard(member)

    def _busy(self) -> bool:
        return any(member.open for member in self._crew.members)

    def _deal(self) -> None:
        """Gives every worker its next chunks, unless another plan is waiting for all of them to be done."""
        if self._wanted is None and self._agenda.next_is_starving is not self._is_frugal:
            self._is_frugal = self._agenda.next_is_starving
            self._wanted = self._planner.frugal_plan() if self._is_frugal else self._best_plan()
            how = "one stage and one item at a time, for this chunk" if self._is_frugal else "as before that chunk"
            self._tell(Notice(kind=REPLANNED, text=f"planned again: {how}"))
        if self._wanted is not None:
            return
        self._crew.hire(self.planned.plan.workers, Begin(self._job))
        for member in self._crew.members:
            while len(member.open) < (1 if self._is_frugal else _AHEAD):
                chunk = self._agenda.begin(member)
                if chunk is None:
                    break
                known = () if self._finds_faces else tuple(self._store.known_faces(chunk.spans))
                member.send(Do(chunk, self._store.files_of(chunk.number), known))

    def _best_plan(self) -> Planned:
        try:
            return self._planner.plan()
        except BudgetError:  # what is left of the memory is too little for any: try, item by item
            return self._planner.frugal_plan()

    def _follow(self, planned: Planned) -> None:
        """Starts workers under a plan, in place of those there are."""
        self._dismiss(*self._crew.used)
        self.planned, self._wanted = planned, None
        plan = planned.plan
        waiting = max((p.batch for p in plan.phases[0].placements if self._finds_faces), default=1)
        self._job = Job(
            flow=self._order.flow,
            weights=self._order.weights,
            plan=plan,
            outputs=self._order.outputs,
            room_bytes=waiting * self._planner.frame_bytes,
            arena_bytes=max(_LEAST_ARENA_BYTES, planned.worker_bytes - planned.problem.base_bytes),
            reserve_bytes=self._planner.reserves(plan),
            limit_bytes=planned.worker_bytes,
            choice=self._order.choice,
            has_loose_heap=planned.loose_heap_bytes > 0,
            runtime=self._order.runtime,
            people=self._order.people,
            derivation=self._order.derivation,
        )
        self._crew.hire(plan.workers, Begin(self._job))
        self.predicted_peak_bytes = max(self.predicted_peak_bytes, plan.peak_bytes)
        self._store.note_plan(plan.to_json())
        self._meter.follow(plan)

    def _dismiss(self, *members: Member) -> None:
        for member in members:
            self._agenda.leave(member)
        if members:
            self._crew.dismiss(*members)

    def _hear(self) -> tuple[Member, Answer]:
        """The next answer, and what follows from it."""
        member, request, answer = self._crew.receive()
        match answer:
            case Reading(frames, phase):
                self._meter.read(member, frames, phase)
            case Done(rows):
                self._deaths_in_a_row = 0
                self._agenda.end(rows.number, len(rows.frames))
                self._commit(member, rows)
                self._learn(rows)
            case Starved():
                assert isinstance(request, Do)
                self._deaths_in_a_row = 0
                self._starved(member, request, answer)
            case Died(reason):
                self._died(member, reason)
        return member, answer

    def _commit(self, member: Member, rows: ChunkRows) -> None:
        self.images.update(rows.images)
        self._store.commit(rows)
        self._meter.commit(member, rows)

    def _learn(self, rows: ChunkRows) -> None:
        """Plans again for the chunks to come if this one went otherwise than planned."""
        for stage, batch in rows.starved:
            self._tell(
                Notice(kind=OUT_OF_MEMORY, text=f"{stage} did not get the memory for a batch of {batch} at once")
            )
        held = held_bytes() + self._crew.held_bytes
        why = self._planner.observe(rows, held_bytes=held, plan=self.planned)
        if rows.starved:
            why = self._planner.starved(*rows.starved[0])
        if why and not self._is_frugal and self._wanted is None:
            self._plan_again(why)

    def _plan_again(self, why: str) -> None:
        self._wanted = self._best_plan()
        self._tell(Notice(kind=REPLANNED, text=f"planned again: {why}"))

    def _starved(self, member: Member, request: Do, answer: Starved) -> None:
        """A chunk could not be done in the memory there is: with a better informed plan, with the most frugal one,
        in halves, and at last the one frame that is too much fails.
        """
        self._tell(Notice(kind=OUT_OF_MEMORY, text=f"{answer.reason}; doing the chunk again"))
        attempt = self._agenda.lose(request.chunk.number)
        attempt = replace(attempt, starved=attempt.starved + 1)
        others = [self._agenda.lose(number) for number in _chunks_of(member)]
        self._dismiss(member)
        if attempt.starved < _HOPELESSLY_STARVED:
            self._agenda.retry(attempt, *others)
            belief = self._planner.starved(answer.stage, 1)
            if attempt.starved == 1:
                self._plan_again(belief)
        elif len(attempt) > 1:
            self._agenda.retry(*attempt.halves(), *others)
        else:
            self._agenda.retry(*others)
            self._fail(member, attempt, request.chunk.number, STARVED + answer.reason)

    def _died(self, member: Member, reason: str) -> None:
        """A worker is gone: its chunk is tried again, then in halves, and at last the one frame that kills it fails."""
        self._deaths_in_a_row += 1
        if self._deaths_in_a_row == _HOPELESS_DEATHS:
            raise StageError(f"no worker lives long enough to finish anything: {reason}", stage="worker")
        self._tell(Notice(kind=WORKER_RESTARTED, text=f"{reason}; starting another"))
        numbers = _chunks_of(member)
        attempts = [self._agenda.lose(number) for number in numbers]
        self._dismiss(member)
        if not attempts:
            return
        attempt, *others = attempts
        attempt = replace(attempt, deaths=attempt.deaths + 1)
        if attempt.deaths == 1:
            self._agenda.retry(attempt, *others)
        elif len(attempt) > 1:
            self._agenda.retry(*(replace(half, deaths=1) for half in attempt.halves()), *others)
        else:
            self._agenda.retry(*others)
            self._fail(member, attempt, numbers[0], reason)

    def _fail(self, member: Member, attempt: Attempt, number: int, reason: str) -> None:
        """The last resort: one frame is given up, with the reason."""
        (span,) = attempt.spans
        frame = FrameRow(id=FrameId(span.source.name, span.first), status=Status.FAILED, reason=reason)
        self._commit(member, ChunkRows(number=number, frames=(frame,), faces=(), seconds=0))


def _chunks_of(member: Member) -> list[int]:
    """Numbers of the chunks that a worker has been told of and has not answered, in order."""
    return [request.chunk.number for request in member.open if isinstance(request, Do)]
