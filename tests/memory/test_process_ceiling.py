"""A ceiling that is set anew before each step, in processes of their own."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes have a limit on Linux alone")

BEGIN = """
import numpy as np
from faceloom.memory.ceilings import ProcessCeiling
from faceloom.memory.usage import held_bytes, peak_bytes
from faceloom.units import MIB
budget = held_bytes() + 80 * MIB
"""


def run(script: str) -> str:
    done = subprocess.run([sys.executable, "-c", BEGIN + script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_what_lies_below_the_ceiling_can_be_had_and_no_more() -> None:
    script = """
ceiling = ProcessCeiling(budget)
kept = [np.ones(40 * MIB, np.uint8)]
ceiling.tighten()
try:
    kept.append(np.ones(60 * MIB, np.uint8))
except MemoryError:
    kept.append(np.ones(30 * MIB, np.uint8))
    print(peak_bytes() <= budget)
"""
    assert run(script) == "True"


def test_space_that_was_reserved_and_never_filled_is_not_counted() -> None:
    script = """
space = np.empty(500 * MIB, np.uint8)
ceiling = ProcessCeiling(budget)
filled = np.ones(60 * MIB, np.uint8)
print(peak_bytes() <= budget)
"""
    assert run(script) == "True"


def test_what_was_given_back_can_be_had_again() -> None:
    script = """
ceiling = ProcessCeiling(budget)
for _ in range(10):
    ceiling.tighten()
    block = np.ones(60 * MIB, np.uint8)
    del block
print(peak_bytes() <= budget)
"""
    assert run(script) == "True"


def test_a_process_above_its_ceiling_can_still_say_so() -> None:
    script = """
ceiling = ProcessCeiling(held_bytes() - 10 * MIB)
try:
    np.ones(8 * MIB, np.uint8)
except MemoryError:
    ceiling.relax(8 * MIB)
    print(len(bytes(MIB)) == MIB)
"""
    assert run(script) == "True"
