"""Faces that nobody found and somebody added: rows of their own, seen only through corrections that hold."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faceloom.correcting import Corrections, corrections
from faceloom.errors import RequestError
from faceloom.faces import FrameId
from faceloom.geometry.chips import frame_to_chip
from faceloom.geometry.landmarks import MEAN_FACE
from faceloom.results.exporting import export
from faceloom.results.results import open as open_results
from faceloom.store.checking import check
from faceloom.store.configuration import config_in
from faceloom.store.corrections import Verb
from faceloom.store.database import connect
from faceloom.store.folder import DATABASE
from faceloom.store.forgetting import forget
from faceloom.store.merging import merge
from faceloom.store.persons import read_embeddings, write_persons
from faceloom.store.remade import made_of, recipe_of
from faceloom.store.remaking import select_to_make, take_made
from faceloom.store.rows import FaceRow
from faceloom.store.summary import read_summary
from store.made_results import CLIP, CONFIG, SIZE, face_of, write_media, write_result

BOX = [300.0, 20.0, 340.5, 70.25]
NEW = "bob.png#0/1"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("adding")
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


def places(folder: Path, *, raw: bool = False) -> set[str]:
    with open_results(folder, raw=raw) as results:
        return {f"{face.frame}/{face.index}" for face in results}


def looked_at(folder: Path, *, embedding: float = 0.25) -> list[FaceRow]:
    """What networks might have made of every face that waits for them, as they would hand it over."""
    rows = []
    for face in (face for source in select_to_make(folder) for face in source.faces):
        given = face.landmarks
        landmarks = np.array(given, np.float32) if given else (MEAN_FACE * 20 + face.box[:2]).astype(np.float32)
        row = face_of(
            face.frame,
            face.index,
            box=np.array(face.box, np.float32),
            landmarks=landmarks,
            frame_to_chip=frame_to_chip(landmarks, size=SIZE),
            embedding=np.full(16, embedding, np.float32),
            quality=0.125,
            chip=None,
        )
        rows.append(row)
    return rows


def remake(folder: Path, **told: Any) -> None:
    assert not take_made(folder, select_to_make(folder), looked_at(folder, **told))


def test_a_face_that_was_added_is_there_until_that_is_undone(out: Path, said: Corrections) -> None:
    before, found = export(out), places(out)
    made = said.add("bob.png", BOX)
    assert (made.verb, [str(face) for face in made.faces]) == (Verb.ADD, [NEW])
    assert places(out) == found | {NEW}
    with open_results(out) as results:
        (face,) = (face for face in results if face.added_by)
        assert (face.box.tolist(), face.score, face.landmarks, face.added_by) == (BOX, 1.0, None, made.uid)
    assert export(out, raw=True) == before
    assert (read_summary(out)["faces"], read_summary(out, raw=True)["faces"]) == (len(found) + 1, len(found))
    assert not check(out).flaws
    said.undo()
    assert export(out) == before
    assert not check(out).flaws
    said.redo()
    assert places(out) == found | {NEW}


def test_of_a_face_that_was_added_everything_can_be_said(out: Path, said: Corrections) -> None:
    added = said.add(FrameId("bob.png", 0), BOX)
    said.assign(NEW, "Eve")
    said.move_box(NEW, [1, 2, 30, 40])
    said.reject(NEW)
    said.restore(NEW)
    with open_results(out) as results:
        (face,) = results.faces(person="Eve")
        assert face.box.tolist() == [1, 2, 30, 40]
        assert "Eve" in results.persons
    said.undo(added.id)
    with open_results(out) as results:
        assert "Eve" not in results.persons, "nobody's face is hers while the face is none"
    with pytest.raises(RequestError):
        said.assign(NEW, "Ann")
    with pytest.raises(RequestError):
        said.name("Eve", "Zoe")


@pytest.mark.parametrize(
    "wrong",
    [
        lambda said: said.add("nobody.png", BOX),
        lambda said: said.add("bob.png#7", BOX),
        lambda said: said.add("bob.png", BOX[:3]),
        lambda said: said.add("bob.png", [0, 0, np.nan, 4]),
        lambda said: said.add("bob.png", [40, 40, 20, 20]),
        lambda said: said.add("bob.png", [-90, -90, -10, -10]),
        lambda said: (said.add("bob.png", BOX), said.add("bob.png", [BOX[0] + 1, *BOX[1:]])),
    ],
)
def test_what_can_be_no_new_face_is_refused(wrong: Callable[[Corrections], Any], out: Path, said: Corrections) -> None:
    with pytest.raises(RequestError):
        wrong(said)
    assert len(said) == len(places(out)) - len(places(out, raw=True))


def test_a_face_is_not_added_where_one_is_and_a_rejected_one_is_restored(out: Path, said: Corrections) -> None:
    with open_results(out) as results:
        box = next(iter(results.faces(source="bob.png"))).box
    with pytest.raises(RequestError, match="move its box"):
        said.add("bob.png", box)
    said.reject("bob.png#0/0")
    with pytest.raises(RequestError, match="restore"):
        said.add("bob.png", box)


def test_what_networks_made_is_read_where_it_is_of_where_the_face_is_now(out: Path, said: Corrections) -> None:
    before = export(out)
    with open_results(out) as results:
        face = next(iter(results.faces(source="ann_in_july.png")))
        assert face.landmarks is not None
        moved = said.move_landmarks(face, face.landmarks + np.float32(9))
    said.add("bob.png", BOX)
    waiting = [face for source in select_to_make(out) for face in source.faces]
    assert sorted(map(str, waiting)) == ["ann_in_july.png#0/0", NEW]
    remake(out)
    assert select_to_make(out) == []
    with open_results(out) as results:
        for one in (*results.faces(source="ann_in_july.png"), *(face for face in results if face.added_by)):
            assert one.embedding is not None
            assert one.embedding.tolist() == [0.25] * 16
            assert one.quality == 0.125
            assert one.landmarks is not None
            assert set(one.masks) == {"components", "extended"}
    ids, embeddings = read_embeddings(out)
    assert (embeddings == 0.25).all(axis=1).sum() == 2, "grouping reads them"
    assert len(ids) == len(places(out, raw=True)) + 1
    assert export(out, raw=True) == before
    remade = export(out)
    said.undo(moved.id)
    with open_results(out) as results:
        assert str(next(iter(results.faces(source="ann_in_july.png"))).embedding) == str(face.embedding)
    said.redo()
    assert export(out) == remade, "nothing has to be made once more"
    said.move_box(NEW, [1, 2, 30, 40])
    with open_results(out) as results:
        (face,) = (face for face in results if face.added_by)
        assert face.landmarks is None, "what was made of where it was is not shown where it is"
    assert [str(face) for source in select_to_make(out) for face in source.faces] == [NEW]
    assert not check(out).flaws


def test_what_was_made_depends_on_the_stages() -> None:
    other = {**CONFIG, "stages": {**CONFIG["stages"], "identify/sface": {"weights": "d" * 64}}}
    detector = {**CONFIG, "stages": {**CONFIG["stages"], "detect/yunet": {"min_score": 0.1, "weights": "a" * 64}}}
    digests = [made_of(recipe_of(config), BOX, None) for config in (CONFIG, other, detector)]
    assert digests[0] == digests[2] != digests[1]


def test_faces_that_were_added_go_to_other_folders_and_are_merged_with_what_is_found(
    made: Path, out: Path, said: Corrections, tmp_path: Path
) -> None:
    said.add("bob.png", BOX)
    said.assign(NEW, "Eve")
    said.add(f"{CLIP}#1", BOX)
    said.undo()
    said.export(tmp_path / "said.jsonl")
    other = Path(shutil.copytree(made / "out", tmp_path / "other"))
    carried = corrections(other).read(tmp_path / "said.jsonl")
    assert (carried.added, carried.lost) == (3, [])
    assert places(other) - places(made / "out") == {NEW}
    with open_results(other) as results:
        assert [f"{face.frame}/{face.index}" for face in results.faces(person="Eve")] == [NEW]
    corrections(other).redo()
    assert f"{CLIP}#1/1" in places(other)
    again = Path(shutil.copytree(made / "out", tmp_path / "again"))
    with open_results(again) as results:
        there = next(iter(results.faces(source="bob.png"))).box
    line = [json.loads(text) for text in (tmp_path / "said.jsonl").read_text().splitlines()]
    for one in line:
        if one.get("verb") == "add":
            one["faces"][0]["box"] = there.tolist()
    (tmp_path / "there.jsonl").write_text("\n".join(map(json.dumps, line[-3:-2])))
    assert corrections(again).read(tmp_path / "there.jsonl").added == 1
    assert places(again) == places(made / "out"), "a face that a detector found there is the one that was added"
    (tmp_path / "lost.jsonl").write_text(json.dumps({**line[-3], "faces": [{**line[-3]["faces"][0], "frame": 9}]}))
    lost = corrections(Path(shutil.copytree(made / "out", tmp_path / "third"))).read(tmp_path / "lost.jsonl").lost
    assert len(lost) == 1
    assert "no such frame" in lost[0]


def test_faces_that_were_added_are_merged_with_what_networks_made_of_them(made: Path, tmp_path: Path) -> None:
    write_result(made / "in", tmp_path / "one", names=["bob.png"])
    write_result(made / "in", tmp_path / "two", names=["ann_in_july.png"])
    corrections(tmp_path / "one").add("bob.png", BOX)
    remake(tmp_path / "one")
    for _ in range(2):  # the second time all is there already
        merge([tmp_path / "one", tmp_path / "two"], tmp_path / "whole")
        assert places(tmp_path / "whole") == {"ann_in_july.png#0/0", "bob.png#0/0", NEW}
        assert select_to_make(tmp_path / "whole") == []
        one, whole = (export(tmp_path / name).splitlines() for name in ("one", "whole"))
        assert whole[-2:] == one
    assert export(tmp_path / "whole", raw=True).splitlines()[-1] == export(tmp_path / "one", raw=True).splitlines()[-1]


def test_of_a_source_that_is_forgotten_nothing_that_was_added_is_left(out: Path, said: Corrections) -> None:
    said.add("bob.png", BOX)
    remake(out)
    added = said.add("deep/crowd.jpg", [3.25, 4.5, 40.125, 41.75])
    said.assign(added.faces[0].__str__(), "Zoe the added")
    said.undo(added.id)
    forget(out, source="bob.png")
    forget(out, source="deep/crowd.jpg")
    assert len(said) == 0
    with connect(out, read_only=True) as db:
        counts = [db.execute(f"SELECT count(*) FROM {name}").fetchone() for name in ("remade", "remade_mask")]
        assert counts == [(0,), (0,)]
        assert db.execute("SELECT count(*) FROM face WHERE added_by IS NOT NULL").fetchone() == (0,)
    content = (out / DATABASE).read_bytes()
    assert b"Zoe the added" not in content
    assert b"added_by" in content


def test_a_person_who_is_forgotten_takes_faces_with_them_that_were_added(out: Path, said: Corrections) -> None:
    said.add("bob.png", BOX)
    said.assign(NEW, "Eve")
    forget(out, person="Eve")
    assert NEW not in places(out)
    assert len(said) == 0


def test_a_folder_that_says_nothing_of_stages_has_a_recipe(out: Path) -> None:
    with connect(out, read_only=True) as db:
        assert recipe_of(config_in(db)) != recipe_of({})
