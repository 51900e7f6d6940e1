"""Where chips come from, told from the result folder and from the files alone, on the samples."""

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import faceloom
from faceloom.cli.main import main
from faceloom.errors import MediaError, RequestError
from faceloom.store.reading import read_faces

pytestmark = pytest.mark.slow
FORMATS = ("jpg", "png", "webp")


@pytest.fixture(scope="module", params=FORMATS)
def out(request: pytest.FixtureRequest, samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("origins")
    (folder / "in").mkdir()
    for name in ("portrait.png", "clip.mp4"):
        shutil.copy(samples / name, folder / "in" / name)
    shutil.copy(samples / "portrait.png", folder / "in" / "Jörg ☃.png")
    faceloom.extract(folder / "in", folder / "out", size=64, format=request.param, mask=())
    return folder / "out"


def told(capsys: pytest.CaptureFixture[str], *arguments: str | Path, code: int = 0) -> list[dict[str, Any]]:
    assert main(["where", *map(str, arguments), "--json"]) == code
    chips: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["chips"]
    return chips


def test_every_chip_is_found_again_in_its_folder_and_away_from_it(out: Path, tmp_path: Path) -> None:
    faces = list(read_faces(out))
    assert len(faces) > 70
    for number, (face, time) in enumerate(faces):
        assert face.chip is not None
        away = tmp_path / f"{number}"
        shutil.copy(out / face.chip, away)
        for origin in (faceloom.where(out / face.chip), faceloom.where(away)):
            assert (origin.source, origin.frame, origin.index) == (face.frame.source, face.frame.index, face.index)
            assert origin.time_s == (None if time is None else float(time))
            np.testing.assert_allclose(origin.box, face.box, atol=1e-3)
        assert faceloom.where(out / face.chip).path == out.parent / "in" / face.frame.source


def test_the_command_names_source_frame_and_time(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    face, time = next((face, time) for face, time in read_faces(out) if face.frame.index == 12)
    assert face.chip is not None
    assert time is not None
    assert main(["where", str(out / face.chip)]) == 0
    text = capsys.readouterr().out
    assert str(out.parent / "in" / "clip.mp4") in text
    milliseconds = round(1000 * float(time))
    assert f"12 at 0:00:{milliseconds // 1000:02}.{milliseconds % 1000:03}, face {face.index}" in text


def test_a_folder_that_was_moved_is_still_known(
    out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(out, tmp_path / "moved")
    monkeypatch.chdir(tmp_path / "moved" / "chips" / "clip.mp4")
    (one,) = told(capsys, next(Path().iterdir()))
    assert (one["folder"], one["exists"]) == (str(tmp_path / "moved"), True)


def test_a_source_that_is_gone_is_said_to_be(out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chip = next((out / "chips" / "portrait.png").iterdir())
    source = out.parent / "in" / "portrait.png"
    source.rename(tmp_path / "portrait.png")
    try:
        (one,) = told(capsys, chip)
        assert not one["exists"]
        assert main(["where", str(chip)]) == 0
        assert "no longer" in capsys.readouterr().out
        with pytest.raises(MediaError):
            faceloom.api.draw_origin(faceloom.where(chip), tmp_path / "frame.png")
    finally:
        (tmp_path / "portrait.png").rename(source)


def test_files_that_are_no_chips_cost_no_others(
    out: Path, samples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chip = next((out / "chips" / "portrait.png").iterdir())
    assert len(told(capsys, samples / "crowd.jpg", chip, tmp_path / "nothing.jpg", code=1)) == 1
    assert told(capsys, samples / "crowd.jpg", code=4) == []
    # Among the chips, and not in the store.
    strange = chip.with_name("strange.jpg")
    shutil.copy(samples / "crowd.jpg", strange)
    with pytest.raises(MediaError):
        faceloom.where(strange)
    strange.unlink()


def test_the_frame_of_a_chip_is_drawn(out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    face, _ = next(told for told in read_faces(out) if told[0].frame.index == 12)
    assert face.chip is not None
    target = tmp_path / "frame.png"
    assert main(["where", str(out / face.chip), "--out", str(target)]) == 0
    drawn = cv2.imread(str(target))
    reader = cv2.VideoCapture(str(out.parent / "in" / "clip.mp4"))
    for _ in range(13):
        _, frame = reader.read()
    assert drawn is not None
    # The box's upper edge is green; far from the face is the frame as it was, as another decoder reads it.
    x0, y0, x1, _ = np.rint(face.box).astype(int)
    assert (drawn[y0, (x0 + x1) // 2] == (0, 255, 0)).all()
    different = np.abs(drawn.astype(int) - frame).max(axis=2) > 16
    rows, columns = np.nonzero(different)
    assert rows.min() > face.box[1] - 40
    assert rows.max() < face.box[3] + 40
    assert columns.min() > face.box[0] - 40
    assert columns.max() < face.box[2] + 80
    for wrong in (target, tmp_path / "frame.gif", tmp_path / "no" / "frame.png"):
        assert main(["where", str(out / face.chip), "--out", str(wrong)]) == 2
    shutil.copy(out / face.chip, tmp_path / "away")
    with pytest.raises(RequestError):
        faceloom.api.draw_origin(faceloom.where(tmp_path / "away"), tmp_path / "other.png")
