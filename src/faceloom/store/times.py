"""Times of frames, as the store has them: whole ticks, and the seconds of one as a fraction."""

import re
from fractions import Fraction

_TICK = re.compile(r"0*([1-9]\d{0,18})(?:/0*([1-9]\d{0,18}))?", re.ASCII)


def seconds_a_tick(text: object) -> Fraction:
    """The fraction that a text says.

    Raises:
        ValueError: it says none, or none above 0, or one of more digits than media have.
    """
    found = _TICK.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise ValueError(f"{text!r:.60} is no time base")
    return Fraction(int(found[1]), int(found[2] or 1))


def time_of(ticks: object, time_base: object) -> Fraction | None:
    """A frame's time in seconds; None for a picture.

    Raises:
        ValueError: it is not told in whole ticks of some length.
    """
    if ticks is None or time_base is None:
        return None
    if type(ticks) is not int:
        raise ValueError(f"{ticks!r:.60} is no number of ticks")
    return ticks * seconds_a_tick(time_base)
