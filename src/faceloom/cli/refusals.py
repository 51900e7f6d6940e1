"""What an error becomes: a line on stderr, a document on stdout where one was asked for, and an exit code."""

import sys

from faceloom.cli.parser import UsageError
from faceloom.cli.terminal import say, say_json
from faceloom.errors import FaceloomError

INTERRUPTED = 130


def refuse(error: FaceloomError, *, as_json: bool) -> int:
    """Tells what is wrong, below the usage of the command at fault if that is what it is; the exit code."""
    if isinstance(error, UsageError):
        say(error.usage, end="", to=sys.stderr)
    return tell(_kind(error), str(error), error.exit_code, as_json=as_json)


def tell(kind: str, message: str, code: int, *, as_json: bool) -> int:
    """Tells of an error; the exit code."""
    say(f"faceloom: {message}", to=sys.stderr)
    if as_json:
        say_json({"error": {"kind": kind, "message": message, "exit": code}})
    return code


def _kind(error: FaceloomError) -> str:
    """The name of the error's class among those that the documentation lists."""
    listed = (kind for kind in type(error).__mro__ if FaceloomError in kind.__bases__)
    return next(listed, type(error)).__name__
