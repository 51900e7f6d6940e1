"""Corrections: what becomes of them when a folder is grouped, carried, forgotten, or was written by somebody else."""

import json
import shutil
import sqlite3
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faceloom.correcting import Corrections, corrections
from faceloom.errors import MediaError, RequestError, StoreError
from faceloom.faces import FrameId
from faceloom.grouping import group
from faceloom.results.exporting import export
from faceloom.results.results import open as open_results
from faceloom.store.checking import check
from faceloom.store.corrections import Correction, FaceAddress, Verb
from faceloom.store.database import SCHEMA_VERSION, connect
from faceloom.store.folder import DATABASE, locked
from faceloom.store.forgetting import forget
from faceloom.store.persons import read_embeddings, write_persons
from faceloom.store.summary import read_summary
from store.made_results import CLIP, SIZE, write_media, write_result

CROWD, BOB, ANN = "deep/crowd.jpg", "bob.png#0/0", "ann_in_july.png#0/0"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files, and what was found in them, of three persons by turns."""
    folder = tmp_path_factory.mktemp("corrections")
    write_result(write_media(folder / "in"), folder / "out")
    ids, _ = read_embeddings(folder / "out")
    write_persons(folder / "out", ids, [f"person {i % 3 + 1}" for i in range(len(ids))])
    return folder


@pytest.fixture
def out(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made / "out", tmp_path / "out"))


@pytest.fixture
def said(out: Path) -> Corrections:
    return corrections(out)


def persons(folder: Path, *, raw: bool = False) -> dict[str, str | None]:
    """Whose each face is."""
    with open_results(folder, raw=raw) as results:
        return {f"{face.frame}/{face.index}": face.person or None for face in results}


def crowd(*indexes: int) -> list[str]:
    return [f"{CROWD}#0/{index}" for index in indexes]


def named(folder: Path, name: str) -> set[str]:
    return {place for place, person in persons(folder).items() if person == name}


def change(out: Path, *texts: str) -> None:
    with closing(sqlite3.connect(out / DATABASE)) as db, db:
        db.execute("PRAGMA foreign_keys = OFF")
        for text in texts:
            db.execute(text)


def test_what_makes_no_sense_is_refused_and_changes_nothing(out: Path, said: Corrections) -> None:
    wrong: list[Callable[[], Any]] = [
        lambda: said.name("nobody", "Ann"),
        lambda: said.name("person 1", "person 2"),
        lambda: said.name("person 1", ""),
        lambda: said.merge("person 1", "nobody"),
        lambda: said.split(BOB, "person 1"),
        lambda: said.same([BOB]),
        lambda: said.reject("somebody.png#0/0"),
        lambda: said.reject(f"{CROWD}#0/12"),
        lambda: said.reject("what is this"),
        lambda: said.reject([]),
        lambda: said.move_box(BOB, [10, 10, 5, 20]),
        lambda: said.move_box(BOB, [0, 0, np.nan, 20]),
        lambda: said.move_landmarks(BOB, np.zeros((67, 2))),
        lambda: said.move_landmarks(BOB, np.zeros((68, 2))),
        lambda: said.draw_mask(BOB, "unet", np.zeros((3, 4), np.uint8)),
        said.undo,
        lambda: said.undo(1),
    ]
    before = export(out)
    for one in wrong:
        with pytest.raises(RequestError):
            one()
    assert len(said) == 0
    assert export(out) == before


def test_a_merge_can_be_undone_after_everything_else(out: Path, said: Corrections) -> None:
    before = persons(out)
    merged = said.merge("person 1", "person 2")
    said.name("person 1", "Ann")
    said.assign(BOB, "Bob")
    assert named(out, "Ann") == {place for place, one in before.items() if one in {"person 1", "person 2"}} - {BOB}
    said.undo(merged.id)
    assert named(out, "person 2") == {place for place, one in before.items() if one == "person 2"} - {BOB}
    assert named(out, "Ann") == {place for place, one in before.items() if one == "person 1"} - {BOB}
    said.redo()
    assert "person 2" not in persons(out).values()
    assert persons(out, raw=True) == before


def test_faces_are_named_by_their_places_by_their_chips_and_by_themselves(out: Path, said: Corrections) -> None:
    with open_results(out) as results:
        face = next(iter(results.faces(source=CROWD)))
        assert face.chip
        made = said.assign([face, out / face.chip, f"{CROWD}#0/0", *results.faces(source="bob.png")], "Eve")
    assert [str(one) for one in made.faces] == [f"{CROWD}#0/0"] * 3 + [BOB]
    assert named(out, "Eve") == {f"{CROWD}#0/0", BOB}


def test_every_reader_of_persons_and_counts_reads_them(out: Path, said: Corrections) -> None:
    said.name("person 3", "Zoe")
    said.reject(crowd(0, 1), "a poster")
    told = read_summary(out)
    assert (told["faces"], told["rejected"], told["rejected_by"]) == (15, 2, {"hand": 2})
    assert told["corrections"] == {"said": 2, "undone": 0}
    assert read_summary(out, raw=True)["faces"] == 17
    with open_results(out) as results:
        assert "Zoe" in results.persons
        assert {face.person for face in results.faces(person="Zoe")} == {"Zoe"}
        assert len(results) == 15
        assert len(list(results.faces(rejected=True))) == 17
    lines = [json.loads(line) for line in export(out, rejected=True).splitlines()]
    assert [line["rejected"] for line in lines if "rejected" in line] == ["hand: a poster"] * 2
    frames = [json.loads(line) for line in export(out, frames=True).splitlines()]
    assert next(frame for frame in frames if frame["source"] == CROWD)["faces"] == 10


def test_a_face_that_a_filter_rejected_comes_back(out: Path, said: Corrections) -> None:
    change(out, "UPDATE face SET rejected = 'roll: 40' WHERE idx = 2")
    said.restore(crowd(2))
    assert f"{CROWD}#0/2" in persons(out)
    assert [face.before for one in said for face in one.faces] == ["roll: 40"]
    said.undo()
    assert f"{CROWD}#0/2" not in persons(out)


def test_a_correction_can_be_made_while_a_run_holds_the_folder(out: Path, said: Corrections) -> None:
    with locked(out):
        said.name("person 1", "Ann")
    assert named(out, "Ann")


# Landmarks, masks


def test_landmarks_carry_masks_pose_and_the_square_of_the_chip_with_them(out: Path, said: Corrections) -> None:
    change(out, f"UPDATE face SET affine = x'{affine(out).tobytes().hex()}'")
    with open_results(out) as results:
        face = next(iter(results.faces(source="bob.png")))
        assert face.landmarks is not None
        moved = said.move_landmarks(face, face.landmarks + np.float32(5))
        now = next(iter(results.faces(source="bob.png")))
        assert now.landmarks is not None
        assert now.frame_to_chip is not None
        assert face.frame_to_chip is not None
        np.testing.assert_allclose(now.landmarks, face.landmarks + 5)
        scale = face.frame_to_chip[:, :2].sum(axis=1)
        np.testing.assert_allclose(now.frame_to_chip[:, 2], face.frame_to_chip[:, 2] - 5 * scale, atol=1e-3)
        assert now.masks["extended"].any()
        assert (now.masks["extended"] != face.masks["extended"]).any()
        said.undo(moved.id)
        again = next(iter(results.faces(source="bob.png")))
        np.testing.assert_array_equal(again.masks["extended"], face.masks["extended"])
    with closing(sqlite3.connect(out / DATABASE)) as db:
        assert db.execute("SELECT frame_idx, stage FROM again").fetchall() == [(0, "chips")], (
            "cut again by the next run"
        )


def test_a_mask_that_was_drawn_is_read_in_place_of_the_one_found(out: Path, said: Corrections) -> None:
    change(out, f"UPDATE face SET affine = x'{affine(out).tobytes().hex()}'")
    drawn = np.random.default_rng(1).integers(0, 256, (16, 16), np.uint8)
    said.draw_mask(BOB, "extended", drawn)
    said.draw_mask(BOB, "by hand", drawn[:8, :8])
    with open_results(out) as results:
        face = next(iter(results.faces(source="bob.png")))
        np.testing.assert_array_equal(results.mask(face, "extended"), drawn)
        np.testing.assert_array_equal(results.mask(face, "by hand"), drawn[:8, :8])
        assert set(face.masks) == {"components", "extended", "by hand"}


def affine(out: Path) -> "np.typing.NDArray[np.float64]":
    """Of a chip of the folder, by the landmarks of one of its faces."""
    from faceloom.geometry.chips import frame_to_chip

    with open_results(out) as results:
        face = next(iter(results.faces(source="bob.png")))
    assert face.landmarks is not None
    return frame_to_chip(face.landmarks, size=SIZE)


# Grouping


def test_what_was_said_of_persons_holds_when_they_are_grouped_anew(out: Path, said: Corrections) -> None:
    group(out, threshold=0.3)
    said.assign(crowd(0, 1, 2), "Ann")
    said.assign(crowd(3, 4), "Bob")
    said.different([BOB, ANN])
    for threshold in (0.9, -1.0, 0.3):
        people = {person.name for person in group(out, threshold=threshold)}
        assert named(out, "Ann") >= {*crowd(0, 1, 2)}
        assert named(out, "Bob") >= {*crowd(3, 4)}
        now = persons(out)
        assert now[BOB] != now[ANN]
        assert people == {*now.values()}


def test_a_name_stays_with_its_faces_and_others_come_to_them(out: Path, said: Corrections) -> None:
    group(out, threshold=0.2)
    first = persons(out)[BOB]
    assert first
    said.name(first, "Ann")
    before = named(out, "Ann")
    group(out, threshold=0.99)
    assert named(out, "Ann") == before, "nobody is like them, and none is taken away"
    group(out, threshold=-1.0, collages=True)
    assert named(out, "Ann") == {*persons(out)}, "everybody is like everybody"
    said.undo()
    assert not named(out, "Ann")


def test_a_merge_that_is_undone_after_a_grouping_leaves_two_as_they_were(out: Path, said: Corrections) -> None:
    before = persons(out)
    said.merge("person 1", "person 2")
    group(out, threshold=0.8)
    assert "person 2" not in persons(out).values()
    said.undo()
    now = persons(out)
    assert [now[place] for place in before if before[place] != "person 3"] == [
        one for one in before.values() if one != "person 3"
    ]


def test_faces_that_are_rejected_by_hand_are_not_grouped(out: Path, said: Corrections) -> None:
    said.reject(crowd(5))
    people = group(out, threshold=0.99)
    assert sum(person.faces for person in people) == 16


# Carrying


def shifted(made: Path, out: Path, *, by: int = 3) -> Path:
    """The same files found by another detector: boxes a little off, indexes the other way round, one face missing."""
    shutil.copytree(made / "out", out)
    change(
        out,
        "UPDATE face SET person = NULL",
        f"DELETE FROM face WHERE idx = 7 AND source_id = (SELECT id FROM source WHERE name = '{CROWD}')",
        "UPDATE face SET idx = 200 - idx",
        "UPDATE face SET idx = idx - 189",
        f"UPDATE face SET x0 = x0 + {by}, x1 = x1 + {by}",
    )
    return out


def test_corrections_go_to_another_extraction_by_content_frame_and_overlap(
    made: Path, out: Path, said: Corrections, tmp_path: Path
) -> None:
    said.name("person 1", "Ann")
    said.assign([*crowd(3, 7), f"{CLIP}#1/0"], "Bob")
    said.reject(BOB)
    said.undo(said.split(crowd(4)).id)
    other = shifted(made, tmp_path / "other")
    carried = corrections(other).read(said.export(tmp_path / "said.jsonl"))
    assert (carried.added, carried.known) == (4, 0)
    assert carried.lost == [f"assign of {CROWD}#0/7: no face is there"]
    assert named(other, "Bob") == {f"{CROWD}#0/8", f"{CLIP}#1/11"}, "where these faces are there"
    assert len(persons(other)) == 15
    ours = {place for place, person in persons(out).items() if person == "Ann"} - set(crowd(7))
    assert len(named(other, "Ann")) == len(ours)
    again = corrections(other).read(tmp_path / "said.jsonl")
    assert (again.added, again.known, again.lost) == (0, 4, [])
    assert [one.is_undone for one in corrections(other)] == [False, False, False, True]


def test_a_person_is_found_again_by_their_faces_where_grouping_counts_otherwise(
    made: Path, out: Path, said: Corrections, tmp_path: Path
) -> None:
    said.name("person 1", "Ann")
    before = named(out, "Ann")
    other = Path(shutil.copytree(made / "out", tmp_path / "other"))
    change(other, "UPDATE face SET person = 'person ' || (5 - substr(person, 8))")
    corrections(other).read(said.export(tmp_path / "said.jsonl"))
    assert named(other, "Ann") == before


def test_there_and_back_is_the_same(made: Path, out: Path, said: Corrections, tmp_path: Path) -> None:
    said.name("person 1", "Ann")
    said.merge("Ann", ["person 2", "person 3"])
    said.reject(crowd(1, 2), "a poster")
    said.move_box(BOB, [1, 2, 30, 40.5])
    said.note(BOB, "who?\N{SNOWMAN}\n")
    said.undo(2)
    other = Path(shutil.copytree(made / "out", tmp_path / "other"))
    corrections(other).read(said.export(tmp_path / "said.jsonl"))
    assert list(corrections(other)) == list(said)
    assert export(other) == export(out)
    text = (tmp_path / "said.jsonl").read_text()
    assert corrections(other).export(tmp_path / "back.jsonl").read_text() == text


@pytest.mark.parametrize(
    "line",
    [
        "no JSON",
        "[]",
        '{"verb": "marry"}',
        '{"person": "x"}',
        '{"verb": "reject", "faces": [], "persons": [], "after": null, "undone": false, "at": "2026-01-01",'
        ' "uid": "00000000000000000000000000000000"}',
        "[" * 5000,
    ],
)
def test_a_file_of_something_else_is_refused_as_a_whole(line: str, said: Corrections, tmp_path: Path) -> None:
    said.reject(BOB)
    path = said.export(tmp_path / "said.jsonl")
    said.undo()
    good = path.read_text().replace(next(iter(said)).uid, "f" * 32)
    path.write_text(f"{good}{line}\n")
    with pytest.raises(MediaError, match="line 2"):
        said.read(path)
    assert len(said) == 1


# Forgetting


def everything_in(folder: Path) -> bytes:
    return b"\0".join(path.read_bytes() + bytes(path) for path in sorted(folder.rglob("*")) if path.is_file())


def test_what_was_said_of_a_forgotten_source_is_gone_to_the_last_byte(out: Path, said: Corrections) -> None:
    said.assign([*crowd(1, 2), BOB], "Somebody Known")
    said.assign(crowd(3), "Only Here")
    said.name("Only Here", "Renamed Later")
    said.note(crowd(4), "remember the sea")
    said.reject(crowd(5), "a hidden reason")
    said.undo(4)
    with open_results(out) as results:
        box = next(iter(results.faces(source=CROWD))).box
    went = forget(out, source=CROWD)
    left = everything_in(out)
    for text in (b"crowd", b"Only Here", b"Renamed Later", b"remember the sea", b"a hidden reason", box.tobytes()):
        assert text not in left, text
    assert went.corrections == 4
    assert [[str(face) for face in one.faces] for one in said] == [[BOB]]
    assert named(out, "Somebody Known") == {BOB}
    assert not check(out).flaws


def test_what_was_said_of_a_forgotten_person_is_gone_with_every_name_that_they_had(
    out: Path, said: Corrections
) -> None:
    said.name("person 1", "Anna Old")
    said.name("Anna Old", "Anna New")
    said.assign(crowd(0), "Anna New")
    said.assign(crowd(0), "Bob Other")
    said.same([ANN, BOB])
    assert persons(out)[BOB] == "Anna New"
    others = {place: person for place, person in persons(out).items() if person != "Anna New"}
    went = forget(out, person="Anna New")
    assert went.faces == 17 - len(others)
    left = everything_in(out)
    assert b"Anna" not in left
    assert persons(out) == others
    assert [one.verb for one in said] == ["assign"]


def test_forgetting_that_is_killed_leaves_nothing_to_a_second_try(
    out: Path, said: Corrections, monkeypatch: pytest.MonkeyPatch
) -> None:
    said.assign(crowd(1), "Only Here")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("faceloom.store.forgetting._delete_source", killed)
        with pytest.raises(KeyboardInterrupt):
            forget(out, source=CROWD)
    assert forget(out, source=CROWD).corrections == 1
    assert b"Only Here" not in everything_in(out)


# What others wrote

HOSTILE = {
    "no verb": "UPDATE correction SET verb = 'marry'",
    "a verb of persons": "UPDATE correction SET verb = 'merge'",
    "a uid that is none": "UPDATE correction SET uid = '../../x'",
    "no time": "UPDATE correction SET at = 'now'",
    "bytes for a verb": "UPDATE correction SET verb = x'00ff'",
    "no JSON": "UPDATE correction SET after = '{'",
    "deep JSON": "UPDATE correction SET after = replace(hex(zeroblob(50000)), '00', '[')",
    "undone before the first": "UPDATE correction SET undone = -1",
    "a box that is a text": "UPDATE corrected_face SET x0 = 'left'",
    "a box that is infinite": "UPDATE corrected_face SET x1 = 9e999",
    "a frame before the first": "UPDATE corrected_face SET frame_idx = -1",
    "a source without a name": "UPDATE corrected_face SET source = ''",
    "a digest that is a number": "UPDATE corrected_face SET sha256 = x'05'",
    "no faces": "DELETE FROM corrected_face",
}


@pytest.mark.parametrize("attack", HOSTILE.values(), ids=HOSTILE)
def test_corrections_of_a_received_folder_are_looked_at_before_they_are_believed(attack: str, out: Path) -> None:
    corrections(out).reject(BOB)
    change(out, attack)
    reading: list[Callable[[], Any]] = [
        lambda: export(out),
        lambda: list(corrections(out)),
        lambda: read_summary(out),
        lambda: group(out, threshold=0.5),
        lambda: corrections(out).reject(BOB),
        lambda: forget(out, person="person 3"),
    ]
    for read in reading:
        with suppress(StoreError):  # who has no use for what is wrong does not look at it
            read()
    with pytest.raises(StoreError, match="damaged"):
        list(corrections(out))
    assert len(export(out, raw=True).splitlines()) in {11, 17}, "somebody is forgotten, or is not"
    assert [flaw.kind for flaw in check(out).flaws] == ["database"]


def test_texts_of_others_are_shown_as_texts(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from faceloom.cli.main import main

    said = corrections(out)
    said.note(BOB, "\x1b[2J\r\nfaceloom: all is well")
    said.name("person 1", "\x1b]0;owned\x07")
    assert main(["corrections", str(out)]) == 0
    told = capsys.readouterr().out
    assert "\x1b" not in told
    assert "\r" not in told


# Older folders


def test_a_folder_without_the_tables_gets_them_and_keeps_what_it_has(out: Path) -> None:
    before = export(out)
    change(
        out,
        "DROP TABLE corrected_face",
        "DROP TABLE correction",
        "DROP TABLE shot",
        "DROP TABLE tracked",
        "DROP TABLE steady",
        "PRAGMA user_version = 4",
    )
    corrections(out).name("person 1", "Ann")
    with closing(sqlite3.connect(out / DATABASE)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    assert not [flaw for flaw in check(out).flaws if flaw.kind in {"schema", "database"}]
    assert export(out, raw=True) == before
    assert export(out) == before.replace('"person 1"', '"Ann"')


def in_other_schemas(out: Path) -> Iterator[str]:
    with connect(out, read_only=True) as db:
        yield from (name for (name,) in db.execute("SELECT name FROM sqlite_temp_master"))


def test_nobody_who_has_corrected_nothing_pays_for_it(out: Path) -> None:
    from faceloom.store.view import connect_corrected

    with connect_corrected(out) as db:
        assert not db.execute("SELECT 1 FROM sqlite_temp_master").fetchone()


def test_many_faces_are_said_and_read_back_within_little_memory() -> None:
    count = 5000
    faces = tuple(
        FaceAddress(frame=FrameId("a.mp4", i), sha256="a" * 64, index=0, box=(1.5, 2.5, 30.5, 40.5))
        for i in range(count)
    )
    tracemalloc.start()
    try:
        said = Correction.said(Verb.REJECT, faces=faces)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(said.faces) == count
    assert peak / count < 450, "of a face that is checked only the face itself is kept, not what JSON has of it too"


def test_what_held_of_a_face_until_something_is_said_is_what_was_said_last(said: Corrections) -> None:
    boxes = [[10.0, 20.0, 50.0, 80.0], [12.0, 20.0, 50.0, 80.0]]
    for box in boxes:
        said.move_box(BOB, box)
    first, second = (face for one in said for face in one.faces)
    assert list(first.before) == list(first.box) == list(second.box)
    assert second.before == boxes[0]
