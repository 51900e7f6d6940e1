"""Chips cut again from a result folder, against those that a run with the same settings writes, on real files."""

import contextlib
import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import faceloom
from conftest import prepared
from faceloom.cli.main import main
from faceloom.errors import BudgetError, RequestError
from faceloom.geometry.affine import apply
from faceloom.models.weights import WeightCache
from faceloom.store.reading import read_faces
from faceloom.store.summary import read_summary
from jobs import exported, files_below

MASKS = ("components", "unet")
SETTINGS: list[dict[str, Any]] = [
    {"format": "jpg", "crop": "whole", "size": 160},
    {"format": "png", "crop": "face", "size": 96, "level": False},
    {"format": "webp", "crop": "head", "size": 512},
    {"format": "png", "crop": "whole", "size": 300, "level": False},
]


@pytest.fixture(scope="module")
def inputs(samples: Path, cache: WeightCache, tmp_path_factory: pytest.TempPathFactory) -> Path:
    for name in ("yunet", "facemesh", "unet"):
        prepared(cache, name)  # skips where the weights cannot be had
    folder = tmp_path_factory.mktemp("derive") / "in"
    folder.mkdir()
    for name in ("portrait.png", "crowd.jpg", "clip.mp4"):
        shutil.copy(samples / name, folder / name)
    (folder / "broken.jpg").write_bytes((samples / "crowd.jpg").read_bytes()[:300])
    return folder


@pytest.fixture(scope="module")
def out(inputs: Path) -> Path:
    faceloom.extract(inputs, inputs.parent / "out", size=64, mask=MASKS, end="0:00.2")
    return inputs.parent / "out"


@pytest.fixture
def moved(inputs: Path, tmp_path: Path) -> Iterator[Path]:
    """A source that is not where it was."""
    (inputs / "crowd.jpg").rename(tmp_path / "crowd.jpg")
    yield inputs / "crowd.jpg"
    (tmp_path / "crowd.jpg").rename(inputs / "crowd.jpg")


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: "-".join(map(str, settings.values())))
def test_chips_are_those_of_a_run_with_the_same_settings_bit_for_bit(
    out: Path, inputs: Path, tmp_path: Path, settings: dict[str, Any]
) -> None:
    faceloom.extract(inputs, tmp_path / "run", mask=MASKS, end="0:00.2", **settings)
    summary = faceloom.derive(out, tmp_path / "derived", **settings)
    assert summary.failed == 0
    expected = files_below(tmp_path / "run")
    assert len(expected) > 40
    assert files_below(tmp_path / "derived") == expected


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in exported(folder).splitlines()]


def test_rows_are_those_of_the_other_folder_but_for_chip_map_and_masks(out: Path, tmp_path: Path) -> None:
    faceloom.derive(out, tmp_path / "derived", size=128, crop="face")
    found = lines(tmp_path / "derived")
    for new, old in zip(found, lines(out), strict=True):
        assert set(new["masks"]) == set(old["masks"])
        for line in (new, old):
            for name in ("affine", "masks", "chip", "made_up"):
                del line[name]
        assert new == old


def test_masks_stay_as_they_are_over_the_same_square(out: Path, tmp_path: Path) -> None:
    faceloom.derive(out, tmp_path / "derived", size=256)
    assert [line["masks"] for line in lines(tmp_path / "derived")] == [line["masks"] for line in lines(out)]


def test_masks_over_another_square_are_those_of_a_run(out: Path, inputs: Path, tmp_path: Path) -> None:
    """Drawn ones bit for bit; a network's nearly, since what is stored has the mask's size and not the network's."""
    faceloom.extract(inputs, tmp_path / "run", mask=MASKS, end="0:00.2", crop="face", level=False)
    faceloom.derive(out, tmp_path / "derived", crop="face", level=False)
    pairs = zip(read_faces(tmp_path / "derived"), read_faces(tmp_path / "run"), strict=True)
    for (derived, _), (run, _) in pairs:
        assert derived.masks["components"].png == run.masks["components"].png
        one, other = (
            np.asarray(cv2.imdecode(np.frombuffer(face.masks["unet"].png, np.uint8), cv2.IMREAD_GRAYSCALE))
            for face in (derived, run)
        )
        assert np.minimum(one, other).sum() >= 0.95 * np.maximum(one, other).sum()


