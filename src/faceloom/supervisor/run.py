"""A run: it lists the inputs, plans, has the frames done by worker processes and sums up. It sees no pixel."""

import logging
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from faceloom.errors import BudgetError, MediaError
from faceloom.events import (
    FROM_CHIPS,
    NO_EFFECT,
    NOT_CARRIED,
    NOT_DONE_YET,
    SOURCE_CHANGED,
    Counting,
    Event,
    Fetching,
    Notice,
    OnEvent,
    Progress,
    Summary,
)
from faceloom.job import Order
from faceloom.media.excerpts import WHOLE
from faceloom.media.extents import Extents
from faceloom.media.listing import Inputs
from faceloom.media.sources import Found, Source
from faceloom.memory.usage import peak_bytes
from faceloom.solver.plan import Plan, one_phase
from faceloom.store.frames import STARVED
from faceloom.store.store import Store
from faceloom.supervisor.cluster import Cluster
from faceloom.supervisor.effects import without_effect
from faceloom.supervisor.faces_file import take_faces
from faceloom.supervisor.fetching import Fetcher, Unfetched, scratch_bytes_below
from faceloom.supervisor.inputs import ShouldStop, add_inputs, locate_packets
from faceloom.supervisor.node_intake import NodeIntake
from faceloom.supervisor.parts import PartsRun
from faceloom.supervisor.scheduler import Scheduler
from faceloom.supervisor.survey import probe_bytes, refuse_starved
from faceloom.supervisor.workers import WorkerPool, here
from faceloom.targets import read_budget
from faceloom.units import format_bytes

_FAILURES_TOLD = 20
_LOG = logging.getLogger(__name__)


def run_job(
    order: Order,
    inputs: Inputs,
    store: Store,
    *,
    on_event: OnEvent,
    should_stop: ShouldStop = lambda: False,
    look: int = 0,
) -> Summary:
    """Takes every frame of the inputs through the best plan that fits, and returns how that ended.

    With `look`, the number of a second look, only those in which no face was found, and that have not had it.

    Raises:
        MediaError: there is no picture and no video among the inputs.
        BudgetError: no plan fits the budget.
        StageError: a stage cannot be loaded or breaks its contract.
        StoreError: the store or the result folder can no longer be written.
    """
    with _Run(order, store, on_event, should_stop) as run:
        run.add_frames(inputs)
        if inputs.has_remote:
            run.work()
            run.add_waves(inputs)
        run.refuse_nothing(inputs)
        if look:
            run.look_again(look)
        summary = run.go()
        if order.corrections is not None:
            run.carry_corrections(order.corrections)
        return summary


def run_again(
    order: Order,
    store: Store,
    *,
    stages: Sequence[str] | None = None,
    sources_of: int | None = None,
    on_event: OnEvent,
    should_stop: ShouldStop = lambda: False,
) -> Summary:
    """Takes every face that lacks a stage of the flow through the best plan that fits, and returns how that ended.

    Or what else `stages` names, as `again` does. Those of all sources of the store, or of those of an earlier run.

    Raises:
        BudgetError: no plan fits the budget.
        StageError: a stage cannot be loaded or breaks its contract.
        StoreError: the store can no longer be written.
    """
    with _Run(order, store, on_event, should_stop) as run:
        names = [stage.name for stage in order.flow.stages] if stages is None else stages
        store.do_again(names, sources_of=sources_of)
        run.refuse_changed()
        return run.go()


def run_listed(order: Order, store: Store, *, on_event: OnEvent, should_stop: ShouldStop = lambda: False) -> Summary:
    """Takes every frame that a store lists through the best plan that fits, and returns how that ended.

    Raises:
        BudgetError: no plan fits the budget.
        StageError: a stage cannot be loaded or breaks its contract.
        StoreError: the store can no longer be written.
    """
    with _Run(order, store, on_event, should_stop) as run:
        return run.go()


