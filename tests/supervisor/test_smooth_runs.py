"""`extract --smooth`: chips and exports are those of `derive --smooth`, also after a kill; what was found stays."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import faceloom
from faceloom.errors import RequestError
from faceloom.events import Event, Progress
from jobs import exported

END, SIZE = "9f", 64


@pytest.fixture(scope="module")
def plain(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The samples' clip and a picture, extracted and tracked."""
    out = tmp_path_factory.mktemp("plain") / "out"
    faceloom.extract([samples / "clip.mp4"], out, size=SIZE, mask="extended", track=True, end=END)
    return out


@pytest.fixture(scope="module")
def smooth(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, as it is steady."""
    out = tmp_path_factory.mktemp("smooth") / "out"
    faceloom.extract([samples / "clip.mp4"], out, size=SIZE, mask="extended", smooth=True, end=END)
    return out


def chips(folder: Path) -> dict[str, bytes]:
    """The content of every chip."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("chips/**/*.jpg"))}


def lines(text: str) -> list[dict[str, Any]]:
    """The faces of an export."""
    return [json.loads(line) for line in text.splitlines()]


def test_chips_are_those_that_deriving_cuts_byte_for_byte(plain: Path, smooth: Path, tmp_path: Path) -> None:
    faceloom.derive(plain, tmp_path / "derived", size=SIZE, smooth=True)
    assert chips(smooth) == chips(tmp_path / "derived")
    assert chips(smooth).keys() == chips(plain).keys()
    assert chips(smooth) != chips(plain)


def test_exports_follow_and_what_was_found_stays(plain: Path, smooth: Path) -> None:
    assert faceloom.export(smooth) == faceloom.export(plain, smooth=True)
    assert faceloom.export(smooth, raw=True) == faceloom.export(plain)
    with faceloom.open(smooth) as results:
        told = [face.landmarks.tolist() for face in results if face.landmarks is not None]
    assert np.allclose(told, [line["landmarks"] for line in lines(faceloom.export(smooth))], atol=1e-3)


def test_the_same_command_again_changes_nothing(samples: Path, smooth: Path) -> None:
    before, files = exported(smooth), chips(smooth)
    times = {path: path.stat().st_mtime_ns for path in smooth.rglob("*.jpg")}
    faceloom.extract([samples / "clip.mp4"], smooth, size=SIZE, mask="extended", smooth=True, end=END)
    assert (exported(smooth), chips(smooth)) == (before, files)
    assert {path: path.stat().st_mtime_ns for path in smooth.rglob("*.jpg")} == times
    assert not faceloom.check(smooth).flaws


def test_what_ends_while_chips_are_cut_is_gone_on_with(samples: Path, smooth: Path, tmp_path: Path) -> None:
    class KilledError(Exception):
        """As a kill would: nothing is tidied up."""

    out, cutting = tmp_path / "out", []

    def on_event(event: Event) -> None:
        if isinstance(event, faceloom.events.Tracking) and event.frames == event.total_frames:
            cutting.append(event)
        if cutting and isinstance(event, Progress):
            raise KilledError

    told: dict[str, Any] = {"size": SIZE, "mask": "extended", "smooth": True, "end": END}
    with pytest.raises(KilledError):
        faceloom.extract([samples / "clip.mp4"], out, on_event=on_event, **told)
    faceloom.extract([samples / "clip.mp4"], out, **told)
    assert chips(out) == chips(smooth)
    assert exported(out) == exported(smooth)


def test_a_folder_is_held_to_it(samples: Path, plain: Path) -> None:
    with pytest.raises(RequestError, match="smooth"):
        faceloom.extract([samples / "clip.mp4"], plain, size=SIZE, mask="extended", smooth=True, end=END)


def test_what_is_added_is_as_if_it_had_been_asked_for(samples: Path, smooth: Path, tmp_path: Path) -> None:
    """Networks look at what was found."""
    told: dict[str, Any] = {"size": SIZE, "smooth": True, "end": "4f"}
    faceloom.extract([samples / "clip.mp4"], tmp_path / "two", mask="extended", **told)
    faceloom.extend(tmp_path / "two", mask="unet")
    faceloom.extract([samples / "clip.mp4"], tmp_path / "one", mask=("extended", "unet"), **told)
    one, two = (lines(faceloom.export(tmp_path / name)) for name in ("one", "two"))
    assert [line["masks"] for line in one] == [line["masks"] for line in two]
