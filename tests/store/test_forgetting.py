import shutil
import sqlite3
import unicodedata
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Literal

import pytest

from faceloom.api import extract
from faceloom.cli.main import main
from faceloom.errors import RequestError, StoreError
from faceloom.grouping import group
from faceloom.media.sources import find_sources
from faceloom.store import forgetting
from faceloom.store.database import connect
from faceloom.store.folder import locked
from faceloom.store.forgetting import forget
from faceloom.store.reading import read_faces
from faceloom.store.store import Store
from faceloom.store.summary import read_summary
from identify_stand_ins import write_sface
from jobs import exported, files_below

NAMES = ("ann_in_july.png", "crowd.jpg", "bob.png")


@pytest.fixture(scope="module")
def made(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three pictures and what was found in them, with everything that a run writes."""
    folder = tmp_path_factory.mktemp("forgetting")
    (folder / "pictures").mkdir()
    for name in NAMES:
        original = samples / ("crowd.jpg" if name == "crowd.jpg" else "portrait.png")
        # Other bytes, so that what is left of one picture is not taken for another's.
        (folder / "pictures" / name).write_bytes(original.read_bytes() + name.encode())
    extract(folder / "pictures", folder / "out", **options(folder))
    return folder


def options(folder: Path) -> dict[str, Any]:
    path = folder / "sface.onnx"
    weights = {"identify/sface": path if path.exists() else write_sface(path)}
    return {"identify": "sface", "weights": weights, "overlay": True, "size": 64}


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
    (ours,) = (face for face, _ in read_faces(faces) if face.frame.source == NAMES[0])
    assert ours.chip
    with closing(sqlite3.connect(faces / "faceloom.sqlite")) as db:
        (digest,) = db.execute("SELECT sha256 FROM source WHERE name = ?", (NAMES[0],)).fetchone()
    told = [NAMES[0].encode(), digest.encode(), (faces / ours.chip).read_bytes()[200:260]]
    # Of the same portrait elsewhere the numbers are the same: those of the crowd are its own.
    numbers = set(traces(faces / "faceloom.sqlite", "name = ?", ("crowd.jpg",)))
    assert all(trace in everything_in(faces) for trace in [*told, *numbers])
    kept = [line for line in exported(faces).splitlines() if "bob.png" in line]
    forget(faces, source=NAMES[0])
    went = forget(faces, source=made / "pictures/crowd.jpg")
    left = everything_in(faces)
    assert not [trace for trace in [*told[:2], *numbers, b"crowd.jpg"] if trace in left]
    assert went.faces == went.embeddings == went.chips == went.masks / 2 > 5
    assert went.overlays == went.frames == went.sources == 1
    assert exported(faces).splitlines() == kept
    assert {Path(name).parts[1] for name in files_below(faces)} == {"bob.png"}


def test_nothing_that_tells_of_a_person_is_left(faces: Path) -> None:
    group(faces, threshold=0.9999)
    in_crowd = [face for face, _ in read_faces(faces) if face.frame.source == "crowd.jpg"]
    face = next(one for one in in_crowd if sum(other.person == one.person for other in in_crowd) == 1)
    assert face.person
    assert face.chip
    path = faces / "faceloom.sqlite"
    numbers = set(traces(path, "person = ?", (face.person,))) - set(traces(path, "person != ?", (face.person,)))
    assert numbers
    others = [line for line in exported(faces).splitlines() if f'"{face.person}"' not in line]
    went = forget(faces, person=face.person)
    assert not [trace for trace in numbers if trace in everything_in(faces)]
    assert (went.sources, went.faces, went.chips, went.overlays) == (0, 1, 1, 1)
    assert exported(faces).splitlines() == others
    assert not (faces / face.chip).exists()


def test_a_later_run_brings_neither_back(made: Path, faces: Path) -> None:
    group(faces, threshold=0.9999)
    person = next(face.person for face, _ in read_faces(faces) if face.frame.source == "crowd.jpg")
    forget(faces, person=person)
    forget(faces, source="ann_in_july.png")
    before = exported(faces)
    summary = extract(made / "pictures", faces, **options(made))
    assert summary.frames == 2
    assert exported(faces) == before
    assert b"ann_in_july" not in everything_in(faces)
    with pytest.raises(RequestError, match="all inputs were forgotten"):
        extract(made / "pictures/ann_in_july.png", faces, **options(made))
    assert b"ann_in_july" not in everything_in(faces)


def test_a_frame_that_is_empty_now_has_no_second_look(made: Path, faces: Path) -> None:
    group(faces, threshold=0.9999)
    person = next(face.person for face, _ in read_faces(faces) if face.frame.source == "bob.png")
    went = forget(faces, person=person)
    assert went.faces == 2  # ann's picture is the same
    extract(made / "pictures", faces, only_empty=True, detect="centerface", **options(made))
    assert {face.frame.source for face, _ in read_faces(faces)} == {"crowd.jpg"}


def test_what_was_never_forgotten_comes_as_before(made: Path, faces: Path) -> None:
    forget(faces, source="bob.png")
    (made / "pictures").joinpath("bob.png").replace(made / "pictures/robert.png")
    try:
        extract(made / "pictures", faces, **options(made))
        assert sorted({face.frame.source for face, _ in read_faces(faces)}) == [
            "ann_in_july.png",
            "crowd.jpg",
            "robert.png",
        ]
    finally:
        (made / "pictures/robert.png").replace(made / "pictures/bob.png")


def test_wrong_requests_leave_everything(faces: Path, tmp_path: Path) -> None:
    before = exported(faces)
    for wrong in ({"source": "nobody.jpg"}, {"person": "person 1"}, {}, {"source": "crowd.jpg", "person": "person 1"}):
        with pytest.raises(RequestError):
            forget(faces, **wrong)
    with locked(faces), pytest.raises(StoreError, match="another run"):
        forget(faces, source="crowd.jpg")
    with pytest.raises(StoreError, match="holds no results"):
        forget(tmp_path / "none", source="crowd.jpg")
    assert not (tmp_path / "none").exists()
    assert exported(faces) == before


def test_a_reader_that_keeps_the_log_is_named(faces: Path) -> None:
    with closing(sqlite3.connect(faces / "faceloom.sqlite", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM face").fetchone()
        with pytest.raises(StoreError, match="another program is reading"):
            forget(faces, source="crowd.jpg")
        reader.execute("COMMIT")
    assert read_summary(faces)["sources"] == {"picture": 2}
    assert b"crowd.jpg" not in everything_in(faces)


def test_the_file_is_written_anew_without_what_went(faces: Path) -> None:
    before = (faces / "faceloom.sqlite").stat().st_size
    forget(faces, source="crowd.jpg")
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
    numbers = set(traces(path, "name = ?", ("crowd.jpg",)))
    with pytest.raises(KeyboardInterrupt):
        forget(faces, source="crowd.jpg")
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert db.execute("PRAGMA freelist_count").fetchone()[0] > 0
    left = path.read_bytes()
    assert numbers
    assert not [trace for trace in numbers if trace in left]


def test_the_command_says_what_went(faces: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["forget", str(faces), "--source", "bob.png"]) == 0
    assert capsys.readouterr().out == ("gone: 1 source, 1 frame, 1 face, 2 masks, 1 embedding, 1 chip, 1 overlay\n")


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
