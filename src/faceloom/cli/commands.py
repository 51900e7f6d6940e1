"""A command, and its parser: made of the tables of options."""

import argparse
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from faceloom.cli.flags import CommonFlags
from faceloom.cli.parser import Parser
from faceloom.options.declared import Declared, Form, declared
from faceloom.options.keywords import in_words

_CONVERTERS: Mapping[Form, Callable[[str], Any]] = {Form.WHOLE: int, Form.NUMBER: float}
_PLACES = {Form.PATH, Form.PATHS}
_REPEATED = {Form.TEXTS, Form.PATHS, Form.TABLE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """Something that is told without a flag."""

    name: str
    metavar: str
    help: str
    nargs: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What there is to say of a command."""

    name: str
    description: str
    examples: str = ""
    arguments: tuple[Argument, ...] = ()
    options: type[Any]
    """The table of what it takes besides what all take."""
    words: Mapping[str, Callable[[], Iterable[str]]] = field(default_factory=dict)
    """What else an option may be, by its name, looked up when somebody asks for help."""
    run: Callable[[argparse.Namespace], int]
    can_write_remote: bool = False
    """Whether what it writes may go to an address."""

    @property
    def declared(self) -> Mapping[str, Declared]:
        """Its options by name, those that all commands have last."""
        return {**declared(self.options), **declared(CommonFlags)}


def fill(parser: Parser, command: Command) -> None:
    """Gives a command's parser what the command says of itself."""
    parser.description, parser.epilog = command.description, command.examples
    parser.set_defaults(run=command.run, can_write_remote=command.can_write_remote)
    for argument in command.arguments:
        parser.add_argument(argument.name, metavar=argument.metavar, help=argument.help, nargs=argument.nargs)
    told = list(command.declared.values())
    parser.place_options = frozenset(one.flag.replace("-", "_") for one in told if one.kind in _PLACES)
    parser.short_flags = {one.option.short: f"--{one.flag}" for one in told if one.option.short}
    groups: dict[str, Any] = {"": parser}
    for one in told:
        title = one.option.group
        if title not in groups:
            groups[title] = parser.add_argument_group(title)
        add_flag(groups[title], one, words=command.words.get(one.name))


def add_flag(parser: Any, one: Declared, *, words: Callable[[], Iterable[str]] | None = None) -> None:
    """The flag of an option."""
    told: dict[str, Any] = {"dest": one.name, "help": _help(one)}
    option = one.option
    if one.kind is Form.TRUTH:
        told |= {"action": "store_false" if option.default else "store_true", "default": option.default}
    else:
        told |= {"metavar": option.unit or "NAME", "required": option.is_required}
        if one.kind in _REPEATED:
            told |= {"action": "extend", "nargs": "+"} if option.takes_several else {"action": "append"}
        else:
            told |= {"default": option.default, "type": _CONVERTERS.get(one.kind), "choices": option.among or None}
    parser.add_argument(f"--{one.flag}", **told).words = words


def _help(one: Declared) -> str:
    said = in_words(one, denial=True)
    if one.kind in _REPEATED and not one.option.takes_several:
        said += "; may be repeated"
    return said.replace("%", "%%")


def keywords(chosen: argparse.Namespace, table: type[Any]) -> dict[str, Any]:
    """The library's keywords for the options of a table, as far as they were given or have a default.

    Where one of them sets others, defaults are left to it.
    """
    known = declared(table)
    if any(one.option.sets and getattr(chosen, name) is not None for name, one in known.items()):
        known = {name: one for name, one in known.items() if name in chosen.given}
    given = {name: (one, getattr(chosen, name)) for name, one in known.items()}
    return {name: _value(one, value) for name, (one, value) in given.items() if value is not None}


def _value(one: Declared, value: Any) -> Any:
    is_written = one.option.parse is not None and isinstance(value, str | list)
    return one.option.parse(value) if is_written and one.option.parse else value
