"""What is asked of a store is answered by its indexes, not by going through every row."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from shutil import copytree

import pytest

import faceloom
from faceloom.store import database
from faceloom.store.checking import check
from faceloom.store.folder import DATABASE
from faceloom.store.summary import read_summary

LONG = "x" * 200
PERSONS = ("Ann", "Bob", "person 3")


@pytest.fixture(scope="module")
def made(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A result folder whose faces are three people's, and some are nobody's; one source has a name that is cut."""
    pictures = tmp_path_factory.mktemp("growing") / "pictures"
    pictures.mkdir()
    for name, content in (("crowd.jpg", "crowd.jpg"), (f"{LONG}.png", "portrait.png")):
        (pictures / name).write_bytes((samples / content).read_bytes())
    out = pictures.parent / "out"
    faceloom.extract(pictures, out, size=64, mask_size=32)
    with sqlite3.connect(out / DATABASE) as db:
        for number, person in enumerate(PERSONS):
            db.execute("UPDATE face SET person = ? WHERE id % 4 = ?", (person, number))
    db.close()
    return out


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(copytree(made, tmp_path / "out"))


@pytest.fixture
def corrected(folder: Path) -> Path:
    """The same after some corrections."""
    with faceloom.open(folder) as results:
        faces = list(results.faces())
    said = faceloom.corrections(folder)
    said.name("Ann", "Anne")
    said.merge("Bob", "person 3")
    said.assign(faces[0], "Bob")
    said.assign(faces[1], None)
    said.split(faces[2])
    said.reject(faces[3])
    return folder


@pytest.mark.parametrize("raw", [False, True])
def test_faces_of_a_person_are_those_that_are_called_so(corrected: Path, raw: bool) -> None:
    with faceloom.open(corrected, raw=raw) as results:
        everyone = list(results.faces())
        names = {face.person or "" for face in everyone}
        assert names == {"", *results.persons}
        for asked in [[name] for name in sorted(names)] + [sorted(names), ["", "Bob"]]:
            expected = [(face.frame, face.index) for face in everyone if (face.person or "") in asked]
            found = results.faces(person=asked)
            assert [(face.frame, face.index) for face in found] == expected
            assert len(found) == len(expected)
        narrowed = results.faces(person="Bob", source="crowd.jpg", min_size="1%")
        assert len(narrowed) == len(list(narrowed))
        with pytest.raises(faceloom.RequestError, match="Cid"):
            results.faces(person=["Bob", "Cid"])


def first_of(person: str, folder: Path) -> None:
    with faceloom.open(folder) as results:
        next(iter(results.faces(person=person)))
        len(results.faces(person=person))


def faces_of_a_source(folder: Path) -> None:
    with faceloom.open(folder) as results:
        list(results.faces(source="crowd.jpg"))


QUESTIONS: dict[str, Callable[[Path], object]] = {
    "show": read_summary,
    "a person": lambda folder: first_of("Bob", folder),
    "a source": faces_of_a_source,
    "where": lambda folder: faceloom.where(next((folder / "chips/crowd.jpg").iterdir())),
    "a name": lambda folder: faceloom.corrections(folder).name("Bob", "Robert"),
    "a face": lambda folder: faceloom.corrections(folder).reject("crowd.jpg#0/1"),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_rows_of_faces_are_not_gone_through(question: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plans: list[str] = []
    opened = database._open

    def explained(path: Path, *, read_only: bool) -> sqlite3.Connection:
        db = opened(path, read_only=read_only)

        def explain(text: str) -> None:
            if text.startswith("SELECT") and "face" in text:
                plans.extend(f"{row[3]} in {text}" for row in beside.execute(f"EXPLAIN QUERY PLAN {text}"))

        beside = opened(path, read_only=True)
        db.set_trace_callback(explain)
        return db

    monkeypatch.setattr(database, "_open", explained)
    QUESTIONS[question](folder)
    assert plans
    assert [plan for plan in plans if plan.startswith("SCAN face in")] == []


def test_a_chip_of_a_source_whose_name_is_cut_is_found(folder: Path) -> None:
    chips = [path for path in (folder / "chips").rglob("*.jpg") if path.is_file()]
    (long,) = [path for path in chips if path.parent.name.startswith("xxx")]
    assert faceloom.where(long).source == f"{LONG}.png"
    assert faceloom.where(long).path is not None
    assert check(folder).flaws == ()
    (long.parent / "000000_9.jpg").write_bytes(long.read_bytes())
    assert [(flaw.kind, flaw.what) for flaw in check(folder).flaws] == [
        ("orphan", str((long.parent / "000000_9.jpg").relative_to(folder)))
    ]


def test_chips_that_others_have_named_are_no_orphans(folder: Path) -> None:
    chip = next((folder / "chips/crowd.jpg").iterdir())
    chip.rename(folder / "chips/one.jpg")
    with sqlite3.connect(folder / DATABASE) as db:
        db.execute("UPDATE face SET chip = 'chips/one.jpg' WHERE chip = ?", (chip.relative_to(folder).as_posix(),))
    db.close()
    assert check(folder).flaws == ()
    assert faceloom.where(folder / "chips/one.jpg").path is not None


def test_a_store_of_before_gets_its_indexes(folder: Path) -> None:
    db = sqlite3.connect(folder / DATABASE)
    for name in ("face_person", "face_shown", "face_tracked"):
        db.execute(f"DROP INDEX {name}")
    for name in ("shot", "steady", "tracked"):
        db.execute(f"DROP TABLE {name}")
    db.execute("PRAGMA user_version = 6")
    db.commit()
    db.close()
    assert read_summary(folder)["persons"] == len(PERSONS)
    db = sqlite3.connect(folder / DATABASE)
    assert {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE name LIKE 'face_%'")} == {
        "face_person",
        "face_shown",
        "face_tracked",
        "face_added_by",
    }
    db.close()
    assert check(folder).flaws == ()
