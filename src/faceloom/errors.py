"""Everything faceloom raises on purpose, each with the exit code of the command line.

A message says what happened, with the values, and what to do next; the same facts are attributes.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar


class FaceloomError(Exception):
    """Whatever faceloom raises on purpose."""

    exit_code: ClassVar[int] = 1


class RequestError(FaceloomError):
    """The request is wrong: an unknown plugin, a bad option, a folder made with another configuration."""

    exit_code = 2


class BudgetError(FaceloomError):
    """The request is right, this machine or budget cannot."""

    exit_code = 3

    def __init__(self, message: str, *, stage: str | None = None, needed_bytes: int = 0, budget_bytes: int = 0) -> None:
        super().__init__(message)
        self.stage = stage
        self.needed_bytes = needed_bytes
        self.budget_bytes = budget_bytes


class DeviceLostError(BudgetError):
    """A device, or all that there were, answers no more; the process that used it is of no other use."""


class InstallationError(BudgetError):
    """A library of this installation does not do what it should, whatever it is given."""


class MediaError(FaceloomError):
    """An input cannot be read."""

    exit_code = 4

    def __init__(self, message: str, *, path: Path | None = None) -> None:
        super().__init__(message)
        self.path = path


class NotMovingError(MediaError):
    """A file that can be opened has no moving pictures: it may be sound."""


class WeightsError(FaceloomError):
    """A weight file is missing, damaged or not what the catalog says."""

    exit_code = 5

    def __init__(self, message: str, *, name: str = "", expected: str | None = None, actual: str | None = None) -> None:
        super().__init__(message)
        self.name = name
        self.expected = expected
        self.actual = actual


class StageError(FaceloomError):
    """A stage failed or answered something that is not in its contract."""

    exit_code = 6

    def __init__(self, message: str, *, stage: str = "", items: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.stage = stage
        self.items = tuple(items)


class ContractError(StageError):
    """A plugin answers something that its contract does not allow, whatever it is asked: a bug in the plugin."""


class GeometryError(FaceloomError, ValueError):
    """Points or boxes that the arithmetic cannot use."""


class DegeneratePointsError(GeometryError):
    """Every point coincides, so no scale or angle exists."""


class StoreError(FaceloomError):
    """The result folder cannot be used."""

    exit_code = 7

    def __init__(
        self, message: str, *, path: Path | None = None, found: int | None = None, expected: int | None = None
    ):
        super().__init__(message)
        self.path = path
        self.found = found
        self.expected = expected


class DamagedStoreError(StoreError):
    """What a store holds is not what faceloom writes."""


class ForeignSchemaError(DamagedStoreError):
    """A store has other tables than faceloom makes, or something that acts by itself."""
