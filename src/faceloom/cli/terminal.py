"""Text for terminals: whatever it quotes, it moves no cursor, hides nothing and passes for no other line."""

import json
import sys
from typing import Any, TextIO


def say(text: object = "", *, to: TextIO | None = None, end: str = "\n", flush: bool = False) -> None:
    """Prints a text, to stdout if nothing else is named."""
    print(for_terminal(str(text)), file=to or sys.stdout, end=end, flush=flush)


def say_json(value: object) -> None:
    """Prints one JSON document to stdout."""
    print(json.dumps(value).replace("\x7f", "\\u007f"))


def for_terminal(text: str) -> str:
    """A text of lines, of which every character that a terminal would obey is told as an escape."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c == "\n" or c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def on_one_line(value: Any) -> Any:
    """A value out of JSON whose texts have no ends of lines either, so that none passes for a line of ours."""
    if isinstance(value, str):
        return for_terminal(value).replace("\n", "\\n")
    if isinstance(value, dict):
        return {on_one_line(key): on_one_line(inner) for key, inner in value.items()}
    return [on_one_line(inner) for inner in value] if isinstance(value, list | tuple) else value


class Escaping:
    """A stream of text that shows on a terminal what was written to it as `for_terminal` does."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Writes a text."""
        self._stream.write(for_terminal(text))
        return len(text)
