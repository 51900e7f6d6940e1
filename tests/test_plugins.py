import re
from pathlib import Path

import numpy as np
import pytest

from faceloom.api import extract, stream
from faceloom.errors import RequestError, WeightsError
from faceloom.flow import build_flow, plugin_names
from faceloom.geometry.boxes import iou
from jobs import exported, installed_plugin

DOCUMENT = Path(__file__).parents[1] / "docs/plugins.md"


def documented_plugin() -> str:
    (code,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    return str(code) + "\nPlugin = RetinaFace\n"


def test_the_documented_detector_finds_the_faces_that_ours_finds(samples: Path, tmp_path: Path) -> None:
    with installed_plugin(tmp_path, "detect/retinaface", documented_plugin()):
        assert "retinaface" in plugin_names("detect")
        try:
            frames = list(stream(samples / "crowd.jpg", detect="retinaface"))
        except WeightsError as error:
            pytest.skip(f"the weights cannot be had here: {error}")
    (ours,) = stream(samples / "crowd.jpg")
    (theirs,) = frames
    assert theirs.problem is None
    overlaps = iou(np.stack([face.box for face in ours.faces]), np.stack([face.box for face in theirs.faces]))
    assert (overlaps.max(axis=0) > 0.5).all(), "it sees a face where there is none"
    assert (overlaps.max(axis=1) > 0.5).mean() > 0.8


def test_a_third_partys_detector_is_one_file_and_runs_in_the_worker(samples: Path, tmp_path: Path) -> None:
    plugin = """
        from dataclasses import dataclass
        from faceloom.detect.yunet import YuNet

        @dataclass(frozen=True, kw_only=True)
        class Plugin(YuNet):
            min_score: float = 0.5
    """
    with installed_plugin(tmp_path, "detect/keen", plugin):
        extract(samples / "crowd.jpg", tmp_path / "keen", size=64, detect="keen")
    extract(samples / "crowd.jpg", tmp_path / "ours", size=64, min_score=0.5)
    assert exported(tmp_path / "keen") == exported(tmp_path / "ours")


def test_an_unknown_plugin_names_the_known_ones() -> None:
    with pytest.raises(RequestError, match="centerface, onnx, s3fd, yunet"):
        build_flow(["detect/nobody"])


def test_an_unknown_option_names_the_known_ones() -> None:
    with pytest.raises(RequestError, match="min_score"):
        build_flow(["detect/yunet"], {"detect/yunet": {"colour": "red"}})


def test_an_entry_point_that_is_no_plugin_is_refused(tmp_path: Path) -> None:
    with (
        installed_plugin(tmp_path, "align/nothing", "Plugin = 5"),
        pytest.raises(RequestError, match=r"docs/plugins\.md"),
    ):
        build_flow(["detect/yunet", "align/nothing"])


def test_a_stage_that_reads_what_nobody_writes_is_refused_before_anything_runs() -> None:
    with pytest.raises(RequestError, match="mask/unet reads landmarks"):
        build_flow(["detect/yunet", "mask/unet"])


def test_stages_stand_after_what_they_need_in_whatever_order_they_are_named() -> None:
    flow = build_flow(["mask/unet", "mask/extended", "align/facemesh", "detect/yunet"])
    assert [stage.name for stage in flow.stages] == ["detect/yunet", "align/facemesh", "mask/unet", "mask/extended"]
    assert flow.needs(flow.stages[2]) == {"align/facemesh"}
