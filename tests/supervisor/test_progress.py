"""The seconds that are left, by simulated clocks: from a quarter of the job on they are near the truth."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.events import Event, Progress
from faceloom.faces import FrameId
from faceloom.solver.plan import Phase, Placement, Plan
from faceloom.store.frames import Counts
from faceloom.store.rows import ChunkRows, FrameRow, Status
from faceloom.supervisor.progress import ProgressMeter

FRAMES = 400


class Job:
    """One worker that takes chunks through phases on a clock of its own."""

    def __init__(
        self, seconds: Sequence[float], *, start_s: float, load_s: float = 0.0, chunk_frames: int = 20
    ) -> None:
        self.now_s = 0.0
        self.told: list[tuple[float, float | None]] = []
        self._phase_s, self._load_s, self._chunk_frames = seconds, load_s, chunk_frames
        self._start_s = start_s
        self._meter = ProgressMeter(
            Counts(pending=FRAMES, done=0, failed=0, faces=0),
            self._hear,
            drawn=(),
            held_bytes=lambda: 0,
            now=lambda: self.now_s,
        )

    def run(self, *, slower: float = 1.0) -> list[tuple[float, float, float]]:
        """For all that was told: the share of the job that was over, the seconds left by then, and those told."""
        self._follow()
        self.now_s += self._start_s
        for begin in range(0, FRAMES, self._chunk_frames):
            self._chunk(begin, slower)
        return [(now / self.now_s, self.now_s - now, eta) for now, eta in self.told if eta is not None]

    def _follow(self) -> None:
        phases = tuple(
            Phase(placements=(Placement(stage=f"stage-{i}", device="cpu", batch=1),), seconds=FRAMES * seconds)
            for i, seconds in enumerate(self._phase_s)
        )
        plan = Plan(phases=phases, chunk_frames=self._chunk_frames, lanes=1)
        self._meter.follow("cpu", plan, budget_bytes=1)

    def _chunk(self, begin: int, slower: float) -> None:
        for phase, seconds in enumerate(self._phase_s):
            self.now_s += self._load_s
            for i in range(self._chunk_frames):
                self.now_s += seconds * slower
                if phase == 0:
                    self._meter.read("cpu", "worker", i + 1, 0)
            if phase + 1 < len(self._phase_s):
                self._meter.read("cpu", "worker", self._chunk_frames, phase + 1)
        rows = tuple(FrameRow(id=FrameId("film", begin + i), status=Status.DONE) for i in range(self._chunk_frames))
        self._meter.commit("cpu", "worker", ChunkRows(number=begin, frames=rows, faces=(), seconds=1.0))

    def _hear(self, event: Event) -> None:
        assert isinstance(event, Progress)
        self.told.append((self.now_s, event.eta_s))


@given(
    st.lists(st.floats(0.001, 1), min_size=1, max_size=4),
    st.floats(0, 20),
    st.floats(0.1, 10),
    st.sampled_from([10, 20]),
)
def test_what_is_left_is_told_within_a_quarter_from_a_quarter_of_the_job_on(
    seconds: list[float], start_s: float, slower: float, chunk_frames: int
) -> None:
    """However long workers take to start, and however much slower all is than planned."""
    for over, left_s, told_s in Job(seconds, start_s=start_s, chunk_frames=chunk_frames).run(slower=slower):
        if over >= 0.25 and left_s > 0.1 * slower * sum(seconds) * FRAMES:
            assert told_s == pytest.approx(left_s, rel=0.25)


def test_phases_that_load_each_time_are_part_of_the_speed() -> None:
    for over, left_s, told_s in Job([0.01, 0.03], start_s=3.0, load_s=0.5).run():
        if over >= 0.25 and left_s > 3:
            assert told_s == pytest.approx(left_s, rel=0.25)


def test_nothing_is_told_before_anything_is_done() -> None:
    job = Job([0.1], start_s=5.0)
    job._follow()
    assert job.told == [(0.0, None)]


def test_a_faster_plan_is_told_by_its_own_speed_soon() -> None:
    job = Job([0.4], start_s=0.0)
    job._follow()
    for begin in range(0, 100, 20):
        job._chunk(begin, 1.0)
    job._follow()
    slow = job.told[-1][1]
    assert slow == pytest.approx(300 * 0.4, rel=0.05)
    job._chunk(100, 0.5)
    assert job.told[-1][1] == pytest.approx(280 * 0.2, rel=0.1)
