from pathlib import Path

from reliability.kill_merge import MergeFuzz


def test_a_merge_that_is_killed_at_random_moments_ends_as_one_in_peace(tmp_path: Path) -> None:
    tally = MergeFuzz(tmp_path, seed=4).run(4, least_kills=4)
    assert not tally.problems, str(tally)
    assert tally.kills >= 4
