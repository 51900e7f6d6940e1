"""Parquet: a row a face, with everything, and its numbers unrounded. Needs the extra `parquet`, pyarrow."""

import io
import itertools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceloom.attributes import ATTRIBUTES, Attribute, Kind, Part
from faceloom.errors import RequestError
from faceloom.faces import FrameId
from faceloom.formats import checks, jsonl
from faceloom.formats.record import FaceRecord, Format, FrameRecord, Frames, MaskRecord, Piece
from faceloom.units import GIB, format_bytes

_ROWS = 1024
"""In a group, which is what is in memory at a time."""
_MAX_GROUP_BYTES = GIB


def _arrow() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise RequestError("Parquet needs pyarrow; pip install 'faceloom[parquet]'") from error
    return pyarrow


def _schema(arrow: Any) -> Any:
    lists = {np.float32: arrow.list_(arrow.float32()), np.float64: arrow.list_(arrow.float64())}
    mask = {"name": arrow.string(), "size": arrow.int32(), "png": arrow.binary(), "affine": lists[np.float64]}
    types = {
        Kind.WHOLE: arrow.int32(),
        Kind.NUMBER: arrow.float64(),
        Kind.TEXT: arrow.string(),
        Kind.NAME: arrow.string(),
        Kind.MASKS: arrow.list_(arrow.struct(mask)),
    }
    return arrow.schema(
        {
            "source": arrow.string(),
            "frame": arrow.int64(),
            "time_s": arrow.float64(),
            "width": arrow.int32(),
            "height": arrow.int32(),
            **{one.key: types.get(one.kind) or lists[one.dtype] for one in ATTRIBUTES},
        }
    )


class _Sink(io.RawIOBase):
    """What was written since it was last asked."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._size

    def write(self, content: Any) -> int:
        self._pieces.append(bytes(content))
        self._size += len(self._pieces[-1])
        return len(self._pieces[-1])

    def take(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


def _write(frames: Frames) -> Iterator[Piece]:
    arrow, sink = _arrow(), _Sink()
    schema = _schema(arrow)
    rows = (_to_row(frame, face) for frame in frames for face in frame.faces)
    with arrow.parquet.ParquetWriter(sink, schema, compression="zstd") as writer:
        while group := list(itertools.islice(rows, _ROWS)):
            writer.write_table(arrow.Table.from_pylist(group, schema=schema))
            yield "", sink.take()
    yield "", sink.take()


def _flat(values: NDArray[Any] | None) -> list[float] | None:
    return None if values is None else values.ravel().tolist()


def _to_row(frame: FrameRecord, face: FaceRecord) -> dict[str, Any]:
    row: dict[str, Any] = {
        "source": frame.id.source,
        "frame": frame.id.index,
        "time_s": frame.time,
        "width": frame.width,
        "height": frame.height,
    }
    for name, key, write in _CELLS:
        value = getattr(face, name)
        row[key] = value if write is None or value is None else write(value)
    return row


def _to_list(masks: Mapping[str, MaskRecord]) -> list[dict[str, Any]]:
    return [
        {"name": name, "size": mask.size, "png": mask.png, "affine": _flat(mask.frame_to_mask)}
        for name, mask in masks.items()
    ]


_WRITERS: Mapping[Kind, Callable[[Any], Any]] = {
    Kind.BOX: _flat,
    Kind.POINTS: _flat,
    Kind.NUMBERS: _flat,
    Kind.POSE: list,
    Kind.MASKS: _to_list,
}
"""What makes cells of values that are none by themselves."""
_CELLS = tuple((one.name, one.key, _WRITERS.get(one.kind)) for one in ATTRIBUTES)


def _read(path: Path) -> Iterator[FrameRecord]:
    arrow = _arrow()
    with checks.reading(path, FORMAT.title):
        try:
            with arrow.parquet.ParquetFile(path) as file:
                yield from _frames(_rows(file))
        except arrow.ArrowException as error:
            raise ValueError(error) from error


def _rows(file: Any) -> Iterator[dict[str, Any]]:
    for number in range(file.metadata.num_row_groups):
        if file.metadata.row_group(number).total_byte_size > _MAX_GROUP_BYTES:
            raise ValueError(f"a row group has more than {format_bytes(_MAX_GROUP_BYTES)}")
    for batch in file.iter_batches(batch_size=_ROWS):
        yield from batch.to_pylist()


def _frames(rows: Iterator[dict[str, Any]]) -> Iterator[FrameRecord]:
    for (source, frame), same in itertools.groupby(rows, key=lambda row: (row["source"], row["frame"])):
        found = list(same)
        yield FrameRecord(
            id=FrameId(checks.name(source, "a source"), checks.whole(frame, "a frame")),
            time=checks.score(found[0]["time_s"]),
            width=found[0]["width"],
            height=found[0]["height"],
            faces=tuple(_face(row) for row in found),
        )


def _face(row: dict[str, Any]) -> FaceRecord:
    there = (one for one in ATTRIBUTES if one.key in row or one.is_required)
    return FaceRecord(**{one.name: _from_cell(one, row.get(one.key)) for one in there})


def _from_cell(attribute: Attribute, told: Any) -> Any:
    if attribute.kind is Kind.MASKS:
        return {checks.name(mask["name"], "a mask"): _mask(mask) for mask in told or ()}
    if told is None and not attribute.is_required:
        return None
    return jsonl.value_from_json(attribute, np.reshape(told, attribute.shape) if attribute.shape else told)


def _mask(told: Any) -> MaskRecord:
    affine = told["affine"]
    return MaskRecord(
        size=checks.whole(told["size"], "a mask's size", at_least=1),
        content=bytes(told["png"]),
        frame_to_mask=None if affine is None else checks.numbers(affine, (6,), "an affine map").reshape(2, 3),
    )


FORMAT = Format(
    name="parquet",
    title="Parquet",
    suffix=".parquet",
    keeps=frozenset(Part) - {Part.EMPTY},
    changes="nothing",
    write=_write,
    read=_read,
    is_text=False,
    needs=("pyarrow",),
)
