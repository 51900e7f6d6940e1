import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from conftest import prepared
from faceloom.engines.engine import Network
from faceloom.engines.onnx import OnnxEngine
from faceloom.errors import StageError
from faceloom.models.weights import WeightCache
from faceloom.stage import NetworkPlugin, Tensors
from plugins import every, images_for

Load = Callable[[str], Network]
every_network = every(NetworkPlugin)


def together(outputs: list[Tensors]) -> Tensors:
    """Answers to items one by one, as the answer to their batch."""
    return {name: np.concatenate([output[name] for output in outputs]) for name in outputs[0]}


def assert_same_bits(first: Tensors, second: Tensors) -> None:
    assert first.keys() == second.keys()
    for name, values in first.items():
        np.testing.assert_array_equal(values, second[name])


@pytest.mark.parametrize("content", [b"", b"garbage" * 100, b"\x08\x08"])
def test_a_file_that_is_no_network_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "garbage.onnx"
    path.write_bytes(content)
    with pytest.raises(StageError) as caught:
        OnnxEngine().load(path)
    assert caught.value.stage == "garbage"


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StageError):
        OnnxEngine().load(tmp_path / "missing.onnx")


def test_an_engine_tells_its_version() -> None:
    assert OnnxEngine().version == f"onnxruntime {onnxruntime.__version__}"


@every_network
def test_a_batch_is_bit_for_bit_its_items_one_by_one(plugin: NetworkPlugin, network: Load, samples: Path) -> None:
    infer, images = network(plugin.weights.name), images_for(plugin, samples)
    singles = [infer(plugin.prepare(image[None])) for image in images]
    assert_same_bits(infer(plugin.prepare(images)), together(singles))


@every_network
def test_calls_side_by_side_give_the_same_bits(plugin: NetworkPlugin, network: Load, samples: Path) -> None:
    infer, images = network(plugin.weights.name), images_for(plugin, samples)
    inputs = [plugin.prepare(image[None]) for image in images] * 2
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(infer, inputs))
    for values, answer in zip(inputs, answers, strict=True):
        assert_same_bits(answer, infer(values))


@every_network
def test_a_network_answers_every_item(plugin: NetworkPlugin, network: Load, samples: Path) -> None:
    images = images_for(plugin, samples)
    assert {len(values) for values in network(plugin.weights.name)(plugin.prepare(images)).values()} == {len(images)}


STARVED = """
import resource, sys
from pathlib import Path
import numpy as np
from faceloom.engines.onnx import OnnxEngine

network = OnnxEngine().load(Path(sys.argv[1]))
small = {"pixels": np.zeros((1, 1, 64, 3 * 64), np.uint8)}
large = {"pixels": np.zeros((64, 1, 640, 3 * 640), np.uint8)}
network(small)
held = next(int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if "VmData" in line)
resource.setrlimit(resource.RLIMIT_DATA, ((held << 10) + (100 << 20),) * 2)
try:
    network(large)
except MemoryError:
    network(small)
    print("goes on")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit on memory is Linux's")
def test_a_network_that_gets_no_memory_says_so_and_can_be_called_again(cache: WeightCache) -> None:
    path = prepared(cache, "yunet")
    done = subprocess.run([sys.executable, "-c", STARVED, str(path)], capture_output=True, text=True, check=False)
    assert done.stdout == "goes on\n", done.stderr
