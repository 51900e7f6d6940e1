import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import faceloom.detect
import faceloom.formats
from faceloom.api import extract, stream
from faceloom.detect.layouts.table import LAYOUTS
from faceloom.errors import RequestError, WeightsError
from faceloom.faces import FrameId
from faceloom.flow import build_flow, find_plugin, plugin_names
from faceloom.formats.record import FrameRecord
from faceloom.formats.registry import format_named, format_names, format_to_read, format_to_write, formats
from faceloom.geometry.boxes import iou
from faceloom.geometry.schemes import SCHEMES
from jobs import exported, installed_plugin

DOCUMENT = Path(__file__).parents[1] / "docs/plugins.md"


def documented_plugin() -> str:
    code, _ = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
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


@pytest.mark.parametrize(("wrong", "meant"), [("detect/yunnet", "yunet"), ("align/facmesh", "facemesh")])
def test_a_name_that_is_nearly_a_plugins_is_put_right(wrong: str, meant: str) -> None:
    with pytest.raises(RequestError, match=f"did you mean '{meant}'"):
        build_flow([wrong])


def test_a_name_that_is_nearly_a_formats_is_put_right() -> None:
    with pytest.raises(RequestError, match="did you mean 'parquet'"):
        format_named("parket")


PLUGIN_FILE = """
from dataclasses import dataclass
from faceloom.detect.yunet import YuNet

@dataclass(frozen=True, kw_only=True)
class Dropped(YuNet):
    pass
"""
FORMAT_FILE = """
from faceloom.formats.record import Format

FORMAT = Format(name="dropped-in", title="a format dropped in", suffix="", keeps=frozenset(), changes="nothing")
"""


@pytest.fixture
def dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that lies in both `detect/` and `formats/`, as far as the interpreter knows."""
    for package in (faceloom.detect, faceloom.formats):
        monkeypatch.setattr(package, "__path__", package.__path__)
        package.__path__.append(str(tmp_path))
    yield tmp_path
    for package in (faceloom.detect, faceloom.formats):
        package.__path__.remove(str(tmp_path))
    for module in [
        name for name in sys.modules if name.endswith((".dropped", ".dropped_in", ".shared_by_some", ".counts"))
    ]:
        del sys.modules[module]


def test_one_file_in_its_folder_is_a_plugin(dropped: Path) -> None:
    (dropped / "dropped.py").write_text(PLUGIN_FILE)
    assert "dropped" in plugin_names("detect")
    assert find_plugin("detect", "dropped").__name__ == "Dropped"


def test_one_file_in_its_folder_is_a_format(dropped: Path) -> None:
    (dropped / "dropped_in.py").write_text(FORMAT_FILE)
    assert "dropped-in" in format_names()
    assert format_named("dropped-in").title == "a format dropped in"


def test_the_documented_format_is_one_file(dropped: Path) -> None:
    _, code = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    (dropped / "counts.py").write_text(code)
    pieces = list(format_to_write("counts").write([FrameRecord(id=FrameId("a.jpg", 0))]))
    assert pieces == [("", b"a.jpg 0 0\n")]
    with pytest.raises(RequestError, match="can be written and not read"):
        format_to_read("counts")


def test_the_documentation_has_every_layout_and_scheme() -> None:
    text = DOCUMENT.read_text()
    for layout in LAYOUTS.values():
        assert f"| `{layout.name}` | {layout.about} |" in text
    for scheme in SCHEMES.values():
        assert f"| {', '.join(map(str, scheme.counts))} | `{scheme.name}` |" in text


def test_what_plugins_and_formats_share_is_none_of_them(dropped: Path) -> None:
    (dropped / "shared_by_some.py").write_text("from faceloom.detect import Detector\nSHARED = 3\n")
    (dropped / "_private.py").write_text(PLUGIN_FILE)
    (dropped / "package").mkdir()
    (dropped / "package/__init__.py").write_text(PLUGIN_FILE)
    assert not {"shared_by_some", "_private", "package", "layouts"} & set(plugin_names("detect"))
    assert not {"shared-by-some", "record", "registry", "checks", "names", "pickles"} & set(format_names())
    for name in ("shared_by_some", "layouts", "../yunet"):
        with pytest.raises(RequestError, match="there is no detect plugin"):
            find_plugin("detect", name)


def test_a_file_with_two_plugins_is_refused(dropped: Path) -> None:
    (dropped / "dropped.py").write_text(PLUGIN_FILE + "\n\nclass Another(Dropped):\n    pass\n")
    with pytest.raises(RequestError, match="Dropped, Another"):
        find_plugin("detect", "dropped")


def test_the_name_of_every_format_is_its_files() -> None:
    assert [found.name for found in formats()] == format_names()


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
