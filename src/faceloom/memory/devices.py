"""What can run networks here: the CPU, NVIDIA cards as NVML (of the driver) tells of them, and others as far as known.

NVML is asked through the optional `pynvml` module of the package `nvidia-ml-py`: unlike CUDA itself it answers
without taking memory on the card.
"""

import importlib
import os
import platform
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from faceloom.errors import BudgetError, RequestError
from faceloom.memory.other_cards import amd_cards, has_apple_gpu
from faceloom.memory.ram import machine_bytes, read_ram
from faceloom.units import MIB, format_bytes

AUTO = "auto"
CPU = "cpu"
_CUDA = "cuda"
_MPS = "mps"
_NAME = re.compile(rf"{CPU}|{_MPS}|({_CUDA}|rocm):\d+")
_WANTED = re.compile(rf"{AUTO}|({_NAME.pattern})(\s*,\s*({_NAME.pattern}))*")
_VISIBLE = "CUDA_VISIBLE_DEVICES"
_HIP_VISIBLE = "HIP_VISIBLE_DEVICES"
_CPUINFO = Path("/proc/cpuinfo")
_LEAST_RESERVE_BYTES = 256 * MIB
"""The least that a default budget leaves of a card, since screens and other programs breathe."""
_RESERVE_SHARE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One place where networks can run."""

    name: str
    """The name as `--device` takes it: `cpu`, `cuda:0`."""
    label: str
    """A description for people."""
    total_bytes: int
    free_bytes: int
    """What could be taken at this moment; 0 if the system does not tell."""
    uuid: str = ""
    """The driver's own name for a card, the same whatever the order; empty for the CPU."""
    environment: tuple[tuple[str, str], ...] = ()
    """Variables, with their values, for a process that is to see this device alone, as number 0."""

    @property
    def kind(self) -> str:
        """The name without its number: `cpu`, `cuda`."""
        return self.name.partition(":")[0]


def find_devices() -> tuple[Device, ...]:
    """The CPU, then the NVIDIA cards that `CUDA_VISIBLE_DEVICES` leaves, in its order; none if any question fails.

    Where there are none, cards of AMD and Apple.

    Without that variable, and for numbers in it, the cards are counted by their PCI bus, as nvidia-smi does. CUDA
    itself does so only under CUDA_DEVICE_ORDER=PCI_BUS_ID or when all cards are of one model: by default it puts the
    one it holds for the fastest first, which NVML cannot know. So whoever uses a card should name it to CUDA by its
    `uuid`, which means the same in any order.

    In place of a card that is sliced (MIG) stand its slices, each with the memory that is its own: the whole card can
    then be used by nobody. CUDA shows a process one slice, the first of those it may see; by their `uuid` each can be
    used by a process of its own.
    """
    cards, _ = _cards()
    return (_cpu(), *(cards or _others()))


def default_card_bytes(free_bytes: int, total_bytes: int) -> int:
    """What a run may take of a card if nothing was asked for: what is free less a reserve, never below 0."""
    return max(0, free_bytes - max(_LEAST_RESERVE_BYTES, round(total_bytes * _RESERVE_SHARE)))


def free_bytes_of(name: str) -> int | None:
    """What could be taken of a device at this moment, without taking any of it; None if nobody tells."""
    return next((device.free_bytes for device in find_devices() if device.name == name and device.free_bytes), None)


def gpu_problem() -> str | None:
    """Says why `find_devices` finds no cards; None if it finds some."""
    _, problem = _cards()
    return problem


