"""Corrections through real runs: the same command again, other chips, more stages, other detectors."""

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from faceloom.api import derive, extend, extract
from faceloom.correcting import corrections
from faceloom.errors import RequestError
from faceloom.events import NOT_CARRIED, Event, Notice
from faceloom.remaking import remake
from faceloom.results.exporting import export
from faceloom.results.results import open as open_results
from faceloom.store.checking import check
from identify_stand_ins import write_sface
from jobs import files_below

PICTURE = "portrait.png"


@pytest.fixture(scope="module")
def once(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture of one face and one of many, and what was found in them."""
    folder = tmp_path_factory.mktemp("corrected")
    (folder / "in").mkdir()
    for name in (PICTURE, "crowd.jpg"):
        shutil.copy(samples / name, folder / "in" / name)
    extract(folder / "in", folder / "out", size=64, mask=["components"])
    return folder


@pytest.fixture
def made(once: Path, tmp_path: Path) -> Path:
    """A folder with a copy of what was found, in files that lie where they were."""
    shutil.copytree(once / "out", tmp_path / "out")
    (tmp_path / "in").symlink_to(once / "in")
    return tmp_path


def test_corrections_survive_the_same_command_and_it_cuts_the_chips_that_they_change(made: Path) -> None:
    out = made / "out"
    found, chips = export(out), files_below(out)
    with open_results(out) as results:
        face = next(iter(results.faces(source=PICTURE)))
        assert face.landmarks is not None
        assert face.chip is not None
        said = corrections(out)
        said.reject("crowd.jpg#0/0")
        said.move_landmarks(face, face.landmarks + np.float32(20))
        corrected = export(out)
        extract(made / "in", out, size=64, mask=["components"])
        ours = [
            one for one, other in zip(export(out).splitlines(), corrected.splitlines(), strict=True) if one != other
        ]
        assert [json.loads(line)["source"] for line in ours] == [PICTURE], "its sharpness and quality are made anew"
        assert np.allclose(json.loads(ours[0])["landmarks"], face.landmarks + np.float32(20), atol=1e-3)
        assert export(out, raw=True) == found
        now = files_below(out)
        assert {name for name in now if now[name] != chips[name]} == {face.chip}
        assert not check(out).flaws
        derive(out, made / "other", size=64)
        assert files_below(made / "other")[face.chip] == now[face.chip]
        assert "chips/crowd.jpg/000000_0.jpg" not in files_below(made / "other")
    said.undo(2)
    extract(made / "in", out, size=64, mask=["components"])
    assert files_below(out) == chips
    derive(out, made / "other", size=64)
    assert files_below(made / "other")[face.chip] == chips[face.chip], "a derived folder follows"
    derive(out, made / "raw", size=64, raw=True)
    assert files_below(made / "raw") == chips


def test_corrections_survive_stages_that_are_added(made: Path) -> None:
    out = made / "out"
    said = corrections(out)
    said.assign([f"crowd.jpg#0/{index}" for index in range(4)], "Ann")
    said.restore("crowd.jpg#0/5")
    extend(out, mask=["extended"])
    with open_results(out) as results:
        faces = list(results.faces(person="Ann"))
        assert [str(face) for face in faces] == [f"crowd.jpg#0 face {index}" for index in range(4)]
        assert all(set(face.masks) == {"components", "extended"} for face in faces)
    assert len(said) == 2


def test_corrections_are_carried_to_what_another_detector_finds(made: Path) -> None:
    out, other = made / "out", made / "other"
    with open_results(out) as results:
        count = len(results)
    said = corrections(out)
    said.assign([f"crowd.jpg#0/{index}" for index in range(count - 1)], "Ann")
    said.reject(f"{PICTURE}#0/0")
    said.undo()
    with pytest.raises(RequestError, match="another folder"):
        extract(made / "in", out, size=64, mask=["components"], corrections=out)
    heard: list[Event] = []
    for _ in range(2):
        extract(made / "in", other, size=64, detect="centerface", corrections=out, on_event=heard.append)
    with open_results(other) as results:
        carried = len(list(results.faces(person="Ann")))
        assert carried >= 0.9 * (count - 1)
        assert len(list(results.faces(source=PICTURE))) == 1
    lost = [event.text for event in heard if isinstance(event, Notice) and event.kind == NOT_CARRIED]
    assert len(lost) == count - 1 - carried, "told once, face by face"
    assert [one.is_undone for one in corrections(other)] == [False, True]


def test_a_face_that_is_added_is_what_a_run_makes_of_its_box(made: Path, tmp_path: Path) -> None:
    out, box = made / "out", [40.0, 30.0, 130.5, 150.25]
    said = corrections(out)
    said.reject(f"{PICTURE}#0/0")
    added = said.add(PICTURE, box)
    place = str(added.faces[0])
    known = {"source": PICTURE, "frame": 0, "index": 1, "box": box, "score": 1.0}
    (tmp_path / "known.jsonl").write_text(json.dumps(known))
    told = {"detect": "import", "from_": tmp_path / "known.jsonl", "size": 64, "mask": ["components"]}
    weights = {"identify/sface": write_sface(tmp_path / "sface.onnx")}
    assert remake(out).faces == 1
    assert "embedding" not in line_of(out, place)
    extend(out, identify="sface", weights=weights)
    extract(made / "in", out, size=64, mask=["components"], identify="sface", weights=weights)
    told |= {"identify": "sface", "weights": weights}
    extract(made / "in" / PICTURE, tmp_path / "whole", **told)  # type: ignore[arg-type]
    assert line_of(out, place) == {**line_of(tmp_path / "whole", place), "added_by": added.uid}
    chip = line_of(out, place)["chip"]
    assert np.array_equal(pixels_of(out / chip), pixels_of(tmp_path / "whole" / chip))
    assert not check(out).flaws
    extract(made / "in", made / "third", size=64, mask=["components"], corrections=out)
    without = {name: value for name, value in line_of(out, place).items() if name != "embedding"}
    assert line_of(made / "third", place) == without, "carried to a new folder, it is made there by the same run"


def pixels_of(chip: Path) -> NDArray[np.uint8]:
    return np.asarray(cv2.imread(str(chip)), np.uint8)


def line_of(folder: Path, place: str) -> dict[str, Any]:
    """A face as exports tell it."""
    lines = map(json.loads, export(folder).splitlines())
    return next(line for line in lines if f"{line['source']}#{line['frame']}/{line['index']}" == place)
