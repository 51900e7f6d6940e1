"""Whoever corrects is killed in the middle: what was acknowledged is there, and nothing is there by half."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from faceloom.correcting import corrections
from faceloom.results.results import open as open_results
from faceloom.store.checking import check
from store.made_results import write_media, write_result

SAY = """
import itertools, sys
from faceloom.correcting import corrections

said = corrections(sys.argv[1])
for number in itertools.count(1):
    made = said.assign([f"deep/crowd.jpg#0/{index}" for index in range(12)], f"Ann {number}")
    if number % 3 == 0:
        said.undo(made.id)
    print(number, flush=True)
"""


@pytest.mark.parametrize("acknowledged", [1, 3, 7, 20])
def test_nothing_that_was_acknowledged_is_lost(acknowledged: int, tmp_path: Path) -> None:
    write_result(write_media(tmp_path / "in"), tmp_path / "out")
    with subprocess.Popen([sys.executable, "-c", SAY, str(tmp_path / "out")], stdout=subprocess.PIPE, text=True) as one:
        assert one.stdout
        told = [int(one.stdout.readline()) for _ in range(acknowledged)]
        one.send_signal(signal.SIGKILL)
        told += map(int, one.stdout.read().split())
    said = list(corrections(tmp_path / "out"))
    assert len(said) - len(told) in {0, 1}, "one may have been written and not told of"
    assert all(len(one.faces) == 12 for one in said)
    assert [one.is_undone for one in said[: len(told)]] == [number % 3 == 0 for number in told]
    last = next(one.after for one in reversed(said) if not one.is_undone)
    with open_results(tmp_path / "out") as results:
        assert {face.person for face in results.faces(source="deep/crowd.jpg")} == {last}
    assert not [flaw for flaw in check(tmp_path / "out").flaws if flaw.kind in {"database", "schema"}]
