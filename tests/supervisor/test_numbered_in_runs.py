"""Numbered pictures as one video, from finding faces to a film without them."""

import json
import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from PIL import Image as PillowImage

import faceloom
from faceloom.errors import RequestError
from jobs import exported, files_below

FRAMES, MISSING, DAMAGED = 8, 3, 6
TOLD: dict[str, Any] = {"size": 64, "fps": 24, "mask": "extended"}


@pytest.fixture(scope="module")
def pattern(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Frames of the samples' clip: one is missing, one damaged, and one smaller than the others."""
    folder = tmp_path_factory.mktemp("numbered")
    with av.open(str(samples / "clip.mp4")) as clip:
        for number, frame in zip(range(FRAMES), clip.decode(video=0), strict=False):
            picture = PillowImage.fromarray(frame.to_ndarray(format="rgb24"))
            if number == FRAMES - 1:
                picture = picture.resize((picture.width // 2, picture.height // 2), PillowImage.Resampling.BOX)
            picture.save(folder / f"shot_{number:04d}.png")
    (folder / f"shot_{MISSING:04d}.png").unlink()
    (folder / f"shot_{DAMAGED:04d}.png").write_bytes(b"no picture")
    return folder / "shot_%04d.png"


@pytest.fixture(scope="module")
def found(pattern: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("found") / "out"
    faceloom.extract(pattern, out, track=True, **TOLD)
    return out


def frames_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in exported(folder, frames=True).splitlines()]


def test_they_are_frames_of_one_source_with_times_by_their_numbers(found: Path) -> None:
    told = frames_of(found)
    assert {one["source"] for one in told} == {"shot_%04d.png"}
    numbers = [number for number in range(FRAMES) if number != MISSING]
    assert [one["time_s"] for one in told] == [number / 24 for number in numbers]
    assert [one["status"] for one in told] == ["done"] * 5 + ["failed", "done"]
    assert "shot_0006.png" in told[-2]["reason"]
    assert "missing: 3" in told[-1]["reason"]
    assert told[0]["width"] == 2 * told[-1]["width"]


def test_faces_are_in_tracks_as_those_of_other_videos(found: Path) -> None:
    with faceloom.open(found) as results:
        faces = sorted(track.faces for track in results.tracks())
    assert faces[-1] >= 5  # over the number that is missing


def test_results_are_the_same_under_another_plan(pattern: Path, found: Path, tmp_path: Path) -> None:
    faceloom.extract(pattern, tmp_path / "out", track=True, **TOLD, passes="separate", threads=1)
    assert exported(tmp_path / "out") == exported(found)
    assert files_below(tmp_path / "out") == files_below(found)


def test_a_folder_is_held_to_the_rate(pattern: Path, found: Path) -> None:
    with pytest.raises(RequestError, match="fps"):
        faceloom.extract(pattern, found, **{**TOLD, "fps": 25})


def test_what_changes_among_them_is_done_anew_and_nothing_otherwise(pattern: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(pattern.parent, tmp_path / "copy"))
    told: dict[str, Any] = {"align": None, "detect_size": 320}
    faceloom.extract(folder / pattern.name, tmp_path / "out", **told)
    assert faceloom.extract(folder / pattern.name, tmp_path / "out", **told).skipped == FRAMES - 1
    (folder / "shot_0001.png").unlink()
    again = faceloom.extract(folder / pattern.name, tmp_path / "out", **told)
    assert (again.skipped, again.frames) == (0, FRAMES - 2)


def test_no_such_pictures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="no file"):
        faceloom.extract(tmp_path / "a_%04d.png", tmp_path / "out")


def test_a_film_without_faces_is_made_of_them(pattern: Path, tmp_path: Path) -> None:
    summary = faceloom.redact(pattern, tmp_path / "out", fps=24, proof=("yunet",))
    assert summary.found == 0
    (item,) = summary.items
    assert item.redacted.lost == (DAMAGED - 1,)
    assert any("missing: 3" in note for note in item.redacted.notes)
    with av.open(str(tmp_path / "out" / "redacted" / "shot_%04d.png.mp4")) as film:
        stream = film.streams.video[0]
        times = [Fraction(frame.pts or 0) * Fraction(stream.time_base or 0) for frame in film.decode(stream)]
    assert times == [Fraction(number, 24) for number in range(FRAMES) if number not in {MISSING, DAMAGED}]
