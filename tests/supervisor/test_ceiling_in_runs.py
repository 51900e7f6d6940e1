"""Inputs that take more than they tell at first, under budgets that are just enough."""

import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from faceloom.errors import BudgetError
from faceloom.memory.usage import peak_bytes
from faceloom.supervisor.workers import WorkerPool
from faceloom.units import MIB
from media.picture_files import shaded
from reliability.bad_inputs import declaring_gif

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes have a limit on Linux alone")
UNSEEN_BYTES = 4 * MIB
"""What a process limit does not see between two steps: small holes, and pages of libraries (docs/memory.md)."""
FLAGS = ("--align", "none", "--no-chips", "--quiet", "--json")


def run(inputs: Path, out: Path, memory: int) -> tuple[int, dict[str, Any]]:
    """Exit code and answer of a command, in a process of its own, whose memory is not that of the tests."""
    command = [sys.executable, "-m", "faceloom", "extract", str(inputs), "--out", str(out), "--memory", str(memory)]
    done = subprocess.run([*command, *FLAGS], check=False, capture_output=True, text=True)
    return done.returncode, json.loads(done.stdout)


def smallest(inputs: Path, out: Path) -> int:
    """The smallest budget that a refusal names, once everything has been measured.

    What does not tell its size is read to see, which takes more than the first budget: the second refusal knows.
    """
    assert run(inputs, out / "first", 4096 * MIB)[0] == 0
    budget = MIB
    for number in range(2):
        code, answer = run(inputs, out / f"refused-{number}", budget)
        if code == 0:
            return budget
        assert code == BudgetError.exit_code
        budget = named(answer)
    return budget


def named(answer: dict[str, Any]) -> int:
    """The budget that a refusal names."""
    words: str = answer["error"]["message"]
    return int(words.partition("would do is ")[2].partition(" MiB")[0].replace(",", "")) * MIB


def write_growing(path: Path) -> Path:
    content = b""
    for shape in ((240, 320), (1080, 1920)):
        part = path.with_name(f"{shape[0]}.h264")
        with av.open(str(part), "w") as container:
            stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast", "g": "10", "refs": "4"})
            stream.height, stream.width = shape
            for i in range(16):
                image = np.ascontiguousarray(shaded(shape[0] + 16, shape[1])[i : i + shape[0]])
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            container.mux(stream.encode(None))
        content += part.read_bytes()
        part.unlink()
    path.write_bytes(content)
    return path


def write_untold(path: Path) -> Path:
    """A picture whose header nobody here reads, though OpenCV does."""
    image = shaded(2400, 3600)
    head = "P7\nWIDTH  3600\nHEIGHT  2400\nDEPTH 3\nMAXVAL 255\nTUPLTYPE RGB\nENDHDR\n"
    path.write_bytes(head.encode() + image.tobytes())
    return path


@pytest.mark.parametrize("write", [write_growing, write_untold])
def test_the_smallest_budget_named_is_enough_for_inputs_that_grow_or_tell_nothing(tmp_path: Path, write: Any) -> None:
    inputs = write(tmp_path / "input.h264" if write is write_growing else tmp_path / "input.pam")
    budget = smallest(inputs, tmp_path)
    code, summary = run(inputs, tmp_path / "out", budget)
    assert code == 0
    assert summary["peak_bytes"]["cpu"] <= summary["predicted_peak_bytes"]["cpu"] <= budget
    assert summary["events"]["oom"] == summary["failed"] == 0
    assert run(inputs, tmp_path / "less", budget - 2 * MIB)[0] == BudgetError.exit_code


def test_a_file_that_declares_what_no_memory_holds_is_counted_within_a_small_budget(tmp_path: Path) -> None:
    (tmp_path / "bomb.gif").write_bytes(declaring_gif(15_000))
    script = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:]);"
        " print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    command = ["faceloom", "extract", str(tmp_path / "bomb.gif"), "--out", str(tmp_path / "out"), "--memory", "150MiB"]
    done = subprocess.run(
        [sys.executable, "-c", script, sys.executable, "-m", *command, *FLAGS],
        capture_output=True,
        text=True,
        check=True,
    )
    answer, _, largest = done.stdout.strip().rpartition("\n")
    assert "the smallest budget that would do is" in json.loads(answer)["error"]["message"]
    assert int(largest) / 1024 <= 150


def test_a_worker_that_has_said_nothing_yet_counts_with_what_it_holds() -> None:
    with WorkerPool() as pool:
        pool.start(1)
        (worker,) = pool.workers
        while peak_bytes(worker.pid) < 8 * MIB:
            pass
        pool.stop()
        assert pool.peak_bytes >= 8 * MIB


def write_grown_unsaid(path: Path) -> Path:
    """A video whose later frames are larger, where no keyframe says so in a way that is read: MPEG-4, part 2."""
    packets = []
    for shape, first in (((240, 320), 0), ((1440, 2560), 12)):
        coder = av.CodecContext.create("mpeg4", "w")
        coder.height, coder.width, coder.pix_fmt, coder.time_base = *shape, "yuv420p", Fraction(1, 25)
        for i in range(12):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(shaded(*shape)), format="rgb24")
            frame.pts = first + i
            packets += coder.encode(frame)
        packets += coder.encode(None)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.height, stream.width, stream.time_base = 240, 320, Fraction(1, 25)
        for packet in packets:
            packet.stream, packet.time_base = stream, Fraction(1, 25)
            container.mux(packet)
    return path


def test_frames_that_grow_unsaid_are_planned_for_when_they_come_and_stay_below_the_budget(tmp_path: Path) -> None:
    inputs = write_grown_unsaid(tmp_path / "grown.avi")
    assert run(inputs, tmp_path / "first", 1024 * MIB)[0] == 0
    budget = named(run(inputs, tmp_path / "refused", MIB)[1])
    code, tight = run(inputs, tmp_path / "tight", budget)
    assert code in {0, 1}
    assert tight["peak_bytes"]["cpu"] <= budget + UNSEEN_BYTES
    code, ample = run(inputs, tmp_path / "ample", budget + 48 * MIB)
    assert (code, ample["failed"]) == (0, 0)
    assert ample["peak_bytes"]["cpu"] <= budget + 48 * MIB
