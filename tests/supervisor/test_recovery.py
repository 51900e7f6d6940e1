"""Every step of the ladder, with allocations that really fail in the real engine."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from faceloom import targets
from faceloom.api import extract
from faceloom.errors import BudgetError
from faceloom.events import Event, Notice, Progress
from faceloom.job import EngineJob, Job, Outputs
from faceloom.media.chunks import Chunk, PendingFrame, cut_chunks
from faceloom.media.sources import find_sources
from faceloom.memory.ram import Ram, default_budget_bytes
from faceloom.messages import Answer, Begin, Do, Done, Reading, Starved
from faceloom.models.weights import WeightCache
from faceloom.orders.flows import make_flow
from faceloom.orders.order import make_order
from faceloom.solver.plan import Phase, Placement, Plan
from faceloom.store.reading import read_frames
from faceloom.supervisor import replanning
from faceloom.supervisor.workers import WorkerPool
from faceloom.units import GIB, MIB
from jobs import copy_of_cache, exported

ARENA_OF_ONE = 40 * MIB
"""Enough for the default detector at a batch of one on the clip's canvas, not at eight."""


def job(batch: int, *, arena_bytes: int = 0, worker_bytes: int = 0) -> Job:
    order = make_order(make_flow({}), Outputs(write_chips=False), {}, on_event=lambda event: None)
    placements = (
        Placement(stage="detect/yunet", device="cpu", batch=batch),
        Placement(stage="align/facemesh", device="cpu", batch=1),
    )
    plan = Plan(phases=(Phase(placements=placements),), chunk_frames=8, lanes=1)
    return Job(
        flow=order.flow,
        weights=order.weights,
        plan=plan,
        outputs=order.outputs,
        in_flight_bytes=512 * MIB,
        engine=EngineJob(arena_bytes=arena_bytes),
        worker_bytes=worker_bytes,
    )


def answer_to(job: Job, chunk: Chunk, folder: Path) -> Answer:
    """What a worker process answers to one chunk."""
    with WorkerPool() as pool:
        pool.start(1, Begin(job))
        pool.workers[0].send(Do(chunk, folder))
        while isinstance(answer := pool.receive()[2], Reading):
            pass
        return answer


@pytest.fixture(scope="module")
def pictures(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Chunk:
    """Eight pictures of one size."""
    folder = tmp_path_factory.mktemp("pictures")
    for i in range(8):
        shutil.copy(samples / "crowd.jpg", folder / f"{i}.jpg")
    frames = [PendingFrame(source=source, index=0) for source in find_sources([folder])]
    (spans,) = cut_chunks(frames, frames_a_chunk=lambda: 8)
    return Chunk(number=0, spans=spans)


def test_a_batch_that_does_not_fit_is_halved_and_no_item_lost(pictures: Chunk, tmp_path: Path) -> None:
    whole = answer_to(job(8), pictures, tmp_path)
    split = answer_to(job(8, arena_bytes=ARENA_OF_ONE), pictures, tmp_path)
    assert isinstance(whole, Done)
    assert isinstance(split, Done)
    assert not whole.rows.starved
    assert [batch for stage, batch in split.rows.starved if stage == "detect/yunet"][:2] == [8, 4]
    assert [len(rows.rows.faces) for rows in (whole, split)] == [8 * 25] * 2
    for one, other in zip(whole.rows.faces, split.rows.faces, strict=True):
        assert one.frame == other.frame
        assert np.array_equal(one.box, other.box)
        assert one.landmarks is not None
        assert other.landmarks is not None
        assert np.array_equal(one.landmarks, other.landmarks)


def test_an_item_that_does_not_fit_alone_is_said_with_its_stage(pictures: Chunk, tmp_path: Path) -> None:
    answer = answer_to(job(8, arena_bytes=8 * MIB), pictures, tmp_path)
    assert isinstance(answer, Starved)
    assert answer.stage == "detect/yunet"


def test_a_frame_that_the_process_limit_forbids_is_said_to_be_read_in_vain(tmp_path: Path) -> None:
    Image.new("RGB", (6000, 6000)).save(tmp_path / "large.png")
    frames = [PendingFrame(source=source, index=0) for source in find_sources([tmp_path])]
    (spans,) = cut_chunks(frames, frames_a_chunk=lambda: 8)
    answer = answer_to(job(1, worker_bytes=150 * MIB), Chunk(number=0, spans=spans), tmp_path)
    assert isinstance(answer, Starved)
    assert answer.stage == "reading"


@pytest.fixture
def lies(
    cache: WeightCache, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, float], None]:
    """Multiplies what is kept of a stage's footprint, as if it had been measured wrongly, in a cache of its own."""
    own = tmp_path_factory.mktemp("lies") / "cache"
    copy_of_cache(cache, own)
    monkeypatch.setenv("FACELOOM_CACHE", str(own))

    def lie(stage: str, factor: float) -> None:
        for path in (own / "footprints").iterdir():
            kept = json.loads(path.read_text())
            if kept["traits"]["stage"] != stage:
                continue
            sizes = ("fixed_bytes", "item_bytes", "arena_fixed_bytes", "arena_item_bytes")
            kept["footprint"].update({size: round(kept["footprint"][size] * factor) for size in sizes})
            path.write_text(json.dumps(kept))

    return lie


