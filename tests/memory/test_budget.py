from hypothesis import given
from hypothesis import strategies as st

from faceloom.memory.budget import card_budget_bytes, host_budget_bytes
from faceloom.memory.devices import default_card_bytes
from faceloom.memory.ram import Ram, default_budget_bytes
from faceloom.units import GIB

SIZES = st.integers(1, 64 * GIB)


def ram_with(total_bytes: int, available_bytes: int) -> Ram:
    return Ram(total_bytes=total_bytes, available_bytes=min(total_bytes, available_bytes), is_limited=False)


@given(memory_bytes=SIZES, total=SIZES, available=SIZES, held=st.integers(0, GIB))
def test_what_was_asked_for_is_cut_to_what_is_free_with_what_the_run_holds(
    memory_bytes: int, total: int, available: int, held: int
) -> None:
    ram = ram_with(total, available)
    assert host_budget_bytes(memory_bytes, ram, held_bytes=held) == min(memory_bytes, ram.available_bytes + held)


@given(total=SIZES, available=SIZES)
def test_without_a_wish_a_reserve_is_left_to_others(total: int, available: int) -> None:
    ram = ram_with(total, available)
    assert host_budget_bytes(None, ram) == default_budget_bytes(ram) < ram.available_bytes or not ram.available_bytes


@given(total=SIZES, more=SIZES)
def test_the_reserve_is_a_tenth_to_a_quarter_and_never_shrinks_with_the_machine(total: int, more: int) -> None:
    def reserve(total_bytes: int) -> int:
        return total_bytes - default_budget_bytes(ram_with(total_bytes, total_bytes))

    assert total // 10 <= reserve(total) <= max(round(total / 4), round(total / 10)) + 1
    assert reserve(total) <= reserve(total + more) + 1
    assert (
        default_budget_bytes(ram_with(total, total)) <= default_budget_bytes(ram_with(total + more, total + more)) + 1
    )


@given(total=SIZES, available=SIZES, less=SIZES)
def test_less_that_is_free_is_never_a_larger_budget(total: int, available: int, less: int) -> None:
    fewer = default_budget_bytes(ram_with(total, max(0, available - less)))
    assert fewer <= default_budget_bytes(ram_with(total, available))


def test_where_the_system_does_not_tell_what_was_asked_for_is_believed() -> None:
    assert host_budget_bytes(5 * GIB, None) == 5 * GIB
    assert host_budget_bytes(None, None) > 0


@given(memory_bytes=SIZES, total=SIZES, free=SIZES)
def test_a_card_is_asked_for_no_more_than_is_free_of_it(memory_bytes: int, total: int, free: int) -> None:
    assert card_budget_bytes(memory_bytes, free_bytes=free, total_bytes=total) == min(memory_bytes, free)
    assert card_budget_bytes(None, free_bytes=free, total_bytes=total) == default_card_bytes(free, total)


@given(memory_bytes=SIZES | st.none(), total=SIZES, available=SIZES, reserve=st.integers(0, 8 * GIB))
def test_a_reserve_is_left_to_others_whatever_the_ceiling(
    memory_bytes: int | None, total: int, available: int, reserve: int
) -> None:
    ram = ram_with(total, available)
    for budget, free in [
        (host_budget_bytes(memory_bytes, ram, reserve_bytes=reserve), ram.available_bytes),
        (card_budget_bytes(memory_bytes, free_bytes=available, total_bytes=total, reserve_bytes=reserve), available),
    ]:
        assert budget == max(0, min(free - reserve, free if memory_bytes is None else memory_bytes))
