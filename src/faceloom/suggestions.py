"""What somebody may have meant who wrote a word that there is not."""

import difflib
from collections.abc import Iterable

_MOST_LISTED = 12
"""Words beside one that is probably meant."""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that looks most like this one; None if none looks like it at all."""
    found = difflib.get_close_matches(word, list(known), n=1)
    return found[0] if found else None


def or_else(word: str, known: Iterable[str]) -> str:
    """The end of a message that refuses a word: what was meant, if that can be guessed, and what there is."""
    words = list(map(str, known))
    meant = nearest(word, words)
    there_are = f"there are: {', '.join(words) or 'none'}"
    if meant is None:
        return there_are
    return f"did you mean {meant!r}?" + (f" {there_are}" if len(words) <= _MOST_LISTED else "")
