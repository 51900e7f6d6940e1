"""What is declared of one option: what it means, what it may be, and what it is if nobody says."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Interval:
    """The numbers that an option may be."""

    least: float
    most: float = math.inf
    is_open: bool = False
    """Whether the least number is left out itself."""

    def __contains__(self, number: float) -> bool:
        return self.least <= number <= self.most and not (self.is_open and number == self.least)

    def __str__(self) -> str:
        if self.is_open:
            return f"above {self.least:g} and at most {self.most:g}"
        return f"{self.least:g} or more" if math.isinf(self.most) else f"{self.least:g} to {self.most:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """What is declared of an option besides its name and type."""

    help: str
    """A phrase that reads well on the command line, in a docstring and in docs/options.md."""
    denial: str = ""
    """The same of the flag that denies what is so if nobody says."""
    group: str = ""
    """Under which heading it is listed."""
    default: Any = None
    usual: str = ""
    """What holds where it is left out, where the default does not say so itself."""
    unit: str = ""
    """What a value is, as the help shows it: `PX`."""
    among: Sequence[str] = ()
    """The words that there are, if they are known beforehand."""
    within: Interval | None = None
    flag: str = ""
    """The flag and the key of the file, without dashes, where that is not the name with `_` as `-`."""
    short: str = ""
    """Another flag for the same, of a dash and a letter."""
    parse: Callable[[Any], Any] | None = None
    """Makes the value of what the command line has; only where the type does not tell how."""
    or_none: bool = False
    """Whether the word `none` stands for nothing at all."""
    takes_several: bool = False
    """On the command line, whether one flag takes several values; otherwise it is repeated."""
    is_required: bool = False
    """On the command line, and in its file."""
    sets: Callable[[Any, Mapping[str, Any]], Mapping[str, Any]] | None = None
    """What other options are where they are not given, of its value and of all that is given."""
    example: Any = None
    """A value other than the default."""
