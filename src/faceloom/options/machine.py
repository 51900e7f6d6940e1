"""What a job may take of the machine."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, TypedDict

from faceloom.choices import EngineName, Passes, Precision
from faceloom.options.option import Interval, Option
from faceloom.options.written_values import batches_of

_machine = partial(Option, group="what it may take")
_ANY_NUMBER = Interval(1)


class CeilingOptions(TypedDict, total=False):
    """How much memory a job may take."""

    memory: Annotated[
        int | str | None,
        _machine(
            help="ceiling for all processes together, on cards for the memory of each, like 800MiB",
            usual="what is free, but for a reserve",
            unit="SIZE",
            example="700MiB",
        ),
    ]
    ram: Annotated[
        int | str | None,
        _machine(
            help="ceiling for RAM; on the CPU the memory's is one too, and the lower of the two holds",
            unit="SIZE",
            example="600MiB",
        ),
    ]


class ReserveOptions(TypedDict, total=False):
    """How much memory a job leaves to others."""

    reserve: Annotated[
        int | str | None,
        _machine(
            help="what is left to other programs of the RAM that is free now, and of each card's memory, whatever the"
            " ceiling",
            usual="nothing below a ceiling; without one the larger of a tenth of the RAM and 512MiB",
            unit="SIZE",
            example="1GiB",
        ),
    ]


class WishOptions(TypedDict, total=False):
    """What the plan of a job is held to; nothing that is found depends on it."""

    batch: Annotated[
        Mapping[str, int | str],
        _machine(
            help="how many items a stage, or every stage of a kind, takes at once: at most N, or with N! just so many",
            usual="as many as are fastest",
            default={},
            unit="STAGE=N[!]",
            parse=batches_of,
            example={"detect/yunet": "2!"},
        ),
    ]
    passes: Annotated[
        str,
        _machine(
            help="which networks are in memory together: those with which it takes least time, all, or each alone",
            default=Passes.AUTO.value,
            among=tuple(Passes),
            example="separate",
        ),
    ]
    pass_: Annotated[
        Sequence[str],
        _machine(
            help="lay the passes by hand, one for each time that this is given: its stages, or kinds of stages, with"
            " commas between",
            default=(),
            flag="pass",
            unit="STAGE,...",
            example=("detect", "align,mask,identify"),
        ),
    ]
    try_anyway: Annotated[
        bool,
        _machine(
            help="run a stage that the plan thinks too large, alone and one item at a time, within the same ceiling;"
            " frames for which it is too large fail",
            default=False,
        ),
    ]


class ThreadOptions(TypedDict, total=False):
    """How many cores a job may take."""

    threads: Annotated[int | None, _machine(help="cores to use", usual="all", unit="N", within=_ANY_NUMBER, example=1)]


class ClusterOptions(TypedDict, total=False):
    """On which machines a job runs."""

    cluster: Annotated[
        str | None,
        _machine(
            help="have the nodes of a cluster of Ray do it, each within --memory: auto for the one that this machine is"
            " part of, an address, or local to start one here; needs faceloom[ray]",
            unit="local|auto|ray://HOST:PORT",
            example="auto",
        ),
    ]


class DeviceOptions(TypedDict, total=False):
    """What runs the networks of a job."""

    device: Annotated[
        str,
        _machine(
            help="cpu, cuda:0, several with commas between, or auto: the card with most free memory, else the CPU;"
            " see faceloom doctor",
            default="auto",
            unit="NAME,...",
            example="cpu",
        ),
    ]
    exclude_device: Annotated[
        str, _machine(help="devices to leave alone", default="", unit="NAME,...", example="cuda:7")
    ]
    engine: Annotated[
        str | None,
        _machine(
            help="what runs the networks",
            usual="onnx, or what the device and the stages need",
            among=tuple(EngineName),
            example="torch",
        ),
    ]


class PrecisionOptions(TypedDict, total=False):
    """In which arithmetic the networks run."""

    precision: Annotated[
        str,
        _machine(
            help="of the networks' arithmetic; on a card tf32 or fp16, which find other faces",
            default=Precision.FP32.value,
            among=tuple(Precision),
            example="fp16",
        ),
    ]


class MachineOptions(CeilingOptions, ReserveOptions, ThreadOptions, DeviceOptions, WishOptions, total=False):
    """What a job may take of the machine."""