def faceloom(*arguments: str | Path | int) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, so that nothing else of this one counts."""
    command = [sys.executable, "-m", "faceloom.cli.main", *map(str, arguments)]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def smallest_budget(inputs: Path, folder: Path, *flags: str) -> int:
    """What the refusal of a budget that is far too small says would do, in bytes."""
    faceloom("profile", inputs, *flags)
    refused = faceloom("extract", inputs, "--out", folder / "refused", "--memory", "1MiB", "--size", 64, *flags)
    assert refused.returncode == 3
    told = re.search(r"detect/yunet .* the smallest budget that would do is ([\d,]+) MiB", refused.stderr)
    assert told
    return int(told[1].replace(",", "")) * MIB


def run(inputs: Path, out: Path, budget_bytes: int, *flags: str) -> dict[str, Any]:
    """The summary of a run."""
    asked: tuple[str | int, ...] = ("--memory", budget_bytes, "--size", 64, "--json", "--quiet", *flags)
    done = faceloom("extract", inputs, "--out", out, *asked)
    assert done.returncode in {0, 1}, done.stderr
    summary: dict[str, Any] = json.loads(done.stdout)
    assert summary["budget_bytes"]["cpu"] == budget_bytes
    return summary


def failures(folder: Path) -> dict[str, str]:
    """Reason of each source that failed."""
    return {frame["source"]: frame["reason"] for frame in read_frames(folder) if frame["status"] == "failed"}


@pytest.fixture(scope="module")
def unlimited(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("unlimited") / "out"
    extract(samples, out, size=64)
    return exported(out)


def test_the_smallest_budget_that_is_named_does(samples: Path, unlimited: str, tmp_path: Path) -> None:
    summary = run(samples, tmp_path / "out", smallest_budget(samples, tmp_path))
    assert exported(tmp_path / "out") == unlimited
    assert summary["failed"] == summary["events"]["oom"] == 0
    assert summary["peak_bytes"]["cpu"] <= summary["predicted_peak_bytes"]["cpu"] <= summary["budget_bytes"]["cpu"]


def test_a_stage_that_needs_more_than_was_believed_is_planned_anew(
    samples: Path, unlimited: str, lies: Callable[[str, float], None], tmp_path: Path
) -> None:
    needed = smallest_budget(samples, tmp_path)
    lies("detect/yunet", 0.1)
    summary = run(samples, tmp_path / "out", needed)
    assert exported(tmp_path / "out") == unlimited
    assert summary["failed"] == 0


def test_a_frame_for_which_nothing_does_fails_alone_and_is_done_when_there_is_more(
    samples: Path, lies: Callable[[str, float], None], tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    with Image.open(samples / "crowd.jpg") as crowd:
        crowd.resize((2048, 2048)).save(folder / "b.jpg", quality=95)
        for name in ("a", "c"):
            crowd.resize((128, 128)).save(folder / f"{name}.jpg")
    extract(folder, tmp_path / "whole", size=64, detect_size=2048)
    large = ("--detect-size", "2048")
    needed = smallest_budget(folder, tmp_path, *large)
    lies("detect/yunet", 0.02)
    summary = run(folder, tmp_path / "out", needed - 100 * MIB, *large)
    assert (summary["frames"], summary["failed"]) == (3, 1)
    assert failures(tmp_path / "out")["b.jpg"].startswith("not enough memory: detect/yunet")
    assert summary["events"]["oom"] > 0
    assert summary["events"]["replanned"] > 0
    lies("detect/yunet", 50)
    summary = run(folder, tmp_path / "out", 2 * GIB, *large)
    assert summary["failed"] == summary["events"]["oom"] == 0
    assert exported(tmp_path / "out") == exported(tmp_path / "whole")


def test_a_picture_that_is_too_large_for_the_budget_fails_alone_with_its_size(samples: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    shutil.copy(samples / "crowd.jpg", folder)
    extract(folder, tmp_path / "whole", size=64)
    needed = smallest_budget(folder, tmp_path)
    Image.new("RGB", (9000, 6000)).save(folder / "large.png", compress_level=1)
    summary = run(folder, tmp_path / "out", needed + 40 * MIB)
    assert (summary["frames"], summary["failed"]) == (2, 1)
    assert summary["peak_bytes"]["cpu"] <= summary["budget_bytes"]["cpu"]
    assert failures(tmp_path / "out")["large.png"].startswith(
        "not enough memory: a frame of 9000 x 6000 does not fit into"
    )
    assert "all frames are done in " in failures(tmp_path / "out")["large.png"]
    assert exported(tmp_path / "out") == exported(tmp_path / "whole")


def refused_bytes(inputs: Path, out: Path, budget_bytes: int) -> int:
    """The smallest budget that a refusal names."""
    done = faceloom("extract", inputs, "--out", out, "--memory", budget_bytes, "--size", 64)
    assert done.returncode == BudgetError.exit_code, done.stderr
    told = re.search(r"the smallest budget that would do is ([\d,]+) MiB", done.stderr)
    assert told
    return int(told[1].replace(",", "")) * MIB


def test_frames_that_nearly_fit_do_not_fail_one_by_one(samples: Path, tmp_path: Path) -> None:
    needed = smallest_budget(samples, tmp_path)
    assert refused_bytes(samples, tmp_path / "out", needed - 2 * MIB) == pytest.approx(needed, abs=MIB)


def test_where_most_frames_are_too_large_the_run_is_refused(samples: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    shutil.copy(samples / "crowd.jpg", folder)
    needed = smallest_budget(folder, tmp_path)
    for name in ("a", "b"):
        Image.new("RGB", (9000, 6000)).save(folder / f"{name}.png", compress_level=1)
    assert refused_bytes(folder, tmp_path / "out", needed + 40 * MIB) > 1.25 * needed


def ram_with(free_bytes: int) -> Ram:
    return Ram(total_bytes=16 * GIB, available_bytes=free_bytes, is_limited=False)


def test_the_machine_is_asked_once_and_all_that_is_said_of_the_budget_agrees(
    samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([ram_with(4 * GIB)])  # a second question would have no answer
    monkeypatch.setattr(targets, "read_ram", lambda: next(answers))
    monkeypatch.setattr(replanning, "read_ram", lambda: None)
    told: list[int] = []
    summary = extract(
        samples / "portrait.png",
        tmp_path / "out",
        size=64,
        on_event=lambda event: told.append(event.budget_bytes) if isinstance(event, Progress) else None,
    )
    assert {*told, summary.plan["budget_bytes"]} == {summary.budget_bytes} == {default_budget_bytes(ram_with(4 * GIB))}


@pytest.mark.parametrize("free_later", [0, MIB, 16 * GIB])
def test_memory_that_others_take_meanwhile_makes_for_a_smaller_plan(
    free_later: int, samples: Path, unlimited: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # For a while there is only what the run itself holds.
    later = chain([ram_with(0), ram_with(0)], repeat(ram_with(free_later)))
    monkeypatch.setattr(targets, "read_ram", lambda: ram_with(8 * GIB))
    monkeypatch.setattr(replanning, "read_ram", lambda: next(later))
    monkeypatch.setattr(replanning, "LOOK_UP_EVERY_S", 0.0)
    events: list[Event] = []
    summary = extract(samples, tmp_path / "out", size=64, on_event=events.append)
    kinds = [event.kind for event in events if isinstance(event, Notice)]
    assert "replanned" in kinds
    assert exported(tmp_path / "out") == unlimited
    assert summary.failed == 0
