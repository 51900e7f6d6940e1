import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from conftest import SHARED, prepared
from faceloom.align.pfld import Pfld
from faceloom.api import stream
from faceloom.choices import EngineName, Precision
from faceloom.engines.engine import Network
from faceloom.engines.onnx import OnnxEngine
from faceloom.engines.runtime import Runtime
from faceloom.engines.start import start_engine
from faceloom.errors import DeviceLostError, StageError
from faceloom.mask import NetworkMask
from faceloom.mask.unet import UNet
from faceloom.models.convert import convert
from faceloom.models.weights import WeightCache
from faceloom.stage import NetworkPlugin, Tensors
from plugins import every, images_for

torch: Any = pytest.importorskip("torch", reason="PyTorch is not installed")

Load = Callable[[str], Network]
RUNTIME = Runtime(engine=EngineName.TORCH)
every_network = every(NetworkPlugin)
STORED_PX = 0.001
"""The last digit of coordinates that is stored."""
CLOSE = 2e-5
"""Of the largest value of an output, or of 1 if that is more: float32 sums in another order."""


def by_torch(cache: WeightCache, plugin: NetworkPlugin) -> Network:
    if plugin.network:
        pytest.skip("a checkpoint, which no other engine runs")
    return start_engine(RUNTIME).load(prepared(cache, plugin.weights.name))


def largest_difference(ours: Tensors, theirs: Tensors) -> float:
    """Over every output, in the unit of `CLOSE`."""
    assert ours.keys() == theirs.keys()
    assert all(ours[name].shape == theirs[name].shape for name in theirs)
    return max(
        float(np.abs(ours[name] - values).max() / max(1.0, np.abs(values).max())) for name, values in theirs.items()
    )


@every_network
@pytest.mark.parametrize("batch", [1, 2, 3])
def test_a_network_answers_what_onnxruntime_answers(
    plugin: NetworkPlugin, network: Load, cache: WeightCache, samples: Path, batch: int
) -> None:
    inputs = plugin.prepare(images_for(plugin, samples)[:batch])
    assert largest_difference(by_torch(cache, plugin)(inputs), network(plugin.weights.name)(inputs)) < CLOSE


@every_network
def test_the_items_of_a_batch_are_those_items(plugin: NetworkPlugin, cache: WeightCache, samples: Path) -> None:
    infer, images = by_torch(cache, plugin), images_for(plugin, samples)
    together = infer(plugin.prepare(images))
    for i, image in enumerate(images):
        alone = infer(plugin.prepare(image[None]))
        assert largest_difference({name: values[i : i + 1] for name, values in together.items()}, alone) < CLOSE


@every_network
def test_calls_side_by_side_give_the_same_bits(plugin: NetworkPlugin, cache: WeightCache, samples: Path) -> None:
    infer, images = by_torch(cache, plugin), images_for(plugin, samples)
    inputs = [plugin.prepare(image[None]) for image in images]
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(infer, inputs * 2))
    for given, answer in zip(inputs * 2, answers, strict=True):
        for name, values in infer(given).items():
            np.testing.assert_array_equal(answer[name], values)


def shared_networks() -> list[Path]:
    return sorted((SHARED / "weights").glob("*.onnx"))


@pytest.mark.skipif(not shared_networks(), reason="the shared weights are not beside this checkout")
@pytest.mark.parametrize("path", shared_networks(), ids=lambda path: path.stem)
def test_a_network_beside_the_checkout_answers_what_onnxruntime_answers(path: Path, tmp_path: Path) -> None:
    target = tmp_path / path.name
    target.write_bytes(convert(path.read_bytes(), file=path.name, axes=["batch"]).SerializeToString())
    weights = {tensor.name for tensor in onnx.load(target).graph.initializer}
    (image,) = (value for value in onnx.load(target).graph.input if value.name not in weights)
    sides = [side.dim_value or 320 for side in image.type.tensor_type.shape.dim[2:]]
    theirs, ours = OnnxEngine().load(target), start_engine(RUNTIME).load(target)
    answered = 0
    for batch in (1, 2, 3):
        noise = np.random.default_rng(batch).random((batch, 3, *sides), np.float32)
        try:
            wanted = theirs({image.name: noise})
        except Exception:  # some fold the batch in more places than preparing mends
            continue
        assert largest_difference(ours({image.name: noise}), wanted) < CLOSE
        answered += 1
    assert answered


