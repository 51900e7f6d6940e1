import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from faceloom.api import derive, extract
from faceloom.cli.main import main
from faceloom.correcting import corrections
from faceloom.errors import RequestError
from faceloom.finding import find
from faceloom.grouping import group
from faceloom.results.results import open as open_results
from faceloom.store.reading import read_faces
from identify_stand_ins import write_sface
from store.made_results import CONFIG, write_media, write_result

PEOPLE = ("Tony_Blair", "Hugo_Chavez", "Colin_Powell")


def portrait(shared: Path, person: str, number: int) -> Path:
    return shared / f"lfw_subset_krasserm/images/{person}/{person}_{number:04}.jpg"


@pytest.fixture(scope="module")
def weights(shared: Path) -> dict[str, Path]:
    return {"identify/arcface": shared.parent / "weights/fr_feature.onnx"}


@pytest.fixture(scope="module")
def made(shared: Path, weights: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A grouped result folder of three people, two pictures each."""
    folder = tmp_path_factory.mktemp("finding")
    (folder / "pictures").mkdir()
    for person in PEOPLE:
        for number in range(1, 3):
            shutil.copy(portrait(shared, person, number), folder / "pictures")
    extract(folder / "pictures", folder / "out", size=64, mask=[], identify="arcface", weights=weights)
    group(folder / "out")
    said = corrections(folder / "out")
    with open_results(folder / "out") as results:
        faces = {face.frame.source.rpartition("_")[0]: face.person for face in results if face.index == 0}
    for person, found in faces.items():
        assert found
        said.name(found, person)
    return folder / "out"


@pytest.fixture(scope="module")
def blair(shared: Path) -> Path:
    """A picture of somebody who is in the folder, on which nobody else is."""
    return portrait(shared, "Tony_Blair", 6).resolve()


def test_find_ranks_who_it_is_in_several_folders(
    made: Path, blair: Path, weights: dict[str, Path], shared: Path, tmp_path: Path
) -> None:
    stranger, other = portrait(shared, "Ariel_Sharon", 1).resolve(), Path(shutil.copytree(made, tmp_path / "other"))
    found = find([blair, stranger], [made, other], weights=weights, most=4)
    first = found.faces[0]
    assert first.picture == str(blair)
    assert first.person == "Tony_Blair"
    assert [(one.person, one.folder) for one in first.persons[:2]] == [
        ("Tony_Blair", str(made)),
        ("Tony_Blair", str(other)),
    ]
    assert [face.person for face in first.faces] == ["Tony_Blair"] * 4
    assert [face.folder for face in first.faces] == [str(made), str(other)] * 2
    scores = [face.score for face in first.faces]
    assert scores == sorted(scores, reverse=True)
    assert first.persons[0].score == pytest.approx(np.mean(scores), abs=1e-3)
    assert {face.source for face in first.faces} == {"Tony_Blair_0001.jpg", "Tony_Blair_0002.jpg"}
    assert all(face.chip and Path(face.chip).is_file() for face in first.faces)
    assert all(face.person is None for face in found.faces if face.picture == str(stranger))
    assert found.searched == 2 * len(list(read_faces(made)))
    assert found.to_json()["faces"][0]["person"] == "Tony_Blair"


def test_the_command_prints_who_it_is_and_what_shows_nobody(
    made: Path, blair: Path, weights: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cv2.imwrite(str(tmp_path / "wall.png"), np.full((80, 80, 3), 128, np.uint8))
    told = [f"--weights=identify/arcface={weights['identify/arcface']}", f"--in={made}", "--most=1"]
    assert main(["find", str(blair), str(tmp_path / "wall.png"), *told]) == 1
    answer = capsys.readouterr()
    words = answer.out.splitlines()
    assert words[0].startswith(f"{blair}, ")
    assert words[0].endswith(": Tony_Blair")
    assert words[-1] == f"compared with {len(list(read_faces(made)))} faces"
    assert answer.err.endswith("wall.png: no face is found\n")


def test_a_folder_without_embeddings_names_the_command_that_adds_them(blair: Path, tmp_path: Path) -> None:
    stages = {name: told for name, told in CONFIG["stages"].items() if not name.startswith("identify/")}
    write_result(write_media(tmp_path / "in"), tmp_path / "out", config={**CONFIG, "stages": stages})
    with pytest.raises(RequestError, match=f"faceloom extend {tmp_path / 'out'} --identify dlib"):
        find(blair, tmp_path / "out")
    with pytest.raises(RequestError, match="--identify dlib"):
        derive(tmp_path / "out", tmp_path / "like", like=blair)


def test_other_weights_and_other_identifiers_are_refused(
    made: Path, blair: Path, weights: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(RequestError, match="--weights identify/arcface=FILE"):
        find(blair, made)
    write_result(write_media(tmp_path / "in"), tmp_path / "out")
    with pytest.raises(RequestError, match="other weights, of sha256 cccccccccccc"):
        find(blair, tmp_path / "out", weights={"identify/sface": write_sface(tmp_path / "sface.onnx")})
    with pytest.raises(RequestError, match="different identifiers"):
        find(blair, [made, tmp_path / "out"], weights=weights)


@pytest.mark.parametrize(
    ("person", "number", "code"), [("Tony_Blair", 3, 0), ("Hugo_Chavez", 2, 1)], ids=["one person", "two people"]
)
def test_verify_says_whether_two_pictures_show_one_person(
    shared: Path,
    blair: Path,
    weights: dict[str, Path],
    person: str,
    number: int,
    code: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    other = portrait(shared, person, number)
    told = ["--identify=arcface", f"--weights=identify/arcface={weights['identify/arcface']}", "--json"]
    assert main(["verify", str(blair), str(other), *told]) == code
    answer = json.loads(capsys.readouterr().out)
    assert answer["same"] == (code == 0) == (answer["score"] >= answer["threshold"])
    assert answer["identifier"] == "identify/arcface"


def test_derive_keeps_the_faces_of_somebody(made: Path, blair: Path, weights: dict[str, Path], tmp_path: Path) -> None:
    derive(made, tmp_path / "like", like=blair, weights=weights)
    like = {(str(face.frame), face.index) for face, _ in read_faces(tmp_path / "like")}
    everybody = {(str(face.frame), face.index): face for face, _ in read_faces(made)}
    assert like == {place for place, face in everybody.items() if face.person == "Tony_Blair"}
    with open_results(tmp_path / "like") as results:
        assert {str(face.chip) for face in results} == {
            str(path.relative_to(tmp_path / "like"))
            for path in (tmp_path / "like/chips").rglob("*.jpg")
            if path.is_file()
        }
        others = [face for face in results.faces(rejected=True) if face.rejected]
    assert others
    assert all(str(face.rejected).startswith(f"not like {blair.name}: cosine ") for face in others)
    with pytest.raises(RequestError, match="people"):
        derive(made, tmp_path / "like")
