"""How the attributes of faces stand in the store: their columns, and the way of values there and back."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from faceloom.attributes import ATTRIBUTES, Attribute, FaceAttributes, Kind
from faceloom.geometry.pose import Pose

_TYPES = {
    Kind.WHOLE: "INTEGER",
    Kind.NUMBER: "REAL",
    Kind.TEXT: "TEXT",
    Kind.NAME: "TEXT",
    Kind.POINTS: "BLOB",
    Kind.NUMBERS: "BLOB",
    Kind.BOX: "REAL",
    Kind.POSE: "REAL",
}
"""Of columns in SQL; masks have tables of their own."""
MASK_TABLES = ("mask", "drawn_mask")
"""Pictures, and what is drawn when it is read."""


class Columns:
    """The columns of some attributes."""

    def __init__(self, attributes: Iterable[Attribute]) -> None:
        kept = [attribute for attribute in attributes if attribute.columns]
        self.types = {name: (_TYPES[one.kind], one.is_required) for one in kept for name in one.columns}
        """The type of each, and whether it is never null."""
        # Attributes of one column come first in queries, so that most of a row is the values as they are.
        kept.sort(key=lambda attribute: len(attribute.columns) > 1)
        self.names = tuple(name for attribute in kept for name in attribute.columns)
        """In the order of queries, which is that of cells."""
        single = [attribute for attribute in kept if len(attribute.columns) == 1]
        self._single = tuple(attribute.name for attribute in single)
        self._arrays = tuple(
            (i, *_blob(one)) for i, one in enumerate(single) if one.kind in {Kind.POINTS, Kind.NUMBERS}
        )
        self._maybe_empty = tuple(i for i, one in enumerate(single) if one.kind is Kind.NAME)
        self._wide = tuple(_wide(kept))

    def __str__(self) -> str:
        return ", ".join(self.names)

    @property
    def marks(self) -> str:
        """As many question marks as there are columns."""
        return ", ".join("?" * len(self.names))

    @property
    def definitions(self) -> Mapping[str, str]:
        """Each as CREATE TABLE and ALTER TABLE define it, by its name."""
        return {name: f"{name} {type_}{' NOT NULL' * is_required}" for name, (type_, is_required) in self.types.items()}

    def cells(self, face: FaceAttributes[Any]) -> list[Any]:
        """What a row holds of a face."""
        found = [getattr(face, name) for name in self._single]
        for place, _, dtype, _ in self._arrays:
            if found[place] is not None:
                found[place] = np.asarray(found[place], dtype).tobytes()
        for place in self._maybe_empty:
            found[place] = found[place] or None
        for name, first, end, write, _ in self._wide:
            value = getattr(face, name)
            found += [None] * (end - first) if value is None else write(value)
        return found

    def values(self, cells: Sequence[Any]) -> dict[str, Any]:
        """The attributes of a row that begins with these columns, by name."""
        found = dict(zip(self._single, cells, strict=False))
        for place, name, dtype, shape in self._arrays:
            if (content := cells[place]) is not None:
                found[name] = np.frombuffer(content, dtype).reshape(shape)
        for name, first, end, _, read in self._wide:
            found[name] = None if cells[first] is None else read(cells[first:end])
        return found


def _blob(attribute: Attribute) -> tuple[str, np.dtype[Any], tuple[int, ...]]:
    """Of an array the name, and how it stands in its column: little-endian, and of any length along its first axis."""
    return attribute.name, np.dtype(np.dtype(attribute.dtype).str.replace(">", "<")), (-1, *attribute.shape[1:])


_Wide: TypeAlias = tuple[str, int, int, Callable[[Any], Iterable[float]], Callable[[Sequence[float]], Any]]
"""Of an attribute of several columns the name, the first and the one after the last, and the way there and back."""


def _wide(attributes: Iterable[Attribute]) -> Iterator[_Wide]:
    end = 0
    for attribute in attributes:
        first, end = end, end + len(attribute.columns)
        if attribute.kind is Kind.BOX:
            yield attribute.name, first, end, lambda box: box.tolist(), lambda cells: np.array(cells, np.float32)
        elif attribute.kind is Kind.POSE:
            yield attribute.name, first, end, lambda pose: pose, lambda cells: Pose(*cells)


OF_FACES = Columns(ATTRIBUTES)
OF_KNOWN = Columns(attribute for attribute in ATTRIBUTES if attribute.is_given)
OF_KNOWN_WITH_CHIPS = Columns(one for one in ATTRIBUTES if one.is_given or one.name in {"frame_to_chip", "chip"})
"""What is known of faces that were found, and where the chip of each is."""
OF_ADDED = Columns(attribute for attribute in ATTRIBUTES if attribute.is_added)
OF_REMADE = Columns(attribute for attribute in ATTRIBUTES if attribute.is_remade)
TABLES: Mapping[str, Columns] = {"face": OF_FACES, "known": OF_KNOWN, "remade": OF_REMADE}
"""The tables that have columns of attributes."""
