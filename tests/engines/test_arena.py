"""What the shared arena of a process holds, measured in processes of their own."""

import json
import subprocess
import sys

import pytest

from faceloom.models.catalog import CATALOG
from faceloom.models.weights import WeightCache
from faceloom.units import MIB

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="held bytes are read from the process file system")

SCRIPT = """
import json, sys
from pathlib import Path
import numpy as np
from faceloom.engines.onnx import OnnxEngine
from faceloom.memory.usage import held_bytes

engine = OnnxEngine(arena_bytes=int(sys.argv[3]))
network = engine.load(Path(sys.argv[1]))
call = lambda side: network({"pixels": np.zeros((1, 1, side, 3 * side), np.uint8)})
call(64)
engine.shrink()
base = held_bytes()
held = []
try:
    if int(sys.argv[2]):
        engine.reserve(int(sys.argv[2]))
        held.append(held_bytes() - base)
    for side in (128, 256, 384, 512, 640, 768, 896, 1024):
        call(side)
        held.append(held_bytes() - base)
    engine.shrink()
    held.append(held_bytes() - base)
except MemoryError:
    held.append(-1)
print(json.dumps(held))
"""


def held(*, reserve_bytes: int = 0, arena_bytes: int = 0) -> list[int]:
    """Bytes held after each of some calls that grow, and after the arena has been shrunk."""
    path = WeightCache.of_user().prepare(CATALOG["yunet"])
    command = [sys.executable, "-c", SCRIPT, str(path), str(reserve_bytes), str(arena_bytes)]
    told: list[int] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return told


def test_calls_of_growing_sizes_need_less_where_a_block_was_reserved() -> None:
    grown, reserved = held(), held(reserve_bytes=32 * MIB)
    assert 31 * MIB <= reserved[0] <= 35 * MIB
    assert reserved[-2] < 0.8 * grown[-2]


def test_what_was_reserved_comes_back() -> None:
    assert held(reserve_bytes=40 * MIB)[-1] < 6 * MIB
    assert held()[-1] < 6 * MIB


def test_a_block_beyond_the_arenas_limit_is_a_lack_of_memory() -> None:
    assert held(reserve_bytes=80 * MIB, arena_bytes=60 * MIB) == [-1]


def test_calls_beyond_the_arenas_limit_are_a_lack_of_memory() -> None:
    sizes = held(arena_bytes=20 * MIB)
    assert sizes[-1] == -1
    assert max(sizes) < 40 * MIB
