"""Shards: the parts that a job is divided into, one for each machine, without any of them knowing of the others."""

import hashlib
import re
from dataclasses import dataclass
from typing import Self

_MOST = 1_000_000
_FORM = re.compile(r"(\d{1,7})/(\d{1,7})", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Shard:
    """One of `count` parts; every source is in one of them, by its name alone."""

    count: int
    number: int
    """From 1."""

    @classmethod
    def parse(cls, text: object) -> Self:
        """The shard that a text names, as in 2/7.

        Raises:
            ValueError: it names none.
        """
        found = _FORM.fullmatch(text) if isinstance(text, str) else None
        if found is None or not 1 <= int(found[1]) <= int(found[2]) <= _MOST:
            raise ValueError(f"{text!r:.40} is no shard: it has to be I/N, I from 1 to N, and N at most {_MOST:,}")
        return cls(number=int(found[1]), count=int(found[2]))

    def __contains__(self, name: str) -> bool:
        """Whether a source is in this part, by the name under which it is found."""
        digest = hashlib.sha256(name.encode()).digest()
        return int.from_bytes(digest[:8], "big") % self.count + 1 == self.number

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"
