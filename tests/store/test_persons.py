import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from faceloom.errors import RequestError, StoreError
from faceloom.faces import FrameId
from faceloom.store.folder import DATABASE
from faceloom.store.persons import FaceTraits, read_embeddings, read_identifier, read_persons, write_persons
from faceloom.store.reading import read_faces
from faceloom.store.rows import FaceRow
from store.made_results import CONFIG, write_media, write_result


@pytest.fixture
def made(tmp_path: Path) -> list[FaceRow]:
    return write_result(write_media(tmp_path / "in"), tmp_path / "out")


@pytest.fixture
def out(made: list[FaceRow], tmp_path: Path) -> Path:
    return tmp_path / "out"


def change(out: Path, text: str, *values: object) -> None:
    with closing(sqlite3.connect(out / DATABASE)) as db, db:
        db.execute(text, values)


def in_order(faces: list[FaceRow]) -> list[FaceRow]:
    return sorted(faces, key=lambda face: (face.frame.source, face.frame.index, face.index))


def test_embeddings_come_by_source_frame_and_index_whatever_order_rows_are_in(made: list[FaceRow], out: Path) -> None:
    change(out, "UPDATE face SET id = 1000 - id")
    ids, embeddings = read_embeddings(out)
    assert embeddings.dtype == np.float32
    np.testing.assert_array_equal(embeddings, [face.embedding for face in in_order(made)])
    with closing(sqlite3.connect(out / DATABASE)) as db:
        query = "SELECT face.id FROM face JOIN source ON source.id = source_id ORDER BY name, frame_idx, idx"
        assert ids == [row for (row,) in db.execute(query)]


def test_faces_that_a_filter_rejected_or_that_have_no_embedding_are_nobodys(made: list[FaceRow], out: Path) -> None:
    change(out, "UPDATE face SET rejected = 'roll: 40' WHERE idx = 2")
    change(out, "UPDATE face SET embedding = NULL WHERE idx = 3")
    _, embeddings = read_embeddings(out)
    wanted = [face.embedding for face in in_order(made) if face.index not in {2, 3}]
    np.testing.assert_array_equal(embeddings, wanted)


def test_without_embeddings_it_is_said_how_to_get_them(out: Path) -> None:
    change(out, "UPDATE face SET embedding = NULL")
    with pytest.raises(RequestError, match=r"holds no embeddings.* make them with an identifier.*--identify dlib"):
        read_embeddings(out)


def test_embeddings_of_two_lengths_and_such_as_are_no_numbers_are_damage(out: Path) -> None:
    change(out, "UPDATE face SET embedding = ? WHERE idx = 1", np.full(16, np.nan, "<f4").tobytes())
    with pytest.raises(StoreError, match="an embedding holds what is no number") as raised:
        read_embeddings(out)
    assert raised.value.path == out
    change(out, "UPDATE face SET embedding = ? WHERE idx = 1", bytes(32))
    with pytest.raises(StoreError, match="holds embeddings of 2 lengths, of several identifiers") as raised:
        read_embeddings(out)
    assert raised.value.path == out


def test_the_identifier_is_that_of_the_configuration(out: Path, tmp_path: Path) -> None:
    assert read_identifier(out) == "identify/sface"
    stages = {name: told for name, told in CONFIG["stages"].items() if name != "identify/sface"}
    write_result(tmp_path / "in", tmp_path / "without", config={**CONFIG, "stages": stages})
    with pytest.raises(RequestError, match="holds no embeddings"):
        read_identifier(tmp_path / "without")


def test_persons_are_written_read_and_forgotten_by_the_next_writing(made: list[FaceRow], out: Path) -> None:
    ids, _ = read_embeddings(out)
    write_persons(out, ids[:3], ["ann", "bob", "ann"])
    found = read_persons(out)
    first = in_order(made)[:3]
    assert list(found) == ["ann", "bob"]
    assert [(face.frame, face.index) for face in found["ann"]] == [(one.frame, one.index) for one in first[::2]]
    persons = {face.person for face, _ in read_faces(out)}
    assert persons == {"ann", "bob", ""}, "of a folder that is grouped a face is somebody's, or nobody's"
    write_persons(out, ids[5:6], ["eve"])
    assert list(read_persons(out)) == ["eve"]
    with pytest.raises(ValueError, match="zip"):
        write_persons(out, ids, ["eve"])


def test_a_face_of_a_person_has_the_traits_of_its_row(made: list[FaceRow], out: Path) -> None:
    ids, _ = read_embeddings(out)
    write_persons(out, ids[-1:], ["ann"])
    last = in_order(made)[-1]
    x0, y0, x1, y1 = map(float, last.box)
    assert last.pose is not None
    ((face,),) = read_persons(out).values()
    assert face == FaceTraits(
        frame=FrameId("walk.mp4", 2),
        index=0,
        chip=last.chip,
        score=last.score,
        size_px=max(x1 - x0, y1 - y0),
        quality=last.quality,
        sharpness=last.sharpness,
        yaw=last.pose.yaw,
        pitch=last.pose.pitch,
    )


def test_a_folder_that_was_never_grouped_has_no_persons(out: Path) -> None:
    assert read_persons(out) == {}
    assert {face.person for face, _ in read_faces(out)} == {None}
