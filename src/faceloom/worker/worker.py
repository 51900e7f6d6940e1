"""The worker: takes chunks through a plan on one device, and answers with rows."""

import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from faceloom.engines.engine import Engine, Network
from faceloom.engines.heap import hole_bytes, trim_heap
from faceloom.engines.start import start_engine
from faceloom.faces import Face, FrameId
from faceloom.faults import Fault
from faceloom.geometry.chips import COPIED_BYTES, WAITING_BYTES
from faceloom.job import Derivation, Job
from faceloom.mask import NetworkMask
from faceloom.media.chunks import Chunk, Span, Unreadable, in_order, split
from faceloom.media.numbered import is_there
from faceloom.media.reading import FrameReader, Read, can_read_side_by_side
from faceloom.memory.ceilings import NO_CEILING, ProcessCeiling
from faceloom.memory.usage import held_bytes, peak_bytes
from faceloom.messages import Held
from faceloom.pipeline.aligned import AlignedStep, told_by_chips
from faceloom.pipeline.chip_reads import chip_reads
from faceloom.pipeline.deriving import DeriveStep
from faceloom.pipeline.drawing import OverlayStep
from faceloom.pipeline.faces import Failure, Seen, size_of
from faceloom.pipeline.finishing import FinishStep
from faceloom.pipeline.following import Follower
from faceloom.pipeline.known import KnownStep, by_frame, needs_landmarks, unless_known
from faceloom.pipeline.lanes import Bounds, Feed, Final, Lanes, Step, run_pipeline
from faceloom.pipeline.steps import network_step
from faceloom.solver.plan import HOST, Phase, Placement
from faceloom.stage import Infer, Tensors
from faceloom.store.places import WorkPlaces
from faceloom.store.reading import stored_faces
from faceloom.store.rows import ChunkRows, FaceRow, FrameRow, Status
from faceloom.units import MIB
from faceloom.worker.notes import ChunkNotes, OnProgress, unheard

_ANSWER_BYTES = 8 * MIB
"""What telling what was found takes at most, or giving back what can be."""
_ROW_EXTRA_BYTES = 4096
"""What a face between phases holds besides its pixels."""


