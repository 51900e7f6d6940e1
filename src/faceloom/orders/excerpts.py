"""Which frames and faces options leave over."""

from faceloom.errors import RequestError
from faceloom.media.excerpts import Excerpt, parse_position
from faceloom.options.stages import ChoiceOptions, ExcerptOptions
from faceloom.selection import Choice, length_of


def make_excerpt(options: ExcerptOptions) -> Excerpt:
    """The frames of videos that the options ask for.

    Raises:
        RequestError: a value is none that could be meant.
    """
    asked = options["start"], options["end"]
    start, end = (None if place is None else parse_position(str(place)) for place in asked)
    if start is not None and end is not None and isinstance(start, int) == isinstance(end, int) and end <= start:
        raise RequestError(f"nothing lies between --start {options['start']} and --end {options['end']}")
    return Excerpt(every=options["every"], start=start, end=end)


def make_choice(options: ChoiceOptions) -> Choice:
    """The faces that the options ask for.

    Raises:
        RequestError: a value is none that could be meant.
    """
    asked = options["min_size"], options["max_size"]
    least, greatest = (None if size is None else length_of(size) for size in asked)
    if least and greatest and least.is_share == greatest.is_share and greatest.value < least.value:
        raise RequestError(f"no face is at least {options['min_size']} and at most {options['max_size']} in size")
    return Choice(min_size=least, max_size=greatest, max_faces=options["max_faces"])
