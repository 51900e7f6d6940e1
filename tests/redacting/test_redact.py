"""Redaction from end to end, with networks, on small pictures and a short clip."""

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import faceloom
import faceloom.redacting.redact
from clips import write_clip
from faceloom.cli.main import main
from faceloom.errors import RequestError
from faceloom.faces import Image
from faceloom.options.calls import RedactOptions
from faceloom.options.declared import declared
from faceloom.redacting.redact import redact
from faceloom.redacting.summary import StillFound
from faceloom.samples import PORTRAIT_BOX

MEMORY = "8GiB"
"""The process of the tests holds much, which counts; what redaction holds is looked at from outside."""
LEFT = 60
"""Of the portrait's part in the pictures."""


@pytest.fixture(scope="module")
def portrait(samples: Path) -> Image:
    return np.asarray(cv2.imread(str(samples / "portrait.png"), cv2.IMREAD_COLOR_RGB), np.uint8)[:320, LEFT:380]


@pytest.fixture(scope="module")
def inputs(portrait: Image, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture of a face, a clip in which it moves, a picture of nobody, and a file that is no picture."""
    folder = tmp_path_factory.mktemp("inputs")
    (folder / "below").mkdir()
    cv2.imwrite(str(folder / "below" / "portrait.png"), portrait[..., ::-1])
    frames = [np.ascontiguousarray(np.roll(portrait, 6 * i, axis=1)) for i in range(6)]
    write_clip(folder / "clip.mp4", [0, 3000, 6200, 9000, 20_000, 23_000], images=frames)
    cv2.imwrite(str(folder / "nobody.jpg"), np.full((64, 64, 3), 120, np.uint8))
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    return folder


@pytest.fixture(scope="module")
def made(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("redaction") / "out"
    assert main(["redact", str(inputs), "--out", str(out), "--memory", MEMORY, "--quiet", "--proof", "yunet"]) == 1
    return out


def told(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def picture(path: Path) -> Image:
    return np.asarray(cv2.imread(str(path), cv2.IMREAD_COLOR_RGB), np.uint8)


def test_every_file_is_written_in_its_place_and_a_broken_one_costs_itself(made: Path) -> None:
    files = {str(path.relative_to(made / "redacted")) for path in (made / "redacted").rglob("*") if path.is_file()}
    assert files == {"below/portrait.png", "clip.mp4", "nobody.jpg"}
    assert not list((made / "unproven").rglob("*.*"))


def test_the_face_is_covered_and_the_rest_is_what_it_was(made: Path, inputs: Path) -> None:
    before, after = (picture(folder / "below" / "portrait.png") for folder in (inputs, made / "redacted"))
    x0, y0, x1, y1 = map(round, PORTRAIT_BOX)
    face = np.s_[y0 + 10 : y1 - 5, x0 - LEFT + 10 : x1 - LEFT - 10]
    assert np.abs(before[face].astype(int) - after[face].astype(int)).mean() > 15
    assert cv2.Laplacian(after[face], cv2.CV_64F).std() < 0.3 * cv2.Laplacian(before[face], cv2.CV_64F).std()
    assert (after[260:] == before[260:]).all()


def test_the_report_tells_of_everything_and_shows_what_was_written_alone(made: Path) -> None:
    page = (made / "report.html").read_text()
    assert "yunet find no face in what was written" in page
    assert "broken.jpg" in page
    assert "script" not in page
    assert 'src="http' not in page


def test_the_same_command_again_writes_nothing_anew(
    made: Path, inputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in (made / "redacted").rglob("*") if path.is_file()}
    command = ["redact", str(inputs), "--out", str(made), "--memory", MEMORY, "--quiet", "--proof", "yunet", "--json"]
    assert main(command) == 1
    again = told(capsys)
    assert (again["skipped"], again["failed"], again["found"]) == (3, 1, 0)
    assert {path: path.stat().st_mtime_ns for path in (made / "redacted").rglob("*") if path.is_file()} == before


def test_other_options_in_the_same_folder_are_refused_with_the_difference(made: Path, inputs: Path) -> None:
    with pytest.raises(RequestError, match="with was 'blur' and is 'solid'"):
        redact(inputs, made, with_="solid", proof=["yunet"])


def test_a_folder_that_holds_something_else_is_left_alone(inputs: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(RequestError, match="no redaction made it"):
        redact(inputs, tmp_path)
    with pytest.raises(RequestError, match="holds the inputs"):
        redact(inputs, inputs)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_what_was_written_is_no_input_of_a_later_run_over_the_folder_above(made: Path) -> None:
    from faceloom.media.sources import find_sources

    assert not list(find_sources([made.parent]))


@pytest.fixture
def faces(made: Path, tmp_path: Path) -> Path:
    """A result folder of the inputs."""
    return Path(shutil.copytree(made / "faces", tmp_path / "faces"))


def one_face(folder: Path) -> faceloom.ResultFace:
    return next(iter(faceloom.open(folder).faces(source="below/portrait.png")))


def finds(patch: pytest.MonkeyPatch, folder: Path, *, times: int) -> list[int]:
    """Has the first looks at what was written find the face of the picture; how many files there were each time."""
    face = one_face(folder)
    x0, y0, x1, y1 = face.box.tolist()
    found = StillFound(frame=0, time_s=None, box=(x0, y0, x1, y1), score=0.5, detector="yunet")
    looks: list[int] = []

    def look(_written: Path, _proofs: Path, keys: Any, **_: Any) -> Any:
        looks.append(len(keys))
        return ({"below/portrait.png": [found]} if len(looks) <= times else {}), []

    patch.setattr(faceloom.redacting.redact, "look_at_written", look)
    return looks


def redacted(faces: Path, out: Path, **options: Any) -> dict[str, Any]:
    """What is told of the picture, and of all."""
    summary = redact(faces, out, memory=MEMORY, proof=["yunet"], with_="solid", over="box", **options).to_json()
    return {**summary, **next(item for item in summary["items"] if item["source"] == "below/portrait.png")}


def test_a_result_folder_is_covered_as_it_is_corrected(
    inputs: Path, faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The face is said to be none: it stays to be seen, and that a detector finds it again is no surprise."""
    finds(monkeypatch, faces, times=0)
    out = tmp_path / "out"
    first = redacted(faces, out)
    assert (first["faces"], first["kept"], first["found"]) == (1, 0, [])
    assert not picture(out / "redacted" / "below" / "portrait.png")[110:130, 150:170].any()
    faceloom.corrections(faces).reject(one_face(faces))
    (out / "unproven" / "below").mkdir(exist_ok=True)
    (out / "unproven" / "below" / "portrait.png").write_bytes(b"left by a kill")
    second = redacted(faces, out)
    assert (second["faces"], second["kept"], second["found"], second["skipped"]) == (0, 1, [], 2)
    original = picture(inputs / "below" / "portrait.png")
    assert (picture(out / "redacted" / "below" / "portrait.png") == original).all()


def test_a_face_that_is_to_be_seen_may_be_found_again(
    faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finds(monkeypatch, faces, times=9)
    faceloom.corrections(faces).reject(one_face(faces))
    told_of = redacted(faces, tmp_path / "out")
    assert (told_of["kept"], told_of["found"], told_of["rounds"]) == (1, [], [0])


def test_what_still_shows_a_face_is_written_again_and_looked_at_again(
    faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = finds(monkeypatch, faces, times=1)
    told_of = redacted(faces, tmp_path / "out")
    assert (told_of["rounds"], told_of["found"], looks) == ([1, 0], [], [3, 1])
    assert (tmp_path / "out" / "redacted" / "below" / "portrait.png").is_file()


def test_what_shows_a_face_to_the_end_is_not_among_what_is_done(
    faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = finds(monkeypatch, faces, times=9)
    told_of = redacted(faces, tmp_path / "out", rounds=1)
    assert (told_of["rounds"], len(told_of["found"]), looks) == ([1, 1], 1, [3, 1])
    assert (tmp_path / "out" / "unproven" / "below" / "portrait.png").is_file()
    assert sorted(path.name for path in (tmp_path / "out" / "redacted").rglob("*.*")) == ["clip.mp4", "nobody.jpg"]


def test_the_faces_of_one_person_or_of_all_but_one_are_covered(
    faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finds(monkeypatch, faces, times=0)
    faceloom.corrections(faces).assign(one_face(faces), "ann")
    only = redacted(faces, tmp_path / "only", only=["ann"])
    assert (only["faces"], only["kept"]) == (1, 0)
    others = redacted(faces, tmp_path / "others", except_=["ann"])
    assert (others["faces"], others["kept"]) == (0, 1)
    with pytest.raises(RequestError, match="there is no person 'bob'"):
        redacted(faces, tmp_path / "none", only=["bob"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"with_": "blurr"}, "there is no file 'blurr'"),
        ({"only": ["ann"]}, "persons have names in a result folder"),
        ({"proof": ["nosuch"]}, "nosuch"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_written(
    inputs: Path, tmp_path: Path, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(RequestError, match=words):
        redact(inputs, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


OF_FINDING = sorted({name for table in faceloom.redacting.redact._FINDING for name in declared(table)})


class AskedError(Exception):
    """In place of looking for faces."""


@pytest.mark.parametrize("name", OF_FINDING)
def test_options_of_finding_reach_it(name: str, inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def extract(*_: Any, **options: Any) -> None:
        raise AskedError(options[name])

    monkeypatch.setattr(faceloom.redacting.redact, "extract", extract)
    option = declared(RedactOptions)[name].option
    asked: dict[str, Any] = {name: (not option.default) if option.example is None else option.example}
    with pytest.raises(AskedError) as caught:
        redact(inputs, tmp_path / "out", **asked)
    assert caught.value.args == (declared(RedactOptions)[name].take(asked[name]),)