class Worker:
    """Runs chunks: the same object works in the caller's process and in a worker process."""

    def __init__(self, job: Job, ceiling: ProcessCeiling = NO_CEILING) -> None:
        """A worker that does this job, in a process that is held to this ceiling."""
        self._job = job
        self._ceiling = ceiling
        self._engine_jobs = (job.engine, job.host_engine) if job.host_engine else (job.engine,)
        self._engines = tuple(
            start_engine(one.runtime, arena_bytes=one.arena_bytes, weights_bytes=one.weights_bytes)
            for one in self._engine_jobs
        )
        self._memory = self._engines[0].memory  # counts from here on
        self._networks: dict[str, Network] = {}
        self._began: float | None = None
        self._reader = FrameReader(decode_threads=job.plan.decode_threads, raw_colours=job.raw_colours)
        self._open = ExitStack()
        every = job.flow.detect_every
        self._follower = Follower(every) if every > 1 else None
        self._lanes = self._open.enter_context(Lanes(job.plan.lanes, callers=2)) if self.can_read_ahead else None
        masks = ((stage.plugin, stage.name) for stage in job.flow.networks if isinstance(stage.plugin, NetworkMask))
        self._face_bytes = _ROW_EXTRA_BYTES + sum(len(one.names(name)) * one.input_size**2 for one, name in masks)
        """What later phases will add to a face; a bound on faces has to count that from the start."""

    @property
    def resident(self) -> frozenset[str]:
        """The names of the stages whose networks are in memory."""
        return frozenset(self._networks)

    @property
    def can_read_ahead(self) -> bool:
        """Whether the next chunk may be begun when one has been read: networks stay, and no frame is read again."""
        job = self._job
        is_read_once = not job.outputs.overlay and job.derivation is None
        return self._memory is not None and job.plan.lanes > 1 and len(job.plan.phases) == 1 and is_read_once

    def held(self) -> Held:
        """Tells what this process holds."""
        memory, base = self._memory, self._job.engine.base_bytes
        if memory is None:
            return Held(peak_bytes=peak_bytes())
        return Held(
            peak_bytes=peak_bytes() + memory.pinned_bytes,
            device_bytes=base + memory.held_bytes,
            device_peak_bytes=base + memory.peak_bytes,
            device_free_bytes=memory.free_bytes,
            device_busy_s=self._engines[0].busy_s,
            device_span_s=0.0 if self._began is None else time.perf_counter() - self._began,
        )

    def close(self) -> None:
        """Frees the networks and closes the files."""
        self._open.close()
        self._networks.clear()
        self._reader.close()

    def run(
        self,
        chunk: Chunk,
        folder: Path,
        *,
        known: Sequence[Face] = (),
        leads: Sequence[Span] = (),
        on_progress: OnProgress,
        on_read: Callable[[], None] | None = None,
    ) -> ChunkRows:
        """Returns everything found in a chunk; chips and overlays are written below `folder`.

        `known` are the faces of its frames where the flow finds none, `leads` the frames that are read besides, so that
        faces can be followed from them. `on_read` is called when all of it has been read; a worker that can read ahead
        may be given the next chunk then, by another thread. When the plan's bound on what is kept is reached, the chunk
        ends there: its last frames have no rows.

        Raises:
            StarvedError: a single item does not get the memory that it needs.
            MemoryError: something else does not.
        """
        started, processor = time.perf_counter(), time.process_time()
        notes = ChunkNotes(on_progress, on_read)
        results = self._find(chunk, folder, notes, known, leads)
        faces = sorted((row for row in results if isinstance(row, FaceRow)), key=lambda row: (row.frame, row.index))
        rows = _frame_rows(results, but=leads)
        if self._job.outputs.overlay:
            results += self._overlay(split(chunk.spans, len(rows))[0], faces, folder, notes)
            rows = _frame_rows(results)
        return ChunkRows(
            number=chunk.number,
            frames=rows,
            faces=tuple(faces),
            seconds=time.perf_counter() - started,
            starved=tuple(notes.starved),
            images=dict(notes.images),
            kept_bytes=notes.kept_bytes,
            processor_s=time.process_time() - processor,
        )

    def _find(
        self, chunk: Chunk, folder: Path, notes: ChunkNotes, known: Sequence[Face], leads: Sequence[Span]
    ) -> list[Any]:
        """The rows of the faces that the flow finds, or of those that are known, here or to another store."""
        job = self._job
        if job.derivation is not None:
            return self._derive(job.derivation, chunk, folder, notes)
        if self._follower is not None:
            self._follower.leads = frozenset(FrameId(span.source.name, i) for span in leads for i in span.indexes)
        finish = FinishStep(
            flow=job.flow, models=job.flow.digests, outputs=job.outputs, places=WorkPlaces(folder), people=job.people
        )
        notes.told = told_by_chips(chunk.spans) if job.aligned else {}
        source = self._frames(chunk.spans, notes, by_frame(known), leads)
        return self.run_phases(source, last_step=finish, keep_bytes=job.plan.keep_bytes or None, notes=notes)

    def _overlay(self, spans: Sequence[Span], faces: Sequence[FaceRow], folder: Path, notes: ChunkNotes) -> list[Any]:
        """What comes of drawing the faces that are kept on their frames, which are read again."""
        kept = [face for face in faces if face.rejected is None]
        step = OverlayStep(faces=by_frame(kept), outputs=self._job.outputs, folder=folder)
        notes.on_progress = unheard
        return self._pipeline(self._frames(spans, notes), [step], notes)

    def _derive(self, derivation: Derivation, chunk: Chunk, folder: Path, notes: ChunkNotes) -> list[Any]:
        """The rows of the faces that another store knows, with new chips."""
        notes.on_progress(0, 0)
        with stored_faces(derivation.folder, raw=derivation.raw, smooth=derivation.smooth) as found:
            step = DeriveStep(
                found=found,
                flow=self._job.flow,
                derivation=derivation,
                outputs=self._job.outputs,
                places=WorkPlaces(folder),
                people=self._job.people,
            )
            keep_bytes = self._job.plan.keep_bytes or None
            results = self._pipeline(self._frames(chunk.spans, notes), [step], notes, keep_bytes=keep_bytes)
        notes.kept_bytes = sum(map(self._size_of, results))
        return results

    def run_phases(
        self,
        source: Feed,
        *,
        last_step: Step | None = None,
        keep_bytes: int | None = None,
        notes: ChunkNotes | None = None,
    ) -> list[Any]:
        """Takes frames through every phase of the plan, and returns what the last steps make of them.

        Not all frames are read if more than `keep_bytes` of faces would wait for the next phase, or of rows at the end.
        """
        results: list[Any] = []
        notes = notes or ChunkNotes()
        phases = self._job.plan.phases
        for number, phase in enumerate(phases):
            notes.on_progress(0, number)
            is_last = phase is phases[-1]
            steps = [*self._steps(number, phase, notes), *([last_step] if is_last and last_step else [])]
            self._began = self._began or time.perf_counter()
            done = self._pipeline(source, steps, notes, keep_bytes=keep_bytes if number == 0 else None)
            if number == 0:
                notes.kept_bytes = sum(map(self._size_of, done))
            if is_last:
                return results + done
            results += [item for item in done if not isinstance(item, Face)]
            faces = deque(item for item in done if isinstance(item, Face))
            del done
            source = Feed(reads=_one_by_one(faces), parallel=True)
        return results

    def run_phase(self, number: int, source: Feed) -> list[Any]:
        """Takes items through one phase of the plan, 0-based, and returns what its last step makes of them: frames
        through the first, the faces of them through the others.
        """
        notes = ChunkNotes()
        return self._pipeline(source, self._steps(number, self._job.plan.phases[number], notes), notes)

    def _pipeline(
        self, source: Feed, steps: Sequence[Step], notes: ChunkNotes, *, keep_bytes: int | None = None
    ) -> list[Any]:
        bounds = Bounds(
            size_of=self._size_of,
            in_flight_bytes=self._job.in_flight_bytes,
            read_bytes=self._job.read_bytes,
            keep_bytes=keep_bytes,
            tighten=self._hold,
        )
        make_room = partial(self._make_room, notes)
        try:
            if self._lanes is None:
                return run_pipeline(source, steps, lanes=self._job.plan.lanes, bounds=bounds, on_starved=make_room)
            return self._lanes.run(
                source, steps, bounds=bounds, on_starved=make_room, on_read=notes.on_read, feeding=self._feeding
            )
        finally:
            self._ceiling.relax(_ANSWER_BYTES)

    def _size_of(self, item: Any) -> int:
        if isinstance(item, FaceRow):
            return item.held_bytes
        return size_of(item) + (self._face_bytes if isinstance(item, Face) else 0)

    @property
    def _feeding(self) -> frozenset[str]:
        """The stages whose networks run on a device beside the host."""
        placements = (placement for phase in self._job.plan.phases for placement in phase.placements)
        return frozenset(placement.stage for placement in placements if placement.device != HOST)

    def _hold(self) -> None:
        """Keeps this process to what it may hold, before it takes more; a heap that keeps too much gives that back."""
        most = self._job.trim_above_bytes
        if most and held_bytes() > most:
            trim_heap()
        self._ceiling.tighten()

    def _make_room(self, notes: ChunkNotes, stage: str, batch: int) -> None:
        notes.starved.append((stage, batch))
        self._shrink()
        self._ceiling.tighten(holes_bytes=hole_bytes())

    def _shrink(self) -> None:
        self._ceiling.relax(_ANSWER_BYTES)
        for engine in self._engines:
            engine.shrink()
        self._ceiling.tighten()

    def _frames(
        self,
        spans: Sequence[Span],
        notes: ChunkNotes,
        known: Mapping[FrameId, Sequence[Face]] | None = None,
        leads: Sequence[Span] = (),
    ) -> Feed:
        if leads:
            return Feed(reads=self._led_reads(spans, leads, notes), parallel=False)
        reads = (_announced(read, notes, known or {}) for read in self._reads(spans, known or {}))
        return Feed(reads=reads, parallel=can_read_side_by_side(spans))

    def _led_reads(self, spans: Sequence[Span], leads: Sequence[Span], notes: ChunkNotes) -> Iterator[Read]:
        """A call for each frame, and for each that leads to it, unless it is the last that the follower has seen."""
        assert self._follower is not None
        for span in in_order(spans, leads):
            reads = self._reader.reads([span])
            if span not in leads:
                yield from (_announced(read, notes, {}) for read in reads)
            elif not self._follower.is_at(FrameId(span.source.name, span.indexes[-1])):
                yield from map(_unannounced, reads)

    def _reads(self, spans: Sequence[Span], known: Mapping[FrameId, Sequence[Face]]) -> Iterator[Read]:
        """A call for each frame; of sources that are gone the chips are read, if they may be."""
        chips_of = self._job.chips_of
        if chips_of is None:
            yield from self._reader.reads(spans)
            return
        for span in spans:
            if is_there(span.source.path):
                yield from self._reader.reads([span])
            else:
                yield from chip_reads(span, known, folder=chips_of)

    def _steps(self, number: int, phase: Phase, notes: ChunkNotes) -> list[Step]:
        """The steps of a phase, with its networks resident and no others."""
        placements = {placement.stage: placement for placement in phase.placements}
        if self._networks.keys() != placements.keys():
            self._networks = {name: network for name, network in self._networks.items() if name in placements}
            self._shrink()
            self._load(placements)
            self._ceiling.tighten()
            for engine, told in zip(self._engines, self._engine_jobs, strict=True):
                if told.reserve_bytes and told.reserve_bytes[number]:
                    engine.reserve(told.reserve_bytes[number])
        aligners = frozenset(stage.name for stage in self._job.flow.of("align"))
        steps: list[Step] = [
            network_step(
                stage,
                self._counted(stage.name, notes),
                batch=placements[stage.name].batch,
                outputs=self._job.outputs,
                choice=self._job.choice,
                aligners=aligners,
                follower=self._follower,
                copied_bytes=self._copied_bytes,
            )
            for stage in self._job.flow.networks
            if stage.name in placements
        ]
        if self._job.flow.of("detect"):
            return steps
        if self._job.aligned:
            return [*([self._aligned_step(notes)] if number == 0 else []), *steps]
        known = KnownStep(
            needs_landmarks=needs_landmarks(self._job.flow),
            patch_scale=self._job.outputs.framing.patch_scale,
            choice=self._job.choice,
        )
        return [*([known] if number == 0 else []), *map(unless_known, steps)]

    @property
    def _copied_bytes(self) -> int:
        """Patches that wait neither for another phase nor beside another frame need no copies."""
        plan = self._job.plan
        return WAITING_BYTES if len(plan.phases) == plan.lanes == 1 else COPIED_BYTES

    def _aligned_step(self, notes: ChunkNotes) -> Step:
        gives_landmarks = not self._job.flow.of("align")
        return AlignedStep(told=notes.told, framing=self._job.outputs.framing, gives_landmarks=gives_landmarks)

    def _counted(self, stage: str, notes: ChunkNotes) -> Infer:
        """A loaded network as a function that counts the images it is given."""
        network = self._networks[stage]

        def infer(tensors: Tensors) -> Tensors:
            notes.count(stage, len(next(iter(tensors.values()))))
            return network(tensors)

        return infer

    def _load(self, placements: Mapping[str, Placement]) -> None:
        for stage in self._job.flow.networks:
            if stage.name in placements and stage.name not in self._networks:
                engine = self._engine_of(placements[stage.name])
                self._ceiling.tighten()
                self._networks[stage.name] = engine.load(self._job.weights[stage.name], stage.plugin.network)
        trim_heap()  # what loading took besides would be held beside the first batch by a heap that keeps what is freed

    def _engine_of(self, placement: Placement) -> Engine:
        return self._engines[-1] if placement.device == HOST else self._engines[0]


