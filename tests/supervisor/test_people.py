import shutil
import sqlite3
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.api import extract, stream
from faceloom.errors import BudgetError, RequestError
from faceloom.selection import People, Reference
from faceloom.store.reading import read_faces
from faceloom.store.summary import read_summary
from faceloom.units import MIB
from identify_stand_ins import write_sface
from jobs import exported, files_below

PEOPLE = ("Tony_Blair", "Hugo_Chavez", "Colin_Powell")
UNITS = st.floats(min_value=0, max_value=2 * np.pi).map(lambda a: np.array([np.cos(a), np.sin(a)], np.float32))


def references(embeddings: list[Any]) -> list[Reference]:
    return [Reference(name=f"{i}.jpg", embedding=one) for i, one in enumerate(embeddings)]


@given(UNITS, st.lists(UNITS, max_size=3), st.lists(UNITS, max_size=3), st.floats(min_value=-1, max_value=1))
def test_a_face_is_kept_that_is_like_one_and_unlike_all_others(
    face: Any, like: list[Any], unlike: list[Any], threshold: float
) -> None:
    def is_like(others: list[Any]) -> bool:
        return any(round(float(np.dot(face.astype(np.float64), one)), 4) >= threshold for one in others)

    people = People(like=references(like), unlike=references(unlike), threshold=threshold)
    is_kept = (is_like(like) or not like) and not is_like(unlike)
    assert (people.objection(face) is None) == is_kept