class _Run:
    """One run: its budget, its workers, and the notices that it has given."""

    def __init__(self, order: Order, store: Store, on_event: OnEvent, should_stop: ShouldStop) -> None:
        self._order = order
        self._store = store
        self._on_event = on_event
        self._should_stop = should_stop
        self._started = time.monotonic()
        self._budget = read_budget(order.memory_bytes, order.targets, reserve_bytes=order.reserve_bytes)
        self._notices: Counter[str] = Counter()
        self._open = ExitStack()
        self._cluster = self._reach(order)
        self._pool = WorkerPool(here if self._cluster is None else self._cluster.start)
        self._schedulers: list[Scheduler] = []
        self._is_known = True
        """Whether all inputs are listed: nobody has asked to stop before that."""
        self._seen = self._skipped = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.stop()
        self._open.close()

    def _reach(self, order: Order) -> Cluster | None:
        """The cluster that is to do the work, if one is."""
        if order.cluster is None:
            return None
        return self._open.enter_context(Cluster(order.cluster, cores=order.cores, share=order.outputs.share))

    def add_frames(self, inputs: Inputs) -> None:
        """Lists every frame of the inputs in the store, and the faces that are known of them."""
        order, store = self._order, self._store
        worker_bytes = probe_bytes(self._budget.host_bytes)
        if order.derivation is not None:
            store.adopt(order.derivation.folder, raw=order.derivation.raw, smooth=order.derivation.smooth)
        else:
            self._add_inputs(inputs)
        if order.faces_file and not self._should_stop():
            take_faces(order.faces_file, store, self._pool, worker_bytes=worker_bytes, on_event=self._tell)

    def _add_inputs(self, inputs: Inputs, unfetched: Sequence[Unfetched] = ()) -> None:
        add_inputs(
            inputs,
            self._store,
            self._pool,
            unfetched=unfetched,
            excerpt=self._order.excerpt,
            retry_failed=self._order.retry_failed,
            worker_bytes=probe_bytes(self._budget.host_bytes),
            on_event=self._tell,
            should_stop=self._should_stop,
        )

    def add_waves(self, inputs: Inputs) -> None:
        """Fetches remote inputs, some at a time, and does each of these waves while the next one is fetched."""
        store = self._store
        fetcher = Fetcher(
            inputs.find_remote(),
            store.folder,
            most_bytes=scratch_bytes_below(store.folder, self._order.scratch_bytes),
            is_wanted=lambda one: store.sources.is_wanted(one.address),
            is_excerpt=self._order.excerpt != WHOLE,
        )
        parts = PartsRun(
            store=store,
            fetcher=fetcher,
            locate=self._locate,
            add=self._add_fetched,
            work=self.work,
            should_stop=self._should_stop,
            block=self._order.flow.detect_every,
        )
        with store.scratch(), fetcher:
            for wave in fetcher.waves():
                if self._should_stop():
                    return
                self._add_inputs(Inputs(found=wave.found), wave.unfetched)
                self.work()
                for video in wave.in_part:
                    if not self._should_stop():
                        parts.do(video)

    def _add_fetched(self, one: Found | Unfetched) -> None:
        if isinstance(one, Unfetched):
            self._add_inputs(Inputs(), [one])
        else:
            self._add_inputs(Inputs(found=(one,)))

    def _locate(self, source: Source) -> Extents | str:
        worker_bytes = probe_bytes(self._budget.host_bytes)
        return locate_packets(source, self._pool, worker_bytes=worker_bytes, on_event=self._tell)

    def refuse_nothing(self, inputs: Inputs) -> None:
        """Raises an error if nothing has been done and nothing can be done; a shard of few inputs may have none.

        Raises:
            MediaError: there is no frame among the inputs.
            BudgetError: there are, but memory is too little even to count them.
        """
        counts = self._store.frames.counts()
        if not counts.pending + counts.done + counts.failed and not self._should_stop() and inputs.shard is None:
            why = "" if self._order.excerpt == WHOLE else " with a frame between --start and --end"
            raise MediaError(f"no picture and no video{why} among {inputs}")
        if not counts.pending + counts.done:
            self._refuse_if_starved()

    def _refuse_if_starved(self) -> None:
        """Where no frame was done or can be, and memory is among the reasons, the budget is at fault."""
        refuse_starved(
            self._order,
            self._store,
            self._pool,
            budget_bytes=self._budget.host_bytes,
            device_bytes=self._budget.device_bytes.get(self._order.targets[0].name),
            on_event=self._tell,
        )
        for name, _, reason in self._store.frames.failures(_FAILURES_TOLD):
            if reason.startswith(STARVED):
                limit = self._budget.host_bytes
                message = f"{name} cannot even be counted in {format_bytes(limit)}: {reason}; raise --memory"
                raise BudgetError(message, budget_bytes=limit)

    def look_again(self, look: int) -> None:
        """Lists the frames in which no face was found as those that are to be done."""
        pending = self._store.frames.counts().pending
        if pending:
            text = f"{pending:,} frames are still to be done once: run the command without --only-empty"
            self._tell(Notice(kind=NOT_DONE_YET, text=text))
        self._store.look_again(look)
        self.refuse_changed()

    def refuse_changed(self) -> None:
        """Fails the frames of sources that have changed or are gone; of those that are gone chips may do instead."""
        has_chips = self._order.chips_of is not None
        gone = list(self._store.sources.gone()) if has_chips else []
        if gone:
            more = f" and of {len(gone) - 1:,} more that are gone" if len(gone) > 1 else ", which is gone"
            text = (
                f"the chips are taken in place of {gone[0]}{more}: what is added is near to what its frames would give"
            )
            self._tell(Notice(kind=FROM_CHIPS, text=text))
        for text in self._store.sources.refuse_changed(but_gone=has_chips):
            self._tell(Notice(kind=SOURCE_CHANGED, text=text))

    def carry_corrections(self, folder: Path) -> None:
        """Takes in what was corrected in another result folder, as far as it is here; tells what is not."""
        for text in self._store.carry_corrections(folder).told:
            self._tell(Notice(kind=NOT_CARRIED, text=text))

    def go(self) -> Summary:
        """Does what the store lists as still to be done, and returns how that ended, with all that was done before."""
        self.work()
        return self._summary()

    def work(self) -> None:
        """Does what the store lists as still to be done."""
        for worker in self._pool.used:
            self._pool.stop(worker)
        self._is_known = self._is_known and not self._should_stop()
        before = self._store.frames.counts()
        self._skipped += before.done + before.failed - self._seen - self._store.sources.unreadable
        self._store.sources.unreadable = 0
        if before.pending and self._is_known:
            self._tell_of_idle_options()
            self._schedule()
        self._pool.stop()
        after = self._store.frames.counts()
        self._seen = after.done + after.failed

    def _schedule(self) -> None:
        with ExitStack() as stack:
            nodes = None
            if self._cluster is not None:
                self._pool.stop()
                nodes = stack.enter_context(NodeIntake(self._order, self._store, self._cluster, self._tell))
            scheduler = Scheduler(
                self._order,
                self._store,
                self._pool,
                budget=self._budget,
                on_event=self._tell,
                should_stop=self._should_stop,
                nodes=nodes,
            )
            scheduler.do()
        self._schedulers.append(scheduler)

    def _tell_of_idle_options(self) -> None:
        """Tells, once, of options that change nothing for the inputs."""
        for notice in without_effect(self._order.flow, self._store) if not self._notices[NO_EFFECT] else ():
            self._tell(notice)

    def _tell(self, event: Event) -> None:
        _LOG.log(_level(event), "%s", event)
        if isinstance(event, Notice):
            self._notices[event.kind] += 1
            self._store.add_event(event.kind, {"text": event.text})
        self._on_event(event)

    def _summary(self) -> Summary:
        scheduler = self._schedulers[-1] if self._schedulers else None
        images = sum((one.images for one in self._schedulers), Counter[str]())
        counts = self._store.frames.counts()
        _LOG.info("%d frames done, %d failed, %d to do", counts.done, counts.failed, counts.pending)
        held_bytes = peak_bytes() + self._pool.peak_bytes
        predicted = max((one.predicted_peak_bytes for one in self._schedulers), default=held_bytes)
        budget = self._budget.host_bytes
        nodes = scheduler.nodes if scheduler else {}
        if nodes:  # there is a budget for each: the fullest tells whether they were kept
            fullest = max(nodes.values(), key=lambda one: one.peak_bytes / max(1, one.budget_bytes))
            held_bytes, predicted = fullest.peak_bytes, fullest.predicted_peak_bytes
            budget = fullest.budget_bytes
        failures = self._store.frames.failures(_FAILURES_TOLD)
        damaged, damages = self._store.frames.damages(_FAILURES_TOLD)
        return Summary(
            frames=counts.done + counts.failed,
            faces=counts.faces,
            failed=counts.failed,
            skipped=self._skipped,
            seconds=time.monotonic() - self._started,
            peak_bytes=held_bytes,
            predicted_peak_bytes=predicted,
            budget_bytes=budget,
            events=dict(self._notices),
            images=dict(images),
            plan=scheduler.plan if scheduler else _nothing_to_do(self._order).to_json(),
            failures=_in_words(failures),
            damaged=damaged,
            damages=_in_words(damages),
            outcome="done" if self._is_known and not counts.pending else "interrupted",
            cards=scheduler.cards if scheduler else {},
            device_frames=scheduler.device_frames if scheduler else {},
            nodes=nodes,
        )


def _in_words(problems: Sequence[tuple[str, int, str]]) -> tuple[str, ...]:
    return tuple(f"{name}#{index}: {reason}" for name, index, reason in problems)


def _level(event: Event) -> int:
    """What is told again and again is of interest only to who looks for something."""
    return logging.DEBUG if isinstance(event, Progress | Counting | Fetching) else logging.INFO


def _nothing_to_do(order: Order) -> Plan:
    return one_phase([stage.name for stage in order.flow.networks], chunk_frames=0, lanes=1)
