"""Pickles of plain containers, scalars and NumPy arrays: a reader that runs nothing, and a writer without a memo.

Python's own unpickler calls what a pickle names, and reserves memory by lengths that a pickle claims. This reader has
no way to call anything: it is a machine of its own for the opcodes that plain content needs, takes a stream, counts
what it builds and how many steps it takes, and knows NumPy's arrays by the names of their parts.

Source: the opcodes as Python's `pickletools` documents them.
"""

import pickle
import struct
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

_OLDEST, _NEWEST = 3, 5
_LONGEST_LINE = 64
_SLOT_BYTES = 16
"""Of a place in a list, a dict or the memo."""
_STEP_BYTES = 16
"""What a step counts, so that one that holds nothing does not come for ever."""
_READ_BYTES = 1 << 20
_DEEPEST = 32
_KINDS = frozenset("biuf")
"""Of NumPy's dtypes: booleans, whole numbers, floats."""


class Stream(Protocol):
    """Where a pickle comes from."""

    def read(self, size: int) -> bytes:
        """So many bytes; fewer only at the end."""


class _Name(Enum):
    """What a pickle may name."""

    RECONSTRUCT = "numpy._reconstruct"
    ARRAY = "numpy.ndarray"
    DTYPE = "numpy.dtype"
    SCALAR = "numpy.scalar"
    FROM_BUFFER = "numpy._frombuffer"
    BYTEARRAY = "builtins.bytearray"


_NAMES = {
    **{
        (f"numpy.{core}.multiarray", name.value.partition(".")[2]): name
        for core in ("core", "_core")
        for name in (_Name.RECONSTRUCT, _Name.SCALAR)
    },
    **{(f"numpy.{core}.numeric", "_frombuffer"): _Name.FROM_BUFFER for core in ("core", "_core")},
    ("numpy", "ndarray"): _Name.ARRAY,
    ("numpy", "dtype"): _Name.DTYPE,
    ("builtins", "bytearray"): _Name.BYTEARRAY,
}


@dataclass(slots=True)
class _Dtype:
    code: str
    order: str = "|"

    def real(self) -> np.dtype[Any]:
        return np.dtype((self.order if self.order in ("<", ">") else "") + self.code)


@dataclass(slots=True)
class _Array:
    """An array on its way: first named, then given its content."""

    content: NDArray[Any] | None = None


class _Mark(Enum):
    MARK = 0


