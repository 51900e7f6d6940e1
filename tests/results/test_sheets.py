import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

import faceloom
from faceloom.cli.main import main
from faceloom.errors import RequestError
from faceloom.results import sheets
from faceloom.store.database import connect
from faceloom.store.persons import read_embeddings, write_persons
from store.made_results import SIZE, write_media, write_result

ROW = 96 + 26


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sheets")
    write_result(write_media(folder / "in"), folder / "out")
    return folder / "out"


@pytest.fixture
def faces(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / "faces")


def shown(path: Path) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
    return np.asarray(cv2.imread(str(path), cv2.IMREAD_COLOR), np.uint8)


def test_a_sheet_has_a_row_for_each_person_the_best_first(faces: Path, tmp_path: Path) -> None:
    ids, _ = read_embeddings(faces)
    write_persons(faces, ids, ["Ann" if i < 3 else "Bob" for i in range(len(ids))])
    with connect(faces, read_only=False) as db:
        db.execute("UPDATE face SET quality = CASE id WHEN ? THEN 0.9 ELSE 0.1 END", (ids[2],))
        (chip,) = db.execute("SELECT chip FROM face WHERE id = ?", (ids[2],)).fetchone()
    assert main(["show", str(faces), "--sheet", str(tmp_path / "sheet.png"), "--json"]) == 0
    sheet = shown(tmp_path / "sheet.png")
    assert sheet.shape == (2 * ROW, 12 * 96, 3)
    own = sheet[ROW + 26 : ROW + 26 + SIZE, :SIZE]  # Ann has fewer faces than Bob
    assert np.abs(own.astype(int) - shown(faces / chip).astype(int)).mean() < 3
    assert (sheet[ROW + 26 :, 3 * 96 :] == 255).all()
    assert not (sheet[:26] == 255).all()


def test_a_sheet_without_persons_has_all_faces(faces: Path, tmp_path: Path) -> None:
    with faceloom.open(faces) as results:
        results.write_sheet(tmp_path / "sheet.jpg")
    assert shown(tmp_path / "sheet.jpg").shape[0] == 26 + 96 * 2  # seventeen of them, twelve in a row


def test_faces_that_were_rejected_are_not_shown_and_names_are_those_that_hold(faces: Path, tmp_path: Path) -> None:
    said = faceloom.corrections(faces)
    said.reject([f"deep/crowd.jpg#0/{i}" for i in range(12)])
    said.assign("bob.png#0/0", "Zoë " * 40)
    with faceloom.open(faces) as results:
        results.write_sheet(tmp_path / "sheet.jpg")
    assert shown(tmp_path / "sheet.jpg").shape[0] == 2 * ROW


def test_however_many_persons_there_are_a_sheet_is_no_larger(faces: Path) -> None:
    ids, _ = read_embeddings(faces)
    write_persons(faces, ids, [f"person {i}" for i in range(len(ids))])
    assert len(sheets._rows(faces, most_people=60, raw=False)) == 17 + 1
    sheet = sheets.sheet_of(faces, most_people=5)
    assert sheet is not None
    assert sheet.shape == (5 * ROW, 12 * 96, 3)


def test_a_notebook_shows_a_sheet_of_the_best_of_each_person(faces: Path) -> None:
    with faceloom.open(faces) as results:
        assert "17 faces of 5 sources<" in results._repr_html_()
    ids, _ = read_embeddings(faces)
    write_persons(faces, ids, ["Ann" if i < 3 else "Bob" for i in range(len(ids))])
    with faceloom.open(faces) as results:
        shown = results._repr_html_()
    assert shown.count("<img ") == 1
    assert "17 faces of 5 sources, 2 persons" in shown
    assert f'width="{12 * 96}" height="{2 * ROW}"' in shown


def test_what_is_there_is_not_overwritten(faces: Path, tmp_path: Path) -> None:
    (tmp_path / "sheet.jpg").write_text("mine")
    with pytest.raises(RequestError, match="is there already"):
        sheets.write_sheet(faces, tmp_path / "sheet.jpg")
    with pytest.raises(RequestError, match=r"\.png"):
        sheets.write_sheet(faces, tmp_path / "sheet.gif")
    shutil.rmtree(faces / "chips")
    sheets.write_sheet(faces, tmp_path / "other.jpg")  # of chips that are gone nothing
    with connect(faces, read_only=False) as db:
        db.execute("UPDATE face SET chip = NULL")
    with pytest.raises(RequestError, match="no chips"):
        sheets.write_sheet(faces, tmp_path / "third.jpg")
    assert (tmp_path / "sheet.jpg").read_text() == "mine"
