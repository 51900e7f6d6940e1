"""Faces of a track are one person's, also those that say too little by themselves."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from faceloom.correcting import corrections
from faceloom.grouping import group
from faceloom.people.votes import agreed, elected
from faceloom.results.results import open as open_results
from faceloom.store.folder import DATABASE
from store.made_results import write_media, write_result

THRESHOLD = 0.363
CLIP = "walk.mp4"


def around(*cosines: float) -> "np.typing.NDArray[np.float32]":
    """Unit vectors (N, 16) at these cosines to the first axis, otherwise each in a direction of its own."""
    vectors = np.zeros((len(cosines), 16), np.float32)
    for row, cosine in enumerate(cosines):
        vectors[row, 0], vectors[row, row + 1] = cosine, np.sqrt(1 - cosine**2)
    return vectors


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of three frames with one face each, in one track: the second is poor, the third hardly like the first."""
    folder = tmp_path_factory.mktemp("votes")
    write_result(write_media(folder / "in"), folder / "out")
    with closing(sqlite3.connect(folder / "out" / DATABASE)) as db, db:
        of_clip = f"source_id = (SELECT id FROM source WHERE name = '{CLIP}')"
        db.execute(f"UPDATE face SET quality = CASE WHEN {of_clip} AND frame_idx = 1 THEN 0.2 ELSE 0.9 END")
        for frame, vector in enumerate(around(1, 0.9, 0.5)):
            told = (vector.astype("<f4").tobytes(), frame)
            db.execute(f"UPDATE face SET embedding = ?, track = 1 WHERE {of_clip} AND frame_idx = ?", told)
    return folder / "out"


@pytest.fixture
def out(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "out"))


def change(out: Path, text: str) -> None:
    with closing(sqlite3.connect(out / DATABASE)) as db, db:
        db.execute(text.replace("CLIP", f"source_id = (SELECT id FROM source WHERE name = '{CLIP}')"))


def persons(out: Path) -> list[str]:
    with open_results(out) as results:
        return [face.person or "" for face in results.faces(source=CLIP)]


def test_a_track_is_one_person_and_takes_its_poor_faces_with_it(out: Path) -> None:
    group(out, threshold=THRESHOLD)
    assert len({*persons(out)} - {""}) == 1
    assert "" not in persons(out)


def test_without_tracks_a_poor_face_is_nobodys(out: Path) -> None:
    change(out, "UPDATE face SET track = NULL")
    group(out, threshold=THRESHOLD)
    assert persons(out)[1] == ""


def test_a_track_of_poor_faces_alone_is_nobodys_until_a_hand_speaks_of_one(out: Path) -> None:
    change(out, "UPDATE face SET quality = 0.2 WHERE CLIP")
    group(out, threshold=THRESHOLD)
    assert persons(out) == ["", "", ""]
    corrections(out).assign(f"{CLIP}#1/0", "Ann")
    group(out, threshold=THRESHOLD)
    assert persons(out) == ["Ann", "Ann", "Ann"]


def test_a_hand_names_the_track_and_two_hands_part_it(out: Path) -> None:
    said = corrections(out)
    said.assign(f"{CLIP}#0/0", "Ann")
    group(out, threshold=THRESHOLD)
    assert persons(out) == ["Ann", "Ann", "Ann"]
    said.assign(f"{CLIP}#2/0", "Bob")
    group(out, threshold=THRESHOLD)
    assert [persons(out)[0], persons(out)[2]] == ["Ann", "Bob"]


def test_a_face_without_an_embedding_follows_its_track(out: Path) -> None:
    change(out, "UPDATE face SET embedding = NULL WHERE CLIP AND frame_idx = 1")
    group(out, threshold=THRESHOLD)
    assert len({*persons(out)}) == 1


def test_a_track_that_went_over_to_somebody_else_says_nothing(out: Path) -> None:
    vectors = around(1, 0.1, 0.95)
    tracks = np.array([4, 4, 4])
    assert agreed(tracks, vectors[[0, 2, 2]], threshold=THRESHOLD).tolist() == [4, 4, 4]
    assert agreed(tracks, vectors, threshold=0.5).tolist() == [-1, -1, -1]
    assert agreed(np.array([-1, 3]), vectors[:2], threshold=THRESHOLD).tolist() == [-1, 3]
    change(out, f"UPDATE face SET embedding = x'{'00' * 60}0000803f' WHERE CLIP AND frame_idx = 2")
    group(out, threshold=THRESHOLD)
    first, poor, last = persons(out)
    assert first != last
    assert poor == ""


def test_most_votes_win_and_nobody_votes_for_no_track() -> None:
    assert elected([1, 1, 1, -1, 2], ["a", "b", "b", "c", None]) == {1: "b"}
