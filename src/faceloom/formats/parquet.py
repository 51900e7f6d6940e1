"""Parquet: a row a face, with everything, and its numbers unrounded. Needs the extra `parquet`, pyarrow."""

import io
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceloom.errors import RequestError
from faceloom.faces import FrameId
from faceloom.formats import checks
from faceloom.formats.record import FaceRecord, Format, FrameRecord, Frames, MaskRecord, Part, Piece
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
    pixels, exact = arrow.list_(arrow.float32()), arrow.list_(arrow.float64())
    mask = arrow.struct({"name": arrow.string(), "size": arrow.int32(), "png": arrow.binary(), "affine": exact})
    return arrow.schema(
        {
            "source": arrow.string(),
            "frame": arrow.int64(),
            "time_s": arrow.float64(),
            "width": arrow.int32(),
            "height": arrow.int32(),
            "index": arrow.int32(),
            "box": pixels,
            "score": arrow.float64(),
            "keypoints": pixels,
            "landmarks": pixels,
            "confidence": arrow.float64(),
            "affine": exact,
            "pose": exact,
            "sharpness": arrow.float64(),
            "rejected": arrow.string(),
            "masks": arrow.list_(mask),
            "embedding": pixels,
            "chip": arrow.string(),
            "person": arrow.string(),
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
    masks = [
        {"name": name, "size": mask.size, "png": mask.png, "affine": _flat(mask.frame_to_mask)}
        for name, mask in face.masks.items()
    ]
    return {
        "source": frame.id.source,
        "frame": frame.id.index,
        "time_s": frame.time,
        "width": frame.width,
        "height": frame.height,
        "index": face.index,
        "box": _flat(face.box),
        "score": face.score,
        "keypoints": _flat(face.keypoints),
        "landmarks": _flat(face.landmarks),
        "confidence": face.confidence,
        "affine": _flat(face.frame_to_chip),
        "pose": None if face.pose is None else list(face.pose),
        "sharpness": face.sharpness,
        "rejected": face.rejected,
        "masks": masks,
        "embedding": _flat(face.embedding),
        "chip": face.chip,
        "person": face.person,
    }


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


def _points(values: list[float] | None, count: int, what: str) -> NDArray[np.float32] | None:
    return None if values is None else checks.pixels(values, (2 * count,), what).reshape(count, 2)


def _affine(values: list[float] | None) -> NDArray[np.float64] | None:
    return None if values is None else checks.numbers(values, (6,), "an affine map").reshape(2, 3)


def _face(row: dict[str, Any]) -> FaceRecord:
    embedding = row["embedding"]
    masks = {
        checks.name(mask["name"], "a mask"): MaskRecord(
            size=checks.whole(mask["size"], "a mask's size", at_least=1),
            png=bytes(mask["png"]),
            frame_to_mask=_affine(mask["affine"]),
        )
        for mask in row["masks"] or ()
    }
    return FaceRecord(
        index=checks.whole(row["index"], "an index"),
        box=checks.box(*row["box"]),
        score=checks.score(row["score"]),
        keypoints=_points(row["keypoints"], 5, "keypoints"),
        landmarks=_points(row["landmarks"], 68, "landmarks"),
        confidence=checks.score(row["confidence"]),
        frame_to_chip=_affine(row["affine"]),
        pose=checks.optional_pose(row.get("pose")),
        sharpness=checks.score(row.get("sharpness")),
        rejected=checks.optional_name(row.get("rejected"), "a reason"),
        masks=masks,
        embedding=None if embedding is None else checks.numbers(embedding, (-1,), "an embedding").astype(np.float32),
        chip=row["chip"],
        person=_person(row.get("person")),
    )


def _person(told: Any) -> str | None:
    return checks.name(told, "a person") if told else told


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
