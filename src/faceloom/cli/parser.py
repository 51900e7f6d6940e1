"""The parser of the command line: what nobody can have meant is refused with what they may have meant."""

import argparse
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

from faceloom.errors import RequestError
from faceloom.suggestions import nearest, or_else


class UsageError(RequestError):
    """The command line is none; with the usage of the command at fault."""

    def __init__(self, message: str, *, usage: str) -> None:
        super().__init__(message)
        self.usage = usage


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Looks an action's `words` up when help is shown: they are not at hand without heavy modules."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        words = getattr(action, "words", None)
        return f"{action.help}: {', '.join(words())}" if words else action.help


class Parser(argparse.ArgumentParser):
    """Takes no abbreviations, raises what is wrong, and can have other defaults by the names of its options.

    `fill` adds its flags when they are first asked for: of all commands' parsers, a process needs one.
    """

    def __init__(self, *, fill: "Callable[[Parser], None] | None" = None, **settings: Any) -> None:
        super().__init__(**{"formatter_class": HelpFormatter, "allow_abbrev": False, **settings})
        self._fill = fill
        self.place_options: frozenset[str] = frozenset()
        """The options, by their names in a file, that name files or folders."""
        self.from_file: set[str] = set()
        """The options, by their keywords, that a file states."""
        self.short_flags: Mapping[str, str] = {}
        """Short flags and what each stands for; argparse would take `-0.5` for one of its own with a value."""

    def filled(self) -> "Parser":
        """The parser itself, with all its flags."""
        fill, self._fill = self._fill, None
        if fill is not None:
            fill(self)
        return self

    def options(self) -> Iterator[tuple[str, argparse.Action]]:
        """Every long option, by its name in a file, but for those that print something and end."""
        for text, action in self.filled()._option_string_actions.items():
            if text.startswith("--") and action.default is not argparse.SUPPRESS and action.dest != "config":
                yield text.removeprefix("--").replace("-", "_"), action

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse does it, but that a flag which is not known is refused by the command that does not know it."""
        self.filled()
        if args is not None:
            args = list(self._in_full(args))
            self._require_flags(args)
        chosen, others = super().parse_known_args(args, namespace)
        if others:
            self.error(f"{others[0]!r} is one too many: nothing takes it")
        if not self._has_commands:
            chosen.given = frozenset(self._given(args or ()))
        return chosen, others

    def _given(self, args: Sequence[str]) -> Iterator[str]:
        """The options, by their keywords, that the command line or a file states, rather than the parser itself."""
        yield from self.from_file
        for text in itertools.takewhile(lambda text: text != "--", args):
            action = self._option_string_actions.get(text.partition("=")[0])
            if action is not None:
                yield action.dest

    def _in_full(self, args: Sequence[str]) -> Iterator[str]:
        """The arguments with long flags in place of short ones."""
        texts = iter(args)
        for text in texts:
            yield self.short_flags.get(text, text)
            if text == "--":
                yield from texts

    def _require_flags(self, args: Sequence[str]) -> None:
        known = self._option_string_actions
        texts = iter(args)
        for text in texts:
            flag = text.partition("=")[0]
            if text == "--" or (self._has_commands and not text.startswith("-")):  # what follows is for a command
                return
            if self._has_commands and text in known and known[text].nargs is None:
                next(texts, None)  # its value
            if text.startswith("--") and flag not in known:
                meant = nearest(flag, [name for name in known if name.startswith("--")])
                hint = f"did you mean {meant}?" if meant else f"{self.prog} --help lists what there is"
                self.error(f"there is no {flag} here; {hint}")

    @property
    def _has_commands(self) -> bool:
        return any(isinstance(action, argparse._SubParsersAction) for action in self._actions)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            what = action.option_strings[-1] if action.option_strings else str(action.metavar).lower()
            raise argparse.ArgumentError(None, f"there is no {what} {value!r}; {or_else(str(value), action.choices)}")

    def error(self, message: str) -> NoReturn:
        """Raises what is wrong, in place of printing it and ending the process.

        Raises:
            UsageError: always.
        """
        raise UsageError(message, usage=self.format_usage())