def test_deriving_twice_gives_the_same_bytes_in_any_budget(out: Path, tmp_path: Path) -> None:
    one = faceloom.derive(out, tmp_path / "one", size=128, overlay=True, overlay_chips=True, threads=1)
    with pytest.raises(BudgetError) as refusal:
        faceloom.derive(out, tmp_path / "none", size=128, overlay=True, overlay_chips=True, memory="120MiB")
    budget = -(-refusal.value.needed_bytes // 2**20) + 16
    other = faceloom.derive(
        out, tmp_path / "other", size=128, overlay=True, overlay_chips=True, memory=f"{budget}MiB", threads=2
    )
    assert one.faces == other.faces
    assert other.peak_bytes <= other.budget_bytes
    assert files_below(tmp_path / "one") == files_below(tmp_path / "other")
    assert exported(tmp_path / "one") == exported(tmp_path / "other")


def test_no_network_is_needed(out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor weights: there are none to be had."""
    monkeypatch.setenv("FACELOOM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("FACELOOM_WEIGHTS", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    summary = faceloom.derive(out, tmp_path / "derived")
    assert summary.faces == read_summary(out)["faces"]
    assert [stage["stage"] for phase in summary.plan["phases"] for stage in phase["stages"]] == []


def test_what_is_interrupted_goes_on(out: Path, tmp_path: Path) -> None:
    asked = 0

    def after_a_while() -> bool:
        nonlocal asked
        asked += 1
        return asked > 4

    first = faceloom.derive(out, tmp_path / "derived", threads=1, should_stop=after_a_while)
    assert first.outcome == "interrupted"
    second = faceloom.derive(out, tmp_path / "derived", threads=1)
    assert second.outcome == "done"
    assert second.skipped == first.frames
    faceloom.derive(out, tmp_path / "whole")
    assert files_below(tmp_path / "derived") == files_below(tmp_path / "whole")


def test_a_source_that_is_not_there_costs_itself_until_it_is(
    out: Path, tmp_path: Path, moved: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["derive", str(out), "--out", str(tmp_path / "derived"), "--quiet"]) == 1
    told = capsys.readouterr().err
    assert str(moved) in told
    assert "put it back" in told
    chips = files_below(tmp_path / "derived")
    assert any("clip.mp4" in path for path in chips)
    assert not any("crowd.jpg" in path for path in chips)
    shutil.copy(tmp_path / "crowd.jpg", moved)
    try:
        summary = faceloom.derive(out, tmp_path / "derived")
    finally:
        moved.unlink()
    assert summary.failed == 0
    assert any("crowd.jpg" in path for path in files_below(tmp_path / "derived"))


def test_a_source_that_has_changed_is_refused_and_a_touched_one_is_not(
    out: Path, samples: Path, tmp_path: Path, moved: Path
) -> None:
    content = bytearray((samples / "crowd.jpg").read_bytes())
    content[-100] ^= 1
    moved.write_bytes(content)
    try:
        summary = faceloom.derive(out, tmp_path / "derived")
        assert summary.failed == 1
        assert "crowd.jpg has changed" in summary.failures[0]
        shutil.copy(samples / "crowd.jpg", moved)
        os.utime(moved, (1, 1))
        assert faceloom.derive(out, tmp_path / "derived").failed == 0
    finally:
        moved.unlink()


def test_what_the_other_folder_gains_and_loses_comes_and_goes(inputs: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    shutil.copy(inputs / "portrait.png", folder / "a.png")
    faceloom.extract(folder, tmp_path / "out", mask=())
    assert faceloom.derive(tmp_path / "out", tmp_path / "derived").faces == 1
    shutil.copy(inputs / "crowd.jpg", folder / "b.jpg")
    faceloom.extract(folder, tmp_path / "out", mask=())
    assert faceloom.derive(tmp_path / "out", tmp_path / "derived").faces > 10
    shutil.copy(inputs / "crowd.jpg", folder / "a.png")
    faceloom.extract(folder, tmp_path / "out", mask=())
    summary = faceloom.derive(tmp_path / "out", tmp_path / "derived")
    assert summary.skipped == 1
    assert summary.faces == read_summary(tmp_path / "out")["faces"]


def test_boxes_and_points_are_drawn_on_chips(out: Path, tmp_path: Path) -> None:
    faceloom.derive(out, tmp_path / "derived", size=256, format="png", overlay=True, overlay_chips=True)
    drawn = files_below(tmp_path / "derived")
    for face, _ in read_faces(tmp_path / "derived"):
        assert face.chip is not None
        assert face.landmarks is not None
        assert face.frame_to_chip is not None
        assert f"overlays/{face.frame.source}/{face.frame.index:06}.jpg" in drawn
        name = face.chip.replace("chips/", "overlays/").removesuffix(".png") + ".jpg"
        overlay, chip = (
            np.asarray(cv2.imdecode(np.frombuffer(drawn[path], np.uint8), cv2.IMREAD_COLOR), int)
            for path in (name, face.chip)
        )
        x, y = apply(face.frame_to_chip, face.landmarks[27:36]).round().astype(int).T
        assert (overlay[y, x] > 180).all()  # points are white
        assert 0.001 < (np.abs(overlay - chip).max(axis=2) > 60).mean() < 0.3


def test_a_run_draws_on_chips_as_deriving_does(out: Path, inputs: Path, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"size": 128, "overlay": True, "overlay_chips": True}
    faceloom.extract(inputs, tmp_path / "run", mask=MASKS, end="0:00.2", **settings)
    faceloom.derive(out, tmp_path / "derived", **settings)
    run = files_below(tmp_path / "run")
    derived = files_below(tmp_path / "derived")
    assert derived == {path: content for path, content in run.items() if path in derived}
    assert all(path.startswith("overlays/") for path in set(run) - set(derived))  # of frames without a face


@pytest.mark.parametrize("wrong", [{"size": 63}, {"crop": "nose"}, {"format": "gif"}, {"memory": "none"}])
def test_a_wrong_request_is_refused(out: Path, tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(RequestError):
        faceloom.derive(out, tmp_path / "derived", **wrong)


def test_folders_that_cannot_be_derived_from_are_refused(out: Path, inputs: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="another folder"):
        faceloom.derive(out, out)
    faceloom.derive(out, tmp_path / "derived")
    with pytest.raises(RequestError, match="derive from"):
        faceloom.derive(tmp_path / "derived", tmp_path / "again")
    with pytest.raises(RequestError, match="configuration"):
        faceloom.derive(out, tmp_path / "derived", size=64)
    with pytest.raises(RequestError, match="configuration"):
        faceloom.extract(inputs, tmp_path / "derived", mask=MASKS, end="0:00.2")
    faceloom.extract(inputs / "portrait.png", tmp_path / "boxes", align=None)
    with pytest.raises(RequestError, match="landmarks"):
        faceloom.derive(tmp_path / "boxes", tmp_path / "none")
    faceloom.extract(inputs, tmp_path / "unfinished", should_stop=iter([False] * 3 + [True] * 1000).__next__)
    if read_summary(tmp_path / "unfinished")["frames"]["pending"]:
        with pytest.raises(RequestError, match="not finished"):
            faceloom.derive(tmp_path / "unfinished", tmp_path / "none")


def test_what_a_second_look_finds_is_derived_too(inputs: Path, tmp_path: Path) -> None:
    prepared(WeightCache.of_user(), "centerface")
    pictures = [inputs / "portrait.png", inputs / "crowd.jpg"]
    settings: dict[str, Any] = {"size": 64, "format": "png"}
    faceloom.extract(pictures, tmp_path / "out", mask=(), min_score=0.937, **settings)
    before = faceloom.derive(tmp_path / "out", tmp_path / "derived", **settings)
    assert files_below(tmp_path / "derived") == files_below(tmp_path / "out")
    faceloom.extract(pictures, tmp_path / "out", mask=(), only_empty=True, detect="centerface", **settings)
    after = faceloom.derive(tmp_path / "out", tmp_path / "derived", **settings)
    assert after.faces > before.faces
    assert files_below(tmp_path / "derived") == files_below(tmp_path / "out")


def test_faces_that_go_from_the_other_folder_go_with_their_chips(inputs: Path, tmp_path: Path) -> None:
    faceloom.extract(inputs / "crowd.jpg", tmp_path / "out", mask=())
    faceloom.derive(tmp_path / "out", tmp_path / "derived")
    with contextlib.closing(sqlite3.connect(tmp_path / "out" / "faceloom.sqlite")) as db, db:
        gone = db.execute("SELECT chip FROM face WHERE idx = 3").fetchone()[0]
        db.execute("DELETE FROM face WHERE idx = 3")
    (tmp_path / "out" / gone).unlink()
    assert gone in files_below(tmp_path / "derived")
    faceloom.derive(tmp_path / "out", tmp_path / "derived")
    assert lines(tmp_path / "derived")[3]["index"] == 4
    derived = files_below(tmp_path / "derived")
    assert gone not in derived
    assert derived == files_below(tmp_path / "out")