@pytest.mark.parametrize(("detect", "align"), [("yunet", "facemesh"), ("centerface", "pfld")])
def test_both_engines_find_the_same_faces(shared: Path, detect: str, align: str) -> None:
    pictures = shared / "dlib_examples/examples/faces"
    by_onnx, by_torch = (
        [face for frame in stream(pictures, detect=detect, align=align, mask=[], engine=engine) for face in frame.faces]
        for engine in ("onnx", "torch")
    )
    assert [str(face) for face in by_onnx] == [str(face) for face in by_torch]
    for name in ("box", "keypoints", "landmarks"):
        pairs = [(getattr(a, name), getattr(b, name)) for a, b in zip(by_onnx, by_torch, strict=True)]
        apart = np.array([np.abs(a - b).max() for a, b in pairs if a is not None])
        # A crop that stands on the edge between two places may be laid on the other one; about one in 200 faces.
        assert (apart > STORED_PX).mean() < 0.03, name
        assert (apart < 0.5).all(), name


def test_both_engines_cover_the_same_pixels(network: Load, cache: WeightCache, samples: Path) -> None:

    plugin: NetworkMask = UNet()
    images = images_for(plugin, samples)
    masks = [plugin.segment(infer, images) for infer in (network("unet"), by_torch(cache, plugin))]
    assert np.abs(masks[0].astype(int) - masks[1].astype(int)).max() <= 1


@pytest.mark.parametrize("content", [b"", b"garbage" * 100, b"\x08\x08"])
def test_a_file_that_is_no_network_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "garbage.onnx"
    path.write_bytes(content)
    with pytest.raises(StageError) as caught:
        start_engine(RUNTIME).load(path)
    assert caught.value.stage == "garbage"


def test_an_engine_tells_its_version() -> None:
    assert start_engine(RUNTIME).version == f"torch {torch.__version__}"


@pytest.mark.parametrize("device", ["cuda:63", "mps:1", "dsp:0"])
def test_a_device_that_is_not_there_is_refused(device: str) -> None:
    with pytest.raises(StageError, match=device):
        start_engine(Runtime(engine=EngineName.TORCH, device=device))


def test_nobody_imports_pytorch_who_does_not_use_it() -> None:
    code = "import sys, faceloom.api, faceloom.worker.worker, faceloom.worker.measuring; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


STARVED = """
import resource, sys
from pathlib import Path
import numpy as np
from faceloom.choices import EngineName
from faceloom.engines.runtime import Runtime
from faceloom.engines.start import start_engine

network = start_engine(Runtime(engine=EngineName.TORCH)).load(Path(sys.argv[1]))
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


class SimulatedCard:
    """What `torch.cuda` tells of a card of 8 GiB, and what it is told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.said: list[Any] = []
        self.streams: list[SimulatedStream] = []
        self.compute = SimulatedStream()
        answers = {
            "is_available": lambda: True,
            "device_count": lambda: 2,
            "get_device_properties": lambda device: type("Card", (), {"total_memory": 8 << 30}),
            "set_per_process_memory_fraction": lambda share, device: self.said.append((share, device.index)),
            "mem_get_info": lambda device: (5 << 30, 8 << 30),
            "memory_reserved": lambda device: 700,
            "max_memory_reserved": lambda device: 900,
            "synchronize": lambda device: self.said.append("waited"),
            "empty_cache": lambda: self.said.append("emptied"),
            "host_memory_stats": lambda: {"allocated_bytes.current": 300, "active_bytes.current": 10},
            "Stream": self._stream,
            "stream": nullcontext,
            "device": nullcontext,
            "Event": SimulatedEvent,
            "current_stream": lambda device: self.compute,
        }
        for name, answer in answers.items():
            monkeypatch.setattr(torch.cuda, name, answer)
        monkeypatch.setattr(torch.accelerator, "empty_host_cache", lambda: self.said.append("emptied pinned"))

    def _stream(self, device: Any) -> "SimulatedStream":
        self.streams.append(SimulatedStream())
        return self.streams[-1]


class SimulatedStream:
    """Work in order, of which nothing needs to be waited for."""

    def __init__(self) -> None:
        self.waited: list[SimulatedStream] = []

    def wait_stream(self, other: "SimulatedStream") -> None:
        self.waited.append(other)


class SimulatedEvent:
    """A moment on a card's own clock; every call takes 20 ms."""

    def __init__(self, enable_timing: bool = False) -> None:
        pass

    def record(self, stream: SimulatedStream) -> None:
        pass

    def synchronize(self) -> None:
        pass

    def elapsed_time(self, other: "SimulatedEvent") -> float:
        return 20.0


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> SimulatedCard:
    return SimulatedCard(monkeypatch)


