import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clips import write_clip
from faceloom.api import extract, stream
from faceloom.errors import MediaError, RequestError
from faceloom.media.video_index import index_video
from faceloom.options.stages import FlowOptions
from jobs import exported

Line = dict[str, Any]


@pytest.mark.parametrize(
    "options",
    [
        {"every": 0},
        {"max_faces": 0},
        {"start": "5", "end": "5"},
        {"start": "9f", "end": "3f"},
        {"min_size": 50, "max_size": "40"},
        {"min_size": float("nan")},
        {"max_size": -3},
        {"start": "soon"},
    ],
)
def test_what_nothing_can_meet_is_refused(options: FlowOptions, samples: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError):
        extract(samples / "portrait.png", tmp_path / "out", **options)


@pytest.fixture(scope="module")
def media(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nested folders, with a picture whose name is there twice."""
    folder = tmp_path_factory.mktemp("media")
    for place in ("", "day/noon", "night"):
        (folder / place).mkdir(parents=True, exist_ok=True)
        shutil.copy(samples / "crowd.jpg", folder / place)
    shutil.copy(samples / "clip.mp4", folder / "night")
    return folder


@pytest.fixture(scope="module")
def everything(media: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Line]:
    """Each face of the media without any choice."""
    out = tmp_path_factory.mktemp("everything") / "out"
    extract(media, out, chips=False, mask=[])
    return lines(out)


def lines(out: Path) -> list[Line]:
    return [json.loads(line) for line in exported(out).splitlines()]


def chosen(everything: list[Line], keep: Callable[[Line], bool], most: int | None = None) -> list[Line]:
    """The lines of the faces that are kept, numbered anew in each frame."""
    kept: list[Line] = []
    numbers: dict[tuple[str, int], int] = {}
    for line in everything:
        frame = line["source"], line["frame"]
        if keep(line) and (most is None or numbers.get(frame, 0) < most):
            kept.append({**line, "index": numbers.get(frame, 0)})
            numbers[frame] = numbers.get(frame, 0) + 1
    return kept


def side(line: Line) -> float:
    x0, y0, x1, y1 = line["box"]
    return float(max(x1 - x0, y1 - y0))


CASES: dict[str, tuple[FlowOptions, Callable[[list[Line]], list[Line]]]] = {
    "every": (
        {"every": 7},
        lambda all_: chosen(all_, lambda line: line["time_s"] is None or line["frame"] % 7 == 0),
    ),
    "times": (
        {"start": "0.5", "end": "0:01.5"},
        lambda all_: chosen(all_, lambda line: line["time_s"] is None or 0.5 <= line["time_s"] < 1.5),
    ),
    "frames": (
        {"start": "31f", "end": "45f", "every": 4},
        lambda all_: chosen(all_, lambda line: line["time_s"] is None or line["frame"] in range(31, 45, 4)),
    ),
    "sizes": (
        {"min_size": "12%", "max_size": 130},
        lambda all_: chosen(all_, lambda line: side(line) >= 0.12 * SHORTER[line["source"][-3:]] and side(line) <= 130),
    ),
    "best": ({"max_faces": 2}, lambda all_: chosen(all_, lambda line: True, most=2)),
}
SHORTER: dict[str, int] = {}


@pytest.mark.parametrize("name", CASES)
def test_what_is_chosen_is_found_as_if_all_were(name: str, media: Path, everything: list[Line], tmp_path: Path) -> None:
    for frame in stream([media / "crowd.jpg", media / "night/clip.mp4"], align=None, end="1f"):
        SHORTER[frame.id.source[-3:]] = min(frame.image.shape[:2])
    options, expected = CASES[name]
    options = {**options, "mask": []}
    summary = extract(media, tmp_path / "out", chips=False, **options)
    kept = expected(everything)
    assert lines(tmp_path / "out") == kept
    assert 0 < summary.faces == len(kept) < len(everything)
    again = extract(media, tmp_path / "out", chips=False, **options)
    assert (again.skipped, again.outcome) == (summary.frames, "done")


def test_several_inputs_may_hold_the_same_names(media: Path, everything: list[Line], tmp_path: Path) -> None:
    """Inputs one by one, one of them inside another: every file once, under a name of its own."""
    extract([media / "day", media / "crowd.jpg", media / "night"], tmp_path / "out", mask=[], chips=False)
    assert sorted(line["box"] for line in lines(tmp_path / "out")) == sorted(line["box"] for line in everything)
    assert len({line["source"] for line in lines(tmp_path / "out")}) == 4


def test_a_folder_is_held_to_its_excerpt(samples: Path, tmp_path: Path) -> None:
    extract(samples / "clip.mp4", tmp_path / "out", every=40, align=None)
    with pytest.raises(RequestError, match="every"):
        extract(samples / "clip.mp4", tmp_path / "out", every=20, align=None)


def test_a_video_that_ends_before_the_start_has_no_frame(samples: Path, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="--start"):
        extract(samples / "clip.mp4", tmp_path / "out", start="1:00", align=None)
    both = [samples / "clip.mp4", samples / "portrait.png"]
    assert extract(both, tmp_path / "both", start="1:00", align=None).frames == 1


@pytest.fixture(scope="module")
def cut_off(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip that states three seconds, with frames of the first second or two."""
    path = tmp_path_factory.mktemp("cut") / "cut.mkv"
    content = write_clip(path, range(0, 270_000, 3600)).read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return path


@pytest.mark.parametrize(
    ("options", "says_so"),
    [
        ({"every": 1}, True),
        ({"every": 7}, True),
        ({"every": 1000}, True),
        ({"end": "2.9"}, True),
        ({"end": "3f"}, False),
    ],
)
def test_the_last_wanted_frame_says_that_the_others_are_cut_off(
    options: FlowOptions, says_so: bool, cut_off: Path, tmp_path: Path
) -> None:
    options = {**options, "align": None}
    extract(cut_off, tmp_path / "out", **options)
    reasons = [json.loads(line)["reason"] for line in exported(tmp_path / "out", frames=True).splitlines()]
    assert reasons[:-1] == [None] * (len(reasons) - 1)
    assert reasons[-1] == (index_video(cut_off).problem if says_so else None)


def test_a_video_that_is_cut_off_before_the_start_fails(cut_off: Path, samples: Path, tmp_path: Path) -> None:
    summary = extract([cut_off, samples / "portrait.png"], tmp_path / "out", start="2.8", align=None)
    assert (summary.frames, summary.failed) == (2, 1)
    again = extract([cut_off, samples / "portrait.png"], tmp_path / "out", start="2.8", align=None)
    assert (again.frames, again.failed) == (2, 1)