def load(stream: Stream, *, limit: int) -> Any:
    """What a pickle holds, as new dicts, lists, tuples, sets, text, bytes, numbers and arrays.

    Args:
        stream: read to the end of the pickle, no further.
        limit: bytes that may be held together while and after it is read, about.

    Raises:
        ValueError: it names anything else, is damaged, refers to itself, or would take more than `limit`.
    """
    return _plain(_Machine(stream, limit // 2).run(), limit // 2)


class _Machine:
    def __init__(self, stream: Stream, limit: int) -> None:
        self._stream = stream
        self._left = limit
        self._limit = limit
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def run(self) -> Any:
        while True:
            code = self._take(1)
            if code == pickle.STOP:
                break
            self._spend(_STEP_BYTES)
            step = _STEPS.get(code)
            if step is None:
                raise ValueError(f"it asks for {code!r}, which plain content does not need")
            step(self)
        if len(self._stack) != 1:
            raise ValueError("the pickle ends in the middle of something")
        return self._stack.pop()

    def _take(self, size: int) -> bytes:
        content = self._stream.read(min(size, _READ_BYTES))
        while len(content) < size and (more := self._stream.read(min(size - len(content), _READ_BYTES))):
            content += more
        if len(content) != size:
            raise ValueError("the pickle breaks off")
        return content

    def _number(self, form: str) -> Any:
        return struct.unpack(form, self._take(struct.calcsize(form)))[0]

    def _spend(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise ValueError(f"it would take more than {self._limit:,} bytes of memory")

    def _push(self, value: Any) -> None:
        self._spend(sys.getsizeof(value) + _SLOT_BYTES)
        self._stack.append(value)

    def _content(self, form: str) -> bytes:
        size = self._number(form)
        if size > self._left:
            raise ValueError(f"it would take more than {self._limit:,} bytes of memory")
        return self._take(size)

    def _pop(self) -> Any:
        value = self._stack.pop()
        if value is _Mark.MARK:
            raise ValueError("a mark where a value belongs")
        return value

    def _since_mark(self) -> list[Any]:
        place = len(self._stack) - 1
        while self._stack[place] is not _Mark.MARK:  # IndexError below the lowest
            place -= 1
            if place < 0:
                raise ValueError("no mark")
        values = self._stack[place + 1 :]
        del self._stack[place:]
        return values

    def _line(self) -> str:
        line = bytearray()
        while (char := self._take(1)) != b"\n":
            line += char
            if len(line) > _LONGEST_LINE:
                raise ValueError("a name or number of more than 64 characters")
        return line.decode("ascii")

    def _name(self, module: Any, name: Any) -> None:
        found = _NAMES.get((module, name)) if type(module) is str and type(name) is str else None
        if found is None:
            raise ValueError(
                f"it names {str(module)[:64]}.{str(name)[:64]}, and only plain content and arrays are read"
            )
        self._stack.append(found)

    # One method an opcode.

    def _protocol(self) -> None:
        if not _OLDEST <= self._take(1)[0] <= _NEWEST:
            raise ValueError("a pickle of another protocol than 3 to 5")

    def _frame(self) -> None:
        self._number("<Q")  # how much comes together: of no use here

    def _mark(self) -> None:
        self._push(_Mark.MARK)

    def _drop(self) -> None:
        self._stack.pop()

    def _integer(self) -> None:
        self._push(int.from_bytes(self._take(self._number("<B")), "little", signed=True))

    def _text(self, form: str) -> None:
        self._push(self._content(form).decode("utf-8", "surrogatepass"))

    def _bytearray(self) -> None:
        self._push(self._content("<Q"))

    def _tuple(self, count: int) -> None:
        values = [self._pop() for _ in range(count)][::-1]
        self._push(tuple(values))

    def _long_tuple(self) -> None:
        self._push(tuple(self._since_mark()))

    def _append(self) -> None:
        self._extend([self._pop()])

    def _appends(self) -> None:
        self._extend(self._since_mark())

    def _extend(self, values: list[Any]) -> None:
        target = self._top(list)
        self._spend(_SLOT_BYTES * len(values))
        target.extend(values)

    def _set_item(self) -> None:
        value, key = self._pop(), self._pop()
        self._fill([key, value])

    def _set_items(self) -> None:
        self._fill(self._since_mark())

    def _fill(self, values: list[Any]) -> None:
        target = self._top(dict)
        self._spend(8 * _SLOT_BYTES * len(values) // 2)
        keys = values[::2]
        if len(values) % 2 or any(type(key) not in (str, int, bytes) for key in keys):
            raise ValueError("a key of a dict is neither text nor a whole number")
        target.update(zip(keys, values[1::2], strict=True))

    def _top(self, kind: type[Any]) -> Any:
        if not self._stack or type(self._stack[-1]) is not kind:
            raise ValueError(f"there is no {kind.__name__} to fill")
        return self._stack[-1]

    def _remember(self, place: int) -> None:
        if place not in self._memo:
            self._spend(8 * _SLOT_BYTES)
        self._memo[place] = self._stack[-1]

    def _recall(self, place: int) -> None:
        if place not in self._memo:
            raise ValueError("it refers to what it never stored")
        self._stack.append(self._memo[place])
        self._spend(_SLOT_BYTES)

    def _global(self) -> None:
        module = self._line()
        self._name(module, self._line())

    def _stack_global(self) -> None:
        name, module = self._pop(), self._pop()
        self._name(module, name)

    def _reduce(self) -> None:
        given, name = self._pop(), self._pop()
        if type(given) is not tuple:
            raise ValueError("something is made of no tuple")
        self._push(self._made(name, given))

    def _made(self, name: Any, given: tuple[Any, ...]) -> Any:
        if name is _Name.RECONSTRUCT and len(given) == 3 and given[0] is _Name.ARRAY:
            return _Array()
        if name is _Name.DTYPE and given and type(given[0]) is str:
            return self._dtype(given[0])
        if name is _Name.SCALAR and len(given) == 2:
            array = self._filled(given[0], (), given[1], fortran=False)
            return array.item()
        if name is _Name.FROM_BUFFER and len(given) == 4 and given[3] in ("C", "F"):
            return _Array(self._filled(given[1], given[2], given[0], fortran=given[3] == "F"))
        if name is _Name.BYTEARRAY and len(given) <= 1 and all(type(value) is bytes for value in given):
            return b"".join(given)
        raise ValueError("something is made in a way that plain content and arrays never are")

    def _dtype(self, code: str) -> _Dtype:
        if len(code) > 3 or code[:1] not in _KINDS or not code[1:].isdecimal() or code[1:] == "16":
            raise ValueError(f"an array of {code[:16]!r}; only numbers are read")
        return _Dtype(code)

    def _build(self) -> None:
        state = self._pop()
        target = self._stack[-1]
        if type(target) is _Dtype and type(state) is tuple and len(state) >= 2 and state[1] in ("<", ">", "|", "="):
            target.order = state[1]
        elif type(target) is _Array and type(state) is tuple and len(state) == 5:
            _, shape, dtype, fortran, content = state
            target.content = self._filled(dtype, shape, content, fortran=fortran is True)
        else:
            raise ValueError("something is filled that is no array")

    def _filled(self, dtype: Any, shape: Any, content: Any, *, fortran: bool) -> NDArray[Any]:
        """A view of bytes that were read already: nothing is reserved by what a shape claims."""
        is_shape = type(shape) is tuple and len(shape) <= 8 and all(type(n) is int and n >= 0 for n in shape)
        if type(dtype) is not _Dtype or not is_shape or type(content) is not bytes:
            raise ValueError("an array that is not made of numbers")
        return np.frombuffer(content, dtype.real()).reshape(shape, order="F" if fortran else "C")


def _push_value(value: Any) -> Callable[[_Machine], None]:
    return lambda machine: machine._push(value)


_STEPS: dict[bytes, Callable[[_Machine], None]] = {
    pickle.PROTO: _Machine._protocol,
    pickle.FRAME: _Machine._frame,
    pickle.MARK: _Machine._mark,
    pickle.POP: _Machine._drop,
    pickle.NONE: _push_value(None),
    pickle.NEWTRUE: _push_value(True),
    pickle.NEWFALSE: _push_value(False),
    pickle.BININT: lambda m: m._push(m._number("<i")),
    pickle.BININT1: lambda m: m._push(m._number("<B")),
    pickle.BININT2: lambda m: m._push(m._number("<H")),
    pickle.LONG1: _Machine._integer,
    pickle.BINFLOAT: lambda m: m._push(m._number(">d")),
    pickle.SHORT_BINUNICODE: lambda m: m._text("<B"),
    pickle.BINUNICODE: lambda m: m._text("<I"),
    pickle.BINUNICODE8: lambda m: m._text("<Q"),
    pickle.SHORT_BINBYTES: lambda m: m._push(m._content("<B")),
    pickle.BINBYTES: lambda m: m._push(m._content("<I")),
    pickle.BINBYTES8: lambda m: m._push(m._content("<Q")),
    pickle.BYTEARRAY8: _Machine._bytearray,
    pickle.EMPTY_TUPLE: _push_value(()),
    pickle.TUPLE1: lambda m: m._tuple(1),
    pickle.TUPLE2: lambda m: m._tuple(2),
    pickle.TUPLE3: lambda m: m._tuple(3),
    pickle.TUPLE: _Machine._long_tuple,
    pickle.EMPTY_LIST: lambda m: m._push([]),
    pickle.APPEND: _Machine._append,
    pickle.APPENDS: _Machine._appends,
    pickle.EMPTY_DICT: lambda m: m._push({}),
    pickle.SETITEM: _Machine._set_item,
    pickle.SETITEMS: _Machine._set_items,
    pickle.BINPUT: lambda m: m._remember(m._number("<B")),
    pickle.LONG_BINPUT: lambda m: m._remember(m._number("<I")),
    pickle.MEMOIZE: lambda m: m._remember(len(m._memo)),
    pickle.BINGET: lambda m: m._recall(m._number("<B")),
    pickle.LONG_BINGET: lambda m: m._recall(m._number("<I")),
    pickle.GLOBAL: _Machine._global,
    pickle.STACK_GLOBAL: _Machine._stack_global,
    pickle.REDUCE: _Machine._reduce,
    pickle.BUILD: _Machine._build,
}


def _plain(value: Any, limit: int) -> Any:
    """The value with its arrays in place of what they were on the way.

    What is met twice is copied twice, so it counts twice: an object of a few nested references would have billions.
    """
    left = limit

    def convert(inner: Any, depth: int) -> Any:
        nonlocal left
        kind = type(inner)
        left -= _SLOT_BYTES + (sys.getsizeof(inner) if kind in (dict, list, tuple) else 0)
        if depth > _DEEPEST or left < 0:
            raise ValueError("it refers to itself, nests too deeply, or would take too much memory")
        if kind is _Array and inner.content is not None:
            return inner.content
        if kind in (_Array, _Name, _Dtype, _Mark):
            raise ValueError("an array without content")
        if kind is dict:
            return {key: convert(item, depth + 1) for key, item in inner.items()}
        return kind([convert(item, depth + 1) for item in inner]) if kind in (list, tuple) else inner

    return convert(value, 0)


def dump(value: Any) -> bytes:
    """The opcodes that push plain content; between `START` and `STOP` they are a pickle of protocol 3."""
    return b"".join(_dumped(value))


START = pickle.PROTO + b"\x03"
DICT = pickle.EMPTY_DICT
MARK = pickle.MARK
FILL = pickle.SETITEMS
"""What was pushed since the mark goes into the dict below it."""
STOP = pickle.STOP


def _dumped(value: Any) -> Iterator[bytes]:
    match value:
        case None:
            yield pickle.NONE
        case bool():
            yield pickle.NEWTRUE if value else pickle.NEWFALSE
        case int():
            yield pickle.BININT + struct.pack("<i", value)
        case float():
            yield pickle.BINFLOAT + struct.pack(">d", value)
        case str():
            content = value.encode()
            yield pickle.BINUNICODE + struct.pack("<I", len(content)) + content
        case bytes():
            yield pickle.BINBYTES + struct.pack("<I", len(value)) + value
        case dict():
            yield pickle.EMPTY_DICT + pickle.MARK
            for key, inner in value.items():
                yield from _dumped(key)
                yield from _dumped(inner)
            yield pickle.SETITEMS
        case list() | tuple():
            yield pickle.MARK if type(value) is tuple else pickle.EMPTY_LIST + pickle.MARK
            for inner in value:
                yield from _dumped(inner)
            yield pickle.TUPLE if type(value) is tuple else pickle.APPENDS
        case np.ndarray():
            yield from _dumped_array(value)
        case _:
            raise TypeError(f"{type(value).__name__} is no plain content")


def _dumped_array(value: NDArray[Any]) -> Iterator[bytes]:
    """As NumPy pickles arrays, under the module's name of before NumPy 2, which later ones still know."""
    yield pickle.GLOBAL + b"numpy.core.multiarray\n_reconstruct\n"
    yield pickle.GLOBAL + b"numpy\nndarray\n" + dump((0,)) + dump(b"b") + pickle.TUPLE3 + pickle.REDUCE
    yield pickle.MARK + dump(1) + dump(value.shape)
    yield pickle.GLOBAL + b"numpy\ndtype\n" + dump((value.dtype.str[1:], False, True)) + pickle.REDUCE
    yield dump((3, "<", None, None, None, -1, -1, 0)) + pickle.BUILD
    yield dump(False) + dump(np.ascontiguousarray(value, value.dtype.newbyteorder("<")).tobytes())
    yield pickle.TUPLE + pickle.BUILD
