import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.units import GIB, KIB, MIB, format_bytes, format_seconds, format_time, parse_bytes


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1048576", 1048576),
        ("0", 0),
        ("17b", 17),
        ("3k", 3 * KIB),
        ("3 KB", 3000),
        ("800MiB", 800 * MIB),
        ("800 mib", 800 * MIB),
        ("800MB", 800_000_000),
        ("2GiB", 2 * GIB),
        ("1.5g", 3 * GIB // 2),
        (" 2 GB ", 2_000_000_000),
        ("1TiB", 1024 * GIB),
        ("1tb", 10**12),
    ],
)
def test_a_size_is_read_as_people_write_it(text: str, size: int) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", " ", "MiB", "-1MiB", "1.MiB", ".5GiB", "1e9", "12 parsecs", "1 Mi B", "0x10"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        parse_bytes(text)


@given(st.integers(0, 10**15))
def test_a_size_that_was_printed_can_be_typed_in_again(size: int) -> None:
    step = next(step for limit, step in ((KIB, 1), (MIB, KIB), (10 * GIB, MIB), (10**20, GIB // 10)) if size < limit)
    assert abs(parse_bytes(format_bytes(size)) - size) <= step / 2 + 1


@given(st.integers(0, 10**6))
def test_a_duration_is_printed_to_the_second(seconds: int) -> None:
    total = 0
    for part in format_seconds(seconds).split(":"):
        total = total * 60 + int(part)
    assert total == seconds


@given(st.integers(0, 10**9))
def test_a_place_in_a_film_is_told_to_the_millisecond(milliseconds: int) -> None:
    hours, minutes, seconds = format_time(milliseconds / 1000).split(":")
    assert (int(hours) * 60 + int(minutes)) * 60_000 + round(float(seconds) * 1000) == milliseconds
    assert (len(minutes), len(seconds)) == (2, 6)


def test_a_place_before_the_beginning_has_a_sign() -> None:
    assert format_time(-0.04) == "-0:00:00.040"
    assert format_time(-0.0004) == "0:00:00.000"
