"""Seconds as whole numbers, so that sums are exact and equal is equal.

A second given as a float is read as the decimal that it is to twelve digits: no total is off by more than 1e-12 of
itself, and 0.1 + 0.2 is as long as 0.3.
"""

from collections.abc import Iterable
from decimal import Decimal

_DIGITS = 12


class Ticks:
    """A clock that counts in the smallest decimal place of the seconds it is made for."""

    def __init__(self, seconds: Iterable[float]) -> None:
        decimals = {second: _decimal(second) for second in seconds}
        places = max(map(_places, decimals.values()), default=0)
        self._ticks = {second: int(decimal.scaleb(places)) for second, decimal in decimals.items()}
        self._in_second: int = 10**places

    def count(self, seconds: float) -> int:
        """Returns the ticks in a number of seconds that the clock was made for."""
        return self._ticks[seconds]

    def seconds(self, ticks: int) -> float:
        """Returns the float that is nearest to a number of ticks."""
        return ticks / self._in_second


def _decimal(seconds: float) -> Decimal:
    return Decimal(f"{seconds:.{_DIGITS - 1}e}").normalize()


def _places(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int), "not a number"
    return max(0, -exponent)
