"""The case that grouping began with: pupils too small to be told apart, of whom one is forgotten."""

import shutil
from collections import Counter, defaultdict
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from clips import write_clip
from faceloom.api import extract
from faceloom.correcting import corrections
from faceloom.faces import Image
from faceloom.grouping import group
from faceloom.results.results import open as open_results
from faceloom.store.forgetting import forget

TEACHER = "Tony_Blair"
PUPILS = {"Hugo_Chavez": (14, 12), "Colin_Powell": (170, 14), "Ariel_Sharon": (326, 18)}
"""Where each sits, and how many pixels their faces have."""
FRAMES = 6
FACE_SHARE = 0.5
"""Of a portrait's side that its face takes (measured: 98 to 162 of 250 pixels)."""
COLLAGE = "dlib_examples/examples/faces/bald_guys.jpg"


def portrait(shared: Path, person: str, number: int) -> Image:
    path = shared / f"lfw_subset_krasserm/images/{person}/{person}_{number:04}.jpg"
    return np.asarray(cv2.imread(str(path)), np.uint8)[..., ::-1]


def classroom(shared: Path, number: int) -> Image:
    """A frame: the teacher in front, three pupils far behind, each on another of their portraits."""
    frame = np.full((400, 480, 3), 110, np.uint8)
    frame[150:, 100:350] = portrait(shared, TEACHER, number)
    for person, (x, side_px) in PUPILS.items():
        side = round(side_px / FACE_SHARE)
        small = cv2.resize(portrait(shared, person, number), (side, side), interpolation=cv2.INTER_AREA)
        frame[40 : 40 + side, x : x + side] = small
    return frame


@pytest.fixture(scope="module")
def made(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A result folder of the classroom and of a collage."""
    folder = tmp_path_factory.mktemp("classroom")
    images = [classroom(shared, number) for number in range(1, FRAMES + 1)]
    write_clip(folder / "classroom.mp4", range(FRAMES), time_base=Fraction(1, 25), images=images, options={"crf": "10"})
    weights = {"identify/arcface": shared.parent / "weights/fr_feature.onnx"}
    collage = cv2.resize(
        np.asarray(cv2.imread(str(shared / COLLAGE))), None, fx=0.4, fy=0.4, interpolation=cv2.INTER_AREA
    )
    cv2.imwrite(str(folder / "bald_guys.png"), collage)
    inputs = [folder / "classroom.mp4", folder / "bald_guys.png"]
    extract(inputs, folder / "out", size=64, identify="arcface", weights=weights, mask=[], enlarge=2)
    return folder / "out"


@pytest.fixture
def out(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "out"))


def seen(folder: Path) -> dict[str, Counter[str]]:
    """How many faces of the classroom each person of the result has, by who really sits there."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    with open_results(folder) as results:
        for face in results.faces(source="classroom.mp4"):
            x, y = face.box.reshape(2, 2).mean(axis=0)
            near = min(PUPILS, key=lambda name: abs(PUPILS[name][0] - x))
            found[face.person or ""][TEACHER if y > 150 else near] += 1
    return found


def test_pupils_are_nobody_yet_and_no_stranger_is_deleted(out: Path) -> None:
    group(out)
    before = seen(out)
    assert not before[""][TEACHER]
    assert sum(before[""].values()) >= 2 * FRAMES
    assert max(before.values(), key=lambda whose: whose[TEACHER]) == {TEACHER: FRAMES}
    there = sum(before.values(), Counter[str]())
    for person in [name for name in before if name]:
        forget(out, person=person)
        left = sum(seen(out).values(), Counter[str]())
        assert len(there - left) == 1, "faces of nobody else went with them"
        there = left
    assert there == before[""]


def test_the_case_is_a_real_one_pupils_pass_for_one_person_where_every_face_counts(out: Path) -> None:
    group(out, min_quality=0, collages=True)
    assert any(len(whose) > 1 for whose in seen(out).values())


def test_who_is_in_one_frame_is_two_people_even_where_every_face_counts(out: Path) -> None:
    group(out, min_quality=0)
    with open_results(out) as results:
        frames = Counter((face.frame, face.person) for face in results.faces(source="classroom.mp4"))
    assert set(frames.values()) == {1}


def test_a_collage_of_four_men_has_four_persons(out: Path) -> None:
    group(out)
    with open_results(out) as results:
        persons = Counter(face.person for face in results.faces(source="bald_guys.png") if face.person)
    assert sorted(persons.values()) == [6, 6, 6, 6]  # dlib's face_clustering example finds the same


def test_names_stay_when_faces_are_grouped_anew_and_a_hand_is_never_overruled(out: Path) -> None:
    group(out)
    with open_results(out) as results:
        pupil = next(face for face in results.faces(source="classroom.mp4") if not face.person)
        before = {str(face): face.person for face in results if face.person}
    corrections(out).assign(pupil, "Hugo")
    group(out)
    with open_results(out) as results:
        assert {str(face): face.person for face in results if face.person} == {**before, str(pupil): "Hugo"}
    for options in ({"threshold": 0.9}, {"min_quality": 0.0}, {"min_quality": 1.0}, {"collages": True}):
        group(out, **options)
        with open_results(out) as results:
            assert str(pupil) in [str(face) for face in results.faces(person="Hugo")]
