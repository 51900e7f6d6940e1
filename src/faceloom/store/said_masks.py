"""Masks of faces that were corrected: those that somebody drew, and the others where the chip shows another square."""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from faceloom.formats.record import MaskRecord, OnChip, decode_mask, encode_mask
from faceloom.geometry.affine import Affine, Points, compose, invert, scaling
from faceloom.geometry.chips import Framing, lay_mask
from faceloom.geometry.drawings import Drawing
from faceloom.store.configuration import is_size
from faceloom.store.corrections import png_of
from faceloom.store.view import chip_size_of


class SaidMasks:
    """The masks of an open store that looks through corrections; no face is in it of any other."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._faces: frozenset[int] = frozenset()
        self._remade: frozenset[int] = frozenset()
        if db.execute("SELECT 1 FROM sqlite_temp_master WHERE name = 'said_mask'").fetchone() is not None:
            query = "SELECT face_id FROM temp.said_mask UNION SELECT face_id FROM temp.said WHERE landmarks IS NOT NULL"
            self._faces = frozenset(face for (face,) in db.execute(query))
            query = "SELECT face_id FROM temp.said WHERE is_remade"
            self._remade = frozenset(face for (face,) in db.execute(query))

    def __contains__(self, face: int) -> bool:
        return face in self._faces

    def corrected(self, face: int, attributes: Mapping[str, Any], framing: Framing) -> dict[str, MaskRecord]:
        """The masks of a face, over the square of its chip, with those that somebody drew.

        Args:
            face: its row number.
            attributes: as they are corrected, but for its masks.
            framing: of the folder's chips.

        Raises:
            ValueError: a mask is none.
        """
        landmarks, affine = attributes["landmarks"], attributes["frame_to_chip"]
        masks: dict[str, MaskRecord] = dict(attributes["masks"])
        is_remade = face in self._remade and landmarks is not None
        if is_remade:
            masks |= self._made(face, landmarks, framing)
        if landmarks is None or affine is None or framing.is_frame:
            return masks | dict(self._drawn(face, None, 0))
        size = chip_size_of(landmarks, affine, framing)
        if not is_remade:
            query = "SELECT affine FROM main.face WHERE id = ?"
            found = np.frombuffer(self._db.execute(query, (face,)).fetchone()[0]).reshape(2, 3)
            if not np.array_equal(found, affine):
                masks = {name: _moved(mask, found, affine, size) for name, mask in masks.items()}
        return masks | dict(self._drawn(face, affine, size))

    def _made(self, face: int, landmarks: Points, framing: Framing) -> Iterator[tuple[str, MaskRecord]]:
        """What the stages made of where the face is now."""
        query = "SELECT name, size, png, drawing FROM main.remade_mask WHERE face_id = ? ORDER BY name"
        for name, size, png, drawing in self._db.execute(query, (face,)):
            if not is_size(size):
                raise ValueError(f"a mask has a size of {size!r:.40}")
            content = png if drawing is None else OnChip(Drawing.parse(drawing), landmarks, framing)
            yield name, MaskRecord(size=size, content=content)

    def _drawn(self, face: int, affine: Affine | None, chip_size: int) -> Iterator[tuple[str, MaskRecord]]:
        """What somebody drew, laid over the square of the chip where that is another now."""
        query = "SELECT name, told FROM temp.said_mask WHERE face_id = ? ORDER BY name"
        for name, text in self._db.execute(query, (face,)):
            told = json.loads(text)
            size, then, content = told["size"], np.array(told["affine"]), png_of(told)
            now = then if affine is None else _to_mask(affine, size, chip_size)
            if not np.allclose(now, then, rtol=0, atol=1e-9):
                pixels = lay_mask(decode_mask(content, size=size), compose(now, invert(then)), size=size)
                content = encode_mask(pixels)
            yield name, MaskRecord(size=size, content=content)


def _moved(mask: MaskRecord, before: Affine, now: Affine, chip_size: int) -> MaskRecord:
    """A network's mask, over the square of another chip; what is drawn from landmarks follows them by itself."""
    if not isinstance(mask.content, bytes):
        return mask
    old, new = (_to_mask(affine, mask.size, chip_size) for affine in (before, now))
    pixels = lay_mask(mask.pixels(), compose(new, invert(old)), size=mask.size)
    return MaskRecord(size=mask.size, content=encode_mask(pixels))


def _to_mask(frame_to_chip: Affine, size: int, chip_size: int) -> Affine:
    factor = size / chip_size
    return compose(scaling(factor, factor), frame_to_chip)