def _one_by_one(faces: deque[Face]) -> Iterator[Callable[[], Face]]:
    """Yields each face and lets go of it, so that its pixels are freed when nobody else needs them."""
    while faces:
        face = faces.popleft()
        yield lambda face=face: face  # type: ignore[misc]


def _announced(read: Read, notes: ChunkNotes, known: Mapping[FrameId, Sequence[Face]]) -> Callable[[], Any]:
    def announced() -> Any:
        answer = read()
        notes.on_progress(1, 0)
        if isinstance(answer, Unreadable):
            return Final(answer)
        faces = None if answer.faces else known.get(answer.id)
        return replace(answer, faces=tuple(faces)) if faces else answer

    return announced


def _unannounced(read: Read) -> Callable[[], Any]:
    def unannounced() -> Any:
        answer = read()
        return Final(None) if isinstance(answer, Unreadable) else answer

    return unannounced


def _frame_rows(results: Sequence[Any], *, but: Sequence[Span] = ()) -> tuple[FrameRow, ...]:
    """One row for each frame but those of some spans, with every reason why something of it failed."""
    rows: dict[FrameId, FrameRow] = {}
    reasons: dict[FrameId, set[str]] = defaultdict(set)
    faults: dict[FrameId, Fault] = {}
    for item in results:
        if isinstance(item, Seen):
            rows[item.id] = FrameRow(
                id=item.id,
                height=item.height,
                width=item.width,
                status=Status.DONE,
                reason=item.problem,
                sha256=item.digest,
                notes=item.notes,
            )
        elif isinstance(item, Unreadable):
            reasons[item.id].add(item.reason)
        elif isinstance(item, Failure):
            reasons[item.frame].add(item.reason)
        if isinstance(item, Unreadable | Failure) and item.fault:
            faults[item.id if isinstance(item, Unreadable) else item.frame] = item.fault
    for frame, why in reasons.items():
        row = rows.get(frame, FrameRow(id=frame, status=Status.FAILED))
        rows[frame] = replace(row, status=Status.FAILED, reason="; ".join(sorted(why)), fault=faults.get(frame))
    left_out = {FrameId(span.source.name, i) for span in but for i in span.indexes}
    return tuple(rows[frame] for frame in sorted(rows.keys() - left_out))
