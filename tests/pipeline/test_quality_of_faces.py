from pathlib import Path

import cv2
import numpy as np
import pytest

import faceloom
from faceloom.api import extract
from faceloom.cli.main import main
from faceloom.faces import Image
from faceloom.results.results import Results
from plugins import picture


@pytest.fixture
def portrait(samples: Path) -> Image:
    return picture(samples / "portrait.png")


def quality_of(image: Image, **options: object) -> float:
    (frame,) = faceloom.stream([image], mask=(), **options)  # type: ignore[arg-type]
    best = max(frame.faces, key=lambda face: face.score)
    assert best.quality is not None
    return best.quality


def test_a_good_portrait_is_good_and_each_blur_of_it_is_worse(portrait: Image) -> None:
    blurs = [portrait, *(np.asarray(cv2.GaussianBlur(portrait, (0, 0), by), np.uint8) for by in (3, 6, 10))]
    values = [quality_of(image) for image in blurs]
    assert values[0] > 0.8
    assert values == sorted(values, reverse=True)
    assert values[-1] < 0.6 * values[0]


def test_a_face_that_is_covered_by_half_is_worse(portrait: Image) -> None:
    (frame,) = faceloom.stream([portrait], mask=())
    landmarks = frame.faces[0].landmarks
    assert landmarks is not None
    covered = portrait.copy()
    covered[:, : int(landmarks[30, 0])] = 128
    assert quality_of(covered, min_score=0.2) < quality_of(portrait) - 0.05


def test_a_crop_of_chips_changes_no_quality(portrait: Image) -> None:
    assert quality_of(portrait) == quality_of(portrait, crop="whole") == quality_of(portrait, crop="face")


def test_without_landmarks_there_is_no_quality(portrait: Image) -> None:
    (frame,) = faceloom.stream([portrait], align="none")
    assert [face.quality for face in frame.faces] == [None]


def test_results_are_asked_for_by_quality_and_a_filter_marks_what_is_below(samples: Path, tmp_path: Path) -> None:
    extract(samples / "crowd.jpg", tmp_path / "all", size=64)
    with Results(tmp_path / "all") as results:
        qualities = [face.quality for face in results.faces()]
        assert all(value is not None and 0 <= value <= 1 for value in qualities)
        limit = float(np.median([value or 0 for value in qualities]))
        good = [face.index for face in results.faces(min_quality=limit)]
    assert 0 < len(good) < len(qualities)
    extract(samples / "crowd.jpg", tmp_path / "some", size=64, filter=[f"quality={limit!r}"])
    with Results(tmp_path / "some") as results:
        assert [face.index for face in results.faces()] == good
        rejected = [face.rejected or "" for face in results.faces(rejected=True) if face.rejected]
    assert all(reason.startswith("quality: ") for reason in rejected)


def test_a_quality_is_a_share(samples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["extract", str(samples / "portrait.png"), "--out", str(tmp_path / "out"), "--filter", "quality=1.5"]
    assert main(command) == 2
    assert "quality" in capsys.readouterr().err
