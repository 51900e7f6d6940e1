import shutil
import sqlite3
import unicodedata
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Literal

import pytest

from faceloom.cli.main import main
from faceloom.errors import RequestError, StoreError
from faceloom.grouping import group
from faceloom.media.sources import Source, SourceKind, find_sources
from faceloom.store import forgetting
from faceloom.store.database import connect
from faceloom.store.folder import locked
from faceloom.store.forgetting import forget
from faceloom.store.reading import read_faces
from faceloom.store.sources import Known
from faceloom.store.store import Store
from faceloom.store.summary import read_summary
from jobs import exported, files_below
from store.made_results import CLIP, write_media, write_result

ANN, CROWD = "ann_in_july.png", "deep/crowd.jpg"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files and what was found in them, with everything that a run writes."""
    folder = tmp_path_factory.mktemp("forgetting")
    write_result(write_media(folder / "in"), folder / "out")
    return folder


@pytest.fixture
def faces(made: Path, tmp_path: Path) -> Path:
    """A copy of that result folder with a log that has not been emptied, as a run leaves it while somebody looks on."""
    with closing(sqlite3.connect(made / "out/faceloom.sqlite")) as db:
        for change in (1, -1):
            db.execute("UPDATE source SET run_id = run_id + ?", (change,))
            db.execute("UPDATE face SET idx = idx + ?", (100 * change,))
            db.commit()
        out = Path(shutil.copytree(made / "out", tmp_path / "out"))
    assert (out / "faceloom.sqlite-wal").stat().st_size
    return out


def traces(db_path: Path, where: str, values: tuple[Any, ...]) -> Iterator[bytes]:
    """Bytes that tell of some faces: of their numbers and masks."""
    with closing(sqlite3.connect(db_path)) as db:
        query = (
            f"SELECT face.id, landmarks, embedding, affine FROM face JOIN source ON source.id = source_id WHERE {where}"
        )
        for face_id, *blobs in db.execute(query, values).fetchall():
            yield from (blob[8:40] for blob in blobs)
            for (png,) in db.execute("SELECT png FROM mask WHERE face_id = ?", (face_id,)):
                yield png[60:100]


def everything_in(folder: Path) -> bytes:
    return b"\0".join(path.read_bytes() + bytes(path) for path in sorted(folder.rglob("*")) if path.is_file())


def test_nothing_that_tells_of_a_source_is_left(made: Path, faces: Path) -> None:
    (ours,) = (face for face, _ in read_faces(faces) if face.frame.source == ANN)
    assert ours.chip
    with closing(sqlite3.connect(faces / "faceloom.sqlite")) as db:
        (digest,) = db.execute("SELECT sha256 FROM source WHERE name = ?", (ANN,)).fetchone()
    told = [ANN.encode(), digest.encode(), (faces / ours.chip).read_bytes()[200:260]]
    numbers = set(traces(faces / "faceloom.sqlite", "name = ?", (CROWD,)))
    assert all(trace in everything_in(faces) for trace in [*told, *numbers])
    kept = [line for line in exported(faces).splitlines() if ANN not in line and CROWD not in line]
    forget(faces, source=ANN)
    went = forget(faces, source=made / "in" / CROWD)
    left = everything_in(faces)
    assert not [trace for trace in [*told[:2], *numbers, b"crowd.jpg"] if trace in left]
    assert went.faces == went.embeddings == went.chips == went.masks / 2 == went.overlays - 1 == 12
    assert went.frames == went.sources == 1
    assert exported(faces).splitlines() == kept
    assert {Path(name).parts[1] for name in files_below(faces)} == {"bob.png", CLIP}


def test_nothing_that_tells_of_a_person_is_left(faces: Path) -> None:
    group(faces, threshold=0.9999)
    in_crowd = [face for face, _ in read_faces(faces) if face.frame.source == CROWD]
    face = next(one for one in in_crowd if sum(other.person == one.person for other in in_crowd) == 1)
    assert face.person
    assert face.chip
    path = faces / "faceloom.sqlite"
    numbers = set(traces(path, "person = ?", (face.person,))) - set(traces(path, "person != ?", (face.person,)))
    assert numbers
    others = [line for line in exported(faces).splitlines() if f'"{face.person}"' not in line]
    went = forget(faces, person=face.person)
    assert not [trace for trace in numbers if trace in everything_in(faces)]
    assert (went.sources, went.faces, went.chips, went.overlays) == (0, 1, 1, 2)
    assert exported(faces).splitlines() == others
    assert not (faces / face.chip).exists()


def test_what_a_file_tells_of_a_forgotten_face_goes_and_its_frame_is_not_looked_at_again(faces: Path) -> None:
    path = faces / "faceloom.sqlite"
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(
            "INSERT INTO known (source, frame_idx, idx, x0, y0, x1, y1, score)"
            " SELECT name, frame_idx, idx, x0 + 0.2, y0 - 0.2, x1 + 0.2, y1 - 0.2, 1 FROM face"
            " JOIN source ON source.id = source_id"
        )
        db.execute("UPDATE known SET x1 = x1 + 1 WHERE idx = 5")  # too far off to be the same face
        ours = "name = ? AND (idx IN (3, 5) OR frame_idx = 1)"
        for name in (CROWD, CLIP):
            query = f"SELECT face.id FROM face JOIN source ON source.id = source_id WHERE {ours}"
            ids = [row for (row,) in db.execute(query, (name,))]
            db.executemany("UPDATE face SET person = 'eve' WHERE id = ?", [(row,) for row in ids])
    before = known(path)
    went = forget(faces, person="eve")
    assert (went.faces, went.masks, went.embeddings, went.chips, went.frames) == (3, 6, 3, 3, 0)
    assert before - known(path) == {(CROWD, 0, 3), (CLIP, 1, 0)}
    with closing(sqlite3.connect(path)) as db:
        query = "SELECT name, idx, look FROM frame JOIN source ON source.id = source_id WHERE look != 0"
        assert db.execute(query).fetchall() == [(CLIP, 1, -1)]


def known(path: Path) -> set[tuple[str, int, int]]:
    """The faces that a file told of."""
    with closing(sqlite3.connect(path)) as db:
        return set(db.execute("SELECT source, frame_idx, idx FROM known").fetchall())


def test_what_a_kill_left_to_be_done_is_ended_by_the_next_call_and_told_if_it_is_the_same(
    faces: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    for again in (CROWD, "bob.png"):
        with monkeypatch.context() as patch:
            patch.setattr(forgetting, "_wipe", killed)
            with pytest.raises(KeyboardInterrupt):
                forget(faces, source=again)
        went = forget(faces, source=again if again == CROWD else ANN)
        assert (went.sources, went.faces) == (1, 12 if again == CROWD else 1)
    assert read_summary(faces)["sources"] == {"picture": 1, "video": 1}


def test_runs_say_no_more_of_what_was_forgotten_and_go_on_saying_the_rest(made: Path, faces: Path) -> None:
    with Store(faces) as store:
        store.begin_run(versions={})
        for text in ("deep/crowd.jpg is gone", "of crowd.jpg one page", "bob.png is gone"):
            store.add_event("notice", {"text": text})
        store.end_run(outcome="MediaError: deep/crowd.jpg", summary={})
        store.begin_run(versions={})
        store.end_run(outcome="MediaError: bob.png", summary={})
    forget(faces, source=CROWD)
    with closing(sqlite3.connect(faces / "faceloom.sqlite")) as db:
        assert db.execute("SELECT detail FROM event").fetchall() == [('{"text": "bob.png is gone"}',)]
        outcomes = [outcome for (outcome,) in db.execute("SELECT outcome FROM run ORDER BY id")]
    assert outcomes == ["done", "MediaError", "MediaError: bob.png"]


def test_files_that_were_forgotten_are_not_taken_up_again_by_any_spelling(
    made: Path, faces: Path, tmp_path: Path
) -> None:
    (tmp_path / "linked").symlink_to(made / "in", target_is_directory=True)
    for source in (CROWD, ANN):
        forget(faces, source=source)
    names = (CROWD, ANN, "bob.png")
    with Store(faces) as store:
        store.begin_run(versions={})
        with store.sources.adding():
            found = {
                folder / name: store.sources.add(
                    Source(name=name, path=folder / name, kind=SourceKind.PICTURE), other_names=()
                )[1]
                for folder in (made / "in", tmp_path / "linked")
                for name in names
            }
    assert [known for path, known in found.items() if path.name != "bob.png"] == [Known.FORGOTTEN] * 4
    assert [known for path, known in found.items() if path.name == "bob.png"] == [Known.SAME, Known.TWICE]


def test_wrong_requests_leave_everything(faces: Path, tmp_path: Path) -> None:
    before = exported(faces)
    for wrong in ({"source": "somebody.jpg"}, {"person": "person 1"}, {}, {"source": CROWD, "person": "person 1"}):
        with pytest.raises(RequestError):
            forget(faces, **wrong)
    with locked(faces), pytest.raises(StoreError, match="another run"):
        forget(faces, source=CROWD)
    with pytest.raises(StoreError, match="holds no results"):
        forget(tmp_path / "none", source=CROWD)
    assert not (tmp_path / "none").exists()
    assert exported(faces) == before


def test_a_reader_that_keeps_the_log_is_named(faces: Path) -> None:
    with closing(sqlite3.connect(faces / "faceloom.sqlite", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM face").fetchone()
        with pytest.raises(StoreError, match="another program is reading"):
            forget(faces, source=CROWD)
        reader.execute("COMMIT")
    assert read_summary(faces)["sources"] == {"picture": 3, "video": 1}
    assert b"crowd.jpg" not in everything_in(faces)


def test_the_file_is_written_anew_without_what_went(faces: Path) -> None:
    before = (faces / "faceloom.sqlite").stat().st_size
    forget(faces, source=CROWD)
    with closing(sqlite3.connect(faces / "faceloom.sqlite")) as db:
        assert db.execute("PRAGMA freelist_count").fetchone() == (0,)
    assert (faces / "faceloom.sqlite").stat().st_size < before


class EndsBeforeVacuum:
    """A connection of a process that is killed when all rows are gone, before the file is written anew."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def execute(self, query: str, *values: Any) -> sqlite3.Cursor:
        if query == "VACUUM":
            raise KeyboardInterrupt
        return self._db.execute(query, *values)


