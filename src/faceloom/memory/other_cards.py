"""Cards of AMD and Apple, as far as the system tells of them without a driver's own library."""

import os
import platform
import re
from collections.abc import Iterator
from pathlib import Path

from faceloom.version import version_of

DRM = Path("/sys/class/drm")
"""The folder in which Linux has a folder for each card."""
_AMD = "0x1002"
_HIP_VISIBLE = "HIP_VISIBLE_DEVICES"


def amd_cards(drm: Path = DRM) -> Iterator[tuple[str, str, int, int, str]]:
    """Finds AMD's visible cards, in the order of the bus: name, label, total bytes, free bytes, number for HIP.

    Processors with graphics of their own are among them. Numbers in `HIP_VISIBLE_DEVICES` are counted likewise.

    Source: kernel.org, "drm/amdgpu AMDgpu driver", GPU memory usage information (mem_info_vram_*).
    """
    folders = (path / "device" for path in drm.glob("card[0-9]*") if re.fullmatch(r"card\d+", path.name))
    found = sorted((path.resolve().name, path) for path in folders if _text(path / "vendor") == _AMD)
    sizes = [(path, _size(path / "mem_info_vram_total"), _size(path / "mem_info_vram_used")) for _, path in found]
    visible = os.environ.get(_HIP_VISIBLE)
    shown = [int(entry) for entry in (visible or "").split(",") if entry.strip().isdigit()]
    chosen = range(len(sizes)) if visible is None else [i for i in shown if i < len(sizes)]
    for number, i in enumerate(chosen):
        path, total, used = sizes[i]
        if total:
            label = _text(path / "product_name") or "AMD card"
            yield f"{_kind()}:{number}", label, total, max(0, total - used), str(i)


def has_apple_gpu() -> bool:
    """Whether this is a machine with Apple's own chip, whose card shares the host's memory."""
    return platform.system() == "Darwin" and platform.machine() == "arm64"


def _kind() -> str:
    """PyTorch calls AMD's cards `cuda`; ONNX Runtime drives them without it."""
    return "cuda" if "+rocm" in (version_of("torch") or "") else "rocm"


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _size(path: Path) -> int:
    text = _text(path)
    return int(text) if text.isdigit() else 0