def choose_devices(
    wanted: str, devices: Sequence[Device], *, drivable: Collection[str], excluded: str = ""
) -> tuple[Device, ...]:
    """Chooses the devices that a request means, in its order; there is at least one.

    Args:
        wanted: names of devices with commas between, or "auto" for the drivable card with the most free memory, else
            the CPU.
        devices: what there is, as `find_devices` tells.
        drivable: the kinds that an engine can drive: {"cpu", "cuda"}.
        excluded: names of devices with commas between, which are left out of what there is and of what is wanted.

    Raises:
        RequestError: something is not the name of any device, stands there twice, or nothing is left.
        BudgetError: this machine lacks a device, or an engine for it.
    """
    without = {_checked(name, _NAME) for name in excluded.split(",") if name.strip()}
    left = [device for device in devices if device.name not in without]
    if _checked(wanted, _WANTED) == AUTO:
        usable = [device for device in left if device.kind in drivable]
        if not usable:
            raise RequestError(f"nothing that an engine drives is left without {', '.join(sorted(without))}")
        return (max(usable, key=lambda device: (device.kind != CPU, device.free_bytes)),)
    names = [_checked(name, _NAME) for name in wanted.split(",")]
    if len({*names}) < len(names):
        raise RequestError(f"{wanted!r} names a device twice; each has one worker or more of its own anyway")
    found = tuple(_named(name, devices, drivable=drivable) for name in names if name not in without)
    if not found:
        raise RequestError(f"{wanted} and not {excluded} leaves no device")
    return found


def _checked(name: str, pattern: re.Pattern[str]) -> str:
    if not pattern.fullmatch(name.strip()):
        raise RequestError(
            f"{name!r} is not a device; write {AUTO}, {CPU} or a card such as {_CUDA}:0, several with commas between"
        )
    return name.strip()


def _named(name: str, devices: Sequence[Device], *, drivable: Collection[str]) -> Device:
    found = next((device for device in devices if device.name == name), None)
    if found is None:
        there_is = ", ".join(map(_description, devices))
        raise BudgetError(f"there is no device {name} here, only {there_is}; choose one of these or {AUTO}")
    if found.kind not in drivable:
        kinds = ", ".join(sorted(drivable)) or "nothing"
        message = (
            f"no engine here drives {_description(found)}, only {kinds}; choose {AUTO} or install an engine for it"
        )
        raise BudgetError(message)
    return found


def _description(device: Device) -> str:
    return f"{device.name} ({device.label}, {format_bytes(device.free_bytes)} free)"


def _others() -> tuple[Device, ...]:
    """Cards that are not NVIDIA's."""
    cards = tuple(
        Device(name=name, label=label, total_bytes=total, free_bytes=free, environment=((_HIP_VISIBLE, number),))
        for name, label, total, free, number in amd_cards()
    )
    if not has_apple_gpu():
        return cards
    host = _cpu()
    return (*cards, replace(host, name=_MPS, label=f"GPU of {host.label}"))


def _cpu() -> Device:
    ram = read_ram()
    total, free = (ram.total_bytes, ram.available_bytes) if ram else (machine_bytes() or 0, 0)
    return Device(name=CPU, label=_cpu_label(), total_bytes=total, free_bytes=free)


def _cpu_label() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", _CPUINFO.read_text(), re.MULTILINE)
    except OSError:  # not Linux
        found = None
    return found[1] if found else platform.processor() or platform.machine()


def _cards() -> tuple[tuple[Device, ...], str | None]:
    """The visible cards, and why there are none."""
    try:
        nvml = importlib.import_module("pynvml")
    except (ImportError, OSError) as error:
        return (), f"NVIDIA cards are not looked for: {error} (pip install nvidia-ml-py)"
    try:
        nvml.nvmlInit()
        try:
            handles = [nvml.nvmlDeviceGetHandleByIndex(i) for i in range(nvml.nvmlDeviceGetCount())]
            every = [_CardWithSlices(_card(nvml, handle), _slices(nvml, handle)) for handle in handles]
        finally:
            nvml.nvmlShutdown()
    except nvml.NVMLError as error:
        return (), f"the NVIDIA driver cannot be asked: {error}"
    if not every:
        return (), "the NVIDIA driver knows of no card"
    visible = _visible(every, os.environ.get(_VISIBLE))
    cards = tuple(replace(card, name=f"{_CUDA}:{number}") for number, card in enumerate(visible))
    if cards or all(not card.usable for card in every):
        return cards, None if cards else "the NVIDIA cards are to be sliced (MIG is on), and have no slices"
    return cards, f"{_VISIBLE}={os.environ.get(_VISIBLE)!r} hides all {len(every)} NVIDIA cards"