def test_rows_that_are_gone_cannot_be_read_though_the_file_was_never_written_anew(
    faces: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def connect_to_end(folder: Path, *, read_only: bool) -> Iterator[Any]:
        with connect(folder, read_only=read_only) as db:
            db.execute("PRAGMA secure_delete = OFF")  # some builds of SQLite begin with it on, others do not
            yield db if read_only else EndsBeforeVacuum(db)

    monkeypatch.setattr(forgetting, "connect", connect_to_end)
    path = faces / "faceloom.sqlite"
    numbers = set(traces(path, "name = ?", (CROWD,)))
    with pytest.raises(KeyboardInterrupt):
        forget(faces, source=CROWD)
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert db.execute("PRAGMA freelist_count").fetchone()[0] > 0
    left = path.read_bytes()
    assert numbers
    assert not [trace for trace in numbers if trace in left]


def test_the_command_says_what_went(faces: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["forget", str(faces), "--source", "bob.png"]) == 0
    assert capsys.readouterr().out == ("gone: 1 source, 1 frame, 1 face, 2 masks, 1 embedding, 1 chip, 2 overlays\n")


@pytest.mark.parametrize(("named", "typed"), [("NFD", "NFC"), ("NFC", "NFD")])
def test_a_name_is_found_however_its_accents_are_written(
    tmp_path: Path, named: Literal["NFD", "NFC"], typed: Literal["NFD", "NFC"]
) -> None:
    name = unicodedata.normalize(named, "caf\u00e9.jpg")
    (tmp_path / name).write_bytes(b"x")
    with Store(tmp_path / "out") as store:
        store.begin_run(versions={})
        with store.sources.adding():
            (source,) = find_sources([tmp_path / name])
            store.sources.add(source, other_names=())
    assert forget(tmp_path / "out", source=unicodedata.normalize(typed, name)).sources == 1
