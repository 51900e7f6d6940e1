"""The supervisor: takes up the inputs, plans, hands chunks to worker processes, writes the store. It sees no pixel."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from faceloom.errors import BudgetError, MediaError
from faceloom.events import NOT_DONE_YET, SOURCE_CHANGED, Event, Notice, OnEvent, Summary
from faceloom.job import Order
from faceloom.media.excerpts import WHOLE
from faceloom.memory.ram import read_ram
from faceloom.memory.usage import peak_bytes
from faceloom.solver.plan import Plan, one_phase
from faceloom.store.store import STARVED, Store
from faceloom.supervisor.faces_file import take_faces
from faceloom.supervisor.inputs import ShouldStop, add_inputs
from faceloom.supervisor.replanning import budget_of
from faceloom.supervisor.scheduler import Scheduler
from faceloom.supervisor.survey import probe_bytes
from faceloom.supervisor.workers import WorkerPool
from faceloom.units import format_bytes

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

    def begin(pool: WorkerPool, tell: OnEvent) -> None:
        limit = probe_bytes(budget_of(order, read_ram()))
        if order.derivation is not None:
            store.adopt(order.derivation.folder)
        else:
            add_inputs(
                inputs, store, pool, excerpt=order.excerpt, limit_bytes=limit, on_event=tell, should_stop=should_stop
            )
        if order.faces_file and not should_stop():
            take_faces(order.faces_file, store, pool, limit_bytes=limit, on_event=tell)
        counts = store.counts()
        if not counts.pending + counts.done + counts.failed and not should_stop():
            why = "" if order.excerpt == WHOLE else " with a frame between --start and --end"
            raise MediaError(f"no picture and no video{why} among {', '.join(map(str, inputs))}")
        if not counts.pending + counts.done:
            _refuse_if_starved(store, order)
        if look:
            if counts.pending:
                text = f"{counts.pending:,} frames are still to be done once: run the command without --only-empty"
                tell(Notice(kind=NOT_DONE_YET, text=text))
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

    def begin(pool: WorkerPool, tell: OnEvent) -> None:
        store.do_again([stage.name for stage in order.flow.stages], sources_of=sources_of)
        _refuse_changed(store, tell)

    return _go(order, store, begin, on_event=on_event, should_stop=should_stop)


def _refuse_changed(store: Store, tell: OnEvent) -> None:
    for text in store.refuse_changed():
        tell(Notice(kind=SOURCE_CHANGED, text=text))


def _go(
    order: Order,
    store: Store,
    begin: Callable[[WorkerPool, OnEvent], None],
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

    with WorkerPool() as pool:
        begin(pool, tell)
        for worker in pool.used:
            pool.stop(worker)
        is_known = not should_stop()
        before = store.counts()
        run = None
        if before.pending and not should_stop():
            run = Scheduler(order, store, pool, on_event=tell, should_stop=should_stop)
            run.do()
        worker_peak_bytes = pool.peak_bytes
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
        plan=run.plan if run else _nothing_to_do(order).to_json(),
        failures=tuple(f"{name}#{index}: {reason}" for name, index, reason in store.failures(_FAILURES_TOLD)),
        outcome="done" if is_known and not counts.pending else "interrupted",
        cards=run.cards if run else {},
        device_frames=run.device_frames if run else {},
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
