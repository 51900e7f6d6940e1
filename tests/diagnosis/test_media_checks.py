"""The doctor reads a clip and pictures, and runs a network: what is broken of these is said, with exit code 3."""

import sys
from collections.abc import Callable
from typing import Any

import av
import numpy as np
import onnxruntime
import pytest
import simplejpeg

import faceloom
from faceloom.cli.main import main
from faceloom.diagnosis.media import check_pictures, check_video
from faceloom.media import videos
from faceloom.media.video_pixels import to_upright


def test_what_is_sound_is_said_to_be() -> None:
    assert {finding.verdict for finding in (*check_video(), *check_pictures())} == {faceloom.Verdict.OK}


def without_an_option(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyAV 19 as it was before we knew it: every video ended in a TypeError, and the doctor said that all was well."""
    real = av.open

    def opened(*args: Any, **options: Any) -> Any:
        if "metadata_errors" in options or args[1:2] != ("w",):
            raise TypeError("open() got an unexpected keyword argument 'metadata_errors'")
        return real(*args, **options)

    monkeypatch.setattr(av, "open", opened)


def without_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    """A decoder that gives none."""
    monkeypatch.setattr(videos, "decode", lambda *_: iter(()))


def black(monkeypatch: pytest.MonkeyPatch) -> None:
    """A decoder whose frames show nothing."""

    def blackened(*args: Any, **options: Any) -> Any:
        return np.zeros_like(to_upright(*args, **options))

    monkeypatch.setattr(videos, "to_upright", blackened)


def no_pyav(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)


def no_session(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise RuntimeError("no kernel")

    monkeypatch.setattr(onnxruntime, "InferenceSession", refuse)


def no_onnxruntime(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)


def no_jpegs(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise TypeError("no such argument")

    monkeypatch.setattr(simplejpeg, "decode_jpeg", refuse)


@pytest.mark.parametrize(
    ("damage", "name"),
    [
        (without_an_option, "video"),
        (without_frames, "video"),
        (black, "video"),
        (no_pyav, "video"),
        (no_session, "engine"),
        (no_onnxruntime, "onnx"),
        (no_jpegs, "pictures"),
    ],
)
def test_what_is_broken_is_said_and_the_exit_code_is_3(
    damage: Callable[[pytest.MonkeyPatch], None], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    damage(monkeypatch)
    wrong = {finding.name: finding for finding in faceloom.doctor() if finding.verdict is faceloom.Verdict.WRONG}
    assert name in wrong
    assert wrong[name].fix
    assert main(["doctor"]) == 3
