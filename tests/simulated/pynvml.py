"""Stands for NVIDIA's `pynvml` where there is no card: answers from a folder with a subfolder for each simulated one.

`card.json` says how large a card is; a file with a process's number says how many bytes it holds there, and `others`
how many are held by programs that are none of ours.
"""

import json
import os
from pathlib import Path
from types import SimpleNamespace

FOLDER = "FACELOOM_SIMULATED_CARDS"


class NVMLError(Exception):
    pass


def cards() -> list[Path]:
    """A folder each, in the order of the bus."""
    return sorted(Path(os.environ[FOLDER]).iterdir())


def held_bytes(card: Path) -> int:
    """By every process that lives, and by others."""
    held = 0
    for file in card.iterdir():
        is_ours = file.name.isdigit() and Path("/proc", file.name).exists()
        if is_ours or file.name == "others":
            held += int(file.read_text() or 0)
    return held


def nvmlInit() -> None:  # noqa: N802
    if not os.environ.get(FOLDER):
        raise NVMLError("Driver Not Loaded")


def nvmlShutdown() -> None:  # noqa: N802
    pass


def nvmlDeviceGetCount() -> int:  # noqa: N802
    return len(cards())


def nvmlDeviceGetHandleByIndex(index: int) -> Path:  # noqa: N802
    return cards()[index]


def nvmlDeviceGetName(card: Path) -> str:  # noqa: N802
    return "Simulated card"  # of one model, which is measured once


def nvmlDeviceGetUUID(card: Path) -> str:  # noqa: N802
    return f"GPU-{card.name}"


def nvmlDeviceGetComputeRunningProcesses(card: Path) -> list[SimpleNamespace]:  # noqa: N802
    """What of `others` there is has no process."""
    files = [file for file in card.iterdir() if file.name.isdigit() and Path("/proc", file.name).exists()]
    return [SimpleNamespace(pid=int(file.name), usedGpuMemory=int(file.read_text() or 0)) for file in files]


def nvmlDeviceGetMemoryInfo(card: Path) -> SimpleNamespace:  # noqa: N802
    total = json.loads((card / "card.json").read_text())["total_bytes"]
    return SimpleNamespace(total=total, free=max(0, total - held_bytes(card)))
