import subprocess
import sys

import numpy as np

from faceloom.memory.usage import peak_bytes
from faceloom.units import MIB


def test_the_peak_rises_by_what_is_held_and_does_not_fall() -> None:
    before = peak_bytes()
    block = np.ones(before // 8 + 32 * MIB, np.float64)  # larger than everything held so far
    held = peak_bytes()
    assert held >= block.nbytes
    del block
    assert peak_bytes() >= held - MIB  # the kernel counts pages in batches


def test_a_process_does_not_start_with_the_peak_of_its_parent() -> None:
    block = np.ones(64 * MIB, np.float64)
    script = "from faceloom.memory.usage import peak_bytes; print(peak_bytes())"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert int(done.stdout) < block.nbytes / 2
