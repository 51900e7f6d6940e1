from dataclasses import dataclass, field, replace

from hypothesis import assume, given
from hypothesis import strategies as st

from faceloom.pipeline.schedule import FED, READ, Idle, SourceState, StepState, choose


@dataclass
class Simulation:
    """A pipeline without threads: lanes take what `choose` says, and finish in an order that the test draws."""

    to_read: int
    batches: list[int]
    fan_out: int
    parallel: bool
    room: int
    feeding: int = -1
    """The step that feeds a device, if there is one."""
    reading: int = 0
    most_reading: int = 0
    exhausted: bool = False
    out: int = 0
    ready: list[int] = field(default_factory=list)
    running: list[list[int]] = field(default_factory=list)
    most_in_flight: int = 0

    def __post_init__(self) -> None:
        self.ready = [0 for _ in self.batches]
        self.running = [[] for _ in self.batches]

    @property
    def in_flight(self) -> int:
        return sum(self.ready) + sum(sum(batches) for batches in self.running)

    def start(self) -> Idle | None:
        """Has a free lane take something; why not, if it does not."""
        source = SourceState(
            exhausted=self.exhausted,
            running=self.reading,
            parallel=self.parallel,
            has_room=self.in_flight + self.reading < self.room,
        )
        steps = [
            StepState(batch=batch, ready=ready, running=len(running), feeds=i == self.feeding)
            for i, (batch, ready, running) in enumerate(zip(self.batches, self.ready, self.running, strict=True))
        ]
        choice = choose(source, steps)
        if isinstance(choice, Idle):
            return choice
        if choice == READ:
            self.exhausted = self.to_read == 0
            self.to_read -= not self.exhausted
            self.reading += not self.exhausted
            self.most_reading = max(self.most_reading, self.reading)
            return None
        taken = min(self.batches[choice], self.ready[choice])
        assert taken
        self.ready[choice] -= taken
        self.running[choice].append(taken)
        return None

    def finish(self, pick: int) -> None:
        """Ends one of the tasks under way."""
        tasks = [READ] * self.reading + [i for i, running in enumerate(self.running) for _ in running]
        task = tasks[pick % len(tasks)]
        if task == READ:
            self.reading -= 1
            self.put(0, 1)
        else:
            done = self.running[task].pop()
            self.put(task + 1, done * (self.fan_out if task == 0 else 1))
        self.most_in_flight = max(self.most_in_flight, self.in_flight)

    def put(self, step: int, number: int) -> None:
        if step == len(self.batches):
            self.out += number
        else:
            self.ready[step] += number

    def run(self, lanes: int, picks: list[int]) -> None:
        busy, turn = 0, 0
        while True:
            idle = None
            while busy < lanes and (idle := self.start()) is None:
                busy = self.reading + sum(map(len, self.running))
            if idle is Idle.FINISHED:
                return
            assert busy, "every lane waits and nothing is under way"
            self.finish(picks[turn % len(picks)])
            busy, turn = busy - 1, turn + 1


simulations = st.builds(
    Simulation,
    to_read=st.integers(0, 30),
    batches=st.lists(st.integers(1, 5), min_size=1, max_size=4),
    fan_out=st.integers(0, 3),
    parallel=st.booleans(),
    room=st.integers(1, 10),
    feeding=st.integers(-1, 1),
)
picks = st.lists(st.integers(0, 1000), min_size=1, max_size=20)


@given(simulations, st.integers(1, 4), picks)
def test_every_item_comes_out_whatever_the_batches_lanes_and_order(
    simulation: Simulation, lanes: int, picks: list[int]
) -> None:
    wanted = simulation.to_read * simulation.fan_out
    simulation.run(lanes, picks)
    assert simulation.out == wanted


@given(simulations, st.integers(1, 4), picks)
def test_reads_that_need_order_never_run_side_by_side(simulation: Simulation, lanes: int, picks: list[int]) -> None:
    simulation.parallel = False
    simulation.run(lanes, picks)
    assert simulation.most_reading <= 1


