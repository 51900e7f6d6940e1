"""What somebody may have meant who wrote a word that there is not."""

import difflib
from collections.abc import Iterable


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that looks most like this one; None if none looks like it at all."""
    found = difflib.get_close_matches(word, list(known), n=1)
    return found[0] if found else None


def or_else(word: str, known: Iterable[str]) -> str:
    """The end of a message that refuses a word: what was meant, if that can be guessed, and all there is."""
    words = sorted(known)
    meant = nearest(word, words)
    hint = f"did you mean {meant!r}? " if meant else ""
    return f"{hint}there are: {', '.join(words) or 'none'}"
