"""Stages that are added to a result whose sources are gone: chips take their place."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faceloom.api import extend, extract
from faceloom.events import FROM_CHIPS, SOURCE_CHANGED, Event, Notice
from faceloom.results.faces import ResultFace
from faceloom.results.results import open as open_results
from faceloom.store.database import connect

FLOW: dict[str, Any] = {"format": "png", "size": 256, "mask_size": 256, "every": 40}


@pytest.fixture
def media(samples: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "media"
    folder.mkdir()
    for name in ("portrait.png", "clip.mp4"):
        shutil.copy(samples / name, folder)
    return folder


def faces_of(folder: Path) -> dict[Any, ResultFace]:
    with open_results(folder) as results:
        return {(face.frame, face.index): face for face in results.faces()}


def overlap(one: Any, other: Any) -> float:
    a, b = np.asarray(one) > 127, np.asarray(other) > 127
    return float((a & b).sum() / (a | b).sum())


@pytest.mark.parametrize("look", [{}, {"level": False, "crop": "whole"}])
def test_what_is_added_from_chips_is_near_to_what_the_frames_would_have_given(
    look: dict[str, Any], media: Path, tmp_path: Path
) -> None:
    extract(media, tmp_path / "out", **FLOW, **look)
    extract(media, tmp_path / "whole", **FLOW, **look, mask=["components", "extended", "unet"], identify="dlib")
    (media / "clip.mp4").unlink()
    heard: list[Event] = []
    summary = extend(tmp_path / "out", mask=["unet"], identify="dlib", on_event=heard.append)
    assert (summary.failed, summary.outcome) == (0, "done")
    (said,) = [event for event in heard if isinstance(event, Notice) and event.kind == FROM_CHIPS]
    assert "clip.mp4" in said.text
    added, whole = faces_of(tmp_path / "out"), faces_of(tmp_path / "whole")
    assert added.keys() == whole.keys()
    for key, face in whole.items():
        np.testing.assert_array_equal(added[key].landmarks, face.landmarks)  # in pixels of the frame, as they were
        np.testing.assert_array_equal(added[key].box, face.box)
        least = 0.99 if key[0].source == "portrait.png" else 0.9
        assert overlap(added[key].masks["unet"], face.masks["unet"]) >= least
        assert np.dot(np.asarray(face.embedding), np.asarray(added[key].embedding)) > 0.97
    with connect(tmp_path / "out", read_only=True) as db:
        assert db.execute("SELECT count(*) FROM event WHERE kind = ?", (FROM_CHIPS,)).fetchone() == (1,)


def test_where_there_are_no_chips_a_source_that_is_gone_fails_as_before(media: Path, tmp_path: Path) -> None:
    extract(media, tmp_path / "out", **FLOW, chips=False)
    (media / "portrait.png").unlink()
    heard: list[Event] = []
    summary = extend(tmp_path / "out", mask=["unet"], on_event=heard.append)
    assert [event.kind for event in heard if isinstance(event, Notice)] == [SOURCE_CHANGED]
    assert summary.failed == 1


def test_a_chip_that_is_gone_too_fails_its_frame_and_a_changed_source_is_not_replaced(
    media: Path, tmp_path: Path
) -> None:
    extract(media, tmp_path / "out", **FLOW)
    (media / "portrait.png").write_bytes(b"another")
    (media / "clip.mp4").unlink()
    lost = sorted((tmp_path / "out" / "chips" / "clip.mp4").glob("*"))[0]
    lost.unlink()
    heard: list[Event] = []
    summary = extend(tmp_path / "out", mask=["unet"], on_event=heard.append)
    assert {event.kind for event in heard if isinstance(event, Notice)} == {SOURCE_CHANGED, FROM_CHIPS}
    assert summary.failed == 2
    assert any("is gone" in reason and "chip" in reason for reason in summary.failures)