@pytest.fixture(scope="module")
def pictures(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three people, four pictures each."""
    folder = tmp_path_factory.mktemp("pictures")
    for person in PEOPLE:
        for number in range(1, 5):
            name = f"{person}_{number:04}.jpg"
            shutil.copy(shared / "lfw_subset_krasserm/images" / person / name, folder / name)
    return folder


@pytest.fixture
def options(shared: Path) -> dict[str, Any]:
    weights = {"identify/arcface": shared.parent / "weights/fr_feature.onnx"}
    return {"identify": "arcface", "weights": weights, "size": 64}


@pytest.fixture(scope="module")
def blair(shared: Path) -> Path:
    """A picture of one person that is not among the pictures."""
    return shared / "lfw_subset_krasserm/images/Tony_Blair/Tony_Blair_0006.jpg"


def kept(folder: Path) -> set[str]:
    return {face.frame.source for face, _ in read_faces(folder)}


def test_only_one_persons_faces_are_kept_and_the_others_are_marked(
    pictures: Path, blair: Path, options: dict[str, Any], tmp_path: Path
) -> None:
    summary = extract(pictures, tmp_path / "like", like=blair, **options)
    faces = list(read_faces(tmp_path / "like"))
    assert kept(tmp_path / "like") == {f"Tony_Blair_{number:04}.jpg" for number in range(1, 5)}
    assert summary.faces == len(faces)
    assert set(files_below(tmp_path / "like")) == {face.chip for face, _ in faces}
    with sqlite3.connect(tmp_path / "like/faceloom.sqlite") as db:
        rejected = db.execute("SELECT rejected, chip, embedding FROM face WHERE rejected IS NOT NULL").fetchall()
        (masks,) = db.execute(
            "SELECT count(*) FROM mask JOIN face ON face_id = id WHERE rejected IS NOT NULL"
        ).fetchone()
    assert len(rejected) >= 8
    assert all(why.startswith("not like Tony_Blair_0006.jpg: cosine ") for why, _, _ in rejected)
    assert all(chip is None and embedding for _, chip, embedding in rejected)
    assert masks == 0
    assert read_summary(tmp_path / "like")["rejected"] == len(rejected)


def test_like_and_unlike_part_the_faces(pictures: Path, blair: Path, options: dict[str, Any], tmp_path: Path) -> None:
    extract(pictures, tmp_path / "all", **options)
    extract(pictures, tmp_path / "like", like=[blair], **options)
    extract(pictures, tmp_path / "unlike", unlike=[blair], **options)
    lines = [set(exported(tmp_path / name).splitlines()) for name in ("all", "like", "unlike")]
    assert lines[1] | lines[2] == lines[0]
    assert not lines[1] & lines[2]


def test_the_same_faces_are_kept_whatever_the_plan(
    pictures: Path, blair: Path, options: dict[str, Any], tmp_path: Path
) -> None:
    extract(pictures, tmp_path / "one", like=[blair], threads=1, **options)
    with pytest.raises(BudgetError) as refused:
        extract(pictures, tmp_path / "refused", like=[blair], memory="100MiB", **options)
    least = (refused.value.needed_bytes or 0) + 16 * MIB
    extract(pictures, tmp_path / "two", like=[blair], threads=2, memory=least, **options)
    assert exported(tmp_path / "one") == exported(tmp_path / "two")


def test_a_folder_is_held_to_the_content_of_its_references(
    pictures: Path, blair: Path, options: dict[str, Any], tmp_path: Path
) -> None:
    extract(pictures, tmp_path / "out", like=[blair], **options)
    copy = Path(shutil.copy(blair, tmp_path / "copy.jpg"))
    assert extract(pictures, tmp_path / "out", like=[copy], **options).skipped == 12
    with pytest.raises(RequestError, match="people"):
        extract(pictures, tmp_path / "out", **options)
    with pytest.raises(RequestError, match=r"people\.threshold"):
        extract(pictures, tmp_path / "out", like=[blair], threshold=0.5, **options)


def test_a_reference_may_be_named_through_a_link(
    pictures: Path, blair: Path, options: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "people").symlink_to(blair.parent)
    (tmp_path / "Blair.jpg").symlink_to(blair)
    options |= {"max_faces": 1}
    extract(pictures, tmp_path / "by folder", like=tmp_path / "people" / blair.name, **options)
    extract(pictures, tmp_path / "by name", unlike=tmp_path / "Blair.jpg", **options)
    assert kept(tmp_path / "by folder") == {f"Tony_Blair_{number:04}.jpg" for number in range(1, 5)}
    assert kept(tmp_path / "by name").isdisjoint(kept(tmp_path / "by folder"))
    with sqlite3.connect(tmp_path / "by name/faceloom.sqlite") as db:
        rejected = [why for (why,) in db.execute("SELECT rejected FROM face WHERE rejected IS NOT NULL")]
    assert rejected
    assert all(why.startswith("like Blair.jpg: cosine ") for why in rejected)


@pytest.fixture
def stand_in(tmp_path: Path) -> dict[str, Any]:
    return {"identify": "sface", "weights": {"identify/sface": write_sface(tmp_path / "sface.onnx")}, "size": 64}


def test_a_reference_may_be_named_from_the_current_folder(
    samples: Path, stand_in: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(samples)
    portrait = Path("portrait.png")
    assert extract(portrait, tmp_path / "like", like=portrait, **stand_in).faces == 1
    assert not read_summary(tmp_path / "like")["problems"]


def test_a_reference_with_several_faces_says_how_many_and_where(
    samples: Path, stand_in: dict[str, Any], tmp_path: Path
) -> None:
    (crowd,) = stream(samples / "crowd.jpg", mask=[])
    with pytest.raises(RequestError) as error:
        extract(samples / "portrait.png", tmp_path / "out", like=samples / "crowd.jpg", **stand_in)
    assert f"shows {len(crowd.faces)} faces" in str(error.value)
    x0, y0, _, _ = crowd.faces[0].box.round().astype(int).tolist()
    assert f"({x0}, {y0})" in str(error.value)


def test_a_reference_without_a_face_or_that_is_no_picture_is_refused(
    samples: Path, stand_in: dict[str, Any], tmp_path: Path
) -> None:
    cv2.imwrite(str(tmp_path / "wall.png"), np.full((200, 200, 3), 128, np.uint8))
    (tmp_path / "words.jpg").write_text("no picture")
    for reference, why in (
        (tmp_path / "wall.png", "no face"),
        (tmp_path / "words.jpg", "cannot be read"),
        (samples / "clip.mp4", "no picture"),
        (samples, "no picture"),
        (tmp_path / "none.jpg", "no file"),
    ):
        with pytest.raises(RequestError, match=why):
            extract(samples / "portrait.png", tmp_path / "out", unlike=reference, **stand_in)
        assert not (tmp_path / "out").exists()


def test_filters_are_not_for_references(samples: Path, stand_in: dict[str, Any], tmp_path: Path) -> None:
    portrait = samples / "portrait.png"
    extract(portrait, tmp_path / "out", like=portrait, filter=["roll=0.01"], **stand_in)
    assert read_summary(tmp_path / "out")["rejected_by"] == {"roll": 1}


def test_people_need_an_identifier_and_a_threshold_needs_people(samples: Path, tmp_path: Path) -> None:
    portrait = samples / "portrait.png"
    with pytest.raises(RequestError, match="--identify"):
        extract(portrait, tmp_path / "out", like=portrait)
    with pytest.raises(RequestError, match="--like"):
        extract(portrait, tmp_path / "out", identify="dlib", threshold=0.5)
    with pytest.raises(RequestError, match="-1 to 1"):
        extract(portrait, tmp_path / "out", identify="dlib", like=portrait, threshold=2)