@dataclass(frozen=True, slots=True)
class _CardWithSlices:
    """A card and its slices; None where it is whole."""

    whole: Device
    slices: tuple[Device, ...] | None

    @property
    def usable(self) -> tuple[Device, ...]:
        return (self.whole,) if self.slices is None else self.slices


def _slices(nvml: ModuleType, handle: Any) -> tuple[Device, ...] | None:
    """The slices of a card on which MIG is on; None for any other.

    Source: NVML API reference, "Multi Instance GPU Management".
    """
    try:
        mode, _ = nvml.nvmlDeviceGetMigMode(handle)
    except (AttributeError, nvml.NVMLError):  # an old binding, or a card that cannot be sliced
        return None
    if not mode:
        return None
    found = []
    for i in range(nvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
        try:
            found.append(_card(nvml, nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, i)))
        except nvml.NVMLError:  # a place where a slice could be
            continue
    return tuple(found)


def _card(nvml: ModuleType, handle: Any) -> Device:
    memory = _memory(nvml, handle)
    uuid = _text(nvml.nvmlDeviceGetUUID(handle))
    return Device(
        name=_CUDA,
        label=_text(nvml.nvmlDeviceGetName(handle)),
        total_bytes=int(memory.total),
        free_bytes=int(memory.free),
        uuid=uuid,
        environment=((_VISIBLE, uuid),),
    )


def _memory(nvml: ModuleType, handle: Any) -> Any:
    """Of the second version where driver and binding have it: in the first, `used` has what the driver reserves."""
    version = getattr(nvml, "nvmlMemory_v2", None)
    if version is not None:
        try:
            return nvml.nvmlDeviceGetMemoryInfo(handle, version=version)
        except nvml.NVMLError:  # a driver before 510
            pass
    return nvml.nvmlDeviceGetMemoryInfo(handle)


def _text(value: str | bytes) -> str:
    """Bindings before version 11.510 answer in bytes."""
    return value.decode() if isinstance(value, bytes) else value


def _visible(cards: Sequence[_CardWithSlices], variable: str | None) -> list[Device]:
    """The cards and slices that the variable means, as CUDA reads it: up to the first entry that means none; none at
    all if one repeats.

    An entry is the number of a card, or the beginning of the UUID of exactly one card or slice. Number and UUID of a
    card that is sliced mean its first slice.
    Source: CUDA C++ Programming Guide, "CUDA Environment Variables"; NVIDIA Multi-Instance GPU User Guide, "CUDA Device
    Enumeration"; for repeats, torch.cuda's reading of it.
    """
    if variable is None:
        return [device for card in cards for device in card.usable]
    chosen: list[Device] = []
    for entry in variable.split(","):
        device = _meant(entry.strip(), cards)
        if device is None:
            break
        if device in chosen:
            return []
        chosen.append(device)
    return chosen


def _meant(entry: str, cards: Sequence[_CardWithSlices]) -> Device | None:
    if entry.startswith("MIG-"):
        matches = [device for card in cards for device in card.slices or () if device.uuid.startswith(entry)]
        return matches[0] if len(matches) == 1 else None
    if entry.startswith("GPU-"):
        found = [card for card in cards if card.whole.uuid.startswith(entry)]
    else:
        number = re.match(r"\+?\d+", entry)  # like strtol, what follows the digits does not matter
        found = list(cards[int(number[0]) :][:1]) if number else []
    return next(iter(found[0].usable), None) if len(found) == 1 else None
