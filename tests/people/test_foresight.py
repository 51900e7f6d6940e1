"""What is shown of a person before they are forgotten, and that it is asked."""

import io
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from faceloom.cli.main import main
from faceloom.correcting import corrections
from faceloom.errors import RequestError
from faceloom.people.foresight import foresee
from faceloom.store.folder import DATABASE
from faceloom.store.persons import read_embeddings, read_persons, write_persons
from store.made_results import write_media, write_result

CROWD = "deep/crowd.jpg"
ANN = [f"{CROWD}#0/{index}" for index in range(4)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of twelve faces in one picture four are Ann's, three of which are alike; so is one of a clip, which is small."""
    folder = tmp_path_factory.mktemp("foresight")
    write_result(write_media(folder / "in"), folder / "out")
    with closing(sqlite3.connect(folder / "out" / DATABASE)) as db, db:
        vector = np.eye(16, dtype="<f4")
        of_crowd = "source_id = (SELECT id FROM source WHERE name = 'deep/crowd.jpg')"
        db.execute("UPDATE face SET quality = 0.9, embedding = ?", (vector[1].tobytes(),))
        db.execute(f"UPDATE face SET embedding = ? WHERE {of_crowd} AND idx < 3", (vector[0].tobytes(),))
        of_clip = "source_id = (SELECT id FROM source WHERE name = 'walk.mp4') AND frame_idx = 1"
        db.execute(f"UPDATE face SET embedding = ?, quality = 0.2 WHERE {of_clip}", (vector[0].tobytes(),))
        query = "SELECT face.id FROM face JOIN source ON source.id = source_id"
        ids = db.execute(f"{query} WHERE name = 'deep/crowd.jpg' AND idx < 4 OR {of_clip}").fetchall()
    write_persons(folder / "out", [face for (face,) in ids], ["Ann"] * 5)
    return folder / "out"


@pytest.fixture
def out(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "out"))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_it_says_how_many_faces_of_which_sources_and_what_is_not_sure(out: Path) -> None:
    told = foresee(out, "Ann")
    assert told.faces == 5
    assert told.sources == ((CROWD, 4), ("walk.mp4", 1))
    assert told.unlike == 1  # the fourth, whose mean cosine with the others is 0
    assert told.doubtful == 1
    assert told.twice == 1
    assert not told.is_sure


def test_what_a_hand_placed_is_sure(out: Path) -> None:
    corrections(out).assign([*ANN, "walk.mp4#1/0"], "Ann")
    told = foresee(out, "Ann")
    assert (told.by_hand, told.unlike, told.doubtful) == (5, 0, 0)


def test_nobody_of_that_name_is_an_error_that_names_others(out: Path) -> None:
    with pytest.raises(RequestError, match="no person 'Bob'; there are Ann"):
        foresee(out, "Bob")


@pytest.mark.parametrize(("answer", "code", "left"), [("y\n", 0, []), ("n\n", 1, ["Ann"]), ("", 1, ["Ann"])])
def test_a_person_is_forgotten_where_the_answer_is_yes(
    out: Path,
    answer: str,
    code: int,
    left: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    assert main(["forget", str(out), "--person", "Ann"]) == code
    told = capsys.readouterr()
    assert "Ann: 5 faces in 2 sources" in told.err
    assert f"{4:>7,}  {CROWD}" in told.err
    assert ("gone: 5 faces" in told.out) == (code == 0)
    assert list(read_persons(out)) == left


def test_without_a_terminal_it_is_refused_until_it_is_said(
    out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert main(["forget", str(out), "--person", "Ann"]) == 2
    assert "--yes" in capsys.readouterr().err
    assert len(read_embeddings(out)[0]) == 17
    assert main(["forget", str(out), "--person", "Ann", "--yes"]) == 0
    assert len(read_embeddings(out)[0]) == 12
