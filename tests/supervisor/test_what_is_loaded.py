"""A run loads what its inputs need: what is imported besides takes time at its start, and memory until its end."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from faceloom.api import extract
from faceloom.events import Event, Progress

_NOT_FOR_RUNS = {"av", "cv2", "onnx", "onnxruntime", "PIL", "rich", "scipy", "torch"}
_LIBRARY = re.compile(r"/(?P<package>[^/]+)/(?P<name>[^/.]+)\.(?:cpython-[^/]+|abi3)\.so$")


def loaded_by_workers(inputs: Path, out: Path) -> set[str]:
    """Extension modules, as package/name, that were in any worker of a run when it had answered."""
    found: set[str] = set()

    def on_event(event: Event) -> None:
        if not isinstance(event, Progress):
            return
        for child in Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split():
            files = {line.split(maxsplit=5)[-1] for line in Path(f"/proc/{child}/maps").read_text().splitlines()}
            matches = filter(None, map(_LIBRARY.search, files))
            found.update(f"{match['package']}/{match['name']}" for match in matches)

    assert extract(inputs, out, size=64, on_event=on_event).failed == 0
    assert "cv2/cv2" in found
    return found


def packages(loaded: set[str]) -> set[str]:
    return {name.partition("/")[0] for name in loaded}


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
def test_workers_load_ffmpeg_for_videos_alone(samples: Path, tmp_path: Path) -> None:
    assert "av" not in packages(loaded_by_workers(samples / "crowd.jpg", tmp_path / "pictures"))
    assert "av" in packages(loaded_by_workers(samples / "clip.mp4", tmp_path / "videos"))


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
def test_workers_load_decoders_of_unusual_pictures_for_these_alone(samples: Path, tmp_path: Path) -> None:
    from PIL import Image

    usual = loaded_by_workers(samples / "crowd.jpg", tmp_path / "usual")
    assert not {"PIL/_webp", "PIL/_avif", "onnx/onnx_cpp2py_export"} & usual
    Image.open(samples / "portrait.png").save(tmp_path / "portrait.jpg", format="WEBP")  # as the web has them
    assert "PIL/_webp" in loaded_by_workers(tmp_path / "portrait.jpg", tmp_path / "unusual")


def test_the_process_that_writes_the_store_loads_no_decoder_and_no_runtime(samples: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "faceloom", "extract", str(samples / "crowd.jpg")]
    told = subprocess.run([*command, "--out", str(tmp_path / "out")], capture_output=True, text=True, check=True).stderr
    loaded = {line.rpartition("|")[2].strip() for line in told.splitlines() if line.startswith("import time:")}
    assert "faceloom.supervisor.run" in loaded
    assert not _NOT_FOR_RUNS & loaded
