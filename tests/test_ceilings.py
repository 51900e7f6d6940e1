"""What `--memory` and `--ram` come to."""

import pytest

from faceloom.job import Outputs
from faceloom.orders.flows import make_flow
from faceloom.orders.order import make_order
from faceloom.units import GIB


@pytest.mark.parametrize(
    ("memory", "ram", "budget_bytes"),
    [(None, None, None), ("2GiB", None, 2 * GIB), (None, "2GiB", 2 * GIB), ("2GiB", "1GiB", GIB), (GIB, 2 * GIB, GIB)],
)
def test_on_the_cpu_the_lower_ceiling_holds(
    memory: int | str | None, ram: int | str | None, budget_bytes: int | None
) -> None:
    flow = make_flow({"detect": "yunet", "align": None})
    order = make_order(flow, Outputs(), {"device": "cpu", "memory": memory, "ram": ram}, on_event=lambda event: None)
    assert order.memory_bytes == budget_bytes
