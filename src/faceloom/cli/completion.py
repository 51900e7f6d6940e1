"""Completion in shells: `faceloom --print-completion bash`."""

import argparse
from collections.abc import Sequence
from typing import Any

_SHELLS = ("bash", "zsh")
_FILES = {"FILE", "DIR", "PICTURE", "INPUT", "CHIP"}
"""What values are called that are files or folders."""


class PrintCompletion(argparse.Action):
    """Prints a script for a shell, and ends."""

    def __init__(self, option_strings: Sequence[str], dest: str, **settings: Any) -> None:
        super().__init__(option_strings, dest, choices=_SHELLS, metavar="SHELL", **settings)

    def __call__(self, parser: argparse.ArgumentParser, _namespace: object, values: Any, *_: object) -> None:
        import shtab

        _mark_files(parser)
        print(shtab.complete(parser, values))
        parser.exit()


def _mark_files(parser: argparse.ArgumentParser) -> None:
    """Has the names of files completed where a file is asked for."""
    import shtab

    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                _mark_files(command.filled())
        elif action.metavar in _FILES:
            action.complete = shtab.FILE  # type: ignore[attr-defined]  # where shtab looks for it
