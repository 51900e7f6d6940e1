import contextlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from conftest import prepared
from faceloom.errors import WeightsError
from faceloom.flow import build_flow
from faceloom.job import Job, Outputs
from faceloom.media.chunks import Chunk, PendingFrame, cut_chunks
from faceloom.media.sources import Source, SourceKind, find_sources
from faceloom.media.video_index import index_video
from faceloom.models.catalog import CATALOG
from faceloom.models.weights import WeightCache
from faceloom.solver.plan import Phase, Placement, Plan
from faceloom.store.rows import FaceRow, FrameRow, Status
from faceloom.worker.worker import Worker

ONE_PHASE = [[("detect/yunet", 1), ("align/facemesh", 1), ("mask/unet", 1)]]


@pytest.fixture(scope="module")
def job(cache: WeightCache) -> Job:
    names = ["detect/yunet", "align/facemesh", "mask/components"]
    with contextlib.suppress(WeightsError):  # where they cannot be had, two networks have to do
        cache.pull(CATALOG["unet"])
        names.append("mask/unet")
    flow = build_flow(names)
    weights = {
        stage.name: prepared(cache, stage.plugin.weights.name) for stage in flow.networks if stage.plugin.weights
    }
    whole = Job(flow=flow, weights=weights, plan=plan(ONE_PHASE), outputs=Outputs(), in_flight_bytes=1 << 24)
    return planned(whole, ONE_PHASE)


def planned(job: Job, phases: list[list[tuple[str, int]]], *, lanes: int = 2) -> Job:
    """The job under a plan of these phases, as far as their networks are in its flow."""
    there = [[(stage, batch) for stage, batch in phase if stage in job.weights] for phase in phases]
    return replace(job, plan=plan([phase for phase in there if phase], lanes=lanes))


def plan(phases: list[list[tuple[str, int]]], *, lanes: int = 2) -> Plan:
    placements = [
        tuple(Placement(stage=stage, device="cpu", batch=batch) for stage, batch in phase) for phase in phases
    ]
    return Plan(phases=tuple(Phase(placements=phase) for phase in placements), chunk_frames=16, lanes=lanes)


def pending(folder: Path) -> list[PendingFrame]:
    frames = []
    for source in find_sources([folder]):
        if source.kind is SourceKind.PICTURE:
            frames.append(PendingFrame(source=source, index=0))
            continue
        index = index_video(source.path)
        timed = replace(source, time_base=str(index.time_base))
        frames += [
            PendingFrame(source=timed, index=i, ticks=ticks, seek_ticks=seek)
            for i, (ticks, seek) in enumerate(index.times())
            if i < 20
        ]
    return frames


def run(job: Job, samples: Path, out: Path, *, frames_a_chunk: int = 16) -> tuple[list[FrameRow], list[FaceRow]]:
    worker = Worker(job)
    cuts = cut_chunks(pending(samples), frames_a_chunk=lambda: frames_a_chunk)
    answers = [
        worker.run(Chunk(number=i, spans=spans), out, on_progress=lambda frames, phase: None)
        for i, spans in enumerate(cuts)
    ]
    worker.close()
    frames = [frame for answer in answers for frame in answer.frames]
    faces = [face for answer in answers for face in answer.faces]
    return sorted(frames, key=lambda row: row.id), sorted(faces, key=lambda row: (row.frame, row.index))


def same(one: FaceRow, other: FaceRow) -> bool:
    """Bit for bit."""
    arrays = ("box", "keypoints", "landmarks", "frame_to_chip")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in arrays) and (
        one.frame,
        one.index,
        one.score,
        one.confidence,
        one.masks,
        one.chip,
    ) == (other.frame, other.index, other.score, other.confidence, other.masks, other.chip)


@pytest.fixture(scope="module")
def reference(job: Job, samples: Path, tmp_path_factory: pytest.TempPathFactory) -> list[FaceRow]:
    _, faces = run(planned(job, ONE_PHASE, lanes=1), samples, tmp_path_factory.mktemp("reference"))
    assert len(faces) > 50
    return faces


@pytest.mark.parametrize(
    ("phases", "lanes", "frames_a_chunk"),
    [
        (ONE_PHASE, 2, 16),
        (ONE_PHASE, 3, 5),
        ([[("detect/yunet", 3), ("align/facemesh", 4), ("mask/unet", 2)]], 2, 16),
        ([[("detect/yunet", 2)], [("align/facemesh", 7), ("mask/unet", 1)]], 2, 9),
        ([[("detect/yunet", 1)], [("align/facemesh", 1)], [("mask/unet", 3)]], 1, 64),
    ],
)
def test_any_plan_gives_the_same_faces_bit_for_bit(
    phases: list[list[tuple[str, int]]],
    lanes: int,
    frames_a_chunk: int,
    job: Job,
    samples: Path,
    tmp_path: Path,
    reference: list[FaceRow],
) -> None:
    other = planned(job, phases, lanes=lanes)
    _, faces = run(other, samples, tmp_path, frames_a_chunk=frames_a_chunk)
    assert len(faces) == len(reference)
    assert all(same(one, other) for one, other in zip(faces, reference, strict=True))


def test_networks_of_another_phase_are_given_back(job: Job, samples: Path, tmp_path: Path) -> None:
    phases = [[("detect/yunet", 1)], [("align/facemesh", 1)], [("mask/unet", 1)]]
    worker = Worker(planned(job, phases))
    (spans, *_) = cut_chunks(pending(samples), frames_a_chunk=lambda: 4)
    worker.run(Chunk(number=0, spans=spans), tmp_path, on_progress=lambda frames, phase: None)
    assert worker.resident == {"mask/unet" if "mask/unet" in job.weights else "align/facemesh"}


def test_an_unreadable_picture_is_a_row_with_a_reason_and_costs_no_other(
    job: Job, samples: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"\xff\xd8\xff not a picture")
    sources = [Source(name=path.name, path=path, kind=SourceKind.PICTURE) for path in (bad, samples / "portrait.png")]
    (spans,) = cut_chunks([PendingFrame(source=source, index=0) for source in sources], frames_a_chunk=lambda: 8)
    answer = Worker(job).run(Chunk(number=0, spans=spans), tmp_path, on_progress=lambda frames, phase: None)
    assert [frame.status for frame in answer.frames] == [Status.FAILED, Status.DONE]
    assert answer.frames[0].reason
    assert len(answer.faces) == 1