@given(simulations, st.integers(1, 4), picks)
def test_what_is_in_flight_stays_within_the_room_and_one_batch_of_growth(
    simulation: Simulation, lanes: int, picks: list[int]
) -> None:
    simulation.fan_out = min(simulation.fan_out, 1)
    simulation.run(lanes, picks)
    assert simulation.most_in_flight <= max(simulation.room, 1) + lanes


any_steps = st.builds(StepState, batch=st.integers(1, 4), ready=st.integers(0, 6), running=st.integers(0, 2))
partial_steps = st.builds(
    lambda ready, more, running: StepState(batch=ready + more, ready=ready, running=running),
    st.integers(0, 3),
    st.integers(1, 3),
    st.integers(0, 2),
)
"""None has a full batch."""
flows = st.lists(any_steps, min_size=1, max_size=5)
partial_flows = st.lists(partial_steps, min_size=1, max_size=5)
sources = st.builds(
    SourceState, exhausted=st.booleans(), running=st.integers(0, 2), parallel=st.booleans(), has_room=st.booleans()
)


def is_busy(source: SourceState, steps: list[StepState]) -> bool:
    return source.running > 0 or any(step.running for step in steps)


@given(sources, flows)
def test_of_full_batches_the_one_furthest_down_goes_first(source: SourceState, steps: list[StepState]) -> None:
    full = [i for i, step in enumerate(steps) if step.ready >= step.batch]
    assume(full)
    assert choose(source, steps) == full[-1]


@given(sources, flows, st.integers(0, 4))
def test_a_device_that_has_little_to_do_is_fed_first_then_read_for(
    source: SourceState, steps: list[StepState], place: int
) -> None:
    i = place % len(steps)
    steps[i] = replace(steps[i], feeds=True)
    may_read = not source.exhausted and (source.parallel or not source.running) and source.has_room
    without = choose(source, [replace(step, feeds=False) for step in steps])
    if steps[i].running >= FED:
        assert choose(source, steps) == without
    elif steps[i].ready >= steps[i].batch:
        assert choose(source, steps) == i
    else:
        assert choose(source, steps) == (READ if may_read else without)


@given(sources, partial_flows)
def test_a_lane_reads_when_no_batch_is_full_and_there_is_room_or_nothing_else_to_do(
    source: SourceState, steps: list[StepState]
) -> None:
    may_read = not source.exhausted and (source.parallel or not source.running)
    is_empty = not is_busy(source, steps) and not any(step.ready for step in steps)
    assert (choose(source, steps) == READ) == (may_read and (source.has_room or is_empty))


@given(sources, partial_flows)
def test_without_room_the_partial_batch_furthest_down_makes_some(source: SourceState, steps: list[StepState]) -> None:
    crowded = replace(source, exhausted=False, has_room=False)
    waiting = [i for i, step in enumerate(steps) if step.ready]
    assume(waiting)
    assert choose(crowded, steps) == (Idle.WAIT if is_busy(crowded, steps) else waiting[-1])


@given(sources, partial_flows)
def test_when_all_is_read_partial_batches_go_from_the_top_where_nothing_more_can_come(
    source: SourceState, steps: list[StepState]
) -> None:
    ended = replace(source, exhausted=True, running=0)
    held = [i for i, step in enumerate(steps) if step.ready or step.running]
    if not held:
        assert choose(ended, steps) is Idle.FINISHED
    else:
        assert choose(ended, steps) == (held[0] if steps[held[0]].ready else Idle.WAIT)


@given(sources, flows)
def test_a_lane_waits_only_while_something_is_under_way_and_ends_only_when_nothing_is_left(
    source: SourceState, steps: list[StepState]
) -> None:
    choice = choose(source, steps)
    assert choice is not Idle.WAIT or is_busy(source, steps)
    assert choice is not Idle.FINISHED or not (is_busy(source, steps) or any(step.ready for step in steps))
