"""Ranges of bytes beside sets of bytes, and files of which only parts are here."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.errors import MediaError
from faceloom.faults import Fault, fault_of
from faceloom.media.parts import (
    ByteRange,
    Parts,
    copy_parts,
    joined_ranges,
    move_parts,
    parts_of,
    remove_parts,
    total_bytes,
    without_ranges,
    write_parts,
)

RANGES = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=8)


def bytes_in(ranges: list[ByteRange] | tuple[ByteRange, ...]) -> set[int]:
    return {byte for begin, end in ranges for byte in range(begin, end)}


@given(RANGES)
def test_joined_ranges_hold_the_same_bytes_in_as_few(ranges: list[ByteRange]) -> None:
    joined = joined_ranges(ranges)
    assert bytes_in(joined) == bytes_in(ranges)
    assert total_bytes(joined) == len(bytes_in(ranges))
    assert all(one[1] < other[0] for one, other in pairwise(joined))


@given(RANGES, st.integers(0, 20))
def test_gaps_that_are_joined_are_no_longer_than_they_may_be(ranges: list[ByteRange], gap: int) -> None:
    more = bytes_in(joined_ranges(ranges, gap=gap)) - bytes_in(ranges)
    assert all(end - begin <= gap for begin, end in joined_ranges((byte, byte + 1) for byte in more))
    left = without_ranges([(0, 60)], joined_ranges(ranges, gap=gap))
    inner = [one for one in left if one[0] > 0 and one[1] < 60]
    assert all(end - begin > gap for begin, end in inner)


@given(RANGES, RANGES)
def test_ranges_without_others_are_the_difference_of_their_bytes(one: list[ByteRange], other: list[ByteRange]) -> None:
    assert bytes_in(without_ranges(one, other)) == bytes_in(one) - bytes_in(other)


@given(RANGES, st.integers(0, 60), st.integers(1, 20))
def test_bytes_are_here_where_all_of_them_are(ranges: list[ByteRange], first: int, size: int) -> None:
    parts = Parts(joined_ranges(ranges))
    if set(range(first, first + size)) <= bytes_in(ranges):
        parts.require(first, size)
    else:
        with pytest.raises(MediaError, match="not fetched") as found:
            parts.require(first, size)
        assert fault_of(found.value) is Fault.MACHINE


def test_a_packet_that_does_not_tell_where_it_lies_is_not_here() -> None:
    with pytest.raises(MediaError):
        Parts(((0, 100),)).require(None, 1)


def test_a_file_without_a_list_is_here_whole(tmp_path: Path) -> None:
    assert parts_of(tmp_path / "a.mp4") is None


def test_what_is_here_of_one_file_is_copied_to_another(tmp_path: Path) -> None:
    content = bytes(range(200))
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_bytes(content)
    write_parts(one, [(0, 50), (100, 150)])
    other.write_bytes(bytes(200))
    assert copy_parts(one, other, [(40, 120), (140, 160)]) == ((50, 100), (150, 160))
    there = other.read_bytes()
    copied = bytes_in([(40, 50), (100, 120), (140, 150)])
    assert all(there[i] == (content[i] if i in copied else 0) for i in range(200))
    move_parts(one, other)
    assert parts_of(other) == Parts(((0, 50), (100, 150)))
    remove_parts(other)
    assert not list(tmp_path.iterdir())
