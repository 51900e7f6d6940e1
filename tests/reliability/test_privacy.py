import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from faceloom.models.weights import WeightCache

_EXTRACT = "import faceloom, sys; assert faceloom.extract(sys.argv[1], sys.argv[2]).faces"
_STREAM = "import faceloom, sys; assert all(frame.faces for frame in faceloom.stream(sys.argv[1]))"


@pytest.mark.parametrize("program", [_EXTRACT, _STREAM], ids=["extract", "stream"])
def test_a_run_leaves_nothing_in_the_home_folder(
    program: str, samples: Path, cache: WeightCache, tmp_path: Path
) -> None:
    """ONNX Runtime's telemetry would: an identity of the device, and events that wait to be sent."""
    home, media = tmp_path / "home", tmp_path / "media"
    home.mkdir()
    media.mkdir()
    shutil.copy(samples / "portrait.png", media)
    # Under CI the runtime tells nothing anyway; and whatever was set when this began is not to be what holds.
    without = {"CI", "ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"}
    environment = {name: value for name, value in os.environ.items() if name not in without}
    environment |= {"HOME": str(home), "FACELOOM_CACHE": str(cache.folder)}
    arguments = [sys.executable, "-c", program, str(media), str(tmp_path / "out")]
    subprocess.run(arguments, env=environment, check=True, timeout=120)
    assert [str(path) for path in home.rglob("*")] == []