def test_a_limit_is_a_share_of_the_card(card: SimulatedCard) -> None:
    start_engine(Runtime(engine=EngineName.TORCH, device="cuda:1"), arena_bytes=2 << 30)
    assert card.said == [(0.25, 1)]


def test_what_a_card_holds_is_what_is_reserved(card: SimulatedCard) -> None:
    memory = start_engine(Runtime(engine=EngineName.TORCH, device="cuda:0")).memory
    assert memory is not None
    assert (memory.held_bytes, memory.peak_bytes) == (700, 900)
    assert (memory.free_bytes, memory.total_bytes) == (5 << 30, 8 << 30)


def test_shrinking_waits_for_the_card_and_empties_its_cache(card: SimulatedCard) -> None:
    start_engine(Runtime(engine=EngineName.TORCH, device="cuda:0")).shrink()
    assert card.said == ["waited", "emptied", "emptied pinned"]


def test_memory_that_a_card_reads_by_itself_is_counted(card: SimulatedCard) -> None:
    memory = start_engine(Runtime(engine=EngineName.TORCH, device="cuda:0")).memory
    assert memory is not None
    assert memory.pinned_bytes == 300


@pytest.fixture
def moved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules and tensors stay where they are, whatever card they are sent to."""
    monkeypatch.setattr(torch.nn.Module, "to", lambda self, *_, **__: self)
    monkeypatch.setattr(torch.Tensor, "to", lambda self, *_, **__: self)
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: self)
    monkeypatch.setattr(torch.Tensor, "record_stream", lambda self, stream: None)
    empty = torch.empty
    monkeypatch.setattr(torch, "empty", lambda *shape, pin_memory=False, **more: empty(*shape, **more))


@pytest.mark.usefixtures("moved")
def test_all_networks_of_a_card_copy_on_the_same_two_streams(card: SimulatedCard, cache: WeightCache) -> None:
    engine = start_engine(Runtime(engine=EngineName.TORCH, device="cuda:0"))
    networks = [engine.load(prepared(cache, name)) for name in ("pfld", "unet")]
    assert len(card.streams) == 2
    plugins: tuple[tuple[NetworkPlugin, int], ...] = ((Pfld(), Pfld().input_size), (UNet(), UNet().input_size))
    for network, (plugin, side) in zip(networks, plugins, strict=True):
        inputs = plugin.prepare(np.zeros((1, side, side, 3), np.uint8))
        theirs = OnnxEngine().load(prepared(cache, plugin.weights.name))(inputs)
        assert largest_difference(network(inputs), theirs) < CLOSE
    up, down = card.streams
    assert card.compute.waited == [up, up]
    assert down.waited == [card.compute, card.compute]
    assert engine.busy_s == pytest.approx(2 * 0.020)


@pytest.mark.parametrize(
    ("precision", "floats"), [(Precision.FP32, "ieee"), (Precision.TF32, "tf32"), (Precision.FP16, "ieee")]
)
def test_cards_compute_in_float32_unless_asked_for_less(card: SimulatedCard, precision: Precision, floats: str) -> None:
    start_engine(Runtime(engine=EngineName.TORCH, device="cuda:0", precision=precision))
    assert torch.backends.cuda.matmul.fp32_precision == floats
    assert torch.backends.cudnn.conv.fp32_precision == floats


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("cuDNN error: CUDNN_STATUS_NOT_INITIALIZED"),
        RuntimeError("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`"),
    ],
)
def test_a_card_out_of_memory_is_a_lack_of_memory(
    error: RuntimeError, cache: WeightCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = start_engine(RUNTIME).load(prepared(cache, "pfld"))

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(torch.nn.functional, "conv2d", fail)
    monkeypatch.setattr(network, "_module", fail)
    with pytest.raises(MemoryError):
        network({"input": np.zeros((1, 3, 112, 112), np.float32)})


def test_an_error_of_the_card_means_that_it_is_lost(cache: WeightCache, monkeypatch: pytest.MonkeyPatch) -> None:
    network = start_engine(RUNTIME).load(prepared(cache, "pfld"))

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("CUDA error: unspecified launch failure\nCompile with `TORCH_USE_CUDA_DSA`")

    monkeypatch.setattr(network, "_module", fail)
    with pytest.raises(DeviceLostError, match=r"unspecified launch failure$"):
        network({"input": np.zeros((1, 3, 112, 112), np.float32)})
