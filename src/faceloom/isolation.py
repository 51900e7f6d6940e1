"""Whence code is imported: never from the current folder, and so never from beside pictures, in no process of ours.

Python looks for modules in the current folder if it is told to by `-m`, `-c`, or an entry of `PYTHONPATH` that is empty
or relative. A folder of pictures with a `queue.py` in it would be run. Here nothing is imported but `os` and `sys`,
which Python has in itself: what else this needed could be one of those files.
"""

import os
import sys

_OWN = "faceloom"


def leave_current_folder() -> None:
    """Takes the current folder out of this process's imports where it is there by no wish of a program's author.

    What Python has imported before our first line can no longer be helped: of `python -m faceloom` that is `runpy`
    and what it imports. The command `faceloom` and `python -P -m faceloom` have no such gap.
    """
    if run_as_module() and not sys.flags.safe_path and sys.path and sys.path[0] in {"", _current()}:
        del sys.path[0]
    sys.path[:] = [path for path in sys.path if _is_told(path)]


def module_command(module: str, *arguments: str) -> list[str]:
    """The command line that runs a module, ours or an installed one, without the current folder."""
    return [sys.executable, "-P", "-m", module, *arguments]


def module_environment() -> dict[str, str]:
    """The variables with which a process of ours imports what this one would, and nothing from the current folder."""
    own = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
    paths = [path for path in sys.path if _is_told(path)]
    if own not in map(os.path.realpath, paths):  # this very copy, however it was found
        paths.insert(0, own)
    return {"PYTHONPATH": os.pathsep.join(paths), "PYTHONSAFEPATH": "1"}


def _is_told(path: str) -> bool:
    """Whether an entry of sys.path names a place, and not whatever is current."""
    return os.path.isabs(path) and path not in _relative_entries()


def _relative_entries() -> frozenset[str]:
    """What Python has made of the entries of PYTHONPATH that are empty or relative."""
    told = os.environ.get("PYTHONPATH", "")
    entries = told.split(os.pathsep) if told else []
    absolute = {entry for entry in entries if os.path.isabs(entry)}
    return frozenset(os.path.abspath(entry) for entry in entries if not os.path.isabs(entry)) - absolute


def run_as_module() -> bool:
    """Whether this process is `python -m faceloom`, or a module of it."""
    given = sys.orig_argv
    module = given[given.index("-m") + 1 :][:1] if "-m" in given else []
    return bool(module) and module[0].partition(".")[0] == _OWN


def _current() -> str | None:
    try:
        return os.getcwd()
    except OSError:  # it is gone
        return None
