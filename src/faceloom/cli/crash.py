"""What is left of a run that a bug has ended: a report that holds no pixel and nothing of any picture."""

import argparse
import os
import platform
import re
import tempfile
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

CRASHED = 70
"""EX_SOFTWARE of BSD's sysexits."""
_LONGEST = 2000
"""Characters of a line: a message may hold whatever its author put in."""
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?"
_ARRAY = re.compile(rf"(?:{_NUMBER}[\s,;\[\]()]+){{3,}}{_NUMBER}", re.IGNORECASE)
"""Four numbers or more in a row are an array, or a part of one."""
_BYTES = re.compile(r"""\bb(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")""")


def report_crash(error: Exception, chosen: argparse.Namespace) -> str:
    """Writes a report of an error that nobody has thought of; what to say of it."""
    what = f"a bug in faceloom ended this: {type(error).__name__}: {_without_values(str(error))}"
    text = "\n".join(_lines(error, chosen)) + "\n"
    for folder in (Path.cwd(), Path(tempfile.gettempdir())):
        name = f"faceloom-crash-{datetime.now(UTC):%Y%m%dT%H%M%S}-{os.getpid()}.txt"
        try:
            (folder / name).write_text(text, encoding="utf-8")
        except OSError:
            continue
        return f"{what}; {folder / name} has the versions, the options and where it happened, and no picture"
    return f"{what}\n{text}"


def _lines(error: Exception, chosen: argparse.Namespace) -> Iterator[str]:
    from faceloom.orders.configuration import versions

    yield f"faceloom crash report, {datetime.now(UTC):%Y-%m-%d %H:%M:%S}Z"
    yield ""
    yield f"Python {platform.python_version()} on {platform.platform()}"
    yield from (f"{name} {version}" for name, version in versions().items())
    yield ""
    yield from (f"{name} = {value!r}" for name, value in sorted(vars(chosen).items()) if not callable(value))
    yield ""
    yield from _without_values("".join(traceback.format_exception(error))).splitlines()


def _without_values(text: str) -> str:
    """A text without the numbers of arrays, and without bytes."""
    bare = _ARRAY.sub("…", _BYTES.sub("b'…'", text))
    return "\n".join(line[:_LONGEST] for line in bare.splitlines())
