import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import faceloom
from faceloom.choices import Each, Laid
from faceloom.errors import BudgetError, RequestError
from faceloom.store.database import connect
from faceloom.store.forgetting import forget
from faceloom.store.persons import read_embeddings, write_persons
from store.made_results import CLIP, write_media, write_result

OF_CLIP = "source_id = (SELECT id FROM source WHERE name = ?)"
CROWD = "deep/crowd.jpg"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixteen further faces, of two persons."""
    folder = tmp_path_factory.mktemp("pick")
    write_result(write_media(folder / "in"), folder / "out")
    ids, _ = read_embeddings(folder / "out")
    write_persons(folder / "out", ids, [f"person {i % 2 + 1}" for i in range(len(ids))])
    return folder / "out"


@pytest.fixture
def faces(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / "faces")


def listed(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "picked.jsonl").read_text().splitlines()]


def below(out: Path) -> list[str]:
    return sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if not path.is_dir())


def test_chips_are_copied_under_names_that_say_what_they_are_of(faces: Path, tmp_path: Path) -> None:
    picked = faceloom.pick(faces, tmp_path / "best", best=5)
    lines = listed(tmp_path / "best")
    assert below(tmp_path / "best") == sorted([".faceloom", "picked.jsonl", *(line["file"] for line in lines)])
    assert picked.picked == {"all": 5}
    assert picked.candidates == len(faceloom.open(faces))
    for rank, line in enumerate(lines, start=1):
        assert line["rank"] == rank
        assert line["file"].startswith(f"{rank}_{Path(line['source']).stem}_{line['frame']:06}_{line['index']}")
        own = faces / f"chips/{line['source']}/{line['frame']:06}_{line['index']}.jpg"
        assert (tmp_path / "best" / line["file"]).read_bytes() == own.read_bytes()
    assert lines[0]["because"].startswith("the best")
    assert all(1 <= line["nearest"] < line["rank"] for line in lines[1:])


def test_the_same_faces_are_picked_each_time(faces: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        faceloom.pick(faces, tmp_path / name, best=6, bins={"yaw": 3})
    assert (tmp_path / "one/picked.jsonl").read_bytes() == (tmp_path / "two/picked.jsonl").read_bytes()


@pytest.mark.parametrize(("each", "groups"), [(Each.PERSON, 2), (Each.SOURCE, 4)])
def test_so_many_are_picked_of_each(each: Each, groups: int, faces: Path, tmp_path: Path) -> None:
    picked = faceloom.pick(faces, tmp_path / "best", best=1, each=each)
    assert list(picked.picked.values()) == [1] * groups
    assert [line["rank"] for line in listed(tmp_path / "best")] == [1] * groups
    assert len({Path(line["file"]).parent for line in listed(tmp_path / "best")}) == groups


def test_so_many_are_picked_of_each_track(faces: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="run faceloom track"):
        faceloom.pick(faces, tmp_path / "best", each=Each.TRACK)
    with connect(faces, read_only=False) as db:
        db.execute(f"UPDATE face SET track = 1 + (frame_idx > 1) WHERE {OF_CLIP}", (CLIP,))
    picked = faceloom.pick(faces, tmp_path / "best", each=Each.TRACK, best=1)
    assert picked.picked == {f"{CLIP} track 1": 1, f"{CLIP} track 2": 1}
    assert [line["track"] for line in listed(tmp_path / "best")] == [1, 2]


def test_what_people_said_holds(faces: Path, tmp_path: Path) -> None:
    said = faceloom.corrections(faces)
    said.reject([f"{CROWD}#0/{i}" for i in range(10)])
    said.assign([f"{CLIP}#0/0", f"{CLIP}#1/0"], "../Eve")
    faceloom.pick(faces, tmp_path / "best", each=Each.PERSON)
    places = {(line["source"], line["frame"], line["index"]): line for line in listed(tmp_path / "best")}
    assert {index for source, _, index in places if source == CROWD} == {10, 11}
    assert places[CLIP, 0, 0]["person"] == "../Eve"
    assert (tmp_path / "best" / places[CLIP, 0, 0]["file"]).resolve().is_relative_to(tmp_path / "best")
    faceloom.pick(faces, tmp_path / "raw", best=100, raw=True)
    assert len(listed(tmp_path / "raw")) == len(faceloom.open(faces, raw=True)) > len(places)


def test_near_duplicates_are_left_out_unless_they_are_asked_for(faces: Path, tmp_path: Path) -> None:
    shutil.copy(faces / f"chips/{CROWD}/000000_3.jpg", faces / "chips/bob.png/000000_0.jpg")
    count = len(faceloom.open(faces))
    picked = faceloom.pick(faces, tmp_path / "best", best=count)
    assert (sum(picked.picked.values()), picked.duplicates) == (count - 1, 1)
    assert sum(faceloom.pick(faces, tmp_path / "all", best=count, duplicates=True).picked.values()) == count


def test_a_face_whose_chip_is_gone_is_left_out(faces: Path, tmp_path: Path) -> None:
    (faces / "chips/bob.png/000000_0.jpg").unlink()
    picked = faceloom.pick(faces, tmp_path / "best")
    assert picked.lost == 1
    assert "bob.png" not in {line["source"] for line in listed(tmp_path / "best")}


def test_links_lead_to_the_chips(faces: Path, tmp_path: Path) -> None:
    faceloom.pick(faces, tmp_path / "deep/best", best=2, each=Each.PERSON, as_=Laid.LINKS)
    for line in listed(tmp_path / "deep/best"):
        link = tmp_path / "deep/best" / line["file"]
        assert link.is_symlink()
        assert link.resolve() == faces / f"chips/{line['source']}/{line['frame']:06}_{line['index']}.jpg"


def test_a_list_alone_can_be_csv(faces: Path, tmp_path: Path) -> None:
    faceloom.pick(faces, tmp_path / "best.csv", best=3, as_="list", person="person 2")
    with (tmp_path / "best.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["rank"] for row in rows] == ["1", "2", "3"]
    assert {row["person"] for row in rows} == {"person 2"}
    assert all((faces / row["chip"]).is_file() for row in rows)
    with pytest.raises(RequestError, match="is there already"):
        faceloom.pick(faces, tmp_path / "best.csv", as_="list")
    with pytest.raises(RequestError, match=r"ends in \.jsonl or \.csv"):
        faceloom.pick(faces, tmp_path / "best.txt", as_="list")


def test_a_folder_is_replaced_only_if_asked_and_only_if_it_is_ours(faces: Path, tmp_path: Path) -> None:
    out = tmp_path / "best"
    faceloom.pick(faces, out, best=4)
    with pytest.raises(RequestError, match="not empty"):
        faceloom.pick(faces, out, best=2)
    assert len(listed(out)) == 4
    faceloom.pick(faces, out, best=2, replace=True)
    assert len(listed(out)) == 2
    assert len(below(out)) == 4
    (out / "mine.txt").write_text("keep me")
    with pytest.raises(RequestError, match=r"mine\.txt"):
        faceloom.pick(faces, out, best=2, replace=True)
    (tmp_path / "other").mkdir()
    (tmp_path / "other/picked.jsonl").write_text("{}")
    for place in (tmp_path / "other", faces):
        with pytest.raises(RequestError):
            faceloom.pick(faces, place, replace=True)
    assert (out / "mine.txt").is_file()
    assert (faces / "faceloom.sqlite").is_file()


def test_forgetting_reaches_what_was_picked(faces: Path, tmp_path: Path) -> None:
    out = tmp_path / "best"
    faceloom.pick(faces, out, best=100)
    assert "crowd" in "".join(below(out))
    forget(faces, source=CROWD)
    assert "crowd" not in "".join(below(out)) + (out / "picked.jsonl").read_text()
    assert {line["file"] for line in listed(out)} == set(below(out)) - {".faceloom", "picked.jsonl"}
    assert (out / "picked.jsonl").stat().st_mode & 0o077 == 0


def test_what_cannot_be_picked_is_refused_with_what_to_do(faces: Path, tmp_path: Path) -> None:
    for options, message in (
        ({"bins": {"yawn": 3}}, "yaw"),
        ({"person": "Eve"}, "there is no person 'Eve'"),
        ({"best": 0}, "best is 0"),
        ({"each": "face"}, "there is no each 'face'"),
    ):
        with pytest.raises(RequestError, match=message):
            faceloom.pick(faces, tmp_path / "best", **options)
    with pytest.raises(BudgetError, match="raise --memory") as error:
        faceloom.pick(faces, tmp_path / "best", memory="1MiB")
    assert error.value.needed_bytes > 1 << 20
    assert not (tmp_path / "best").exists()


def test_faces_below_the_least_quality_or_size_are_none(faces: Path, tmp_path: Path) -> None:
    with faceloom.open(faces) as results:
        large = {str(face.frame) for face in results.faces(min_size=90)}
    faceloom.pick(faces, tmp_path / "best", best=100, min_size=90)
    assert {f"{line['source']}#{line['frame']}" for line in listed(tmp_path / "best")} == large
    assert faceloom.pick(faces, tmp_path / "none", min_quality=0.1).candidates == 0  # nobody knows theirs
