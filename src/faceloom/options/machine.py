"""What a job may take of the machine."""

from functools import partial
from typing import Annotated, TypedDict

from faceloom.choices import EngineName, Precision
from faceloom.options.option import Interval, Option

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


class ThreadOptions(TypedDict, total=False):
    """How many cores a job may take."""

    threads: Annotated[int | None, _machine(help="cores to use", usual="all", unit="N", within=_ANY_NUMBER, example=1)]


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


class MachineOptions(CeilingOptions, ThreadOptions, DeviceOptions, total=False):
    """What a job may take of the machine."""
