import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any

import pytest

from faceloom.errors import BudgetError, RequestError
from faceloom.memory.devices import Device, choose_devices, find_devices, gpu_problem
from faceloom.units import GIB

SIZES = (2 * GIB, 4 * GIB, 8 * GIB, 24 * GIB)
UUIDS = ("GPU-0a11", "GPU-0b22", "GPU-cc33", "GPU-dd44")
CALLS = (
    "nvmlInit",
    "nvmlDeviceGetCount",
    "nvmlDeviceGetHandleByIndex",
    "nvmlDeviceGetName",
    "nvmlDeviceGetUUID",
    "nvmlDeviceGetMemoryInfo",
    "nvmlShutdown",
)


@dataclass
class Memory:
    total: int
    free: int


@dataclass
class Driver:
    """What the fake module says: four cards of 2, 4, 8 and 24 GiB, half free."""

    sizes: tuple[int, ...] = SIZES
    failing: str = ""
    knows_second_version: bool = True
    answers_in_bytes: bool = False
    users: int = 0
    asked_versions: list[int | None] = field(default_factory=list)
    slices: dict[int, list[int | None]] = field(default_factory=dict)
    """Of cards on which MIG is on: the memory of each slice, or None where there could be one."""


class NVMLError(Exception):
    pass


class Nvml(ModuleType):
    """Stands for `pynvml`."""

    NVMLError = NVMLError
    nvmlMemory_v2 = 0x02000028  # noqa: N815

    def __init__(self, driver: Driver) -> None:
        super().__init__("pynvml")
        for name in CALLS:
            setattr(self, name, self._call(name, driver))
        if driver.slices:
            self._offer_slices(driver)

    def _offer_slices(self, driver: Driver) -> None:
        """As a driver does that can slice cards: a slice is asked by the same calls as a card."""
        whole = {name: getattr(self, name) for name in CALLS}

        def mode(i: int) -> list[int]:
            if i == 0:
                raise NVMLError("Not Supported")
            return [int(i in driver.slices), 0]

        def handle(i: int, place: int) -> tuple[int, int]:
            if driver.slices[i][place] is None:
                raise NVMLError("Not Found")
            return i, place

        def memory(i: Any, version: int | None = None) -> object:
            if not isinstance(i, tuple):
                return whole["nvmlDeviceGetMemoryInfo"](i, version=version)
            total = driver.slices[i[0]][i[1]]
            assert total
            return Memory(total=total, free=total)

        def uuid(i: Any) -> object:
            return f"MIG-{i[0]}{i[1]}" if isinstance(i, tuple) else whole["nvmlDeviceGetUUID"](i)

        def label(i: Any) -> object:
            return f"Slice {i[1]}" if isinstance(i, tuple) else whole["nvmlDeviceGetName"](i)

        self.nvmlDeviceGetMigMode = mode
        self.nvmlDeviceGetMaxMigDeviceCount = lambda i: len(driver.slices[i])
        self.nvmlDeviceGetMigDeviceHandleByIndex = handle
        self.nvmlDeviceGetMemoryInfo = memory
        self.nvmlDeviceGetUUID = uuid
        self.nvmlDeviceGetName = label

    def _call(self, name: str, driver: Driver) -> Callable[..., object]:
        def call(*values: int, version: int | None = None) -> object:
            if name == driver.failing:
                raise NVMLError(f"{name} failed")
            return answers[name](*values, version) if name == "nvmlDeviceGetMemoryInfo" else answers[name](*values)

        def text(value: str) -> str | bytes:
            return value.encode() if driver.answers_in_bytes else value

        def use(more: int) -> None:
            driver.users += more

        def memory(i: int, version: int | None) -> Memory:
            driver.asked_versions.append(version)
            if version and not driver.knows_second_version:
                raise NVMLError("Function Not Found")
            return Memory(total=driver.sizes[i], free=driver.sizes[i] // 2)

        answers: dict[str, Callable[..., object]] = {
            "nvmlInit": lambda: use(1),
            "nvmlDeviceGetCount": lambda: len(driver.sizes),
            "nvmlDeviceGetHandleByIndex": lambda i: i,
            "nvmlDeviceGetName": lambda i: text(f"Card of {driver.sizes[i] // GIB} GiB"),
            "nvmlDeviceGetUUID": lambda i: text(UUIDS[i]),
            "nvmlDeviceGetMemoryInfo": memory,
            "nvmlShutdown": lambda: use(-1),
        }
        return call


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Driver]:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    driver = Driver()
    monkeypatch.setitem(sys.modules, "pynvml", Nvml(driver))
    yield driver
    assert not driver.users or driver.failing == "nvmlShutdown"  # whoever begins to use the driver ends it


def names_and_uuids() -> list[tuple[str, str]]:
    return [(device.name, device.uuid) for device in find_devices()]


