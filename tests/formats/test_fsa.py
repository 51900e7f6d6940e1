"""Alignments files, of ours and of somebody who means harm."""

import io
import os
import pickle
import random
import tempfile
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faceloom.errors import MediaError, RequestError
from faceloom.faces import FrameId
from faceloom.formats import fsa, pickles
from faceloom.formats.record import FrameRecord
from faceloom.units import MIB
from formats.records import frames, plain, written

LIMIT = 8 * MIB
scalars = (
    st.none() | st.booleans() | st.integers(-(2**31), 2**31 - 1) | st.floats(allow_nan=False) | st.text() | st.binary()
)
arrays = st.sampled_from(["<f4", ">f4", "<f8", "|u1", "<i8", "|b1"]).flatmap(
    lambda code: st.lists(st.integers(0, 1), min_size=1, max_size=6).map(lambda n: np.array([n, n], code))
)
contents = st.recursive(
    scalars | arrays,
    lambda inner: st.lists(inner, max_size=4) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def packed(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "some.fsa"
    path.write_bytes(zlib.compress(content))
    return path


def read(path: Path, *, held: int = LIMIT, unpacked: int = LIMIT) -> list[FrameRecord]:
    return list(fsa.read_within(path, held=held, unpacked=unpacked))


@given(content=contents, protocol=st.integers(3, 5))
def test_plain_content_is_read_as_python_reads_it(content: Any, protocol: int) -> None:
    for pickled in (pickle.dumps(content, protocol), pickles.START + pickles.dump(content) + pickles.STOP):
        assert plain(pickles.load(io.BytesIO(pickled), limit=MIB)) == plain(content)
        assert plain(pickle.loads(pickled)) == plain(content)


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_numbers_of_numpy_and_arrays_by_columns_are_read(protocol: int) -> None:
    content = [np.float32(1.5), np.int64(-3), np.asfortranarray(np.arange(6, dtype="<i4").reshape(2, 3))]
    back = pickles.load(io.BytesIO(pickle.dumps(content, protocol)), limit=MIB)
    assert [plain(value) for value in back] == [1.5, -3, [[0, 1, 2], [3, 4, 5]]]


@settings(max_examples=40)
@given(found=frames())
def test_what_it_keeps_comes_back(found: list[FrameRecord]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        back = list(fsa.FORMAT.read(written(fsa.FORMAT, found, Path(folder))))
    assert [frame.id for frame in back] == [FrameId(fsa.entry_name(frame), 0) for frame in found]
    for one, other in zip(found, back, strict=True):
        faces = [face for face in one.faces if face.landmarks is not None]
        for face, again in zip(faces, other.faces, strict=True):
            assert plain(again.landmarks) == plain(face.landmarks)
            assert np.abs(again.box - face.box).max() <= 0.51
            assert plain(again.masks) == plain(face.masks)


@given(found=frames())
@settings(max_examples=20)
def test_python_and_numpy_read_what_is_written(found: list[FrameRecord]) -> None:
    content = pickle.loads(zlib.decompress(b"".join(piece for _, piece in fsa.FORMAT.write(found))))
    assert content["__meta__"] == {"version": 2.4}
    assert list(content["__data__"]) == [fsa.entry_name(frame) for frame in found]
    for entry in content["__data__"].values():
        assert list(entry) == ["faces", "video_meta"]
        for face in entry["faces"]:
            assert list(face) == ["x", "w", "y", "h", "landmarks_xy", "mask", "identity", "thumb"]
            assert (face["landmarks_xy"].dtype, face["landmarks_xy"].shape) == (np.float32, (68, 2))
            for mask in face["mask"].values():
                assert len(zlib.decompress(mask["mask"])) == mask["stored_size"] ** 2


def test_two_videos_of_one_name_are_refused() -> None:
    found = [FrameRecord(id=FrameId(name, 0), time=0.0) for name in ("clip.avi", "clip.mp4")]
    with pytest.raises(RequestError, match="same names"):
        list(fsa.FORMAT.write(found))


class Running:
    """Pickled, it asks for a command to be run."""

    def __init__(self, call: Callable[..., Any], *given: Any) -> None:
        self.given = (call, given)

    def __reduce__(self) -> Any:
        return self.given


def op(name: bytes, *rest: bytes) -> bytes:
    return pickle.PROTO + b"\x04" + name + b"".join(rest)


def laughs() -> list[Any]:
    value: list[Any] = ["ha"]
    for _ in range(28):
        value = [value, value]
    return value


def circle() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


def deep() -> bytes:
    return op(pickle.EMPTY_LIST * 100_000, pickle.APPEND * 99_999, pickle.STOP)


ARRAY = pickle.GLOBAL + b"numpy.core.multiarray\n_reconstruct\n" + pickle.GLOBAL + b"numpy\nndarray\n"
HUGE = b"\x8a\x06" + (10**13).to_bytes(6, "little")
MASK: dict[str, Any] = {"mask": zlib.compress(bytes(4)), "affine_matrix": np.eye(2, 3), "stored_size": 2}
HOSTILE: dict[str, Callable[[Path], bytes]] = {
    "a command": lambda mark: pickle.dumps({"__data__": Running(os.system, f"touch {mark}")}),
    "eval": lambda mark: pickle.dumps(Running(eval, f"open({str(mark)!r}, 'w')")),
    "a file opened": lambda mark: pickle.dumps(Running(open, str(mark), "w")),
    "getattr by name": lambda mark: op(b"\x8c\x08builtins\x8c\x07getattr\x93", pickle.STOP),
    "a part of numpy that runs": lambda mark: op(b"cnumpy.testing._private.utils\nrunstring\n", pickle.STOP),
    "numpy's loader": lambda mark: pickle.dumps(Running(np.load, str(mark))),
    "an object array": lambda mark: pickle.dumps(np.array([Running(os.system, f"touch {mark}")], object)),
    "an old instance": lambda mark: op(b"(S'touch x'\nios\nsystem\n.", b""),
    "a persistent id": lambda mark: op(b"\x8c\x01x", pickle.BINPERSID, pickle.STOP),
    "a registered extension": lambda mark: op(pickle.EXT1, b"\x01", pickle.STOP),
    "a class made anew": lambda mark: op(ARRAY, b")", pickle.NEWOBJ, pickle.STOP),
    "an array of a claimed shape": lambda mark: op(ARRAY, HUGE, pickle.TUPLE1, b"C\x01b", b"\x87R", pickle.STOP),
    "an array called": lambda mark: op(b"cnumpy\nndarray\n", HUGE, pickle.TUPLE1, pickle.TUPLE1, b"R", pickle.STOP),
    "text of a claimed length": lambda mark: op(pickle.BINUNICODE8, (2**40).to_bytes(8, "little"), b"x."),
    "bytes of a claimed length": lambda mark: op(pickle.BINBYTES8, (2**62).to_bytes(8, "little"), b"x."),
    "a claimed bytearray": lambda mark: op(pickle.BYTEARRAY8, (2**40).to_bytes(8, "little"), b"x."),
    "a frame of a claimed length": lambda mark: op(pickle.FRAME, (2**63).to_bytes(8, "little"), b"N."),
    "a far place in the memo": lambda mark: op(pickle.NONE, pickle.LONG_BINPUT, b"\xff\xff\xff\xff", pickle.STOP),
    "a number of a claimed length": lambda mark: op(pickle.LONG4, b"\xff\xff\xff\x7f", b"."),
    "a line that never ends": lambda mark: op(pickle.GLOBAL, b"a" * 10**6),
    "a circle": lambda mark: pickle.dumps({"__meta__": {"version": 2.4}, "__data__": circle()}),
    "references that multiply": lambda mark: pickle.dumps({"__meta__": {"version": 2.4}, "__data__": laughs()}),
    "deep nesting": lambda mark: deep(),
    "marks and nothing else": lambda mark: op(pickle.MARK * 300_000),
    "pops": lambda mark: op((pickle.NONE + pickle.POP) * 300_000),
    "no mark": lambda mark: op(pickle.NONE, pickle.TUPLE, pickle.STOP),
    "nothing": lambda mark: b"",
    "no end": lambda mark: op(pickle.NONE),
    "a list": lambda mark: pickle.dumps([1, 2]),
    "another version": lambda mark: pickle.dumps({"__meta__": {"version": 9.9}, "__data__": {}}),
    "text for landmarks": lambda mark: one_face(landmarks_xy="text"),
    "landmarks that are no numbers": lambda mark: one_face(landmarks_xy=np.full((68, 2), np.nan, np.float32)),
    "a box of no number": lambda mark: one_face(x=float("inf")),
    "a mask of a claimed size": lambda mark: one_face(mask={"a": {**MASK, "stored_size": 10**9}}),
    "a mask that is a bomb": lambda mark: one_face(mask={"a": {**MASK, "mask": zlib.compress(bytes(64 * MIB))}}),
    "a mask that is none": lambda mark: one_face(mask={"a": {**MASK, "mask": b"none"}}),
}


def one_face(**other: Any) -> bytes:
    face = {"x": 1, "y": 2, "w": 3, "h": 4, "landmarks_xy": np.zeros((68, 2), np.float32), **other}
    return pickle.dumps({"__meta__": {"version": 2.4}, "__data__": {"a.png": {"faces": [face], "video_meta": {}}}})


def test_the_harmless_file_that_the_hostile_ones_are_made_of_is_read(tmp_path: Path) -> None:
    ((frame,),) = [
        read(packed(tmp_path, one_face(mask={"a": MASK}, thumb=np.zeros(9, np.uint8), identity={"v": [0.5]})))
    ]
    assert frame.faces[0].box.tolist() == [1, 2, 4, 6]


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_file_runs_nothing_holds_little_and_ends_in_an_error(kind: str, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    path = packed(tmp_path, HOSTILE[kind](mark))
    tracemalloc.start()
    try:
        with pytest.raises(MediaError, match="cannot be read as the 2020 extractor's alignments"):
            read(path)
        assert tracemalloc.get_traced_memory()[1] < 2 * LIMIT
    finally:
        tracemalloc.stop()
    assert not mark.exists()


def test_a_bomb_of_zeros_and_one_of_bytes_are_not_unpacked(tmp_path: Path) -> None:
    stream = zlib.compressobj()
    head = op(pickle.BINBYTES8, (2**30).to_bytes(8, "little"))
    content = stream.compress(head) + b"".join(stream.compress(bytes(MIB)) for _ in range(256)) + stream.flush()
    path = tmp_path / "bomb.fsa"
    path.write_bytes(content)
    for held, words in ((LIMIT, "more than 4,194,304 bytes of memory"), (8 * 2**30, "unpacks to more than 8 MiB")):
        with pytest.raises(MediaError, match=words):
            read(path, held=held)


def test_a_million_frames_end_at_the_limit(tmp_path: Path) -> None:
    def content() -> Iterator[bytes]:
        yield op(pickle.EMPTY_DICT, pickle.MARK, pickles.dump("__data__"), pickle.EMPTY_DICT, pickle.MARK)
        for i in range(0, 1_000_000, 1000):
            yield b"".join(b"X\x08\0\0\0%08d}" % n for n in range(i, i + 1000))

    stream = zlib.compressobj(1)
    path = tmp_path / "many.fsa"
    with path.open("wb") as file:
        file.writelines(stream.compress(piece) for piece in content())
        file.write(stream.flush())
    tracemalloc.start()
    try:
        with pytest.raises(MediaError, match="bytes of memory"):
            read(path, unpacked=2**40)
        assert tracemalloc.get_traced_memory()[1] < 2 * LIMIT
    finally:
        tracemalloc.stop()


def test_any_opcodes_are_content_or_refused(tmp_path: Path) -> None:
    chance = random.Random(0)
    codes = [*pickles._STEPS, pickle.STOP, b"\x01", b"\x00", b"cnumpy\ndtype\n", b"\x8c\x02f4"]
    for _ in range(20_000):
        content = op(b"".join(chance.choices(codes, k=chance.randint(1, 24))), pickle.STOP)
        try:
            pickles.load(io.BytesIO(content), limit=MIB)
        except (ArithmeticError, LookupError, TypeError, ValueError):
            continue
