"""Keywords: a function takes the options of a table, checked and complete, and says so in its help."""

import inspect
import textwrap
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from faceloom.options.declared import Declared, declared, filled
from faceloom.suggestions import nearest

Parameters = ParamSpec("Parameters")
Returned = TypeVar("Returned")
_MARK = "    options: "
_WIDTH = 108


def takes(table: type[Any]) -> Callable[[Callable[Parameters, Returned]], Callable[Parameters, Returned]]:
    """Of a function with `**options: Unpack[table]`: every option of the table reaches it, with its default if need be.

    An unknown keyword is a TypeError that names the nearest one. Its signature and the `options` of its docstring list
    the table's options.
    """

    def decorate(function: Callable[Parameters, Returned]) -> Callable[Parameters, Returned]:
        own = list(inspect.signature(function).parameters.values())[:-1]
        names = {parameter.name for parameter in own}

        @wraps(function)
        def call(*args: Parameters.args, **keywords: Parameters.kwargs) -> Returned:
            options = {name: value for name, value in keywords.items() if name not in names}
            _require_known(function.__name__, options, known={*names, *declared(table)})
            others: dict[str, Any] = {name: value for name, value in keywords.items() if name in names}
            return function(*args, **others, **filled(table, options))

        call.__signature__ = _signature(function, own, table)  # type: ignore[attr-defined]
        call.__doc__ = _documented(function.__doc__, table)
        return call

    return decorate


def _require_known(function: str, keywords: Iterable[str], *, known: set[str]) -> None:
    for name in keywords:
        if name not in known:
            meant = nearest(name, known)
            hint = f"; did you mean {meant!r}?" if meant else f"; it takes: {', '.join(sorted(known))}"
            raise TypeError(f"{function}() takes no keyword {name!r}{hint}")


def _signature(function: Callable[..., Any], own: list[inspect.Parameter], table: type[Any]) -> inspect.Signature:
    options = [
        inspect.Parameter(one.name, inspect.Parameter.KEYWORD_ONLY, default=one.option.default, annotation=one.hint)
        for one in declared(table).values()
    ]
    return inspect.signature(function).replace(parameters=[*own, *options])


def _documented(text: str | None, table: type[Any]) -> str | None:
    """A docstring with an entry for each option in place of the line that stands for them all."""
    if text is None:  # Python was told to leave docstrings out
        return None
    before, mark, after = inspect.cleandoc(text).partition(_MARK)  # as Python itself keeps it since 3.13
    assert mark, "the docstring has no place for the options"
    entries = "\n".join(_entry(one) for one in declared(table).values())
    _, newline, rest = after.partition("\n")
    return f"{before}{entries}{newline}{rest}"


def _entry(one: Declared) -> str:
    return textwrap.fill(f"{one.name}: {in_words(one)}.", _WIDTH, initial_indent=" " * 4, subsequent_indent=" " * 8)


def in_words(one: Declared, *, denial: bool = False) -> str:
    """What an option means, what it may be, and what holds where it is left out."""
    option = one.option
    said = option.denial if denial and option.denial else option.help
    said += f"; one of {', '.join(option.among)}" if option.among else ""
    default = one.default_in_words
    facts = [*([str(option.within)] if option.within else []), *([f"default: {default}"] if default else [])]
    return f"{said} ({'; '.join(facts)})" if facts else said
