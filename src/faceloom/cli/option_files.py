"""`faceloom.toml`: any command's options from a file, in place of the parser's own defaults."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from faceloom.cli.parser import Parser
from faceloom.cli.terminal import say
from faceloom.errors import RequestError
from faceloom.suggestions import or_else

FILE = "faceloom.toml"
_NEVER = "forget"
"""The command of which a file that is only found sets nothing."""
_WEIGHTS = "weights"
_MOST_BYTES = 1 << 20


class _FromFile(list[Any]):
    """Values of an option that can be repeated: the first one on the command line takes the place of all of them."""

    def __copy__(self) -> list[Any]:  # what argparse appends to
        return []


def take_options(arguments: Sequence[str], commands: Mapping[str, Parser]) -> None:
    """Gives the commands the defaults that a file states: the one that `--config` names, or the current folder's.

    The current folder's may have come with pictures. It says on stderr that it is used, and sets nothing that reads,
    writes or removes files elsewhere.

    Raises:
        RequestError: the file cannot be read, names what is not there or what it may not set, or has a value that the
            flag would not take.
    """
    named = _named(arguments)
    path = Path(named or FILE)
    if named is None and not path.is_file():
        return
    tables = _tables(_read(path), commands, path)
    if named is None:
        _refuse_what_reaches_out(tables, commands, path)
        if any(tables.get(text) for text in arguments):
            say(f"faceloom: taking options from {path} in the current folder", to=sys.stderr)
    for command, options in tables.items():
        parser = commands[command]
        known = dict(parser.options())
        for name, value in options.items():
            action = known[name]
            action.required = False
            parser.from_file.add(action.dest)
            parser.set_defaults(**{action.dest: _value(action, value, f"{path}: {name} of {command}")})


def _named(arguments: Sequence[str]) -> str | None:
    """The file that `--config` names, before there is a parser that could tell."""
    for i, text in enumerate(arguments):
        if text == "--config":
            return next(iter(arguments[i + 1 :]), None)
        if text.startswith("--config="):
            return text.partition("=")[2]
    return None


def _read(path: Path) -> dict[str, Any]:
    import tomllib

    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise RequestError(f"{path} is no file of options: it has more than {_MOST_BYTES:,} bytes")
        return tomllib.loads(content.decode())
    except OSError as error:
        raise RequestError(f"the options of {path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise RequestError(f"{path} is no TOML: {error}") from error


def _tables(told: Mapping[str, Any], commands: Mapping[str, Parser], path: Path) -> dict[str, dict[str, Any]]:
    """The options of each command: those that stand before all tables, as far as it has them, then its own."""
    everywhere = {_key(key): value for key, value in told.items() if not isinstance(value, dict)}
    named = {command: parser for command, parser in commands.items() if everywhere or command in told}
    names = {command: {name for name, _ in parser.options()} for command, parser in named.items()}
    for key in everywhere:
        _require(key, set().union(*names.values()), f"{path}: no command has an option")
    tables = {
        command: {k: v for k, v in everywhere.items() if k in has and command != _NEVER}
        for command, has in names.items()
    }
    for command, table in told.items():
        if not isinstance(table, dict):
            continue
        _require(command, set(commands), f"{path}: there is no command")
        for key, value in table.items():
            _require(_key(key), names[command], f"{path}: {command} has no option")
            tables[command][_key(key)] = value
    return tables


def _refuse_what_reaches_out(
    tables: Mapping[str, Mapping[str, Any]], commands: Mapping[str, Parser], path: Path
) -> None:
    """Holds a file that only lies in the current folder to what stays there."""
    for command, options in tables.items():
        for name, value in options.items():
            if command == _NEVER or name in commands[command].place_options:
                raise RequestError(
                    f"{path} is only found in the current folder, and may not set {name} of {command}:"
                    f" give that on the command line, or name the file with --config {path}"
                )
            if name == _WEIGHTS:
                _require_inside(value, path)


def _require_inside(value: Any, path: Path) -> None:
    here = path.absolute().parent.resolve()
    for told in value if isinstance(value, list) else [value]:
        file = str(told).partition("=")[2]
        if "\0" in file or not (here / file).resolve().is_relative_to(here):
            raise RequestError(
                f"{path} is only found in the current folder, and may not name weights outside of it ({told!r}):"
                f" give them on the command line, or name the file with --config {path}"
            )


def _key(key: str) -> str:
    return key.replace("-", "_")


def _require(key: str, known: set[str], what: str) -> None:
    if key not in known:
        raise RequestError(f"{what} {key!r}; {or_else(key, sorted(known))}")


def _value(action: argparse.Action, value: Any, where: str) -> Any:
    """What the flag would make of a value."""
    if action.nargs == 0:  # a flag without a value
        return action.const if _is_yes(value, where) else action.default
    if isinstance(action, argparse._AppendAction) or action.nargs in {"+", "*"}:
        values = [_one(action, item, where) for item in (value if isinstance(value, list) else [value])]
        return _FromFile(values)
    return _one(action, value, where)


def _is_yes(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise RequestError(f"{where} is {value!r}, but has to be true or false")
    return value


def _one(action: argparse.Action, value: Any, where: str) -> Any:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise RequestError(f"{where} is {value!r}, but has to be a text or a number")
    convert = action.type if callable(action.type) else str
    try:
        converted = convert(str(value))
    except (ValueError, TypeError, argparse.ArgumentTypeError) as error:
        raise RequestError(f"{where} is {value!r}, which {action.option_strings[-1]} does not take: {error}") from error
    if action.choices is not None and converted not in action.choices:
        raise RequestError(f"{where} is {value!r}, but has to be one of: {', '.join(action.choices)}")
    return converted
