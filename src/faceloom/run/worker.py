"""The worker: drives one device through chunks under a plan, and answers with rows."""

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from faceloom.engines.engine import Network
from faceloom.engines.onnx import OnnxEngine
from faceloom.faces import Face, FrameId
from faceloom.media.chunks import Chunk, Span, Unreadable
from faceloom.media.reading import FrameReader, Read, can_read_side_by_side
from faceloom.memory.usage import peak_bytes
from faceloom.plan.plan import Phase
from faceloom.run.finish import FinishStep, OverlayStep
from faceloom.run.job import Job
from faceloom.run.pipeline import Final, Step, run_pipeline
from faceloom.run.pipeline import Source as ItemSource
from faceloom.run.steps import Failure, Seen, network_step, size_of
from faceloom.store.rows import ChunkRows, FaceRow, FrameRow, Status

OnFrames = Callable[[int], None]
"""Told each time frames have been read, and how many."""


class Worker:
    """Runs chunks; the same object in this process, in a spawned one, or on another machine."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._engine = OnnxEngine()
        self._networks: dict[str, Network] = {}
        self._reader = FrameReader(decode_threads=max(1, job.plan.lanes // 2))

    @property
    def resident(self) -> frozenset[str]:
        """Names of the stages whose networks are in memory."""
        return frozenset(self._networks)

    def close(self) -> None:
        """Gives networks and files back."""
        self._networks.clear()
        self._reader.close()

    def run(self, chunk: Chunk, folder: Path, *, on_frames: OnFrames) -> ChunkRows:
        """Everything found in a chunk; chips and overlays are written below `folder`."""
        started = time.perf_counter()
        outputs = self._job.outputs
        finish = FinishStep(flow=self._job.flow, outputs=outputs, folder=folder)
        results = self.run_phases(self._frames(chunk.spans, on_frames), last_step=finish)
        faces = sorted((row for row in results if isinstance(row, FaceRow)), key=lambda row: (row.frame, row.index))
        if outputs.overlay:
            overlay = OverlayStep(faces=_by_frame(faces), outputs=outputs, folder=folder)
            results += self._pipeline(self._frames(chunk.spans, _unheard), [overlay])
        return ChunkRows(
            number=chunk.number,
            frames=_frame_rows(results),
            faces=tuple(faces),
            seconds=time.perf_counter() - started,
            peak_bytes=peak_bytes(),
        )

    def run_phases(self, source: ItemSource, *, last_step: Step | None = None) -> list[Any]:
        """Takes frames through every phase of the plan; what comes is what the steps leave of them."""
        results: list[Any] = []
        phases = self._job.plan.phases
        for phase in phases:
            is_last = phase is phases[-1]
            steps = [*self._steps(phase), *([last_step] if is_last and last_step else [])]
            done = self._pipeline(source, steps)
            if is_last:
                return results + done
            results += [item for item in done if not isinstance(item, Face)]
            faces = [item for item in done if isinstance(item, Face)]
            source = ItemSource(reads=(lambda face=face: face for face in faces), parallel=True)  # type: ignore[misc]
        return results

    def _pipeline(self, source: ItemSource, steps: Sequence[Step]) -> list[Any]:
        job = self._job
        return run_pipeline(source, steps, lanes=job.plan.lanes, room_bytes=job.room_bytes, size_of=size_of)

    def _frames(self, spans: Sequence[Span], on_frames: OnFrames) -> ItemSource:
        reads = (_announced(read, on_frames) for read in self._reader.reads(spans))
        return ItemSource(reads=reads, parallel=can_read_side_by_side(spans))

    def _steps(self, phase: Phase) -> list[Step]:
        """The steps of a phase, with its networks resident and no others."""
        placements = {placement.stage: placement for placement in phase.placements}
        self._networks = {name: network for name, network in self._networks.items() if name in placements}
        for stage in self._job.flow.networks:
            if stage.name in placements and stage.name not in self._networks:
                self._networks[stage.name] = self._engine.load(self._job.weights[stage.name])
        return [
            network_step(stage, self._networks[stage.name], batch=placements[stage.name].batch)
            for stage in self._job.flow.networks
            if stage.name in placements
        ]


def _announced(read: Read, on_frames: OnFrames) -> Callable[[], Any]:
    def announced() -> Any:
        answer = read()
        on_frames(1)
        return Final(answer) if isinstance(answer, Unreadable) else answer

    return announced


def _unheard(_count: int) -> None:
    """Nobody watches."""


def _by_frame(faces: Sequence[FaceRow]) -> dict[FrameId, list[FaceRow]]:
    frames: dict[FrameId, list[FaceRow]] = defaultdict(list)
    for face in faces:
        frames[face.frame].append(face)
    return frames


def _frame_rows(results: Sequence[Any]) -> tuple[FrameRow, ...]:
    """One row for each frame, with every reason why something of it failed."""
    rows: dict[FrameId, FrameRow] = {}
    reasons: dict[FrameId, set[str]] = defaultdict(set)
    for item in results:
        if isinstance(item, Seen):
            rows[item.id] = FrameRow(
                id=item.id,
                height=item.height,
                width=item.width,
                status=Status.DONE,
                reason=item.problem,
                sha256=item.digest,
            )
        elif isinstance(item, Unreadable):
            reasons[item.id].add(item.reason)
        elif isinstance(item, Failure):
            reasons[item.frame].add(item.reason)
    for frame, why in reasons.items():
        row = rows.get(frame, FrameRow(id=frame, status=Status.FAILED))
        rows[frame] = replace(row, status=Status.FAILED, reason="; ".join(sorted(why)))
    return tuple(rows[frame] for frame in sorted(rows))
