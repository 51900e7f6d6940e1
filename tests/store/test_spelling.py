from pathlib import Path

import pytest

from faceloom.store.spelling import true_path


def test_links_and_steps_up_lead_to_one_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "face.jpg").touch()
    (tmp_path / "b").symlink_to(tmp_path / "a", target_is_directory=True)
    monkeypatch.chdir(tmp_path / "a")
    ways = [Path("face.jpg"), Path("./../a/face.jpg"), Path("../b/face.jpg"), tmp_path / "b" / "face.jpg"]
    assert {true_path(way) for way in ways} == {(tmp_path / "a" / "face.jpg").resolve()}


def test_files_that_differ_in_case_stay_two_where_case_counts(tmp_path: Path) -> None:
    names = [tmp_path / "Face.jpg", tmp_path / "face.jpg"]
    for name in names:
        name.write_text(name.name)
    if names[0].samefile(names[1]):
        assert true_path(names[0]) == true_path(names[1])
    else:
        assert [true_path(name).name for name in names] == ["Face.jpg", "face.jpg"]


def test_where_case_does_not_count_the_name_is_that_of_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "Face.JPG").touch()

    def is_same(one: Path, other: Path) -> bool:
        return str(one).casefold() == str(other).casefold()

    monkeypatch.setattr(Path, "samefile", is_same)
    assert {true_path(tmp_path / name).name for name in ("face.jpg", "FACE.jpg", "Face.JPG")} == {"Face.JPG"}
    assert true_path(tmp_path / "other.jpg").name == "other.jpg"


def test_a_hard_link_is_a_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "face.jpg").touch()
    (tmp_path / "FACE.JPG").hardlink_to(tmp_path / "face.jpg")
    assert {true_path(tmp_path / name).name for name in ("face.jpg", "FACE.JPG")} == {"face.jpg", "FACE.JPG"}
