import io
import json
import shutil
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faceloom.api import extract
from faceloom.choices import Sort
from faceloom.cli.main import main
from faceloom.errors import BudgetError, RequestError, StoreError
from faceloom.grouping import SORTS, group
from faceloom.store.exports import export
from faceloom.store.folder import locked
from faceloom.store.persons import read_persons
from faceloom.store.reading import read_faces
from faceloom.store.summary import read_summary
from faceloom.units import MIB
from identify_stand_ins import write_sface
from jobs import exported

PEOPLE = ("Tony_Blair", "Hugo_Chavez", "Colin_Powell", "Ariel_Sharon")


@pytest.fixture(scope="module")
def made(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A result folder of four people, six pictures each."""
    folder = tmp_path_factory.mktemp("grouping")
    for person in PEOPLE:
        (folder / "pictures" / person).mkdir(parents=True)
        for number in range(1, 7):
            name = f"{person}/{person}_{number:04}.jpg"
            shutil.copy(shared / "lfw_subset_krasserm/images" / name, folder / "pictures" / name)
    weights = {"identify/arcface": shared.parent / "weights/fr_feature.onnx"}
    extract(folder / "pictures", folder / "out", size=64, identify="arcface", weights=weights)
    return folder / "out"


@pytest.fixture
def faces(made: Path, tmp_path: Path) -> Path:
    """A copy of that folder."""
    return Path(shutil.copytree(made, tmp_path / "faces"))


@pytest.fixture(scope="module")
def anonymous(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A result folder without embeddings."""
    folder = tmp_path_factory.mktemp("anonymous") / "out"
    extract(samples / "portrait.png", folder, size=64)
    return folder


def test_every_person_is_one_group(faces: Path) -> None:
    persons = group(faces)
    whose: dict[str, Counter[str]] = defaultdict(Counter)
    for face, _ in read_faces(faces):
        assert face.person
        whose[face.person][face.frame.source.partition("/")[0]] += 1
    # Bystanders are on some of the pictures: the four groups of many are the four people.
    for person in persons[: len(PEOPLE)]:
        assert max(whose[person.name].values()) >= 5
        assert sum(whose[person.name].values()) - max(whose[person.name].values()) <= 1
    assert [person.faces for person in persons] == sorted((sum(w.values()) for w in whose.values()), reverse=True)
    assert [person.name for person in persons] == [f"person {i}" for i in range(1, len(persons) + 1)]
    assert read_summary(faces)["persons"] == len(persons)


def test_grouping_again_changes_nothing_and_another_threshold_replaces_all(faces: Path) -> None:
    group(faces)
    first = exported(faces)
    group(faces)
    assert exported(faces) == first
    all_alike = group(faces, threshold=-1, min_quality=0, collages=True)
    assert [person.faces for person in all_alike] == [len(list(read_faces(faces)))]
    assert {face.person for face, _ in read_faces(faces)} == {"person 1"}
    assert {person.faces for person in group(faces, threshold=1)} == {1}


def test_exports_name_persons_only_where_there_are_some(faces: Path) -> None:
    assert not any("person" in json.loads(line) for line in exported(faces).splitlines())
    group(faces)
    lines = [json.loads(line) for line in exported(faces).splitlines()]
    assert [line["person"] for line in lines] == [face.person for face, _ in read_faces(faces)]
    out = io.StringIO()
    export(faces, out, to="csv", frames=False)
    assert ",person," in out.getvalue().splitlines()[0]


@pytest.mark.parametrize("sort", SORTS)
def test_folders_hold_a_link_for_each_chip_the_best_first(faces: Path, tmp_path: Path, sort: Sort) -> None:
    persons = group(faces, sort=sort, folders=tmp_path / "people")
    folders = [path.name for path in (tmp_path / "people").iterdir() if path.is_dir()]
    assert sorted(folders) == sorted(one.name for one in persons)
    traits = read_persons(faces)
    for person in persons:
        links = sorted((tmp_path / "people" / person.name).iterdir())
        assert len(links) == person.faces
        assert all(link.is_symlink() and link.is_file() for link in links)
        assert links[0].resolve() == (faces / person.best).resolve()
        by_chip = {face.chip: SORTS[sort](face) for face in traits[person.name]}
        keys = [by_chip[str(link.resolve().relative_to(faces.resolve()))] for link in links]
        assert keys == sorted(keys)


def test_copies_are_the_chips(faces: Path, tmp_path: Path) -> None:
    persons = group(faces, folders=tmp_path / "people", copy=True)
    copies = [path for path in (tmp_path / "people").rglob("*.jpg") if path.is_file()]
    assert len(copies) == sum(person.faces for person in persons)
    assert not any(path.is_symlink() for path in copies)
    chips = sorted(path.read_bytes() for path in (faces / "chips").rglob("*.jpg") if path.is_file())
    assert sorted(path.read_bytes() for path in copies) == chips


def test_sorts_are_by_what_they_say(faces: Path) -> None:
    group(faces)
    (some, *_) = read_persons(faces).values()
    sharpest = min(some, key=SORTS[Sort.SHARPNESS])
    assert sharpest.sharpness == max(face.sharpness or 0 for face in some)
    frontal = min(some, key=SORTS[Sort.POSE])
    assert np.hypot(frontal.yaw or 0, frontal.pitch or 0) <= max(np.hypot(f.yaw or 0, f.pitch or 0) for f in some)


def test_a_folder_without_embeddings_says_how_to_get_them(anonymous: Path) -> None:
    with pytest.raises(RequestError, match="--identify dlib"):
        group(anonymous)


def test_wrong_requests_are_refused_before_anything_is_named(faces: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").write_text("")
    wrong: list[dict[str, Any]] = [
        {"sort": "beauty"},
        {"copy": True},
        {"folders": tmp_path / "full"},
        {"threshold": 1.5},
    ]
    for options in wrong:
        with pytest.raises(RequestError):
            group(faces, **options)
    with pytest.raises(StoreError):
        group(tmp_path)
    with locked(faces), pytest.raises(StoreError, match="another run"):
        group(faces)
    assert not read_summary(faces)["persons"]


def test_without_crops_there_is_nothing_to_lay_into_folders(samples: Path, tmp_path: Path) -> None:
    weights = {"identify/sface": write_sface(tmp_path / "sface.onnx")}
    extract(samples / "crowd.jpg", tmp_path / "out", chips=False, identify="sface", weights=weights)
    with pytest.raises(RequestError, match="no chips"):
        group(tmp_path / "out", folders=tmp_path / "people")
    assert group(tmp_path / "out")[0].best.startswith("crowd.jpg#0 face ")


def test_the_command_prints_persons(faces: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["group", str(faces), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["persons"]
    assert main(["group", str(faces), "--sort", "sharpness"]) == 0
    words = capsys.readouterr().out
    assert words.startswith(f"{len(told)} persons, {sum(person['faces'] for person in told)} faces")
    assert main(["show", str(faces)]) == 0
    assert f"persons   {len(told)}" in capsys.readouterr().out


def test_grouping_that_does_not_fit_is_refused_and_changes_nothing(faces: Path) -> None:
    before = read_persons(faces)
    with pytest.raises(BudgetError) as refusal:
        group(faces, memory="1MiB")
    assert read_persons(faces) == before
    needed = refusal.value.needed_bytes
    assert needed > refusal.value.budget_bytes == MIB
    assert group(faces, memory=needed + 8 * MIB) == group(faces)
