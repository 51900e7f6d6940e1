import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.media.shards import Shard

NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40)


def shards(count: int) -> list[Shard]:
    return [Shard(number=number, count=count) for number in range(1, count + 1)]


@given(NAMES, st.integers(1, 300))
def test_every_source_is_in_one_shard(name: str, count: int) -> None:
    assert sum(name in shard for shard in shards(count)) == 1


@given(st.sets(NAMES, max_size=30), st.sets(NAMES, max_size=30), st.integers(1, 9))
def test_sources_that_are_added_move_none(before: set[str], added: set[str], count: int) -> None:
    for shard in shards(count):
        alone = {name for name in before if name in shard}
        assert {name for name in before | added if name in shard} & before == alone


def test_names_stay_where_they_are_in_versions_to_come() -> None:
    # By sha256sum of the name: its first 16 digits as a number, modulo 7.
    places = [next(shard.number for shard in shards(7) if name in shard) for name in ("a.jpg", "b/c.mp4", "é")]
    assert places == [5, 1, 4]


def test_shards_of_many_sources_are_about_the_same_size() -> None:
    sizes = [sum(f"{i:06}.jpg" in shard for i in range(10_000)) for shard in shards(10)]
    assert min(sizes) > 900  # 3.3 standard deviations below the mean
    assert max(sizes) < 1100


@given(st.integers(1, 10**6).flatmap(lambda count: st.tuples(st.integers(1, count), st.just(count))))
def test_a_shard_is_read_as_it_is_written(told: tuple[int, int]) -> None:
    number, count = told
    assert str(Shard.parse(f"{number}/{count}")) == f"{number}/{count}"


@pytest.mark.parametrize(
    "text", ["", "1", "0/3", "4/3", "1/0", "-1/3", "1/3 ", " 1/3", "1/1000001", "²/3", "a/b", 7, None]
)
def test_what_is_no_shard_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="is no shard: it has to be I/N"):
        Shard.parse(text)
