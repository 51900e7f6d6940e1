import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clips import write_clip
from faceloom.api import extract, stream
from faceloom.errors import MediaError, RequestError
from faceloom.media.video_index import index_video
from faceloom.options.stages import FlowOptions
from faceloom.selection import Choice, Length, People, Reference, parse_length
from jobs import exported

Line = dict[str, Any]
lengths = st.none() | st.builds(Length, st.integers(0, 30), is_share=st.booleans())


@given(
    st.lists(st.tuples(st.integers(1, 60), st.integers(1, 60)), max_size=12),
    lengths,
    lengths,
    st.none() | st.integers(1, 12),
)
def test_the_best_of_the_right_size_are_kept(
    sides: list[tuple[int, int]], least: Length | None, greatest: Length | None, most: int | None
) -> None:
    boxes = np.array([[5, 7, 5 + width, 7 + height] for width, height in sides], np.float32).reshape(-1, 4)
    kept = Choice(min_size=least, max_size=greatest, max_faces=most).kept(boxes, height=300, width=200)
    px = [None if length is None else length.value * (2 if length.is_share else 1) for length in (least, greatest)]
    fits = [
        i
        for i, side in enumerate(max(pair) for pair in sides)
        if (px[0] is None or side >= px[0]) and (px[1] is None or side <= px[1])
    ]
    assert kept.tolist() == fits[:most]


def reference(name: str, *values: float) -> Reference:
    return Reference(name=name, embedding=np.array(values, np.float32))


SIXTY_DEGREES = np.array([0.5, 0.75**0.5], np.float32)
"""From (1, 0): the cosine is 0.5."""


def test_a_face_exactly_at_the_threshold_is_that_persons() -> None:
    ann = reference("ann.jpg", 1, 0)
    for threshold, is_ann in [(0.4999, True), (0.5, True), (0.5001, False)]:
        wanted = People(like=[ann], unlike=[], threshold=threshold).objection(SIXTY_DEGREES)
        unwanted = People(like=[], unlike=[ann], threshold=threshold).objection(SIXTY_DEGREES)
        assert (wanted is None, unwanted is not None) == (is_ann, is_ann), threshold


def test_the_nearest_reference_decides_and_is_named() -> None:
    ann, bob = reference("ann.jpg", 1, 0), reference("bob.jpg", 0, 1)
    near_bob = SIXTY_DEGREES
    assert People(like=[ann, bob], unlike=[], threshold=0.8).objection(near_bob) is None
    assert People(like=[], unlike=[ann, bob], threshold=0.8).objection(near_bob) == (
        "like bob.jpg: cosine 0.8660, threshold 0.8"
    )
    assert People(like=[ann, bob], unlike=[], threshold=0.9).objection(near_bob) == (
        "not like bob.jpg: cosine 0.8660, threshold 0.9"
    )


def test_a_face_like_somebody_unwanted_is_not_kept_though_it_is_like_somebody_wanted() -> None:
    ann, bob = reference("ann.jpg", 1, 0), reference("bob.jpg", 0, 1)
    why = People(like=[ann], unlike=[bob], threshold=0.4).objection(SIXTY_DEGREES)
    assert why
    assert why.startswith("like bob.jpg")


def test_with_nobody_to_compare_with_every_face_is_kept() -> None:
    assert People(like=[], unlike=[], threshold=0.4).objection(SIXTY_DEGREES) is None


@given(st.integers(-4, 4))
def test_cosines_are_compared_to_the_fourth_decimal(hundred_thousandths: int) -> None:
    """Engines differ in the sixth, and whether a face is kept must not hang on that."""
    cosine = 0.5 + hundred_thousandths * 1e-5
    near = np.array([cosine, (1 - cosine**2) ** 0.5], np.float32)
    assert People(like=[reference("ann.jpg", 1, 0)], unlike=[], threshold=0.5).objection(near) is None


@pytest.mark.parametrize("text", ["", "-3", "5 %%", "big", "5m", "%"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match="5%"):
        parse_length(text)


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
