import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.attributes import ATTRIBUTES, Attribute, FaceAttributes, Kind, attributes_of
from faceloom.errors import StoreError
from faceloom.formats.record import FaceRecord
from faceloom.store import database
from faceloom.store.columns import OF_ADDED, OF_FACES, OF_KNOWN, TABLES, Columns
from faceloom.store.database import SCHEMA_VERSION
from faceloom.store.folder import DATABASE
from faceloom.store.reading import read_faces
from faceloom.store.store import Store
from formats.records import faces, plain


@given(face=faces(index=0))
def test_what_a_row_holds_of_a_face_is_the_face_again(face: FaceRecord) -> None:
    with closing(sqlite3.connect(":memory:")) as db:
        db.execute(f"CREATE TABLE face ({', '.join(OF_FACES.definitions.values())})")
        db.execute(f"INSERT INTO face ({OF_FACES}) VALUES ({OF_FACES.marks})", OF_FACES.cells(face))
        (row,) = db.execute(f"SELECT {OF_FACES} FROM face")
    back = replace(face, **OF_FACES.values(row))
    # Nobody's face has no name in the store; what exports say of it follows from the others.
    assert plain(back) == plain(replace(face, person=face.person or None))


@given(face=faces(index=0), columns=st.sampled_from([OF_FACES, OF_KNOWN, OF_ADDED]))
def test_cells_stand_in_the_order_of_the_columns_they_are_written_to(face: FaceRecord, columns: Columns) -> None:
    by_name = dict(zip(columns.names, columns.cells(face), strict=True))
    told: dict[str, Any] = {"idx": face.index, "score": face.score, "x1": float(face.box[2])}
    told["yaw"] = None if face.pose is None else face.pose.yaw
    assert all(by_name[name] == value for name, value in told.items() if name in by_name)
    assert all(isinstance(cell, bytes | str | int | float | None) for cell in by_name.values())


@pytest.mark.parametrize(
    ("change", "column"),
    [
        ("ALTER TABLE face DROP COLUMN sharpness", "face.sharpness is missing, not REAL"),
        ("ALTER TABLE known RENAME COLUMN landmarks TO points", "known.landmarks is missing, not BLOB"),
        (
            "DROP INDEX face_person; ALTER TABLE face DROP COLUMN person; ALTER TABLE face ADD COLUMN person REAL",
            "face.person is REAL, not TEXT",
        ),
    ],
)
def test_a_store_with_other_columns_is_refused_with_the_first_of_them(tmp_path: Path, change: str, column: str) -> None:
    with Store(tmp_path / "out"):
        pass
    with closing(sqlite3.connect(tmp_path / "out" / DATABASE)) as other:
        other.executescript(change)
    with pytest.raises(StoreError) as caught:
        list(read_faces(tmp_path / "out"))
    assert column in str(caught.value)
    with pytest.raises(StoreError), Store(tmp_path / "out"):
        pass


def test_columns_of_a_users_own_do_no_harm(tmp_path: Path) -> None:
    with Store(tmp_path / "out"):
        pass
    with closing(sqlite3.connect(tmp_path / "out" / DATABASE)) as other:
        other.execute("ALTER TABLE face ADD COLUMN note TEXT")
    assert list(read_faces(tmp_path / "out")) == []


@contextmanager
def known_from_now_on(attribute: Attribute) -> Iterator[None]:
    """As if the table had one attribute more."""
    later = [*ATTRIBUTES, attribute]
    tables = {**TABLES, "face": Columns(later), "known": Columns(one for one in later if one.is_given)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "TABLES", tables)
        patch.setattr(database, "SCHEMA_VERSION", attribute.since)
        yield


def types(folder: Path, table: str) -> dict[str, str]:
    with closing(sqlite3.connect(folder / DATABASE)) as db:
        return {row[1]: row[2] for row in db.execute(f"PRAGMA table_info({table})")}


@pytest.mark.parametrize("is_given", [True, False])
def test_an_attribute_that_comes_later_gets_its_column_in_older_stores(tmp_path: Path, is_given: bool) -> None:
    with Store(tmp_path / "out"):
        pass
    added = Attribute(kind=Kind.NUMBER, about="Any.", since=SCHEMA_VERSION + 1, is_given=is_given).of_field("added")
    with known_from_now_on(added):
        list(read_faces(tmp_path / "out"))
        with Store(tmp_path / "new"):
            pass
    for table in ("face", "known"):
        assert types(tmp_path / "out", table) == types(tmp_path / "new", table)
    assert types(tmp_path / "out", "face")["added"] == "REAL"
    assert ("added" in types(tmp_path / "out", "known")) == is_given
    with pytest.raises(StoreError, match="newer faceloom"):  # for which the attribute does not exist
        list(read_faces(tmp_path / "out"))


def test_nothing_is_written_where_there_is_nothing() -> None:
    face: FaceAttributes[Any] = FaceAttributes(index=0, box=np.zeros(4, np.float32))
    there = {name: value for name, value in attributes_of(face).items() if value is not None and name != "masks"}
    assert list(there) == ["index", "box"]
    by_name = dict(zip(OF_FACES.names, OF_FACES.cells(face), strict=True))
    assert [name for name, cell in by_name.items() if cell is not None] == ["idx", "x0", "y0", "x1", "y1"]
