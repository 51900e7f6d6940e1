from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from faceloom.engines.engine import Network
from faceloom.errors import BudgetError
from faceloom.events import Event, Measuring
from faceloom.job import Order, Outputs
from faceloom.media.listing import Inputs
from faceloom.orders.flows import make_flow
from faceloom.orders.order import make_order
from faceloom.store.store import Store
from faceloom.supervisor.run import run_job
from faceloom.supervisor.survey import LEAST_WORKER_BYTES, Survey
from faceloom.supervisor.workers import WorkerPool
from faceloom.targets import Target
from faceloom.units import MIB


@pytest.fixture
def unmeasured(samples: Path, tmp_path: Path) -> Order:
    """The usual order, on a machine on which nothing has been measured."""
    order = make_order(make_flow({}), Outputs(), {}, on_event=lambda event: None)
    return replace(order, footprints=tmp_path / "footprints")


@pytest.mark.parametrize("budget_bytes", [MIB, 100 * MIB])
def test_a_budget_below_the_processes_alone_is_refused_before_anything_is_measured(
    budget_bytes: int, unmeasured: Order, samples: Path, tmp_path: Path
) -> None:
    events: list[Event] = []
    order = replace(unmeasured, memory_bytes=budget_bytes)
    with Store(tmp_path / "out") as store:
        store.begin_run(versions={})
        with pytest.raises(BudgetError, match="by a guess: raise") as refusal:
            run_job(order, Inputs(roots=(samples,)), store, on_event=events.append)
    assert not [event for event in events if isinstance(event, Measuring)]
    assert not (tmp_path / "footprints").exists()
    assert refusal.value.budget_bytes == budget_bytes
    assert refusal.value.needed_bytes > budget_bytes + LEAST_WORKER_BYTES
    assert refusal.value.stage == "detect/yunet"


def test_where_rows_have_masks_the_process_that_commits_them_is_given_room(
    samples: Path, tmp_path: Path, network: Callable[[str], Network]
) -> None:
    network("unet")
    with Store(tmp_path / "out") as store, WorkerPool() as pool:
        store.begin_run(versions={})
        asked = []
        for mask in ((), ("components",), ("unet",)):
            order = make_order(make_flow({"mask": mask}), Outputs(), {}, on_event=lambda event: None)
            survey = Survey(order, Target(), store, pool, on_event=lambda event: None)
            asked.append(survey.planner({}, budget_bytes=MIB << 10).supervisor_bytes)
    assert asked[0] == pytest.approx(asked[1], abs=MIB)  # what this process holds meanwhile
    assert asked[2] - asked[1] == pytest.approx(4 * MIB, abs=MIB)
