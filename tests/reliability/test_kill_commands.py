from pathlib import Path

import pytest

from reliability.kill_commands import CASES, CommandFuzz


@pytest.fixture(scope="module")
def fuzz(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> CommandFuzz:
    return CommandFuzz(tmp_path_factory.mktemp("kills"), seed=5)


@pytest.mark.parametrize("name", CASES)
def test_a_command_that_is_killed_ends_as_in_peace_when_called_again(name: str, fuzz: CommandFuzz) -> None:
    tally = fuzz.run(name, 2)
    assert not tally.problems
    assert not tally.halves
