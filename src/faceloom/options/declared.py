"""The options of a table: names, kinds and what is declared of them, as everybody reads them who is made of them."""

import numbers
import operator
import os
import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from faceloom.errors import RequestError
from faceloom.options.option import Option
from faceloom.suggestions import or_else

Table = TypeVar("Table")
"""A typed dictionary of options."""
NONE = "none"
"""The word for nothing at all."""


class Form(Enum):
    """How the values of an option are taken."""

    TRUTH = auto()
    WHOLE = auto()
    NUMBER = auto()
    TEXT = auto()
    MEASURE = auto()
    """A number, or a text that may have a unit."""
    PATH = auto()
    TEXTS = auto()
    PATHS = auto()
    MEASURES = auto()
    TABLE = auto()


@dataclass(frozen=True, slots=True)
class Declared:
    """An option of a table."""

    name: str
    """Its keyword in Python."""
    kind: Form
    may_be_none: bool
    hint: Any
    """Its type, as a signature shows it."""
    option: Option

    @property
    def flag(self) -> str:
        """The flag without its dashes, and the key of the file; of what is so unless it is denied, the denial."""
        name = self.option.flag or self.name.replace("_", "-")
        return f"no-{name}" if self.kind is Form.TRUTH and self.option.default else name

    @property
    def default_in_words(self) -> str:
        """What holds where it is left out; nothing if that goes without saying."""
        option = self.option
        if option.usual or self.kind is Form.TRUTH or option.default in (None, (), {}, ""):
            return option.usual
        return str(option.default)

    def take(self, value: Any) -> Any:
        """A value as the work takes it.

        Raises:
            RequestError: it is none that this option may have.
        """
        if value is None and self.may_be_none:
            return None
        if self.kind in _MANY:
            values = _several(value, self)
            for one in values if self.option.among else ():
                self._checked(one)
            return () if self.option.or_none and values == (NONE,) else values
        if self.option.or_none and value == NONE:
            return None
        return self._checked(_ONE[self.kind](value, self))

    def _checked(self, value: Any) -> Any:
        within, among = self.option.within, self.option.among
        if within is not None and value not in within:
            raise RequestError(f"{self.name} is {value}, but has to be {within}")
        if among and value not in among:
            raise RequestError(f"there is no {self.name} {str(value)!r}; {or_else(str(value), among)}")
        return value


_TABLES: dict[type[Any], Mapping[str, Declared]] = {}
"""Those that have been asked for: reading hints takes longer than all else that a command does with its options."""


def declared(table: type[Any]) -> Mapping[str, Declared]:
    """The options of a table by name, in the order in which they are listed."""
    if table not in _TABLES:
        hints = get_type_hints(table, include_extras=True)
        _TABLES[table] = {name: _declared(name, *get_args(hint)) for name, hint in hints.items()}
    return _TABLES[table]


def filled(table: type[Table], given: Mapping[str, Any]) -> Table:
    """Every option of a table: those that are given as they are to be taken, the others with their defaults.

    What is given besides is for somebody else.

    Raises:
        RequestError: a value is none that its option may have.
    """
    known = declared(table)
    set_by_others: dict[str, Any] = {}
    for name, one in known.items():
        if one.option.sets is not None and given.get(name) is not None:
            set_by_others |= one.option.sets(one.take(given[name]), given)
    options = {
        name: one.take(given[name]) if name in given else set_by_others.get(name, one.option.default)
        for name, one in known.items()
    }
    return table(**options)


def _declared(name: str, hint: Any, option: Option) -> Declared:
    kinds = set(_members(hint))
    return Declared(name, _kind(kinds - {type(None)}), type(None) in kinds, hint, option)


def _members(hint: Any) -> Iterator[Any]:
    """The types that a hint is one of."""
    if get_origin(hint) in {Union, types.UnionType}:
        for member in get_args(hint):
            yield from _members(member)
    else:
        yield hint


def _kind(kinds: set[Any]) -> Form:
    for hint in kinds:
        origin = get_origin(hint)
        if origin is not None and issubclass(origin, Mapping):
            return Form.TABLE
        if origin is not None:
            items = set(_members(get_args(hint)[0]))
            return Form.PATHS if Path in items else Form.MEASURES if int in items else Form.TEXTS
    if str in kinds and kinds & {int, float}:
        return Form.MEASURE
    single = {
        bool: Form.TRUTH,
        int: Form.WHOLE,
        float: Form.NUMBER,
        Path: Form.PATH,
        str: Form.TEXT,
    }
    return next(kind for one, kind in single.items() if one in kinds)


def _refusal(value: Any, one: Declared, wanted: str) -> RequestError:
    return RequestError(f"{one.name} is {value!r}, but has to be {wanted}")


def _truth(value: Any, one: Declared) -> bool:
    if not isinstance(value, bool):
        raise _refusal(value, one, "True or False")
    return value


def _whole(value: Any, one: Declared) -> int:
    try:
        if isinstance(value, bool):
            raise TypeError
        return operator.index(value)
    except TypeError:
        raise _refusal(value, one, "a whole number") from None


def _number(value: Any, one: Declared) -> float:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise _refusal(value, one, "a number")
    return float(value)


def _text(value: Any, one: Declared) -> str:
    if not isinstance(value, str):
        raise _refusal(value, one, "a text")
    return value


def _measure(value: Any, one: Declared) -> Any:
    if isinstance(value, bool) or not isinstance(value, numbers.Real | str):
        raise _refusal(value, one, "a number or a text")
    return value


def _path(value: Any, one: Declared) -> str | Path:
    if not isinstance(value, str | os.PathLike):
        raise _refusal(value, one, "a path")
    return value if isinstance(value, str) else Path(value)


def _table(value: Any, one: Declared) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise _refusal(value, one, "a dictionary")
    return value


def _several(value: Any, one: Declared) -> tuple[Any, ...]:
    """Many values; a lone one is one of one."""
    if isinstance(value, str | os.PathLike):
        value = (value,)
    if not isinstance(value, Iterable) or isinstance(value, Mapping | bytes):
        raise _refusal(value, one, f"a list of {one.kind.name.lower()}")
    take = _MANY[one.kind]
    return tuple(take(item, one) for item in value)


_ONE = {
    Form.TRUTH: _truth,
    Form.WHOLE: _whole,
    Form.NUMBER: _number,
    Form.TEXT: _text,
    Form.MEASURE: _measure,
    Form.PATH: _path,
    Form.TABLE: _table,
}
_MANY = {Form.TEXTS: _text, Form.PATHS: _path, Form.MEASURES: _measure}