def test_the_cpu_comes_first_and_has_the_ram() -> None:
    cpu = find_devices()[0]
    assert (cpu.name, cpu.kind, cpu.uuid) == ("cpu", "cpu", "")
    assert cpu.label
    assert cpu.total_bytes >= cpu.free_bytes >= 0


def test_cards_follow_with_what_the_driver_tells(driver: Driver) -> None:
    cards = find_devices()[1:]
    assert [card.name for card in cards] == ["cuda:0", "cuda:1", "cuda:2", "cuda:3"]
    assert cards[3] == Device(
        name="cuda:3",
        label="Card of 24 GiB",
        total_bytes=24 * GIB,
        free_bytes=12 * GIB,
        uuid="GPU-dd44",
        environment=(("CUDA_VISIBLE_DEVICES", "GPU-dd44"),),
    )
    assert {card.kind for card in cards} == {"cuda"}
    assert driver.asked_versions == [Nvml.nvmlMemory_v2] * 4
    assert gpu_problem() is None


def test_an_old_driver_is_asked_in_the_old_way(driver: Driver) -> None:
    driver.knows_second_version = False
    assert [card.total_bytes for card in find_devices()[1:]] == list(SIZES)


def test_an_old_binding_is_asked_in_the_old_way(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(Nvml, "nvmlMemory_v2")
    driver.answers_in_bytes = True
    assert [card.label for card in find_devices()[1:]][:1] == ["Card of 2 GiB"]
    assert driver.asked_versions == [None] * 4


@pytest.mark.parametrize("call", CALLS)
def test_a_call_that_fails_means_no_cards_and_a_reason(driver: Driver, call: str) -> None:
    driver.failing = call
    assert [device.name for device in find_devices()] == ["cpu"]
    assert call in (gpu_problem() or "")


def test_a_driver_without_cards_is_a_reason(driver: Driver) -> None:
    driver.sizes = ()
    assert [device.name for device in find_devices()] == ["cpu"]
    assert "no card" in (gpu_problem() or "")


def test_a_missing_binding_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert [device.name for device in find_devices()] == ["cpu"]
    assert "nvidia-ml-py" in (gpu_problem() or "")


@pytest.mark.parametrize(
    ("variable", "shown"),
    [
        ("0,1,2,3", [0, 1, 2, 3]),
        ("3,1", [3, 1]),
        (" 2 , 0 ", [2, 0]),
        ("1gpu,2", [1, 2]),
        ("GPU-dd44,GPU-0a", [3, 0]),
        ("GPU-0b22", [1]),
        ("GPU-0", []),  # two cards begin like that
        ("GPU-cc,GPU-0,GPU-dd", [2]),
        ("1,7,2", [1]),
        ("2,-1,3", [2]),
        ("2,,3", [2]),
        ("0,0", []),
        ("", []),
        ("-1", []),
        ("NoDevFiles", []),
        ("MIG-0a11", []),
    ],
)
def test_the_variable_is_read_as_cuda_does(
    driver: Driver, monkeypatch: pytest.MonkeyPatch, variable: str, shown: list[int]
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", variable)
    assert names_and_uuids()[1:] == [(f"cuda:{number}", UUIDS[i]) for number, i in enumerate(shown)]
    assert (gpu_problem() is None) == bool(shown)


@pytest.fixture
def sliced(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> Driver:
    """The third card has slices of 3 and 5 GiB, and a place for another between them; the last has none at all."""
    driver.slices = {2: [3 * GIB, None, 5 * GIB], 3: []}
    monkeypatch.setitem(sys.modules, "pynvml", Nvml(driver))
    return driver


def test_the_slices_of_a_card_stand_in_its_place_with_what_is_theirs(sliced: Driver) -> None:
    cards = find_devices()[1:]
    assert [(card.name, card.uuid) for card in cards] == [
        ("cuda:0", "GPU-0a11"),
        ("cuda:1", "GPU-0b22"),
        ("cuda:2", "MIG-20"),
        ("cuda:3", "MIG-22"),
    ]
    assert [card.total_bytes for card in cards[2:]] == [3 * GIB, 5 * GIB]
    assert cards[3].environment == (("CUDA_VISIBLE_DEVICES", "MIG-22"),)


@pytest.mark.parametrize(
    ("variable", "shown"),
    [
        ("MIG-22", ["MIG-22"]),
        ("MIG-2", []),  # both begin like that
        ("MIG-22,MIG-20,0", ["MIG-22", "MIG-20", "GPU-0a11"]),
        ("2", ["MIG-20"]),
        ("GPU-cc", ["MIG-20"]),
        ("0,3,1", ["GPU-0a11"]),  # there is nothing that could be used of the last card
        ("2,MIG-20", []),
    ],
)
def test_the_variable_names_slices(
    sliced: Driver, monkeypatch: pytest.MonkeyPatch, variable: str, shown: list[str]
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", variable)
    assert [uuid for _, uuid in names_and_uuids()[1:]] == shown


def test_cards_that_are_to_be_sliced_and_are_not_are_a_reason(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    driver.sizes, driver.slices = (2 * GIB, 4 * GIB), {1: []}
    monkeypatch.setitem(sys.modules, "pynvml", nvml := Nvml(driver))
    assert names_and_uuids()[1:] == [("cuda:0", "GPU-0a11")]
    monkeypatch.setattr(nvml, "nvmlDeviceGetCount", lambda: 1)
    monkeypatch.setattr(nvml, "nvmlDeviceGetHandleByIndex", lambda _: 1)
    assert [device.name for device in find_devices()] == ["cpu"]
    assert "MIG" in (gpu_problem() or "")


@pytest.fixture
def devices(driver: Driver) -> tuple[Device, ...]:
    return find_devices()


BOTH = {"cpu", "cuda"}


def names(devices: tuple[Device, ...], wanted: str, drivable: set[str] = BOTH, excluded: str = "") -> list[str]:
    return [device.name for device in choose_devices(wanted, devices, drivable=drivable, excluded=excluded)]


@pytest.mark.parametrize(
    ("wanted", "drivable", "excluded", "chosen"),
    [
        ("auto", BOTH, "", ["cuda:3"]),
        ("auto", BOTH, "cuda:3", ["cuda:2"]),
        ("auto", BOTH, "cuda:3, cuda:2,cuda:7", ["cuda:1"]),
        ("auto", BOTH, "cuda:0,cuda:1,cuda:2,cuda:3", ["cpu"]),
        ("auto", {"cpu"}, "", ["cpu"]),
        ("cpu", BOTH, "", ["cpu"]),
        ("cuda:1", BOTH, "", ["cuda:1"]),
        ("cuda:2,cuda:0", BOTH, "", ["cuda:2", "cuda:0"]),
        ("cuda:0, cpu", BOTH, "", ["cuda:0", "cpu"]),
        ("cuda:0,cuda:1,cpu", BOTH, "cuda:0", ["cuda:1", "cpu"]),
        ("cuda:9,cuda:1", BOTH, "cuda:9", ["cuda:1"]),
    ],
)
def test_a_request_names_devices(
    devices: tuple[Device, ...], wanted: str, drivable: set[str], excluded: str, chosen: list[str]
) -> None:
    assert names(devices, wanted, drivable, excluded) == chosen


def test_automatic_is_the_cpu_where_there_is_no_card(devices: tuple[Device, ...]) -> None:
    assert names(devices[:1], "auto") == ["cpu"]


def test_automatic_is_a_card_even_where_the_cpu_has_more_memory(devices: tuple[Device, ...]) -> None:
    roomy = replace(devices[0], free_bytes=1024 * GIB)
    assert names((roomy, *devices[1:]), "auto") == ["cuda:3"]


@pytest.mark.parametrize("wanted", ["cuda:4", "cpu,cuda:4"])
def test_a_card_that_is_not_there_is_refused_with_what_there_is(devices: tuple[Device, ...], wanted: str) -> None:
    with pytest.raises(BudgetError, match=r"cuda:4 here.*cuda:3 .Card of 24 GiB") as caught:
        names(devices, wanted)
    assert caught.value.exit_code == 3


def test_a_card_without_an_engine_is_refused(devices: tuple[Device, ...]) -> None:
    with pytest.raises(BudgetError, match="no engine here drives cuda:0"):
        names(devices, "cuda:0", {"cpu"})


@pytest.mark.parametrize("wanted", ["gpu", "cuda", "cuda:-1", "CPU", "", "cuda:0,", "auto,cpu", "cuda:0 cuda:1"])
def test_what_is_no_device_at_all_is_a_wrong_request(devices: tuple[Device, ...], wanted: str) -> None:
    with pytest.raises(RequestError, match="write auto, cpu or a card"):
        names(devices, wanted)


@pytest.mark.parametrize("excluded", ["auto", "gpu", "cuda:0;cuda:1"])
def test_what_is_no_device_cannot_be_excluded(devices: tuple[Device, ...], excluded: str) -> None:
    with pytest.raises(RequestError, match="is not a device"):
        names(devices, "auto", excluded=excluded)


@pytest.mark.parametrize(
    ("wanted", "excluded"),
    [("cuda:0,cpu,cuda:0", ""), ("cuda:0", "cuda:0"), ("auto", "cpu,cuda:0,cuda:1,cuda:2,cuda:3")],
)
def test_a_device_twice_and_no_device_at_all_are_wrong_requests(
    devices: tuple[Device, ...], wanted: str, excluded: str
) -> None:
    with pytest.raises(RequestError, match=r"twice|leaves no device|is left without"):
        names(devices, wanted, excluded=excluded)
